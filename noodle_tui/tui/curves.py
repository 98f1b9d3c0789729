"""A run's epochs as columns of numbers, and what the plots make of them: smoothing, zoom, cursor."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np

from noodle_tui.events import MEASURES, EpochDone
from noodle_tui.tui.widgets.braille import Floats
from noodle_tui.tui.widgets.drawing import TRAIN, TRAIN_FADED, VALIDATION, VALIDATION_FADED, Axes, Band, Curve, Picture

COLUMNS = ("epoch", *MEASURES, "low", "high")
FIRST_AXIS = 40  # epochs
SMOOTHINGS = (0.0, 0.6, 0.9)
SHORTEST_ZOOM = 5


@dataclass
class View:
    """How the curves are to be shown."""

    log: bool = False
    smoothing: float = 0.0  # weight of the past in the exponential moving average; 0 is none
    zoom: int | None = None  # show only _ epochs, the last or those around the cursor
    cursor: int | None = None  # the epoch whose values are read

    def zoom_by(self, direction: int, n: int) -> None:
        """Show half as many epochs (1), twice as many (-1) or, also once twice as many would be, all `n` that there are (0)."""
        if direction > 0:
            nearer = max(SHORTEST_ZOOM, min(self.zoom or n, n) // 2)
            self.zoom = nearer if nearer < n else None  # a short run has all its epochs in the shortest
        elif direction < 0 and self.zoom is not None and self.zoom * 2 < n:
            self.zoom *= 2
        else:
            self.zoom = None

    def move_cursor(self, direction: int, axes: Axes | None, first: int, last: int) -> None:
        """By an epoch, or by what a column of the plot stands for where that is more; in from either end."""
        step = max(1, round((axes.x.high - axes.x.low) / (axes.width * 2))) if axes else 1
        at = (last if direction < 0 else first) if self.cursor is None else self.cursor + direction * step
        self.cursor_to(at, first, last)

    def cursor_to(self, epoch: int, first: int, last: int) -> None:
        """To an epoch, or to the nearest that there is."""
        self.cursor = min(max(epoch, first), last)

    def next_smoothing(self) -> None:
        """Off, light, strong, off."""
        self.smoothing = SMOOTHINGS[(SMOOTHINGS.index(self.smoothing) + 1) % len(SMOOTHINGS)]

    def window(self, epoch: int, n_epochs: int) -> tuple[int, int]:
        """The first and the last epoch to show. A long run's axis grows with it, by doubling: its curve is never a smear.

        A zoomed window holds the last epochs, or those around a cursor that is further back; it moves on by quarters: fewer
        redraws.
        """
        if self.zoom is None:
            return 1, max(_ahead(epoch, n_epochs), epoch, 2)
        quarter = max(self.zoom // 4, 1)
        last = max(min(ceil(epoch / quarter) * quarter, max(n_epochs, epoch)), self.zoom, 2)
        first = last - self.zoom + 1
        if self.cursor is not None and self.cursor < first:
            first = max((self.cursor - self.zoom // 2) // quarter * quarter, 0) + 1
        return first, first + self.zoom - 1

    def window_in_words(self, epoch: int, n_epochs: int) -> str:
        """Which epochs are shown: "last 25", "epochs 5–29"; "" for all."""
        if self.zoom is None:
            return ""
        first, last = self.window(epoch, n_epochs)
        if first == 1 and last >= epoch:
            return ""
        return f"last {epoch - first + 1}" if last >= epoch else f"epochs {first}–{last}"


def _ahead(epoch: int, n_epochs: int) -> int:
    """Where the axis of a run that goes on ends: at its last epoch, or in a long run's beginning before."""
    last = FIRST_AXIS
    while last < epoch:
        last *= 2
    return min(last, n_epochs)


