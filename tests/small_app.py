"""An app around a single screen: the looks of the real one, and nothing else in it."""

from collections.abc import Callable
from typing import Any

from textual import events
from textual.app import App
from textual.notifications import Notification
from textual.pilot import Pilot
from textual.screen import Screen

from noodle_tui.tui.app import NoodleApp
from noodle_tui.tui.stylesheet import KeptStylesheet
from noodle_tui.tui.themes import THEMES

# a note stays for as long as a person may need to read it, and on a busy machine a test may look later
Notification.has_expired = property(lambda note: False)  # type: ignore[assignment]

KEY_NAMES = ("up", "down", "left", "right", "tab", "shift+tab", "enter", "home", "end", "delete", "backspace",
             "ctrl+a", "ctrl+k", "ctrl+r", "ctrl+u")


class SmallApp(App[None]):
    """Opens on the given screen."""

    CSS_PATH = NoodleApp.CSS_PATH
    HORIZONTAL_BREAKPOINTS = NoodleApp.HORIZONTAL_BREAKPOINTS
    VERTICAL_BREAKPOINTS = NoodleApp.VERTICAL_BREAKPOINTS

    def __init__(self, screen: Screen[Any], theme: str = "noodle-dark"):
        super().__init__()
        self.stylesheet = KeptStylesheet(variables=self.get_css_variables())
        self._only = screen
        for one in THEMES:
            self.register_theme(one)
        self.theme = theme

    def on_mount(self) -> None:
        self.push_screen(self._only)


async def until(pilot: Pilot[Any], holds: Callable[[], bool]) -> None:
    """Wait for a thread's message: at most thirty seconds."""
    for _ in range(600):
        await pilot.pause(0.05)
        if holds():
            return
    raise AssertionError("it never came")


def burst(pilot: Pilot[Any], *keys: str) -> None:
    """Keys as a slow line delivers them: all read before the app has seen the first. A text gives its characters."""
    names = {"\t": "tab", "\r": "enter", "/": "slash", ".": "full_stop", "-": "minus", "_": "underscore"}
    for key in keys:
        for char in key if key not in KEY_NAMES else (key,):
            pilot.app.post_message(events.Key(names.get(char, char), char if len(char) == 1 else None))
