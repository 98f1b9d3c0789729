"""Curves of several runs in one plot, each with the letter of its run on the line."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from rich.segment import Segment
from textual import events
from textual.content import Content
from textual.message import Message
from textual.strip import Strip

from noodle_tui.tui.widgets import drawing
from noodle_tui.tui.widgets.braille import Floats
from noodle_tui.tui.widgets.drawing import Axes, Cells, Curve, Picture
from noodle_tui.tui.widgets.painting import Painted, headed_rule, join_blanks

FIRST_INK = len(drawing.INKS)  # the inks after those of a single run's plot: one a run
N_INKS = 8


@dataclass(frozen=True, eq=False)
class Line:
    """One run's curve: y at x, ascending in x. `number` (0 to 7) gives its colour, `letter` tells it without."""

    number: int
    letter: str
    x: Floats
    y: Floats


class Overlay(Painted):
    """A plot of up to eight lines. A click tells the epoch below the mouse."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"overlay--{name}" for name in ("label", "grid", "cursor", "column")),
        *(f"overlay--run{i}" for i in range(N_INKS)),
    }

    class EpochClicked(Message):
        """Somebody clicked on an epoch."""

        def __init__(self, epoch: int):
            super().__init__()
            self.epoch = epoch

    _title = Content("")
    _lines_of: Sequence[Line] = ()
    _picture = Picture()
    cells: Cells | None = None  # what was painted last

    def show(self, title: Content, lines: Sequence[Line], picture: Picture) -> None:
        """Show these lines; `picture` has the axes (first, last, log, bounds) and the cursor, no curves."""
        curves = tuple(Curve(line.x, line.y, FIRST_INK + line.number) for line in lines)
        self._title, self._lines_of = title, lines
        self._picture = Picture(curves, picture.first, picture.last, cursor=picture.cursor, log=picture.log,
                                bounds=picture.bounds)
        self.repaint()

    @property
    def text(self) -> str:
        """What the rule above the plot says, without colours."""
        return self._title.plain

    def paint(self, width: int, height: int) -> list[Strip]:
        top = self.content_line(headed_rule(self._title, width), width)
        if height < 2:
            return [top]
        self.cells = drawing.draw(self._picture, width, height - 1)
        if self.cells.scales is not None:
            _write_letters(self.cells, self.cells.scales, self._lines_of, self._picture)
        return [top, *self._strips(self.cells)]

    def on_click(self, event: events.Click) -> None:
        axes = self.cells.scales if self.cells else None
        if axes is not None and event.y >= 1:
            self.post_message(self.EpochClicked(axes.epoch(event.x - drawing.LABEL_WIDTH)))

    def _strips(self, cells: Cells) -> list[Strip]:
        base = self.visual_style.rich_style
        inks = [base] * (FIRST_INK + N_INKS)
        for ink, name in ((drawing.LABEL, "label"), (drawing.GRID, "grid"), (drawing.CURSOR, "cursor"),
                          *((FIRST_INK + i, f"run{i}") for i in range(N_INKS))):
            inks[ink] = base + self.get_component_rich_style(f"overlay--{name}", partial=True)
        column = self.get_component_rich_style("overlay--column", partial=True)
        return [
            join_blanks(Segment(char, inks[ink] + column if ground == drawing.COLUMN else inks[ink])
                        for char, ink, ground in zip(*row, strict=True))
            for row in zip(cells.char.tolist(), cells.ink.tolist(), cells.ground.tolist(), strict=True)
        ]


def _write_letters(cells: Cells, axes: Axes, lines: Sequence[Line], picture: Picture) -> None:
    """Each line's letter, on the line: at its end and, where lines run long, at places that differ from line to line."""
    taken: set[tuple[int, int]] = set()
    for line in lines:
        shown = np.flatnonzero(np.isfinite(line.y) & (line.x >= picture.first) & (line.x <= picture.last))
        if len(shown) == 0:
            continue
        part = (line.number + 1) / (N_INKS + 1)
        for i in {shown[-1], shown[int(part * (len(shown) - 1))]}:
            row, column = axes.row(float(line.y[i])), axes.column(float(line.x[i]))
            while (row, column) in taken:
                column -= 1
            taken.add((row, column))
            if 0 <= row < axes.height and 0 <= column < axes.width:
                cells.char[row, drawing.LABEL_WIDTH + column] = line.letter
                cells.ink[row, drawing.LABEL_WIDTH + column] = FIRST_INK + line.number