class Curves:
    """The epochs as arrays that grow in place: a redraw costs the same after 100,000 epochs as after ten."""

    def __init__(self) -> None:
        self._table = np.empty((len(COLUMNS), 256), dtype=np.float64)
        self._n = 0
        self._last: EpochDone | None = None

    def update(self, epochs: Sequence[EpochDone]) -> None:
        """Take in what is new in `epochs`; all of them after a resume took some back."""
        if self._n and (len(epochs) < self._n or epochs[self._n - 1] is not self._last):
            self._n = 0
        while len(epochs) > self._table.shape[1]:
            self._table = np.concatenate((self._table, np.empty_like(self._table)), axis=1)
        if new := [_row(epoch) for epoch in epochs[self._n :]]:
            self._table[:, self._n : len(epochs)] = np.array(new, dtype=np.float64).T
        self._n = len(epochs)
        self._last = epochs[-1] if epochs else None

    def column(self, name: str) -> Floats:
        """The values of one of COLUMNS, an epoch each; NaN where there is none."""
        return self._table[COLUMNS.index(name), : self._n]

    def index(self, epoch: int) -> int | None:
        """The position of the epoch nearest to `epoch`; None before the first."""
        epochs = self.column("epoch")
        if len(epochs) == 0:
            return None
        right = int(np.searchsorted(epochs, epoch))
        if right == 0 or (right < len(epochs) and epochs[right] - epoch <= epoch - epochs[right - 1]):
            return right
        return right - 1


def _row(e: EpochDone) -> tuple[float | None, ...]:
    """Its values in the order of COLUMNS; of None numpy makes NaN."""
    return e.epoch, *e.measures.values(), *(e.val_interval or (None, None))


def smooth(y: Floats, weight: float) -> Floats:
    """Exponential moving average, corrected for its start as in Adam (Kingma & Ba 2015); NaN stays and isn't counted.

    Written as a weighted mean over the past, cut off where a weight falls below 1e-4: the same in numpy's time.
    """
    if weight <= 0 or len(y) == 0:
        return y
    kernel = weight ** np.arange(min(ceil(log(1e-4) / log(weight)), len(y)))
    known = np.isfinite(y)
    sums = np.convolve(np.where(known, y, 0.0), kernel)[: len(y)]
    weights = np.convolve(known.astype(np.float64), kernel)[: len(y)]
    return np.divide(sums, weights, out=np.full(len(y), np.nan), where=known)


def loss_picture(curves: Curves, view: View, n_epochs: int, best: EpochDone | None) -> Picture:
    """Train and validation loss; the best epoch (by validation accuracy) is marked on the validation curve."""
    star = None if best is None or best.val_loss is None else (float(best.epoch), best.val_loss)
    return _picture(curves, view, n_epochs, "loss", star)


def accuracy_picture(curves: Curves, view: View, n_epochs: int, best: EpochDone | None) -> Picture:
    """Train and validation accuracy, with the 95% Wilson interval of the latter."""
    star = None if best is None or best.val_accuracy is None else (float(best.epoch), best.val_accuracy)
    measured = np.isfinite(curves.column("low"))
    band = Band(*(curves.column(name)[measured] for name in ("epoch", "low", "high")))
    return _picture(curves, view, n_epochs, "accuracy", star, band)


def _picture(
    curves: Curves, view: View, n_epochs: int, what: str, star: tuple[float, float] | None, band: Band | None = None
) -> Picture:
    epoch = curves.column("epoch")
    # An epoch without validation isn't a gap in the curve; a validation whose loss is NaN is.
    measured = np.isfinite(curves.column("low"))
    lines = [
        (epoch, curves.column(f"train_{what}"), TRAIN, TRAIN_FADED, True),
        (epoch[measured], curves.column(f"val_{what}")[measured], VALIDATION, VALIDATION_FADED, False),
    ]
    drawn = [Curve(x, smooth(y, view.smoothing), ink, dotted) for x, y, ink, _, dotted in lines]
    if view.smoothing > 0:
        drawn += [Curve(x, y, faded, dotted) for x, y, _, faded, dotted in lines]
    first, last = view.window(int(epoch[-1]) if len(epoch) else 0, n_epochs)
    return Picture(
        curves=tuple(drawn), first=first, last=last, band=band, star=star, cursor=view.cursor,
        log=view.log and what == "loss", bounds=(0.0, 1.0) if what == "accuracy" else (-np.inf, np.inf),
    )  # fmt: skip
