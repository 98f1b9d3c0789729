"""The line of keys, in an app that is open for a day: each change of the focus asks it to be made anew."""

import gc
import weakref

import pytest
from small_app import SmallApp, until
from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widgets import Button
from textual.widgets._footer import FooterKey

from noodle_tui.tui.widgets.key_bar import KeyBar


class TwoButtons(Screen[None]):
    BINDINGS = [Binding("x", "act", "Act"), Binding("h", "help", "Help")]  # noqa: RUF012
    acts = True

    def compose(self) -> ComposeResult:
        yield Button("one")
        yield Button("two")
        yield KeyBar(show_command_palette=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.acts or action != "act"


async def test_keys_that_stay_the_same_are_not_made_anew_and_those_before_are_let_go() -> None:
    screen = TwoButtons()
    app = SmallApp(screen)

    def keys() -> dict[str, FooterKey]:
        return {key.description: key for key in screen.query(FooterKey)}

    async with app.run_test() as pilot:
        await until(pilot, lambda: len(keys()) == 2)
        first = keys()
        await pilot.press(*["tab"] * 3)
        assert keys() == first, "a change of the focus alone"
        gone = [weakref.ref(key) for key in first.values()]
        first.clear()
        for acts in (False, True, False):
            screen.acts = acts
            screen.refresh_bindings()
            await until(pilot, lambda acts=acts: ("Act" in keys()) == acts and bool(keys()))
        gc.collect()
        assert [key() for key in gone] == [None, None], "each that there ever was would stay in memory"
        await pilot.resize_terminal(8, 24)
        await until(pilot, lambda: list(keys()) == ["Help"])


async def test_a_key_is_styled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual would style each twice: as it is built, and as it hears that the line is compact."""
    styled: list[FooterKey] = []
    update = FooterKey.update_node_styles

    def watched(self: FooterKey, *arguments: bool) -> None:
        styled.append(self)
        update(self, *arguments)

    monkeypatch.setattr(FooterKey, "update_node_styles", watched)
    screen = TwoButtons()
    async with SmallApp(screen).run_test() as pilot:
        await until(pilot, lambda: len(screen.query(FooterKey)) == 2)
        assert all(key.has_class("-compact") for key in screen.query(FooterKey))
        assert styled == []
