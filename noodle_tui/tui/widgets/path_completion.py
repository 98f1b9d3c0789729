"""Completion of paths as they are typed. The folders are listed in a thread: some lie on slow network disks."""

import asyncio
import os
from functools import cached_property
from pathlib import Path

from textual import events, work
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Input
from textual_autocomplete import AutoComplete, AutoCompleteList, DropdownItem, PathAutoComplete, TargetState

from noodle_tui.tui.widgets.painting import CONTROLS
from noodle_tui.tui.words import home_in_full

MOST = 500  # names of one folder: more can't be looked through
EDITS = {"backspace", "delete", "ctrl+w"}  # keys that change a path without a character of their own
KEYS = {"up", "down", "tab", "enter"}  # what an open list obeys


class PathCompletion(PathAutoComplete):
    """A list of the names in a folder that begin as is typed, below the cursor. Tab takes the first or the chosen one, enter
    only one that the arrows chose: else what is typed is a new name, and stays. Escape closes.

    It opens only on what is typed: not on a field that is merely focused, or that the program fills in.
    """

    def __init__(self, target: Input, folders_only: bool):
        super().__init__(target)
        self._folders_only = folders_only
        self._listing: tuple[str, list[str]] | None = None  # one folder and what is in it, folders with a slash
        self._typed: TargetState | None = None  # what the last key made of the field

    def compose(self) -> ComposeResult:
        yield self.option_list

    @cached_property
    def option_list(self) -> AutoCompleteList:
        """Held rather than looked for: in a screen that is being left it is never mounted, yet asked for all the same."""
        names = AutoCompleteList()
        names.can_focus = False
        return names

    def get_candidates(self, target_state: TargetState) -> list[DropdownItem]:
        typed = target_state.text[: target_state.cursor_position]
        folder = home_in_full(typed[: typed.rfind("/") + 1]) or "."
        if self._listing is None or self._listing[0] != folder:
            self._list(folder)
            return []
        hidden = typed[typed.rfind("/") + 1 :].startswith(".")
        return [DropdownItem(Content(name)) for name in self._listing[1] if hidden or not name.startswith(".")]

    def match(self, query: str, candidate: str) -> tuple[float, tuple[int, ...]]:
        return float(candidate.lower().startswith(query.lower())), tuple(range(len(query)))

    def _rebuild_options(self, target_state: TargetState, search_string: str) -> None:
        super()._rebuild_options(target_state, search_string)
        self.option_list.highlighted = None  # nothing is chosen

    @work(exclusive=True, group="completion")
    async def _list(self, folder: str) -> None:
        try:
            names = await asyncio.to_thread(list_folder, Path(folder), self._folders_only)
        except (OSError, ValueError):
            names = []  # no such folder, or no right to read it: nothing to complete; the form says what is wrong
        self._listing = (folder, names)
        state = self._get_target_state()
        self._rebuild_options(state, self.get_search_string(state))
        if self.should_show_dropdown(self.get_search_string(state)):
            self._align_to_target()
            self.action_show()

    def should_show_dropdown(self, search_string: str) -> bool:
        """Only once a name has been begun: after a whole folder tab and enter go on to the next field."""
        is_typed = self.target.has_focus and self._typed == self._get_target_state()
        return is_typed and AutoComplete.should_show_dropdown(self, search_string)

    def close(self) -> None:
        """Hide the list until the user types again."""
        self._typed = None
        self.action_hide()

    def obeys(self, key: str) -> bool:
        """Do what a key does while the list is open; False where it does nothing."""
        names = self.option_list
        chosen = names.highlighted
        if not self.display or key not in KEYS or (key == "enter" and chosen is None):
            return False
        if key in ("tab", "enter"):
            self._complete(chosen or 0)
        elif key == "down":
            names.highlighted = 0 if chosen is None else (chosen + 1) % names.option_count
        else:
            names.highlighted = (chosen or names.option_count) - 1
        return True

    def _listen_to_messages(self, event: events.Event) -> None:
        if isinstance(event, events.Paste) or (isinstance(event, events.Key) and (event.is_printable or event.key in EDITS)):
            self._typed = self._get_target_state()
        elif isinstance(event, events.Key) and not self.display:
            return  # down is the next field then
        elif isinstance(event, events.Key) and event.key == "escape":
            self._typed = None
        elif isinstance(event, events.Key) and event.key in KEYS:
            if self.obeys(event.key):
                event.prevent_default().stop()
            return
        super()._listen_to_messages(event)

    def _handle_focus_change(self, has_focus: bool) -> None:
        self._listing = None  # things may have changed since this field had the focus
        self.close()
        super()._handle_focus_change(has_focus)

    def post_completion(self) -> None:
        super().post_completion()
        # the completion was made without a word: tell the form
        self.target.post_message(Input.Changed(self.target, self.target.value))


def list_folder(folder: Path, folders_only: bool) -> list[str]:
    """The names in a folder, folders first and with a slash, sorted without regard to case. OSError or ValueError if it can't
    be listed. Names with control codes, which a field can't hold, are left out."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir()) for entry in entries if _can_be_typed(entry.name)]
    names = sorted((name + "/" for name, is_folder in found if is_folder), key=str.lower)
    if not folders_only:
        names += sorted((name for name, is_folder in found if not is_folder), key=str.lower)
    return names[:MOST]


def _can_be_typed(name: str) -> bool:
    """Not with control codes, or bytes that aren't UTF-8."""
    return all(ord(char) not in CONTROLS and not "\ud800" <= char <= "\udfff" for char in name)
