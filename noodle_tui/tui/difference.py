"""Fewer bytes on the line: only the cells that differ from what the terminal shows.

Textual 8.2 writes all that was laid out anew or may have changed: of a row the whole widget, and a screen that opens, or is
uncovered, two or three times (10 kB each at 100 x 30). Over a slow line that is seconds.
This reaches into Textual's private parts, which is why pyproject.toml pins its major version and a test counts the bytes.
"""

from collections.abc import Iterator

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

from noodle_tui.tui.widgets.painting import changed_spans, harmless, join_blanks

Piece = tuple[int, int, Strip]  # row, column, and what is there from then on


class Shown:
    """What the terminal shows, as far as it is known."""

    def __init__(self) -> None:
        self._rows: dict[int, Strip] = {}

    def forget(self) -> None:
        """From now on nothing is known: the terminal has another size, or another program wrote on it."""
        self._rows.clear()

    def take(self, piece: Piece, whole: bool) -> Iterator[Piece]:
        """Show this from now on; what must be written for that. whole: it is all of its row."""
        y, x, strip = piece
        before = self._rows.get(y)
        if whole:
            after = strip
        elif before is not None:
            after = join_blanks(Strip.join((before.crop(0, x), strip, before.crop(x + strip.cell_length))))
        else:
            yield piece
            return
        self._rows[y] = after
        spans = [(0, after.cell_length)] if before is None else changed_spans(before, after)
        yield from ((y, start, after.crop(start, end)) for start, end in spans)


class Difference(CompositorUpdate):
    """An update, less what the terminal shows already. Worked out when it is written: one that isn't changes nothing."""

    def __init__(self, update: LayoutUpdate | ChopsUpdate, shown: Shown):
        self._update, self._shown = update, shown

    def render_segments(self, console: Console) -> str:
        """The control sequences and characters for the terminal."""
        whole = isinstance(self._update, LayoutUpdate)
        return "".join(
            Control.move_to(x, y).segment.text + strip.render(console)
            for row, column, found in _pieces(self._update)
            for y, x, strip in self._shown.take((row, column, join_blanks(harmless(found))), whole))


def _pieces(update: LayoutUpdate | ChopsUpdate) -> Iterator[Piece]:
    """What an update would write, row by row."""
    if isinstance(update, LayoutUpdate):
        yield from ((y, update.region.x, Strip.join(line)) for y, line in enumerate(update.strips, update.region.y))
        return
    for y, x1, x2 in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            left, right = max(x, x1), min(end, x2)
            if strip is not None and left < right:
                yield y, left, strip.crop(left - x, right - x)
