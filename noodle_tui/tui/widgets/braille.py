"""Curves as dots, and dots as braille characters (2 dots wide, 4 dots high). Pure functions on numpy arrays."""

import numpy as np
from numpy.typing import NDArray

BLANK = 0x2800
_WEIGHTS = np.array([[1, 8], [2, 16], [4, 32], [64, 128]], dtype=np.int32)  # Unicode's numbering of the eight dots

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def decimate(columns: Ints, y: Floats) -> tuple[Ints, Floats, Ints]:
    """All that can be seen of a long curve: the first, lowest, highest and last value of each column of dots.

    columns: int (n), ascending, the dot column of each point; y: float (n), NaN where there is a gap.
    Returns (columns, y, run), each (4 x groups): points to be joined in order wherever `run` stays the same.
    Drawing these gives the same dots as drawing all points: Jugel et al., "M4: a visualization-oriented time series
    data aggregation", PVLDB 7 (2014).
    """
    known = np.isfinite(y)
    run = np.cumsum(~known)[known]  # grows by one at each gap
    columns, y = columns[known], y[known]
    if len(y) == 0:
        return columns, y, run
    new_group = np.flatnonzero((np.diff(columns) != 0) | (np.diff(run) != 0)) + 1
    starts = np.concatenate(([0], new_group))
    ends = np.concatenate((new_group, [len(y)])) - 1
    extremes = (y[starts], np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts), y[ends])
    return np.repeat(columns[starts], 4), np.stack(extremes, axis=1).ravel(), np.repeat(run[starts], 4)


def trace(columns: Ints, rows: Ints, run: Ints) -> tuple[Ints, Ints]:
    """The dots of a line through the given points, in order: (columns, rows). Different runs aren't joined."""
    if len(columns) == 0:
        return columns, rows
    dx, dy = np.diff(columns, append=columns[-1]), np.diff(rows, append=rows[-1])
    joined = np.diff(run, append=run[-1]) == 0
    dx, dy = np.where(joined, dx, 0), np.where(joined, dy, 0)
    steps = np.maximum(np.maximum(np.abs(dx), np.abs(dy)), 1)
    of = np.repeat(np.arange(len(steps)), steps)  # the segment that a dot belongs to
    along = (np.arange(len(of)) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[of]
    return np.rint(columns[of] + dx[of] * along).astype(np.int64), np.rint(rows[of] + dy[of] * along).astype(np.int64)


def dots(columns: Ints, rows: Ints, width: int, height: int) -> NDArray[np.bool_]:
    """A canvas of bool (height * 4, width * 2) with these dots set (those outside left out); sizes in cells."""
    canvas = np.zeros((height * 4, width * 2), dtype=np.bool_)
    inside = (columns >= 0) & (columns < width * 2) & (rows >= 0) & (rows < height * 4)
    canvas[rows[inside], columns[inside]] = True
    return canvas


def cells(canvas: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The braille pattern (0 to 255, added to U+2800) of each cell: (height, width) from (height * 4, width * 2)."""
    height, width = canvas.shape[0] // 4, canvas.shape[1] // 2
    return (canvas.reshape(height, 4, width, 2) * _WEIGHTS[None, :, None, :]).sum(axis=(1, 3), dtype=np.int32)
