"""Windows in which a folder or a file is picked: textual-fspicker's, with the keys said and the buttons of this house."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Button
from textual_fspicker import FileOpen, SelectDirectory


class PickFolder(SelectDirectory):
    """A folder; the one that is listed is the one that is chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "choose", "Choose")]

    def on_mount(self) -> None:
        tidy(self, "⏎ into it   ⌫ up   space takes this folder   esc closes")

    def action_choose(self) -> None:
        self.query_one("#select", Button).press()


class PickFile(FileOpen):
    """A file that is there."""

    def on_mount(self) -> None:
        tidy(self, "⏎ into a folder, or takes the file   ⌫ up   esc closes")


def tidy(screen: PickFolder | PickFile, keys: str) -> None:
    """Say the keys beside the title (the lower edge is where it says errors); buttons one line high."""
    dialog = screen.query_one("Dialog", Vertical)
    dialog.border_title = Content.assemble((str(dialog.border_title), "bold"), (f"   {keys}", "$quiet"))  # type: ignore[assignment]
    for button in screen.query(Button):
        button.compact = True
