"""The line of keys at the foot of a screen."""

from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

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
                room -= _cells(key) + 1
                yield key
            else:
                room = 0

    def on_resize(self) -> None:
        self.refresh(recompose=True)


def _cells(key: Widget) -> int:
    return len(f"{key.key_display} {key.description}") if isinstance(key, FooterKey) else 0
