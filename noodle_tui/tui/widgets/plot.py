"""The plot as a widget: a headed rule, and below it curves in braille."""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.content import Content
from textual.message import Message
from textual.strip import Strip

from noodle_tui.tui.widgets import drawing
from noodle_tui.tui.widgets.drawing import Cells, Picture
from noodle_tui.tui.widgets.painting import Painted, headed_rule, join_blanks


class Plot(Painted):
    """Curves over epochs. A click tells the epoch below the mouse."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"plot--{name}" for name in (*drawing.INKS[1:], "band", "column")}

    class EpochClicked(Message):
        """Somebody clicked on an epoch."""

        def __init__(self, epoch: int):
            super().__init__()
            self.epoch = epoch

    _picture = Picture()
    _title = Content("")
    _details: Sequence[Content] = (Content(""),)
    _note = ""
    _cells: Cells | None = None

    def show(self, title: Content, details: Sequence[Content], picture: Picture, note: str = "") -> None:
        """Show a picture below a title and, at its right, what there is to read: the first of `details` that fits.

        note: said in place of the picture, where there is nothing to draw yet.
        """
        self._title, self._details, self._picture, self._note = title, details, picture, note
        self.repaint()

    @property
    def heading(self) -> str:
        """What the rule above the plot says, without colours."""
        return " ".join(text.plain for text in (self._title, *self._details[:1]))

    @property
    def cells(self) -> Cells | None:
        """What was painted last."""
        return self._cells

    def paint(self, width: int, height: int) -> list[Strip]:
        top = self.content_line(headed_rule(self._title, width, *self._details), width)
        if height < 2:
            return [top]
        if self._note:
            self._cells = None
            note = Content.styled(self._note, "$quiet").truncate(width, ellipsis=True)
            blank = self.content_line(Content(""), width)
            return [top, *[blank] * ((height - 2) // 2),
                    self.content_line(note.pad_left((width - note.cell_length) // 2), width)]
        self._cells = drawing.draw(self._picture, width, height - 1, shaded=self._shows_tints())
        return [top, *self._strips(self._cells)]

    def _strips(self, cells: Cells) -> list[Strip]:
        base = self.visual_style.rich_style
        inks = [base, *(base + self._style(name) for name in drawing.INKS[1:])]
        grounds = [Style(), self._style("band"), self._style("column")]
        styles = [[ink + ground for ink in inks] for ground in grounds]
        return [
            join_blanks(Segment(char, styles[ground][ink]) for char, ink, ground in zip(*row, strict=True))
            for row in zip(cells.char.tolist(), cells.ink.tolist(), cells.ground.tolist(), strict=True)
        ]

    def _shows_tints(self) -> bool:
        # 16 colours have none between black and grey. Headless is a screenshot: the same on every machine.
        return self.app.is_headless or self.app.console.color_system != "standard"

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"plot--{name}", partial=True)

    def on_click(self, event: events.Click) -> None:
        axes = self._cells.scales if self._cells else None
        if axes is not None and event.y >= 1:
            self.post_message(self.EpochClicked(axes.epoch(event.x - drawing.LABEL_WIDTH)))
