"""Rows under a headed rule, the newest on top, moved through with the keyboard or the wheel."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.strip import Strip

from noodle_tui.tui.widgets.painting import Painted, headed_rule


class Listing(Painted, can_focus=True):
    """What comes on top pushes the rest down, unless the user has moved away from the top: then what is read stays.

    Drawn by hand: Textual's DataTable has no way to insert on top, and writes several times the bytes.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "move(-1000000000)", "Newest", show=False),
        Binding("end", "move(1000000000)", "Oldest", show=False),
    ]

    top = 0  # rows left out above
    _count = 0
    _title = Content("")
    _detail = Content("")

    def header(self, width: int) -> list[Content]:
        """The lines between the rule and the rows."""
        return []

    def count(self, width: int) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def rows(self, width: int, start: int, stop: int) -> Sequence[Content]:
        """The rows from `start` to before `stop`; 0 is the newest."""
        raise NotImplementedError

    def paint(self, width: int, height: int) -> list[Strip]:
        header = self.header(width)
        room = max(height - 1 - len(header), 0)
        count = self.count(width)
        if self.top > 0:
            self.top += count - self._count
        self._count = count
        self.top = max(0, min(self.top, count - room))
        rows = self.rows(width, self.top, min(self.top + room, count))
        rule = headed_rule(self._title, width, self._place(len(rows)))
        return [self.content_line(line, width) for line in (rule, *header, *rows)]

    def _place(self, shown: int) -> Content:
        """The detail, and which rows of how many are in sight where not all are."""
        if not shown or shown >= self._count or (self.top == 0 and not self.has_focus):
            return self._detail
        return Content.assemble((f"{self.top + 1}–{self.top + shown} of {self._count} ↑↓", "$quiet"),
                                "  " if self._detail else "", self._detail)

    def action_move(self, rows: int) -> None:
        self.top = max(self.top + rows, 0)
        self.repaint()

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(self.size.height - 2, 1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_move(-3)
