"""Three small windows over a screen: a question, a choice of answers, and the keys."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen, Screen
from textual.widgets import Button, Static

from noodle_tui.tui.widgets.painting import clean
from noodle_tui.tui.widgets.sheet import Sheet, paragraph

ANYWHERE = (  # keys of every screen, for its help
    ("ctrl+p", "command palette"), ("ctrl+q", "quit; asks first if a run goes on here"), ("? f1", "this help"),
    ("ctrl+l", "draw everything anew"),
)  # fmt: skip


Answer = TypeVar("Answer")


def close(window: ModalScreen[Answer], answer: Answer) -> None:
    """Give the answer, once: where a key or a click comes twice, the second would close the screen below."""
    if window.is_active:
        window.dismiss(answer)


class Question(ModalScreen[bool]):
    """Yes or no. The safe answer has the focus; escape gives it too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape", "answer(False)", "No"),
        Binding("left,right", "app.focus_next", "Other", show=False),
    ]

    def __init__(self, title: str, text: str, yes: str, no: str):
        super().__init__()
        self._title, self._text, self._yes, self._no = title, text, yes, no

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(self._title).markup
            yield Static(clean(Content(self._text)))
            with Horizontal(classes="dialog-buttons"):
                yield Button(self._no, id="no", compact=True)
                yield Button(self._yes, id="yes", variant="primary", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        close(self, event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)


def stop_question(run: str, epoch: int, n_epochs: int) -> Question:
    """Before a run is stopped. run: which, as the sentence begins."""
    return Question("Stop this run?",
                    f"{run} finishes the current batch, saves (epoch {epoch} of {n_epochs}), and can be resumed (r).",
                    yes="Stop & save (y)", no="Keep running (n)")


async def asked(screen: Screen[Any], question: Question) -> bool:
    """Whether the answer is yes. Not asked where another window lies over `screen` by now: of keys that come all at once the
    second would ask a second time."""
    return screen.app.screen is screen and await screen.app.push_screen_wait(question)


class Help(ModalScreen[None]):
    """Groups of (name, text): the keys of a screen and what they do, a run's options and their values."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,f1,q,enter", "dismiss", "Close")]

    def __init__(self, title: str, groups: Sequence[tuple[str, Sequence[tuple[str, str]]]]):
        super().__init__()
        self._title, self._groups = title, groups

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog") as dialog:
            dialog.border_title = Content(self._title).markup
            dialog.border_subtitle = "esc closes"
            sheet = Sheet()
            sheet.show(self._lines)
            yield sheet

    def _lines(self, width: int) -> list[Content]:
        lines: list[Content] = []
        room = max(12, *(len(key) + 2 for _, keys in self._groups for key, _ in keys))
        for name, keys in self._groups:
            lines.append(Content.styled(name, "bold"))
            for key, text in keys:
                lines += paragraph(text, width, f"  {key:<{room}}", "$footer-key-foreground bold")
            lines.append(Content(""))
        return lines[:-1]


def help_on(title: str, groups: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> Callable[[Screen[Any]], None]:
    """A screen's action that shows its keys."""

    def action_help(screen: Screen[Any]) -> None:
        screen.app.push_screen(Help(title, groups))

    return action_help


class ChoiceDialog(ModalScreen[str]):
    """One of several answers (name, label, key). The first is the safe one: it has the focus, and escape gives it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer('')", "Back"),
        Binding("left,up", "app.focus_previous", "Other", show=False),
        Binding("right,down", "app.focus_next", "Other", show=False),
    ]

    def __init__(self, title: str, text: str, answers: Sequence[tuple[str, str, str]]):
        super().__init__()
        self._title, self._text, self._answers = title, text, answers

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(self._title).markup
            yield Static(clean(Content(self._text)))
            with Vertical(classes="dialog-choices"):
                for number, (name, label, key) in enumerate(self._answers):
                    variant = "primary" if number == 0 else "default"
                    yield Button(f"{label}  ({key})", id=name, variant=variant, compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        close(self, event.button.id or "")

    def on_key(self, event: Key) -> None:
        for name, _, key in self._answers:
            if event.key == key:
                event.stop()
                close(self, name)

    def action_answer(self, name: str) -> None:
        self.dismiss(name or self._answers[0][0])
