"""A whole curve in a few characters."""

from collections.abc import Sequence

import numpy as np

BLOCKS = "▁▂▃▄▅▆▇█"


def load_line(percents: Sequence[float], width: int) -> str:
    """The last `width` loads, from ▁ (none) to █ (100 percent)."""
    return "".join(BLOCKS[min(int(percent / 100 * len(BLOCKS)), len(BLOCKS) - 1)] for percent in percents[-width:])


def sparkline(values: Sequence[float] | np.ndarray, width: int) -> str:
    """The means of equal stretches of `values` as blocks from ▁ (the lowest) to █ (the highest), at most `width` of them.

    A stretch is 1, 2, 4, 8… values long: as a series grows, what stands already stays. NaN leaves a blank; values that
    are all the same stay in the middle.
    """
    series = np.asarray(values, dtype=np.float64)
    if len(series) == 0 or width < 1:
        return ""
    stretch = 1
    while -(-len(series) // stretch) > width:
        stretch *= 2
    edges = np.arange(0, len(series), stretch)
    n_cells = len(edges)
    known = np.isfinite(series)
    counts = np.add.reduceat(known.astype(np.int64), edges)
    sums = np.add.reduceat(np.where(known, series, 0.0), edges)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    if not known.any():
        return " " * n_cells
    low, high = np.nanmin(means), np.nanmax(means)
    levels = np.full(n_cells, 3.0) if high <= low else (means - low) / (high - low) * (len(BLOCKS) - 1)
    return "".join(" " if np.isnan(mean) else BLOCKS[round(float(level))]
                   for mean, level in zip(means, levels, strict=True))
