"""The line of keys at the foot of a screen."""

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widget import Widget
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

GAP = 1  # cells between two keys: Textual's margin of a compact one, which no screen's tcss may change
PALETTE = 12  # cells of the command palette's key, at the right of wide windows


class KeyBar(Footer):
    """Whole keys only: the last ones that find no room are left to the help, so a screen names the most used first."""

    def __init__(self, show_command_palette: bool = True) -> None:
        super().__init__(compact=True, show_command_palette=show_command_palette)
        self._composed: list[tuple[Binding, bool]] = []  # what it was composed for last; nothing: before that, or to be anew

    async def recompose(self) -> None:
        """Make the keys anew, but for those that are there already: Textual wants that at each change of the focus."""
        stays = self.is_attached and self.display  # neither hidden nor on its way out, with a screen that is half gone
        if not (stays and self._composed and self._composed == self._to_show()):
            await super().recompose()

    def compose(self) -> ComposeResult:
        self.mutate_reactive(KeyBar.compact)  # the keys are bound to it, and only then does Textual let go of earlier ones
        palette = self.show_command_palette and self.screen.has_class("-wide")
        room = self.screen.size.width - (PALETTE if palette else 0)
        keys = list(super().compose())
        self._composed = self._to_show() if keys else []
        for key in keys:
            key.set_class(True, "-compact", update=False)  # else Textual sets it later, and styles each key twice
            if key.has_class("-command-palette") or _cells(key) <= room:
                room -= _cells(key) + GAP
                yield key
            else:
                room = 0

    def on_resize(self) -> None:
        self._composed = []
        self.refresh(recompose=True)

    def _to_show(self) -> list[tuple[Binding, bool]]:
        """The keys, and whether each does something now."""
        return [(binding, enabled) for _, binding, enabled, _ in self.screen.active_bindings.values() if binding.show]


def _cells(key: Widget) -> int:
    return cell_len(f"{key.key_display} {key.description}") if isinstance(key, FooterKey) else 0
