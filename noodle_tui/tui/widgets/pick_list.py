"""A table of which one row is picked: with the keyboard, the wheel or a click. Any number of rows costs the same."""

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.strip import Strip

from noodle_tui.tui.widgets.painting import Painted
from noodle_tui.tui.widgets.sheet import paragraph

SCROLL_BY = 4  # the cursor leaves the window: move on by a quarter of it. Line by line would rewrite all at every key.
RowText = Callable[[int, int], Content]  # (row, width) to its text


class PickList(Painted, can_focus=True):
    """Rows below a header. Only the rows in sight are made, and only what changed is sent to the terminal.

    Drawn by hand for that reason: Textual's DataTable measures every cell of every row and rewrites all of them.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "move(-1000000000)", "First", show=False),
        Binding("end,G", "move(1000000000)", "Last", show=False),
    ]

    class Moved(Message):
        """Another row is picked."""

        def __init__(self, pick_list: "PickList"):
            super().__init__()
            self.pick_list = pick_list

        @property
        def control(self) -> "PickList":
            return self.pick_list

    class Chosen(Moved):
        """A click on the picked row. What else chooses it is for the screen to say: its footer names the key."""

    class HeaderClicked(Moved):
        """A click on the header, at a column of cells."""

        def __init__(self, pick_list: "PickList", x: int):
            super().__init__(pick_list)
            self.x = x

    cursor = 0  # the picked row
    top = 0  # rows left out above
    count = 0
    _header: Callable[[int], Content] | None = None
    _row: RowText | None = None
    _note = ""

    def show(self, count: int, row: RowText, header: Callable[[int], Content] | None = None, cursor: int = 0,
             note: str = "") -> None:
        """Show `count` rows, each made by `row` when it is in sight, and pick the row `cursor`. Of none: a note."""
        self.count, self._row, self._header, self._note = count, row, header, note
        self.cursor = max(0, min(cursor, count - 1))
        self.repaint()

    def paint(self, width: int, height: int) -> list[Strip]:
        header = [self._header(width)] if self._header else []
        room = max(height - len(header), 0)
        if self.cursor < self.top:
            self.top = self.cursor - room // SCROLL_BY
        elif self.cursor >= self.top + room:
            self.top = self.cursor - room + 1 + room // SCROLL_BY
        self.top = max(0, min(self.top, self.count - room))
        shown = range(self.top, min(self.top + room, self.count)) if self._row else []
        rows = [self._line(i, width) for i in shown] or paragraph(self._note, width, " ", "$quiet")
        return [self.content_line(line, width) for line in (*header, *rows)]

    def _line(self, index: int, width: int) -> Content:
        """A row behind its gutter. The bar tells the picked row without colour; in focus the row is lit as well."""
        assert self._row is not None
        picked = index == self.cursor
        line = Content.assemble(("▌" if picked else " ", "$primary"), self._row(index, max(width - 1, 1)))
        line = line.truncate(width, ellipsis=True, pad=True)
        return line.stylize_before("on $panel" if self.has_focus else "on $surface") if picked else line

    @property
    def _room(self) -> int:
        return max(self.size.height - (1 if self._header else 0), 1)

    def action_move(self, rows: int) -> None:
        cursor = max(0, min(self.cursor + rows, self.count - 1))
        if cursor != self.cursor:
            self.cursor = cursor
            self.repaint()
            self.post_message(self.Moved(self))

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(self._room - 1, 1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_move(-3)

    def on_click(self, event: events.Click) -> None:
        y = event.y - (1 if self._header else 0)
        if y < 0:
            self.post_message(self.HeaderClicked(self, event.x))
        elif self.top + y == self.cursor:
            self.post_message(self.Chosen(self))
        elif self.top + y < self.count:
            self.action_move(self.top + y - self.cursor)

    def on_focus(self) -> None:
        self.repaint()

    def on_blur(self) -> None:
        self.repaint()
