"""The Result screen: what a run that has ended is worth, and what to distrust in it."""

import asyncio
import os
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Digits

from noodle_tui.errors import NoodleError, one_line
from noodle_tui.paths import options_today, path_today
from noodle_tui.report import Report, read_predictions, read_report
from noodle_tui.run_folder import CARD, MODEL, read_state
from noodle_tui.run_state import RunState
from noodle_tui.text import printable
from noodle_tui.tui import live_text, result_keys, result_text, runs_text
from noodle_tui.tui.below import only_on_top
from noodle_tui.tui.clipboard import copy_path
from noodle_tui.tui.confusion import confusion_lines
from noodle_tui.tui.curves import Curves, View, accuracy_picture, loss_picture
from noodle_tui.tui.messages import CopyOptions, MoreEpochs, Open, PickUp
from noodle_tui.tui.predict_dialog import PredictDialog
from noodle_tui.tui.result_text import ResultFacts
from noodle_tui.tui.themes import styles
from noodle_tui.tui.widgets.dialogs import help_on
from noodle_tui.tui.widgets.key_bar import KeyBar
from noodle_tui.tui.widgets.photo import Photo
from noodle_tui.tui.widgets.pick_list import PickList
from noodle_tui.tui.widgets.plot import Plot
from noodle_tui.tui.widgets.sheet import Sheet
from noodle_tui.tui.widgets.too_small import TooSmall

COLUMNS_AT = 120  # cells of width from which the page has two columns
WHOLE_AT = 34  # lines of a window from which doubts are written out; app.py's -tall
MOST_ROWS, FEW_ROWS = 12, 4  # of mistakes in sight; beside a photo in a low window


