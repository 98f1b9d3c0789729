"""A plot as rows of characters with their ink: curves, a band, a star, a cursor and the axes. No terminal here."""

from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

import numpy as np
from numpy.typing import NDArray

from noodle_tui.tui.widgets import braille
from noodle_tui.tui.widgets.braille import Floats
from noodle_tui.tui.widgets.scale import FEW_EPOCHS, Scale, epoch_ticks, linear_scale, log_scale

LABEL_WIDTH = 7  # the y axis' labels and a space
X_LABELS = 1  # rows below the curves

# What a cell is drawn with; the widget gives each its colour. NONE is a blank: it takes whatever ink comes before it.
NONE, LABEL, GRID, EDGE, SHADE, HOLE, TRAIN_FADED, VALIDATION_FADED, TRAIN, VALIDATION, CURSOR, STAR, RUN = range(13)
RUNS = 8  # that one plot can tell apart: from RUN on an ink each
INKS = ("none", "label", "grid", "edge", "shade", "hole", "train-faded", "validation-faded", "train", "validation",
        "cursor", "star", *(f"run{i}" for i in range(RUNS)))
PLAIN, BAND, COLUMN = range(3)  # what lies behind a cell: nothing, the band, the cursor's column


@dataclass(frozen=True, eq=False)
class Curve:
    """One line: y at x, ascending in x, NaN where there is a gap. Dots, or a letter on it, tell it without colour."""

    x: Floats
    y: Floats
    ink: int
    dotted: bool = False
    letter: str = ""


@dataclass(frozen=True, eq=False)
class Band:
    """The range between two curves."""

    x: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class Picture:
    """All that a plot shows. `first` and `last` are the epochs at its left and right end."""

    curves: tuple[Curve, ...] = ()
    first: int = 1
    last: int = 2
    band: Band | None = None
    star: tuple[float, float] | None = None  # (epoch, value) of the best
    cursor: int | None = None
    log: bool = False
    bounds: tuple[float, float] = (-inf, inf)  # what the y axis never goes beyond


@dataclass(eq=False)
class Cells:
    """A rectangle of the screen: char '<U1', ink and ground uint8, all (height, width)."""

    char: NDArray[np.str_]
    ink: NDArray[np.uint8]
    ground: NDArray[np.uint8]
    scales: "Axes | None" = field(default=None)


@dataclass(frozen=True)
class Axes:
    """Where the values lie inside the plot: its size in cells without the labels, and both scales."""

    width: int
    height: int
    x: Scale
    y: Scale

    def column(self, epoch: float) -> int:
        """The cell column of an epoch, counted from the first cell right of the labels."""
        return int(self.x.dot(np.array([epoch]), self.width * 2)[0]) // 2

    def row(self, value: float) -> int:
        """The cell row of a value, 0 at the top; out of the plot for a value that the axis doesn't hold."""
        part = self.y.fraction(np.array([value]))[0]
        return -1 if np.isnan(part) else round((1 - part) * (self.height * 4 - 1)) // 4

    def epoch(self, column: float) -> int:
        """The epoch at a cell column (also one outside: then the nearest end)."""
        part = min(max((column + 0.25) / max(self.width - 0.5, 1), 0.0), 1.0)
        return round(self.x.low + part * (self.x.high - self.x.low))


def draw(picture: Picture, width: int, height: int, *, shaded: bool = True) -> Cells:
    """Draw into `width` x `height` cells, labels included. Any size from 1 x 1 upward; tiny ones stay blank.

    shaded: whether the terminal can show the band as a tint; else its ends are dotted.
    100,000 points take a few milliseconds: what shares a column of dots is reduced to its extremes first.
    """
    cells = Cells(
        np.full((height, width), " ", dtype="<U1"),
        np.zeros((height, width), dtype=np.uint8),
        np.zeros((height, width), dtype=np.uint8),
    )
    inner_width, inner_height = width - LABEL_WIDTH, height - X_LABELS
    if inner_width < 4 or inner_height < 2:
        return cells
    axes = _axes(picture, inner_width, inner_height)
    inside = Cells(cells.char[:-X_LABELS, LABEL_WIDTH:], cells.ink[:-X_LABELS, LABEL_WIDTH:],
                   cells.ground[:-X_LABELS, LABEL_WIDTH:])
    _draw_labels(cells, inside, axes)
    if picture.band is not None:
        _draw_band(inside, axes, picture.band, shaded)
    _draw_cursor(inside, axes, picture.cursor)
    _draw_curves(inside, axes, picture)
    _draw_letters(inside, axes, picture)
    _draw_star(inside, axes, picture)
    cells.scales = axes
    return cells


