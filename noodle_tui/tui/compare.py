"""Several runs in one picture: their curves overlaid, and the options in which they differ."""

from collections.abc import Sequence
from threading import Event as Flag
from typing import Any, ClassVar

import numpy as np
from rich.cells import cell_len
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.worker import get_current_worker

from noodle_tui.errors import NoodleError, one_line
from noodle_tui.events import DataReady, Event
from noodle_tui.paths import with_full_paths
from noodle_tui.run_folder import Follower, is_alive
from noodle_tui.run_state import RunState
from noodle_tui.summaries import RunSummary
from noodle_tui.text import printable
from noodle_tui.tui import compare_keys, curve_keys, words
from noodle_tui.tui.below import only_on_top
from noodle_tui.tui.curves import Curves, View, smooth
from noodle_tui.tui.live_text import manner_in_words
from noodle_tui.tui.runs_text import LETTERS, in_words, when_in_short
from noodle_tui.tui.sources import hand_over, in_parts
from noodle_tui.tui.status import MARKS
from noodle_tui.tui.themes import styles
from noodle_tui.tui.widgets.dialogs import help_on
from noodle_tui.tui.widgets.drawing import RUN, RUNS, Curve, Picture
from noodle_tui.tui.widgets.key_bar import KeyBar
from noodle_tui.tui.widgets.painting import Lines, headed_rule
from noodle_tui.tui.widgets.plot import Plot
from noodle_tui.tui.widgets.sheet import Sheet, paragraph
from noodle_tui.tui.widgets.too_small import TooSmall

LOOK_EVERY = 2.0  # seconds between two looks at the runs
PAINT_AFTER = 0.1  # seconds in which more may come
BOTH_AT = 92  # cells of width from which a run's line has its best epoch and values
LEAST_NAME = 8  # cells: of a name in fewer too little is left
NOT_COMPARED = {"save_dir", "namestr"}  # the name stands beside the letter


