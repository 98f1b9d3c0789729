"""Fewer bytes on the line: of a row, only the cells that changed.

Textual 8.2 keeps track of changed cells, but when it writes a row it starts at the left end of the widget, however far to
the right the change is (`ChopsUpdate.render_segments`). On a plot that grows at its right end that is most of the bytes.
This reaches into Textual's private parts, which is why pyproject.toml pins its major version and a test counts the bytes.
"""

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate

from noodle_tui.tui.widgets.painting import harmless


class ExactUpdate(ChopsUpdate):
    """The same update, cropped at both ends."""

    @classmethod
    def of(cls, update: ChopsUpdate) -> "ExactUpdate":
        return cls(update.chops, update.spans, update.chop_ends)

    def render_segments(self, console: Console) -> str:
        """The control sequences and characters for the terminal."""
        written: list[str] = []
        for y, x1, x2 in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                left, right = max(x, x1), min(end, x2)
                if strip is not None and left < right:
                    strip = harmless(strip.crop(left - x, right - x))
                    written += (Control.move_to(left, y).segment.text, strip.render(console))
        return "".join(written)
