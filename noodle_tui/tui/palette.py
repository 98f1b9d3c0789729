"""The command palette: what it offers, and in which order; imported when it is opened first."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import SystemCommand
from textual.binding import Binding
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits
from textual.dom import DOMNode
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.system_commands import SystemCommandsProvider
from textual.widgets import Input

from noodle_tui.tui.setup import SetupScreen
from noodle_tui.tui.setup_form import label_of

if TYPE_CHECKING:
    from noodle_tui.tui.app import NoodleApp

# What the keys do that Textual gives every screen: from widget to widget, say.
TEXTUALS_OWN = {binding.action for binding in Screen.BINDINGS if isinstance(binding, Binding)}
IN_DESCRIPTION = 0.5  # of a hit: below all whose titles fit


class Palette(CommandPalette):
    """Textual's (8.2), and what keys did to it that were quicker, as over a slow line: they ended the app, or left it bare."""

    def on_mount(self) -> None:
        self.query_one(Input).cursor_blink = False  # it would write a kilobyte a second

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Not to a page of a list that isn't drawn yet, or has no room."""
        is_drawn = any(commands.size for commands in self.query(CommandList))
        return is_drawn or not (action == "command_list" and str(parameters[0]).startswith("page"))

    @on(Input.Changed)
    @on(Input.Submitted)
    @on(CommandList.OptionSelected)
    def not_when_closed(self, event: Message) -> None:
        """A letter would search for a list that is gone; a second enter would close the screen below."""
        if not self.is_active:
            event.stop().prevent_default()


class Commands(SystemCommandsProvider):
    """The app's commands in its own order, what the screen can do first. Textual's are sorted by title."""

    async def discover(self) -> Hits:
        for title, text, callback, discover in self.app.get_system_commands(self.screen):
            if discover:
                yield DiscoveryHit(title, callback, help=text)

    async def search(self, query: str) -> Hits:
        """What fits by its title; then what has all words in its title and its description."""
        matcher, words = self.matcher(query), query.casefold().split()
        for title, text, callback, _ in self.app.get_system_commands(self.screen):
            said = f"{title} {text}".casefold()
            if score := matcher.match(title) or IN_DESCRIPTION * all(word in said for word in words):
                yield Hit(score, matcher.highlight(title), callback, help=text)


def commands_of(app: "NoodleApp", screen: Screen) -> Iterator[SystemCommand]:
    """What the keys of a screen do, and of its focused widget those in the footer: not each arrow and editing key."""
    if isinstance(screen, ModalScreen):
        return
    in_footer_first = sorted(screen.active_bindings.values(), key=lambda active: not active.binding.show)
    for node, binding, enabled, _ in in_footer_first:
        is_listed = binding.show if node is not screen else binding.action not in TEXTUALS_OWN
        if enabled and binding.description and is_listed and node is not app:  # Quit stands at the end
            yield _command(app, screen, binding, partial(app.call_later, _do, app, screen, binding.action, node))


async def _do(app: "NoodleApp", screen: Screen, action: str, node: DOMNode) -> None:
    """Unless the screen is gone by now: what was chosen a moment before may have led elsewhere."""
    if app.screen is screen:
        await app.run_action(action, node)


def commands_searched(app: "NoodleApp", screen: Screen) -> Iterator[SystemCommand]:
    """What is found, but not listed: the options of the form, and what the keys of a screen do at other times."""
    if isinstance(screen, SetupScreen):
        for name, editor in screen.form.editors.items():
            if editor.is_attached:
                yield SystemCommand(label_of(name), f"to its field: {editor.option.help}",
                                    partial(app.call_later, editor.focus), discover=False)
    for binding in screen.BINDINGS:
        if isinstance(binding, Binding) and binding.description and not isinstance(screen, ModalScreen):
            not_now = partial(app.notify, f"{binding.description}: not now.", severity="warning", timeout=4)
            yield _command(app, screen, binding, not_now, now=False)


def _command(app: "NoodleApp", screen: Screen, binding: Binding, do: Callable[[], object], now: bool = True) -> SystemCommand:
    """What a key does, as the screen's help says it."""
    shown = app.get_key_display(binding)
    rows = [row for _, rows in getattr(screen, "KEYS", ()) for row in rows]
    text = next((text for keys, text in rows if {shown, *binding.key.split(",")} & set(keys.split())), "")
    return SystemCommand(binding.description, f"{shown}  {text}" if now else f"not now: {shown}  {text}", do, discover=now)


def commands_anywhere(app: "NoodleApp") -> Iterator[SystemCommand]:
    """The way to each screen, and out."""
    yield SystemCommand("Setup", "The form: start a new run", app.home)
    yield SystemCommand("Runs", "All runs of the save folder", app.action_runs)
    if app.background is not None:
        yield SystemCommand("Live", "The run that was started here", app.action_live)
    yield SystemCommand("Theme", "Dark or light colours", app.action_change_theme)
    yield SystemCommand("Quit", "Leave; a run that is going on may be left running", app.action_leave)
