"""One of a few, all in sight: `● move ○ copy ○ link`."""

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget


class Choice(Widget, can_focus=True):
    """Left and right, space or a click choose. The filled dot tells the choice where there is no colour."""

    DEFAULT_CSS = "Choice { height: 1; width: 1fr; }"
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "Before", show=False),
        Binding("right", "move(1)", "Next", show=False),
        Binding("space", "move(1, True)", "Next", show=False),
    ]

    class Changed(Message):
        """The user has chosen something else."""

        def __init__(self, choice: "Choice"):
            super().__init__()
            self.choice, self.value = choice, choice.value

    def __init__(self, choices: tuple[str, ...], value: str, *, id: str | None = None):
        super().__init__(id=id)
        self.choices = choices
        self.value = value

    def put(self, value: str) -> None:
        """Set the choice without a message."""
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
        value = self.choices[index]
        if value != self.value:
            self.put(value)
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