class ResultScreen(Screen[None]):
    """A finished run's report; of one that ended early, what there is. Read once, in a thread."""

    CSS, SCOPED_CSS = styles("result", "widgets/plot"), False
    is_current = only_on_top
    AUTO_FOCUS = "#result-page"
    BINDINGS: ClassVar[list[BindingType]] = [*result_keys.BINDINGS]
    KEYS = result_keys.KEYS
    action_help = help_on("Result: keys", KEYS)

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder
        self.facts: ResultFacts | None = None
        self.view = View()
        self._curves = Curves()
        self._doubts_in_full = False

    def compose(self) -> ComposeResult:
        with Horizontal(id="result-head"):
            yield Digits(id="result-digits")
            yield Sheet(id="result-sentence")
        with VerticalScroll(id="result-page"):
            with Vertical(id="result-left", classes="result-column"):
                for name in ("distrust", "confusion", "classes", "people", "levels"):
                    yield Sheet(id=f"result-{name}")
            with Vertical(id="result-right", classes="result-column"):
                yield Sheet(id="result-mistakes-title")
                yield PickList(id="result-mistakes")
                yield Photo(id="result-photo")
                with Horizontal(id="result-curves"):
                    yield Plot(id="result-loss")
                    yield Plot(id="result-accuracy")
                yield Sheet(id="result-files")
        yield KeyBar()
        yield TooSmall()

    def on_mount(self) -> None:
        self.query_one("#result-page").display = False
        note = Content.styled(f"reading {printable(str(self.folder))} …", "$quiet")
        self.query_one("#result-sentence", Sheet).show(lambda width: [note])
        self._read()

    def on_resize(self) -> None:
        """Two columns where there is room; without a report the left one would be empty."""
        has_report = self.facts is None or self.facts.report is not None
        self.set_class(self.size.width >= COLUMNS_AT and has_report, "-columns")
        self.set_class(not has_report, "-bare")
        self._fill_distrust()
        self._fit_mistakes()
        self.refresh_bindings()

    @work
    async def _read(self) -> None:
        try:
            facts = await asyncio.to_thread(read_facts, self.folder)
        except (NoodleError, OSError) as error:
            reason = Content.styled(f"✗ {printable(one_line(error))}", "$error")
            self.query_one("#result-sentence", Sheet).show(lambda width: [reason])
            return
        self.facts = facts
        self._curves.update(facts.state.epochs)
        with self.app.batch_update():
            self.on_resize()
            self._fill(facts)
        self.refresh_bindings()

    def _fill(self, facts: ResultFacts) -> None:
        report = facts.report
        counts = result_text.accuracy_of(facts)
        digits = self.query_one("#result-digits", Digits)
        digits.update(result_text.big_number(*counts) if counts else "")
        digits.set_class(counts is not None, "-known")
        self._sheet("sentence").show(lambda width: result_text.head_lines(facts, width))
        self._fill_distrust()
        self._fill_report(report)
        self._fill_mistakes(facts)
        self._paint_curves(facts)
        self.query_one("#result-curves").display = bool(facts.state.epochs)
        self._sheet("files").show(lambda width: result_text.file_lines(facts, width), "files")
        self.query_one("#result-page").display = True
        self.query_one("#result-page").focus()

    def _sheet(self, name: str) -> Sheet:
        return self.query_one(f"#result-{name}", Sheet)

    @property
    def _is_low(self) -> bool:
        """Whether doubts written out would push the confusion matrix out of the window."""
        return self.size.height < WHOLE_AT

    def _fill_distrust(self) -> None:
        if (facts := self.facts) is None:
            return
        brief = self._is_low and not self._doubts_in_full
        title, can_open = "what to distrust" if facts.report else "report", self.check_action("doubts", ())
        detail = Content.styled(f"d: in {'full' if brief else 'brief'}" if can_open else "", "$quiet")
        self._sheet("distrust").show(lambda width: result_text.distrust_lines(facts, width, brief), title, detail)

    def _fill_report(self, report: Report | None) -> None:
        for name in ("confusion", "classes", "people", "levels"):
            self._sheet(name).display = report is not None
        if report is None:
            return
        result, quiet = report.result, "0 to 1, ├─┤ 95%"
        self._sheet("confusion").show(
            lambda width: [*confusion_lines(report.classes, result.confusion, width), Content(""),
                           *result_text.scores_line(result, width)],
            "confusion", Content.styled("shade and %: of the row", "$quiet"))
        for name, scores, title in (
            ("classes", result.per_class, "recall per class"), ("people", result.per_person, "per person"),
            ("levels", result.per_level, "per morph level"),
        ):
            self._sheet(name).show(lambda width, scores=scores: result_text.bar_lines(scores, width), title,
                                   Content.styled(quiet, "$quiet"))
            self._sheet(name).display = bool(scores)

    def _fill_mistakes(self, facts: ResultFacts) -> None:
        n, mistakes = len(facts.mistakes), self.query_one("#result-mistakes", PickList)
        detail = Content.styled("space: the photo" if n else "", "$quiet")
        if n:
            title, body = f"mistakes, worst first: {n}", result_text.mistake_header(facts.classes)
        else:
            title = "mistakes"
            body = Content.styled(facts.mistakes_error or "none: every validation image is right", "$quiet")
        heading = self._sheet("mistakes-title")
        heading.show(lambda width: [body], title, detail)
        heading.display = facts.report is not None
        heading.set_class(n > 0, "-above-rows")
        mistakes.display = n > 0
        self._fit_mistakes()
        mistakes.show(n, lambda i, width: result_text.mistake_row(facts.mistakes[i], facts.classes, width))

    def _fit_mistakes(self) -> None:
        beside_photo = self._is_low and self.query_one("#result-photo").has_class("-shown")
        n = len(self.facts.mistakes) if self.facts else 0
        self._mistakes.styles.height = min(n, FEW_ROWS if beside_photo else MOST_ROWS)

    def _paint_curves(self, facts: ResultFacts) -> None:
        state, view = facts.state, self.view
        for what, picture in (("loss", loss_picture), ("accuracy", accuracy_picture)):
            self.query_one(f"#result-{what}", Plot).show(
                *live_text.plot_heading(what, self._curves, view), picture(self._curves, view, state.epoch, state.best))

    # -- what can be done ---------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys the footer shows: those that do something now."""
        facts = self.facts
        match action:
            case "photo":
                return facts is not None and bool(facts.mistakes)
            case "predict":
                return facts is not None and {MODEL, CARD} <= {name for name, _ in facts.files}
            case "curves":
                return facts is not None and bool(facts.state.epochs)
            case "doubts":
                return self._is_low and facts is not None and facts.report is not None and bool(facts.report.distrust)
            case "resume":
                return facts is not None and result_text.is_resumable(facts)
            case "more_epochs":
                return facts is not None and facts.state.status == "done"
            case "say_why_not":
                return facts is not None and not result_text.is_resumable(facts)
            case "copy_options":
                return facts is not None and facts.state.started is not None
        return True

    @property
    def _mistakes(self) -> PickList:
        return self.query_one("#result-mistakes", PickList)

    @on(PickList.Chosen, "#result-mistakes")
    def action_photo(self) -> None:
        """The picked mistake's photo, on or off. Off until it is asked for: it shows somebody's face."""
        photo = self.query_one("#result-photo", Photo)
        self._mistakes.focus()
        photo.set_class(not photo.has_class("-shown"), "-shown")
        self._fit_mistakes()
        self._show_photo()

    @on(PickList.Moved, "#result-mistakes")
    def _show_photo(self) -> None:
        photo, facts = self.query_one("#result-photo", Photo), self.facts
        if facts is None or not photo.has_class("-shown"):
            photo.show(None)
            return
        photo.show(facts.data_dir / facts.mistakes[self._mistakes.cursor].path)
        self.call_after_refresh(self._sheet("mistakes-title").scroll_visible, top=True, animate=False)

    def action_doubts(self) -> None:
        """What to distrust in full, or a line a sentence again."""
        self._doubts_in_full = not self._doubts_in_full
        self._fill_distrust()
        self.query_one("#result-page").scroll_home(animate=False)

    def action_predict(self) -> None:
        if self.facts is not None:
            self.app.push_screen(PredictDialog(self.folder, result_text.model_in_words(self.facts.state)))

    def action_curves(self) -> None:
        """Live shows the curves of a run that has ended, too, in full, with cursor and zoom."""
        self.post_message(Open(self.folder, alive=True))

    def action_resume(self) -> None:
        self.post_message(PickUp(self.folder))

    def action_more_epochs(self) -> None:
        self.post_message(MoreEpochs(self.folder))

    def action_say_why_not(self) -> None:
        if self.facts is not None:
            self.notify(runs_text.why_not_resumed(self.facts.state.status), severity="warning", timeout=4)

    @work
    async def action_copy_options(self) -> None:
        """In a thread, as in runs.py."""
        if self.facts is not None and (started := self.facts.state.started) is not None:
            today = await asyncio.to_thread(options_today, started.config, started.cwd, started.folder, self.folder)
            if self.is_current:
                self.post_message(CopyOptions(today))

    def action_copy_path(self) -> None:
        copy_path(self, self.folder)

    def action_log_scale(self) -> None:
        self.view.log = not self.view.log
        if self.facts is not None:
            self._paint_curves(self.facts)


def read_facts(folder: Path) -> ResultFacts:
    """All that the screen shows of a run folder. OSError if the folder can't be read; a part that can't be says so."""
    report, report_error = None, ""
    try:
        report = read_report(folder)
    except NoodleError as error:
        report_error = one_line(error)
    classes, mistakes, mistakes_error = [], [], ""
    try:
        classes, predictions = read_predictions(folder)
        mistakes = sorted((p for p in predictions if p.predicted != p.true), key=lambda p: (-p.confidence, p.path))
    except NoodleError as error:
        mistakes_error = one_line(error)
    with os.scandir(folder) as entries:
        files = [(entry.name, entry.stat(follow_symlinks=False).st_size) for entry in entries
                 if entry.is_file(follow_symlinks=False) and not entry.name.startswith(".")]
    files.sort(key=lambda file: (-file[1], file[0]))
    state = read_state(folder)
    return ResultFacts(folder, state, report, report_error, classes, mistakes, mistakes_error, files,
                       data_dir_of(state, folder))


def data_dir_of(state: RunState, folder: Path) -> Path:
    """Where the photos of a run lie now."""
    if state.started is None:
        return Path()
    return path_today(str(state.started.config.get("data_dir", "")), state.started.cwd, state.started.folder, folder)