class CompareScreen(Screen[None]):
    """Loss and accuracy of up to eight runs. Those that go on are followed."""

    CSS, SCOPED_CSS = styles("compare", "widgets/plot"), False
    is_current = only_on_top
    AUTO_FOCUS = "#compare-below"
    BINDINGS: ClassVar[list[BindingType]] = [*compare_keys.BINDINGS]
    KEYS = compare_keys.KEYS
    action_help = help_on("Overlay: keys", KEYS)
    action_log_scale, action_smooth, action_zoom = curve_keys.log_scale, curve_keys.smooth, curve_keys.zoom
    action_cursor, action_cursor_to = curve_keys.move_cursor, curve_keys.cursor_to
    on_plot_epoch_clicked = curve_keys.clicked

    def __init__(self, runs: Sequence[RunSummary]):
        super().__init__()
        self.runs = runs[:RUNS]
        self.states = [RunState() for _ in self.runs]
        self.curves = [Curves() for _ in self.runs]
        self.errors = [""] * len(self.runs)
        self.view = View()  # not smoothed: a smooth curve's peaks are lower than those in the table
        self.phase = "val"
        self._left, self._paint_is_due = Flag(), False

    def compose(self) -> ComposeResult:
        yield Lines(id="compare-title")
        with Horizontal(id="compare-plots"):
            yield Plot(id="compare-loss")
            yield Plot(id="compare-accuracy")
        yield Sheet(id="compare-runs")
        with VerticalScroll(id="compare-below"):
            yield Sheet(id="compare-options")
        yield KeyBar()
        yield TooSmall()

    def on_mount(self) -> None:
        configs = [with_full_paths(run.config, run.cwd) for run in self.runs]
        differing = differing_options(configs)
        self.query_one("#compare-options", Sheet).show(
            lambda width: option_lines(differing, width), "options in which they differ")
        self._follow()

    def on_unmount(self) -> None:
        self._left.set()

    def on_resize(self) -> None:
        self.paint_curves()

    @work(thread=True)
    def _follow(self) -> None:
        """Read the runs' events until the screen closes. In a thread, as in live.py."""
        worker = get_current_worker()
        followers = [Follower(run.folder) for run in self.runs]
        going_on = set(range(len(self.runs)))
        errors = [""] * len(self.runs)
        while going_on and not worker.is_cancelled:
            for i in sorted(going_on):
                alive = is_alive(self.runs[i].folder)  # before the reading, as in live.py
                before = errors[i]
                try:
                    events, errors[i] = followers[i].read(), ""
                except NoodleError as error:  # of a network disk; it is asked again
                    events, errors[i] = [], one_line(error)
                if errors[i] != before:
                    self.call_later(self._take, i, [], error=errors[i])
                for part in in_parts(events):
                    hand_over(self, self._left, self._take, i, part)
                if not alive and not errors[i]:
                    self.call_later(self._take, i, [], over=True)
                    going_on.discard(i)
            if self._left.wait(LOOK_EVERY):
                return

    def _take(self, i: int, events: Sequence[Event], error: str = "", over: bool = False) -> None:
        """Take in new events of a run, why it can't be read, or that nobody works on it any more."""
        state = self.states[i]
        for event in events:
            state.apply(event)
        if over and state.ended is None:
            state.status = "interrupted"
        self.errors[i] = error
        self.curves[i].update(state.epochs)
        if not self._paint_is_due:
            self._paint_is_due = True
            self.set_timer(PAINT_AFTER, self.paint_curves)

    # -- the picture --------------------------------------------------------------------------------------------------

    @property
    def axis_end(self) -> int:
        return max((state.epoch for state in self.states), default=0)

    @property
    def epoch_range(self) -> tuple[int, int]:
        return 1, max(self.axis_end, 1)

    @property
    def some_plot(self) -> Plot:
        return self.query_one("#compare-loss", Plot)

    def paint_curves(self) -> None:
        self._paint_is_due = False
        epoch = self.axis_end
        first, last = self.view.window(epoch, epoch)
        for what in ("loss", "accuracy"):
            curves = tuple(curve for i in range(len(self.runs)) if (curve := self._curve(i, what)) is not None)
            log = self.view.log and what == "loss"
            picture = Picture(curves, first, last, cursor=self.view.cursor, log=log,
                              bounds=(0.0, 1.0) if what == "accuracy" else (-np.inf, np.inf))
            phase = {"val": "validation", "train": "training"}[self.phase]
            manner = manner_in_words(self.view, what, epoch, epoch)
            title = Content.assemble((f"{phase} {what}", "bold"), (manner, "$quiet"))
            self.query_one(f"#compare-{what}", Plot).show(title, (), picture)
        detail = f"│ epoch {self.view.cursor}" if self.view.cursor is not None else f"{len(self.runs)} runs"
        self.query_one("#compare-title", Lines).show(
            headed_rule(Content.styled("Overlay", "bold"), max(self.size.width - 2, 1), Content.styled(detail, "$quiet")))
        self.query_one("#compare-runs", Sheet).show(self._legends)

    def _curve(self, i: int, what: str) -> Curve | None:
        x, y = self.curves[i].column("epoch"), self.curves[i].column(f"{self.phase}_{what}")
        if self.phase == "val":  # an epoch without validation is no gap
            measured = np.isfinite(self.curves[i].column("low"))
            x, y = x[measured], y[measured]
        return Curve(x, smooth(y, self.view.smoothing), RUN + i, letter=LETTERS[i]) if len(x) else None

    def _legends(self, width: int) -> list[Content]:
        """A line a run: a ━ name ✓ done   ★ 0.958  23/24  0.80–0.99   epoch 12: loss 0.31  accuracy 0.92

        The values are those at the cursor, or the last. A narrow window has them in the best epoch's place, at the cursor.
        """
        numbers = range(len(self.runs))
        columns = [[self._best(i) for i in numbers], [self._values(i) for i in numbers]]
        if width < BOTH_AT:
            columns = columns[:1] if self.view.cursor is None else columns[1:]
        rooms = [max(map(len, column)) for column in columns]
        tails = ["".join(f"  {text:<{room}}" for text, room in zip(row, rooms, strict=True))
                 for row in zip(*columns, strict=True)]
        heads = self._heads(width - sum(rooms) - 2 * len(rooms))
        warning = on_other_photos([state.data for state in self.states])
        lines = [line.stylize("$warning") for line in paragraph(warning, width, "! ")] if warning else []
        for i in numbers:
            tail = (f"  {printable(self.errors[i])}", "$error") if self.errors[i] else (tails[i], "$foreground")
            lines.append(Content.assemble(heads[i], tail))
        return lines

    def _heads(self, width: int) -> list[Content]:
        """a ━ name  ✓ done, in columns; where several have a name, and there is room, with the time when they were started.
        Where a name would be nearly gone, the mark alone says the state."""
        called = [run.name for run in self.runs]
        states = [state.status if state.started else run.status for run, state in zip(self.runs, self.states, strict=True)]
        room_for_words = width - max(map(len, states)) - 8 >= LEAST_NAME
        said = states if room_for_words else [""] * len(states)
        widest = max(map(len, said))
        most = max(width - widest - 8, 4)
        names = [printable(name) for name in called]
        for i, run in enumerate(self.runs):
            start = f"  {when_in_short(run.started)}"
            if called.count(run.name) > 1 and cell_len(names[i] + start) <= most:
                names[i] += start
        room = min(max(map(cell_len, names)), most)
        return [Content.assemble((f"{LETTERS[i]} ━ ", self._colour(i)),
                                 Content(words.shortened(name, room)).truncate(room, pad=True),
                                 (f"  {MARKS[state][0]} {word:<{widest}}", MARKS[state][1]))
                for i, (name, state, word) in enumerate(zip(names, states, said, strict=True))]

    def _best(self, i: int) -> str:
        best = self.states[i].best
        if best is None:
            return "not validated yet"
        counts = f"{best.val_correct}/{best.val_count}"
        return f"★ {words.accuracy(best.val_accuracy)}  {counts}  {words.interval(best.val_interval)}"

    def _values(self, i: int) -> str:
        curves, cursor = self.curves[i], self.view.cursor
        n = len(curves.column("epoch"))
        at = n - 1 if cursor is None else curves.index(cursor)
        if n == 0 or at is None:
            return ""
        if cursor is not None and curves.column("epoch")[at] != cursor:
            return f"epoch {cursor}: –"  # this run ended earlier: the nearest epoch's values would be no comparison
        loss, accuracy = (float(curves.column(f"{self.phase}_{what}")[at]) for what in ("loss", "accuracy"))
        values = f"loss {words.number(_known(loss))}  accuracy {words.accuracy(_known(accuracy))}"
        return f"epoch {int(curves.column('epoch')[at])}: {values}"

    def _colour(self, i: int) -> str:
        color = self.some_plot.get_component_styles(f"plot--run{i}").color
        return f"{color.hex} bold"

    # -- what can be done ---------------------------------------------------------------------------------------------

    def action_back(self) -> None:
        if not curve_keys.put_cursor_away(self):
            self.dismiss()

    def action_phase(self) -> None:
        self.phase = "train" if self.phase == "val" else "val"
        self.paint_curves()


