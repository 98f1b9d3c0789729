"""The line of keys at the foot of a screen."""

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

GAP = 1  # cells between two keys: Textual's margin of a compact one, which no screen's tcss may change
PALETTE = 12  # cells of the command palette's key, at the right of wide windows


class KeyBar(Footer):
    """Whole keys only: the last ones that find no room are left to the help, so a screen names the most used first."""

    def __init__(self, show_command_palette: bool = True) -> None:
        super().__init__(compact=True, show_command_palette=show_command_palette)

    def compose(self) -> ComposeResult:
        palette = self.show_command_palette and self.screen.has_class("-wide")
        room = self.screen.size.width - (PALETTE if palette else 0)
        for key in super().compose():
            if key.has_class("-command-palette") or _cells(key) <= room:
                room -= _cells(key) + GAP
                yield key
            else:
                room = 0

    def on_resize(self) -> None:
        self.refresh(recompose=True)


def _cells(key: Widget) -> int:
    return cell_len(f"{key.key_display} {key.description}") if isinstance(key, FooterKey) else 0
