"""A small window over the Result screen: the model's answers on a file or a folder of new photos."""

from collections.abc import Callable
from pathlib import Path
from threading import Event as Flag
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from rich.cells import cell_len
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from noodle_tui.errors import NoodleError, StopRun, one_line
from noodle_tui.gpu import leave_gpu
from noodle_tui.text import as_argument, printable
from noodle_tui.tui import words
from noodle_tui.tui.clipboard import copy_text
from noodle_tui.tui.setup_form import in_fields
from noodle_tui.tui.widgets.line_input import LineInput
from noodle_tui.tui.widgets.path_completion import PathCompletion
from noodle_tui.tui.widgets.pick_list import PickList

if TYPE_CHECKING:
    from noodle_tui.predict import Answer, PredictOutcome


class PredictDialog(ModalScreen[None]):
    """Type a path, press enter, read the answers. The model works in a thread; escape, or enter on another path, ends it after
    the current photo."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "ask", "Ask"),  # from the answers, too; from the path it comes as its Submitted, behind what was typed
        Binding("y", "copy_command", "Copy the command"),  # in the path's line it is a letter
        Binding("escape", "close", "Close"),
    ]

    def __init__(self, folder: Path, model: str):
        """model: what there is to say of the one in `folder`."""
        super().__init__()
        self.folder, self.model = folder, model
        self.answers: list[Answer] = []
        self.command = ""  # that gives the same answers in a shell
        self._given_up = Flag()  # nobody waits for the answers that were asked for last: there is one for each asking
        self._one_at_a_time = Lock()

    def compose(self) -> ComposeResult:
        with Vertical(id="predict-box") as box:
            box.border_title = Content(f"predict with {printable(self.model)}")
            box.border_subtitle = "enter asks the model   tab completes, then the answers   esc closes"
            path = LineInput(placeholder="a photo, or a folder of photos", id="predict-path", compact=True)
            path.cursor_blink = False
            yield path
            yield Static(id="predict-note")
            yield PickList(id="predict-answers")
            yield Static(id="predict-keep")
        yield PathCompletion(path, folders_only=False)

    def on_resize(self) -> None:
        self.query_one(PathCompletion).close()

    def on_unmount(self) -> None:
        self._given_up.set()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_ask()

    def action_ask(self) -> None:
        path = self.query_one("#predict-path", Input).value.strip()
        if not path:
            return
        self._given_up.set()
        self._given_up = Flag()
        self.query_one(PathCompletion).close()
        self._note("loading the model …", "$quiet")
        self._show([])  # answers for an earlier path don't belong here
        photos = Path(words.home_in_full(words.unquoted(path)))
        self.command = f"noodle predict --load-dir {as_argument(self.folder)} --format csv {as_argument(photos)} > answers.csv"
        self._predict(photos, self._given_up)

    @work(thread=True)
    def _predict(self, path: Path, given_up: Flag) -> None:
        """Judge the photos. In a thread, as importing torch alone takes seconds: `call_later` is all that it may do with the
        window."""
        from noodle_tui.predict import predict

        def check() -> None:
            if given_up.is_set():
                raise StopRun("nobody waits for these answers")

        def tell(show: Callable[..., None], *what: Any) -> None:
            self.call_later(lambda: given_up.is_set() or show(*what))

        def progress(done: int, total: int | None) -> None:
            tell(self._note, f"{done} of {total} photos", "$quiet")

        with self._one_at_a_time:  # the one before ends after its photo
            try:
                check()
                tell(self._show_outcome, path, predict(self.folder, [path], progress=progress, check=check))
            except (NoodleError, OSError, RuntimeError) as error:  # torch's, too: a GPU that is full
                is_gone = not self.folder.is_dir()
                tell(self._show_refusal, f"{self.folder} is gone, and with it the model" if is_gone else one_line(error))
            except StopRun:
                pass
            leave_gpu()

    def _show_refusal(self, error: str) -> None:
        self._note(f"✗ {printable(in_fields(error))}", "$error")

    def _show_outcome(self, path: Path, outcome: "PredictOutcome") -> None:
        from noodle_tui.predict import score_in_words

        self._show(outcome.answers)
        counts: dict[str, int] = {}
        for answer in self.answers:
            counts[answer.predicted] = counts.get(answer.predicted, 0) + 1
        note = self.query_one("#predict-note", Static)
        head = "   ".join(f"{printable(name)} {n}" for name, n in sorted(counts.items()))
        place = words.end_of(printable(str(path)), max(note.size.width - cell_len(head) - 5, 20))
        lines = [Content.assemble(head, (f"  in {place}", "$quiet"))]  # what is typed above may be another path by now
        if score := score_in_words(outcome):
            lines += [Content.styled(printable(score[0]), "bold"), *(Content.styled(line, "$quiet") for line in score[1:])]
        failures = outcome.failures
        lines += [Content.styled(f"! {printable(str(path))}: {printable(reason)}", "$warning") for path, reason in failures[:3]]
        if len(failures) > 3:
            lines.append(Content.styled(f"! {len(failures) - 3} more could not be read", "$warning"))
        note.update(Content("\n").join(lines))

    def _show(self, answers: "list[Answer]") -> None:
        self.answers = answers
        self.query_one("#predict-answers", PickList).show(len(answers), self._row, self._header)
        keep = self.query_one("#predict-keep", Static)
        keep.display = bool(answers)
        keep.update(Content.assemble(("To keep them (tab, then y copies this): ", "$quiet"), self.command))

    def action_copy_command(self) -> None:
        if self.answers:
            copy_text(self, self.command, "the command")

    def action_close(self) -> None:
        self.app.clear_notifications()  # as in command.py
        self.dismiss()

    def _header(self, width: int) -> Content:
        return Content.styled("   " + "answer".ljust(18) + "sure   file", "$quiet") if self.answers else Content("")

    def _row(self, index: int, width: int) -> Content:
        """happy  0.97  …/photos/anna.jpg; of a long path the end is kept. ✗ where another class would be right."""
        answer = self.answers[index]
        wrong = answer.true not in (None, answer.predicted)
        name = Content(printable(answer.predicted)).truncate(16, ellipsis=True, pad=True)
        file = words.end_of(printable(str(answer.path)), max(width - 27, 8))
        sure = words.number(answer.probabilities[answer.predicted])
        return Content.assemble(("✗ " if wrong else "  ", "$error"), name, (f"  {sure}  ", "bold"), (file, "$quiet"))

    def _note(self, text: str, style: str) -> None:
        self.query_one("#predict-note", Static).update(Content.styled(text, style))