def _axes(picture: Picture, width: int, height: int) -> Axes:
    values = [curve.y[_shown(curve.x, picture)] for curve in picture.curves]
    if picture.band is not None:
        shown = _shown(picture.band.x, picture)
        values += [picture.band.low[shown], picture.band.high[shown]]
    y = np.concatenate(values) if values else np.empty(0)
    y = y[np.isfinite(y) & (y > 0)] if picture.log else y[np.isfinite(y)]
    low, high = (float(y.min()), float(y.max())) if len(y) else (np.nan, np.nan)
    n_ticks = max(2, min(round(height / 2.5), 8))
    y_scale = log_scale(low, high, n_ticks) if picture.log else linear_scale(low, high, n_ticks, picture.bounds)
    return Axes(width, height, _epoch_scale(picture.first, max(picture.last, picture.first + 1), width), y_scale)


def _epoch_scale(first: int, last: int, width: int) -> Scale:
    """The x axis, with labels that have room: about one every twelve cells, and where it can be one between the ends."""
    wanted = last - first if last - first < FEW_EPOCHS else max(2, width // 12)
    scales = [Scale(first, last, tuple(map(float, epoch_ticks(first, last, n_ticks))))
              for n_ticks in (wanted, wanted + 1, wanted + 2, *range(wanted - 1, 0, -1))]
    fitting = [scale for scale in scales if _labels_fit(scale, width)]
    return next((scale for scale in fitting if len(scale.ticks) > 2), (*fitting, Scale(first, last, (float(first),)))[0])


def _labels_fit(x: Scale, width: int) -> bool:
    """Whether there are two blanks between any two labels."""
    places = [_label_place(x, tick, width) for tick in x.ticks]
    return all(start + len(text) + 2 <= after for (start, text), (after, _) in pairwise(places))


def _label_place(x: Scale, tick: float, width: int) -> tuple[int, str]:
    """Where an epoch's label starts, counted from the first cell right of the y axis' labels, and its text."""
    text = str(int(tick))
    column = int(x.dot(np.array([tick]), width * 2)[0]) // 2
    return max(0, min(column - len(text) // 2, width - len(text))), text


def _shown(x: Floats, picture: Picture) -> slice:
    """The points between the first and the last epoch shown."""
    return slice(int(np.searchsorted(x, picture.first)), int(np.searchsorted(x, picture.last, side="right")))


def _draw_labels(cells: Cells, inside: Cells, axes: Axes) -> None:
    for tick, text in zip(axes.y.ticks, axes.y.labels(), strict=True):
        row = axes.row(tick)
        if not 0 <= row < axes.height:
            continue
        _write(cells, row, LABEL_WIDTH - 1 - len(text), text)
        inside.char[row, 1::2] = "·"
        inside.ink[row, 1::2] = GRID
    for tick in axes.x.ticks:
        start, text = _label_place(axes.x, tick, axes.width)
        _write(cells, axes.height, LABEL_WIDTH + start, text)


def _write(cells: Cells, row: int, column: int, text: str) -> None:
    start = max(column, 0)
    cells.char[row, start:start + len(text)] = list(text)
    cells.ink[row, start:start + len(text)] = LABEL


def _draw_band(inside: Cells, axes: Axes, band: Band, shaded: bool) -> None:
    known = np.isfinite(band.low)
    if not known.any():
        return
    x, low, high = band.x[known], band.low[known], band.high[known]
    middles = axes.x.low + (np.arange(axes.width) + 0.5) / axes.width * (axes.x.high - axes.x.low)
    columns = np.flatnonzero((middles >= x[0]) & (middles <= x[-1]))
    # In cells from the top, so that 2.5 is the middle of the third row.
    top = (1 - axes.y.fraction(np.interp(middles[columns], x, high))) * axes.height
    bottom = (1 - axes.y.fraction(np.interp(middles[columns], x, low))) * axes.height
    if shaded:
        _shade(inside, columns, top, bottom)
        return
    for end in (top, bottom):
        rows = np.minimum(end * 4, axes.height * 4 - 1).astype(np.int64)
        _ink(inside, braille.cells(braille.dots(columns * 2, rows, axes.width, axes.height)), EDGE)


def _shade(inside: Cells, columns: NDArray[np.int64], top: Floats, bottom: Floats) -> None:
    """Tint the cells between top and bottom, and those at the ends by halves: a block in one colour over the other."""
    height = inside.char.shape[0]
    for column, t, b in zip(columns.tolist(), top.tolist(), bottom.tolist(), strict=True):
        first, last = int(t), min(int(b), height - 1)
        inside.ground[first + 1:last, column] = BAND
        if first >= last:
            inside.ground[last, column] = BAND
            continue
        _end_of_band(inside, first, column, 1 - (t - first), SHADE, PLAIN)
        _end_of_band(inside, last, column, 1 - min(b - last, 1.0), HOLE, BAND)


def _end_of_band(inside: Cells, row: int, column: int, part: float, ink: int, ground: int) -> None:
    """The lower `part` of a cell (to the half) in `ink`, the rest of it in the colour of `ground`."""
    halves = round(part * 2)
    whole = BAND if ink == SHADE else PLAIN
    inside.ground[row, column] = whole if halves == 2 else ground
    if halves == 1:
        inside.char[row, column], inside.ink[row, column] = "▄", ink


def _draw_cursor(inside: Cells, axes: Axes, cursor: int | None) -> None:
    if cursor is None or not axes.x.low <= cursor <= axes.x.high:
        return
    column = axes.column(cursor)
    inside.char[:, column] = "│"
    inside.ink[:, column] = CURSOR
    inside.ground[:, column] = COLUMN


def _draw_curves(inside: Cells, axes: Axes, picture: Picture) -> None:
    """Strong curves share a cell's dots; a faded one shows only in cells that no strong one passes."""
    strong_dots = np.zeros((axes.height, axes.width), dtype=np.int32)
    for curve in sorted(picture.curves, key=lambda curve: curve.ink):
        patterns = braille.cells(_curve_dots(curve, axes, _shown(curve.x, picture)))
        if curve.ink in (TRAIN, VALIDATION):
            patterns = np.where(patterns > 0, patterns | strong_dots, 0)
            strong_dots |= patterns
        _ink(inside, patterns, curve.ink)


def _curve_dots(curve: Curve, axes: Axes, shown: slice) -> NDArray[np.bool_]:
    fraction = axes.y.fraction(curve.y[shown])
    columns, height, run = braille.decimate(axes.x.dot(curve.x[shown], axes.width * 2), fraction)
    rows = np.rint((1 - height) * (axes.height * 4 - 1)).astype(np.int64)
    columns, rows = braille.trace(columns, rows, run)
    if curve.dotted:
        columns, rows = columns[::2], rows[::2]  # along the line; the points themselves come four times, so they stay
    return braille.dots(columns, rows, axes.width, axes.height)


def _ink(inside: Cells, patterns: NDArray[np.int32], ink: int) -> None:
    drawn = patterns > 0
    codes = (patterns[drawn] + braille.BLANK).astype("<u4")
    inside.char[drawn] = codes.view("<U1")
    inside.ink[drawn] = ink


def _draw_letters(inside: Cells, axes: Axes, picture: Picture) -> None:
    """The curves' letters, on the curves: at the end and, where they run long, at places that differ from one to the next."""
    taken: set[tuple[int, int]] = set()
    for curve in picture.curves:
        shown = np.flatnonzero(np.isfinite(curve.y) & (curve.x >= picture.first) & (curve.x <= picture.last))
        if not curve.letter or len(shown) == 0:
            continue
        part = (curve.ink - RUN + 1) / (RUNS + 1)
        for i in {shown[-1], shown[int(part * (len(shown) - 1))]}:
            row, column = axes.row(float(curve.y[i])), axes.column(float(curve.x[i]))
            while (row, column) in taken:
                column -= 1
            taken.add((row, column))
            if 0 <= row < axes.height and 0 <= column < axes.width:
                inside.char[row, column], inside.ink[row, column] = curve.letter, curve.ink


def _draw_star(inside: Cells, axes: Axes, picture: Picture) -> None:
    if picture.star is None or not picture.first <= picture.star[0] <= picture.last:
        return
    row, column = axes.row(picture.star[1]), axes.column(picture.star[0])
    if 0 <= row < axes.height and 0 <= column < axes.width:
        inside.char[row, column] = "★"
        inside.ink[row, column] = STAR
