"""The axes of a plot: from values to dots, and where the labels stand."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

import numpy as np

from noodle_tui.tui.widgets.braille import Floats, Ints

LABEL = 6  # characters of a value's label
FEW_EPOCHS = 6  # of which each is labelled where there is room
LOG_TICKS = ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 5), (1,))  # times a power of ten, from the closest to the widest apart
SHORT = 2  # an axis that ends below so many times its start is labelled in even steps, logarithmic or not
FLAT = 0.05  # of a value, on either side of it, that an axis shows where all are the same
STANDS_OFF = 0.6  # of the step between two labels: nearer to the first or the last one, spacing would look uneven


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high` (low < high), linear or logarithmic, with the values that get a label."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def fraction(self, values: Floats) -> Floats:
        """Where values lie between low (0) and high (1). NaN stays NaN; so becomes what a log axis can't show."""
        if not self.log:
            return (values - self.low) / (self.high - self.low)
        positive = np.where(values > 0, values, np.nan)
        return (np.log10(positive) - log10(self.low)) / (log10(self.high) - log10(self.low))

    def labels(self) -> list[str]:
        """Of the ticks: where they are evenly spaced, with as many decimals as their distance has."""
        ticks, is_even = self.ticks, not self.log or self.high < self.low * SHORT
        neighbours = (*ticks[1:], ticks[-2] if len(ticks) > 1 else 0.0)
        return [label(tick, abs(neighbour - tick) if is_even else tick)
                for tick, neighbour in zip(ticks, neighbours, strict=True)]

    def dot(self, values: Floats, n_dots: int) -> Ints:
        """The dot (0 to n_dots - 1) of each finite value; values beyond the ends lie beyond 0 and n_dots - 1."""
        return np.rint(self.fraction(values) * (n_dots - 1)).astype(np.int64)


def nice_step(span: float, n: int, multiples: tuple[float, ...] = (1, 2, 2.5, 5)) -> float:
    """The smallest of `multiples` times a power of ten that cuts `span` into at most `n` parts."""
    rough = span / max(n, 1)
    power = 10.0 ** floor(log10(rough))
    return next((m * power for m in multiples if m * power >= rough * (1 - 1e-9)), 10 * power)


def linear_scale(low: float, high: float, n_ticks: int, bounds: tuple[float, float] = (-np.inf, np.inf)) -> Scale:
    """An axis that holds low to high, ending on ticks, so that it changes seldom while a run goes on."""
    if not (isfinite(low) and isfinite(high)):
        low, high = 0.0, 1.0
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-3):
        low, high = low - FLAT * max(abs(low), 1.0), high + FLAT * max(abs(high), 1.0)
    low, high = max(low, bounds[0]), min(high, bounds[1])
    step = nice_step(high - low, n_ticks)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    ticks = tuple(round(i * step, 12) for i in range(first, last + 1))
    return Scale(max(ticks[0], bounds[0]), min(ticks[-1], bounds[1]), ticks)


def log_scale(low: float, high: float, n_ticks: int) -> Scale:
    """A logarithmic axis that holds low to high (both positive), and little more: its ends are round, but need no label."""
    if not (isfinite(low) and isfinite(high) and low > 0):
        return Scale(0.1, 1.0, (0.1, 1.0), log=True)
    if high < low * (1 + 1e-9):
        low, high = low * (1 - FLAT), high * (1 + FLAT)
    below, above = (nice_step(min(high - low, end), 10) for end in (low, high))
    first, last = floor(low / below + 1e-9) * below, ceil(high / above - 1e-9) * above
    for ticks in _log_ticks(first, last, n_ticks):
        scale = Scale(first, last, tuple(float(f"{tick:.5g}") for tick in ticks), log=True)
        if 2 <= len(ticks) <= n_ticks + 1 and len(set(scale.labels())) == len(ticks):
            return scale
    return Scale(first, last, (first, last), log=True)


def _log_ticks(first: float, last: float, n_ticks: int) -> Iterator[list[float]]:
    """What may be labelled on a logarithmic axis, best first; some are too many or too few."""
    if last < first * SHORT:
        steps = (nice_step(last - first, n) for n in (n_ticks, n_ticks + 1, n_ticks + 2))
        grids = [[i * step for i in range(floor(first / step), ceil(last / step) + 1)] for step in steps]
    else:
        powers = range(floor(log10(first)), ceil(log10(last)) + 1)
        grids = [[m * 10.0**p for p in powers for m in multiples] for multiples in LOG_TICKS]
        grids.append([10.0**p for p in powers][:: ceil(len(powers) / max(n_ticks, 1))])
    for grid in grids:
        yield [tick for tick in grid if first * (1 - 1e-9) <= tick <= last * (1 + 1e-9)]


def epoch_ticks(low: int, high: int, n_ticks: int) -> tuple[int, ...]:
    """Whole epochs to label, about `n_ticks` steps: the first and the last epoch shown, and round numbers between them that
    stand off the two; of few epochs each, or every second and so on where that comes out even."""
    span = max(high - low, 1)
    if span < FEW_EPOCHS:
        step = next(step for step in range(1, span + 1) if span % step == 0 and span // step <= max(n_ticks, 1))
        return tuple(range(low, high + 1, step))
    step = max(1, round(nice_step(span, n_ticks, (1, 2, 5))))
    between = range(ceil(low / step) * step, high, step)
    return (low, *(tick for tick in between if min(tick - low, high - tick) >= STANDS_OFF * step), high)


def label(value: float, step: float) -> str:
    """A tick's label, with as many decimals as tell it from its neighbours; at most LABEL characters."""
    if value != 0 and (abs(value) >= 100_000 or abs(value) < 0.001):
        texts = [f"{value:.{n}e}".replace(".0e", "e").replace("e-0", "e-").replace("e+0", "e") for n in (1, 0)]
        return texts[len(texts[0]) > LABEL]
    decimals = next((d for d in range(4) if abs(step * 10**d - round(step * 10**d)) < 1e-6 * step), 4)
    return f"{value:.{decimals}f}"
