"""The command palette: what it offers, and in which order; imported when it is opened first."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.binding import Binding
from textual.command import DiscoveryHit, Hits
from textual.screen import ModalScreen, Screen
from textual.system_commands import SystemCommandsProvider

if TYPE_CHECKING:
    from noodle_tui.tui.app import NoodleApp

# What the keys do that Textual gives every screen: from widget to widget, say.
TEXTUALS_OWN = {binding.action for binding in Screen.BINDINGS if isinstance(binding, Binding)}


class Commands(SystemCommandsProvider):
    """The app's commands in its own order, what the screen can do first. Textual's are sorted by title."""

    async def discover(self) -> Hits:
        for title, text, callback, discover in self.app.get_system_commands(self.screen):
            if discover:
                yield DiscoveryHit(title, callback, help=text)


def commands_of(app: "NoodleApp", screen: Screen) -> Iterator[SystemCommand]:
    """What the keys of a screen do, and of its focused widget those in the footer: not each arrow and editing key."""
    if isinstance(screen, ModalScreen):
        return
    in_footer_first = sorted(screen.active_bindings.values(), key=lambda active: not active.binding.show)
    for node, binding, enabled, _ in in_footer_first:
        is_listed = binding.show if node is not screen else binding.action not in TEXTUALS_OWN
        if enabled and binding.description and is_listed and node is not app:  # Quit stands at the end
            yield SystemCommand(binding.description, f"key {app.get_key_display(binding)}",
                                partial(app.call_later, app.run_action, binding.action, node))


def commands_anywhere(app: "NoodleApp") -> Iterator[SystemCommand]:
    """The way to each screen, and out."""
    yield SystemCommand("Setup", "The form: start a new run", app.home)
    yield SystemCommand("Runs", "All runs of the save folder", app.action_runs)
    if app.background is not None:
        yield SystemCommand("Live", "The run that was started here", app.action_live)
    yield SystemCommand("Theme", "Dark, light and other colours", app.action_change_theme)
    yield SystemCommand("Quit", "Leave; a run that is going on may be left running", app.action_leave)
