"""Windows in which a folder or a file is picked: textual-fspicker's, with the keys said, names that have all the room, letters
that jump to them, and the buttons of this house."""

from pathlib import Path
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Button
from textual_fspicker import FileOpen, SelectDirectory
from textual_fspicker.parts import DirectoryNavigation

from noodle_tui.tui.widgets.painting import clean


class PickFolder(SelectDirectory):
    """A folder: the marked one, or (the button, and with the way up marked) the one that is listed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "choose", "Choose")]

    def on_mount(self) -> None:
        tidy(self, "⏎ into it   ⌫ up   space takes it   esc closes")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        once(self, event)

    def on_directory_navigation_highlighted(self, event: DirectoryNavigation.Highlighted) -> None:
        name_entries(event.navigation)

    def on_key(self, event: events.Key) -> None:
        jump(self.query_one(DirectoryNavigation), event)

    def action_choose(self) -> None:
        marked = marked_place(self.query_one(DirectoryNavigation))
        if marked is None or marked.name == "..":
            self.query_one("#select", Button).press()
        else:
            self.dismiss(marked)


class PickFile(FileOpen):
    """A file that is there."""

    def on_mount(self) -> None:
        tidy(self, "⏎ into a folder, or takes the file   ⌫ up   esc closes")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        once(self, event)

    def on_key(self, event: events.Key) -> None:
        if isinstance(self.focused, DirectoryNavigation):
            jump(self.focused, event)


def tidy(screen: PickFolder | PickFile, keys: str) -> None:
    """Say the keys beside the title (the lower edge is where it says errors); buttons one line high."""
    dialog = screen.query_one("Dialog", Vertical)
    dialog.border_title = Content.assemble((str(dialog.border_title), "bold"), (f"   {keys}", "$quiet"))  # type: ignore[assignment]
    for button in screen.query(Button):
        button.compact = True


def once(screen: PickFolder | PickFile, event: Button.Pressed) -> None:
    """Keep from the picker what came twice: the second would close the screen below."""
    if not screen.is_active:
        event.prevent_default()


def place_of(entries: DirectoryNavigation, index: int) -> Path:
    """What an entry stands for; of the way up the name is "..": it isn't resolved."""
    return entries.get_option_at_index(index).location  # type: ignore[attr-defined]


def marked_place(entries: DirectoryNavigation) -> Path | None:
    return None if entries.highlighted is None else place_of(entries, entries.highlighted)


def name_entries(entries: DirectoryNavigation) -> None:
    """Leave of each folder its name: size and date, which say nothing of it, would take half the width."""
    for index in range(entries.option_count):
        if isinstance(entries.get_option_at_index(index).prompt, Content):
            return  # done before
        entries.replace_option_prompt_at_index(index, clean(Content(f" {place_of(entries, index).name}/")))


def jump(entries: DirectoryNavigation, event: events.Key) -> None:
    """To the next entry that begins with the letter that was pressed."""
    if event.key in ("pageup", "pagedown") and not entries.size:
        event.stop()  # in a list that has no room (of a tiny window) Textual's page keys fail (8.2)
    if event.character is None or not event.character.isalnum():
        return
    event.stop()
    start = (entries.highlighted or 0) + 1
    order = [(start + step) % entries.option_count for step in range(entries.option_count)]
    found = (index for index in order if place_of(entries, index).name.lower().startswith(event.character.lower()))
    entries.highlighted = next(found, entries.highlighted)
