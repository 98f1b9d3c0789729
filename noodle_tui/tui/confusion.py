"""The confusion matrix of a report as lines of text: any number of classes, in any width. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual.content import Content

from noodle_tui.text import printable
from noodle_tui.tui import words

CORNER = "true ╲ answer"
MOST_CLASSES = 60  # more can't be looked over, and take long to draw
SHADES = (  # (up to which share of the row, ink, shade): themes.py says why no blend of colours stands here
    (0.1, "$foreground", "$band"), (0.4, "$foreground", "$train-faded"), (0.7, "$background", "$train-soft"),
    (2.0, "$background", "$train"),
)  # fmt: skip


@dataclass(frozen=True)
class _Layout:
    heads: Sequence[str]  # above the columns: the classes' names, or numbers where names have no room
    labels: Sequence[str]  # before the rows
    label_width: int
    digits: int  # of the largest count
    cell: int  # cells a column
    across: int  # columns that have room side by side

    @property
    def percent(self) -> bool:
        return self.cell >= self.digits + 7

    def aligned(self, text: str) -> str:
        """A head or a count. With percent it stands in the middle; counts alone end below each other."""
        room = max(self.cell - cell_len(text), 0)
        behind = int(self.cell >= max(self.digits, *map(cell_len, self.heads)) + 2)  # a blank, where there is room
        behind = room // 2 if self.percent else min(behind, room)
        return " " * (room - behind) + text + " " * behind

    def label(self, text: str, style: str) -> Content:
        return Content.styled(words.shortened(text, self.label_width), style).truncate(self.label_width + 1, pad=True)


def confusion_lines(classes: Sequence[str], matrix: list[list[int]], width: int) -> list[Content]:
    """Rows are true classes, columns answers; counts and each row's percent, on one of four shades of blue.

    Where the classes' names have no room above the columns, their numbers stand there, and before the names of the rows.
    Columns that have no room at all stand in another block below.
    """
    names = [printable(name) for name in classes]
    k = min(len(names), MOST_CLASSES)
    layout = _layout(names[:k], len(str(max(max(row) for row in matrix))), width)
    lines: list[Content] = []
    for start in range(0, k, layout.across):
        columns = range(start, min(start + layout.across, k))
        heads = "".join(layout.aligned(layout.heads[j]) for j in columns)
        lines += [Content("")] * (start > 0)
        lines.append(Content.assemble(layout.label(CORNER, "$quiet"), (heads, "$quiet")))
        lines += [line for i in range(k) for line in _row(layout, i, matrix[i], columns, thick=k <= min(layout.across, 4))]
    if k < len(names):
        lines.append(Content.styled(f"… {len(names) - k} more classes have no room here: report.md has them all", "$quiet"))
    return lines


def _layout(names: Sequence[str], digits: int, width: int) -> _Layout:
    most = max(width // 4, 12)  # cells before the matrix
    numbered, cell = _cell(names, digits, width - min(max(map(cell_len, [*names, CORNER])), most) - 1)
    numbers = [str(i + 1) for i in range(len(names))]
    labels = [f"{number:>{len(numbers[-1])}} {name}" for number, name in zip(numbers, names, strict=True)]
    heads, labels = (numbers, labels) if numbered else (names, names)
    label_width = min(max(map(cell_len, [*labels, CORNER])), most)
    return _Layout(heads, labels, label_width, digits, cell, max(1, (width - label_width - 1) // cell))


def _cell(names: Sequence[str], digits: int, room: int) -> tuple[bool, int]:
    """(whether numbers head the columns, cells a column): with names and percent where there is room for them."""
    k, longest, number = len(names), max(map(cell_len, names)), max(digits, len(str(len(names))))
    for wanted in (max(digits + 9, longest + 2, 16), max(digits + 7, longest + 2), max(digits + 2, longest + 1)):
        if k * wanted <= room:
            return False, wanted
    return True, next((wanted for wanted in (digits + 7, number + 2) if k * wanted <= room), number + 1)


def _row(layout: _Layout, i: int, row: Sequence[int], columns: Sequence[int], thick: bool) -> list[Content]:
    """Class `i`'s counts in these columns. thick: between two lines that carry the shades only."""
    total = max(sum(row), 1)
    cells = [(_count(layout, row[j], row[j] / total), *_colours(row[j], row[j] / total, i == j)) for j in columns]
    line = Content.assemble(layout.label(layout.labels[i], "bold"), *((text, f"{ink} {shade}") for text, ink, shade in cells))
    padding = Content.assemble(layout.label("", ""), *((" " * layout.cell, shade) for _, _, shade in cells))
    return [padding, line, padding] if thick else [line]


def _count(layout: _Layout, n: int, share: float) -> str:
    return layout.aligned(f"{n:>{layout.digits}}  {share:4.0%}" if layout.percent else str(n))


def _colours(n: int, share: float, right: bool) -> tuple[str, str]:
    """(ink, shade) of a count with its share of the row."""
    ink, shade = next((ink, shade) for below, ink, shade in SHADES if share < below) if n else ("$quiet", "$surface")
    return f"{ink} bold" if right else ink, f"on {shade}"
