"""The epochs as a table, newest first, the best one marked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual.content import Content

from noodle_tui.events import EpochDone
from noodle_tui.tui import words
from noodle_tui.tui.widgets.listing import Listing


@dataclass(frozen=True)
class Column:
    name: str
    width: int
    text: Callable[[EpochDone], str]
    style: str  # of its name; the same colours and line styles as in the plots
    needed_at: int  # shown where the table is at least this wide


COLUMNS = (
    Column("epoch", 8, lambda e: str(e.epoch), "$quiet", 0),
    Column("┄ train loss", 14, lambda e: words.number(e.train_loss), "$train", 76),
    Column("┄ loss", 9, lambda e: words.number(e.train_loss), "$train", -76),
    Column("━ val loss", 12, lambda e: words.number(_val_loss(e)), "$validation", 76),
    Column("━ loss", 9, lambda e: words.number(_val_loss(e)), "$validation", -76),
    Column("┄ train acc", 13, lambda e: words.accuracy(e.train_accuracy), "$train", 76),
    Column("┄ acc", 8, lambda e: words.accuracy(e.train_accuracy), "$train", -76),
    Column("━ val acc", 11, lambda e: words.accuracy(e.val_accuracy), "$validation", 76),
    Column("━ acc", 8, lambda e: words.accuracy(e.val_accuracy), "$validation", -76),
    Column("95%", 12, lambda e: words.interval(e.val_interval), "$quiet", 0),
    Column("img/s", 8, lambda e: words.rate(e.images_per_second), "$quiet", 76),
    Column("s", 8, lambda e: f"{e.seconds:.2f}" if e.seconds < 100 else f"{e.seconds:.0f}", "$quiet", 96),
    Column("lr", 9, lambda e: f"{e.lr:.2g}", "$quiet", 96),
)


def _val_loss(e: EpochDone) -> float | None:
    """NaN where a validation gave no number (JSON knows none), None where there was no validation."""
    return float("nan") if e.val_loss is None and e.val_correct is not None else e.val_loss


def columns_for(width: int) -> list[Column]:
    """The columns that fit; a negative `needed_at` marks the short form, for tables narrower than that."""
    return [c for c in COLUMNS if (width >= c.needed_at if c.needed_at >= 0 else width < -c.needed_at)]


class EpochTable(Listing):
    """Every epoch can be reached, however many: only the rows in sight are made."""

    _epochs: Sequence[EpochDone] = ()
    _best: EpochDone | None = None

    def show(self, epochs: Sequence[EpochDone], best: EpochDone | None, detail: Content) -> None:
        """Show these epochs (in the order they came) and mark the best."""
        self._epochs, self._best, self._detail = epochs, best, detail
        self._title = Content("epochs")
        self.repaint()

    def header(self, width: int) -> list[Content]:
        return [Content.assemble(*((c.name.rjust(c.width), c.style) for c in columns_for(width)))]

    def count(self, width: int) -> int:
        return len(self._epochs)

    def rows(self, width: int, start: int, stop: int) -> list[Content]:
        columns = columns_for(width)
        newest_first = (self._epochs[len(self._epochs) - 1 - i] for i in range(start, stop))
        return [self._row(epoch, columns) for epoch in newest_first]

    def _row(self, epoch: EpochDone, columns: list[Column]) -> Content:
        cells = "".join(c.text(epoch).rjust(c.width) for c in columns)
        if self._best is not None and epoch.epoch == self._best.epoch:
            return Content.assemble((" ★" + cells[2:], "$star bold"))
        return Content(cells)