def on_other_photos(data: Sequence[DataReady | None]) -> str:
    """A warning where the runs (as far as they have told) may not be validated on the same photos; "" where they are. The
    fingerprint is of all photos: of fewer to train on, say, it is another one, too."""
    groups: dict[tuple[str, tuple[int, ...]], str] = {}
    for letter, one in zip(LETTERS, data, strict=False):
        if one is not None:
            key = (one.fingerprint, tuple(one.val_counts))
            groups[key] = groups.get(key, "") + letter
    if len(groups) < 2:
        return ""
    runs = "/".join(groups.values())
    if len({sum(one.val_counts) for one in data if one is not None}) > 1:
        return f"validated on different photos ({runs}): accuracies can't be compared"
    return f"different photos ({runs}): accuracies can be compared only where those of validation are the same"


def _known(value: float) -> float | None:
    """A measured value; None for an epoch without one."""
    return value if np.isfinite(value) else None


def differing_options(configs: Sequence[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """(option, its value in each run) of the options in which the runs differ; "–" where a run has no such option."""
    names = dict.fromkeys(name for config in configs for name in config)
    rows = [(name, [in_words(config.get(name)) for config in configs]) for name in names if name not in NOT_COMPARED]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def option_lines(differing: Sequence[tuple[str, list[str]]], width: int) -> list[Content]:
    """The table of `differing_options`: a row an option, a column a run."""
    if not differing:
        return [Content.styled("none: the runs differ only in their name, or in nothing", "$quiet")]
    n_runs = len(differing[0][1])
    name_width = max(len(printable(name)) for name, _ in differing) + 2
    widest = max(cell_len(printable(value)) for _, values in differing for value in values) + 2
    room = max(4, min(widest, (width - name_width) // n_runs))
    head = [Content(" " * name_width), *(Content.styled(LETTERS[i].ljust(room), "bold") for i in range(n_runs))]
    rows = [
        [Content.styled(printable(name).ljust(name_width), "$quiet"),
         *(Content(cell).truncate(room - 1, pad=True) + " " for cell in told_apart([*map(printable, values)], room - 1))]
        for name, values in differing
    ]
    return [Content("").join(line) for line in (head, *rows)]


def told_apart(values: Sequence[str], width: int) -> list[str]:
    """Each value in at most `width` cells, all cut alike: in the middle; where they would look the same then, at the start; or
    up to where they begin to differ."""
    same = next((i for i, chars in enumerate(zip(*values, strict=False)) if len(set(chars)) > 1), min(map(len, values)))
    cells: list[str] = []
    for cut in (words.shortened, words.end_of, lambda value, width: words.shortened(f"…{value[same:]}", width)):
        cells = [value if cell_len(value) <= width else cut(value, width) for value in values]
        if len(set(cells)) == len(set(values)):
            break
    return cells
