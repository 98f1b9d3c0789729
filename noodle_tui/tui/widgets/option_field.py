"""What to type or choose for one option of a run: generated from its `Option`."""

from typing import TYPE_CHECKING, Any, ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from noodle_tui.config import Option
from noodle_tui.tui.widgets.line_input import LineInput
from noodle_tui.tui.words import end_of, home_in_full, unquoted

if TYPE_CHECKING:  # imported when a path field first gets the focus
    from noodle_tui.tui.widgets.path_completion import PathCompletion

SWITCH = ("off", "on")
# Options that may name a file; all other paths are folders.
TAKES_A_FILE = {"weights", "load_dir"}


class OptionInput(LineInput):
    """A line to type in. Empty, it stands for the base value (the default, or the picked-up run's), which is shown faintly.

    There right or end take the base value over, to be changed.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "restore", "Undo", show=False)]

    def __init__(self, option: Option):
        super().__init__(id=f"option-{option.name}", compact=True)
        self.option = option
        self.before = ""  # what it held when it got the focus
        self.base = ""
        self.completion: PathCompletion | None = None  # of a path
        self.cursor_blink = False

    @property
    def takes_a_path(self) -> bool:
        return self.option.kind == "path" or self.option.name in TAKES_A_FILE

    @property
    def raw(self) -> Any:
        """What is typed, for RunConfig to check; None: nothing."""
        return read(self.option, self.value)

    def show(self, given: Any, base: Any) -> None:
        """Show what is given (None: nothing) over a base value. No message."""
        self.base = as_text(base)
        self._fit()
        text = as_text(given)
        if self.raw != read(self.option, text):  # else what is typed stays as it is
            with self.prevent(Input.Changed):
                self.put(text)
            self.before = text
            if self.has_focus:  # as if it had got the focus now: typing replaces it
                self.select_all()

    def on_resize(self) -> None:
        self._fit()
        self.call_after_refresh(self.show_end)

    def on_focus(self, event: events.Focus) -> None:
        if not event.from_app_focus:  # the terminal's window was left meanwhile, not the field
            self.before = self.value

    def action_restore(self) -> None:
        """Take back what was typed since the field got the focus."""
        if self.value != self.before:
            self.put(self.before)
            self.select_all()  # as when it got the focus: typing replaces it

    def on_blur(self) -> None:
        self.call_next(self.show_end)

    def _fit(self) -> None:
        """The faint base value; of a long path its end."""
        base = self.base or "none"
        self.placeholder = end_of(base, self.size.width) if self.takes_a_path and self.size.width else base

    def show_end(self) -> None:
        """Of a path that is longer than the field its end tells it from others; not while it is being edited."""
        if self.takes_a_path and (self.cursor_at_end or not self.has_focus):
            if not self.has_focus:  # else what is selected, for the next key to replace, would be so no longer
                self.cursor_position = len(self.value)
            self.scroll_to(x=self.max_scroll_x, animate=False, force=True)

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        if self.has_focus or not self.scroll_offset.x:
            return strip
        return Strip.join([Strip([Segment("…", self.rich_style)]), strip.crop(1)])

    def put(self, text: str) -> None:
        """Replace the text, the cursor at its end."""
        self.value = text
        self.cursor_position = len(text)

    def action_cursor_right(self, select: bool = False) -> None:
        if self.value or not self.base:
            return super().action_cursor_right(select)
        self.put(self.base)

    def action_end(self, select: bool = False) -> None:
        if self.value or not self.base:
            return super().action_end(select)
        self.put(self.base)


class OptionChoice(Widget, can_focus=True):
    """One of an option's choices, or off and on, all in sight: `● move  ○ copy  ○ link`. Left and right, space or a click
    choose. The filled dot tells the choice where there is no colour."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Before", show=False),
        Binding("right", "move(1)", "Next", show=False),
        Binding("space", "move(1, True)", "Next", show=False),
    ]
    takes_a_path = False

    class Changed(Message):
        """The user has chosen something else."""

        def __init__(self, choice: "OptionChoice"):
            super().__init__()
            self.choice = choice

    def __init__(self, option: Option):
        super().__init__(id=f"option-{option.name}")
        self.option = option
        self.choices = SWITCH if option.kind == "bool" else option.choices
        self.value = ""

    @property
    def raw(self) -> Any:
        return self.value == "on" if self.option.kind == "bool" else self.value

    def show(self, given: Any, base: Any) -> None:
        """Show what is given (None: nothing), else the base value. No message."""
        value = base if given is None else given
        self._put(SWITCH[bool(value)] if self.option.kind == "bool" else str(value))

    def _put(self, value: str) -> None:
        if value != self.value:
            self.value = value
            self.refresh()

    def render(self) -> Content:
        parts: list[tuple[str, str]] = []
        for choice in self.choices:
            chosen = choice == self.value
            parts.append((f"{'●' if chosen else '○'} {choice}", "" if chosen else "$quiet"))
            parts.append(("  ", ""))
        return Content.assemble(*parts[:-1])

    def _choose(self, index: int) -> None:
        if self.choices[index] != self.value:
            self._put(self.choices[index])
            self.post_message(self.Changed(self))

    def action_move(self, step: int, around: bool = False) -> None:
        index = (self.choices.index(self.value) if self.value in self.choices else -step) + step
        self._choose(index % len(self.choices) if around else min(max(index, 0), len(self.choices) - 1))

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset(self)
        if place is None:
            return
        end = 0
        for index, choice in enumerate(self.choices):
            end += len(choice) + 4
            if place.x < end:
                return self._choose(index)


Editor = OptionInput | OptionChoice


def editor_of(option: Option) -> Editor:
    """The right one of the two."""
    return OptionChoice(option) if option.kind in ("bool", "choice") else OptionInput(option)


def as_text(value: Any) -> str:
    """A value as it is typed: lists with commas, nothing for None."""
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def read(option: Option, text: str) -> Any:
    """A typed text as a raw value for RunConfig; None where nothing is typed. `~` is the home folder, as in a shell."""
    if option.name == "person" and text.strip():
        return text  # a blank may be part of a regular expression
    text = text.strip()
    if not text:
        return None
    if option.kind == "list":
        return [part.strip() for part in text.split(",") if part.strip()]
    if option.kind == "path" or option.name in TAKES_A_FILE:
        return home_in_full(unquoted(text)).rstrip("/") or "/"
    return text
