"""The app: from screen to screen and back, and the command palette."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import MakeConfig
from fake_folders import fake_folder
from small_app import until
from textual.widgets import Button, Static

from noodle_tui.tui import compare, result_text, runs_keys
from noodle_tui.tui.app import NoodleApp
from noodle_tui.tui.live import LiveScreen
from noodle_tui.tui.result import ResultScreen
from noodle_tui.tui.runs import RunsScreen
from noodle_tui.tui.setup import SetupScreen
from noodle_tui.tui.sources import FolderSource
from noodle_tui.tui.widgets.pick_list import PickList


async def test_out_of_a_result_the_way_leads_to_where_it_was_opened(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "stopped")
    app = NoodleApp({"save_dir": str(tmp_path)}, recall_last=False)
    async with app.run_test() as pilot:
        app.show_live(FolderSource(folder), "run")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen) and app.screen.state.ended is not None)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen) and app.screen.facts is not None)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, SetupScreen))
        app.show_runs(tmp_path)
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and bool(app.screen.selection.shown))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_a_resumed_run_is_shown_under_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fake_folder(tmp_path, "run", "stopped")
    titles: list[str] = []
    monkeypatch.setattr("noodle_tui.background.BackgroundRun", lambda config: None)
    monkeypatch.setattr(NoodleApp, "action_live", lambda self, title: titles.append(title))
    app = NoodleApp(first=RunsScreen(tmp_path))
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and bool(app.screen.selection.shown))
        await pilot.press("r")
        await until(pilot, lambda: bool(titles))
        assert titles == [folder.name]


async def test_the_palette_lists_each_action_once() -> None:
    app = NoodleApp(recall_last=False)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.screen is app.setup)
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert titles.count("Quit") == 1
        assert titles.count("Help") == 1
        assert "Start" in titles


async def test_the_palette_does_what_the_focused_widget_can(tmp_path: Path) -> None:
    for name in ("one", "two"):
        fake_folder(tmp_path, name)
    app = NoodleApp(first=RunsScreen(tmp_path))
    async with app.run_test() as pilot:
        runs = app.screen
        assert isinstance(runs, RunsScreen)
        await until(pilot, lambda: len(runs.selection.shown) == 2)
        await pilot.press("slash", *"one")
        commands = {command.title: command.callback for command in app.get_system_commands(runs)}
        commands["Keep it, to the list"]()
        await until(pilot, lambda: isinstance(runs.focused, PickList))


@pytest.mark.parametrize("keys", [compare.KEYS, result_text.KEYS, runs_keys.KEYS])
def test_every_help_says_how_to_quit(keys: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> None:
    assert any(key == "ctrl+q" and "quit" in text for _, group in keys for key, text in group)


async def test_a_run_and_the_list_of_runs_are_there_once_however_often_one_goes_between_them(
    config_for: MakeConfig, runs_dir: Path
) -> None:
    """Each screen that follows a run keeps a thread. Piled up, they left none for a stop."""
    app = NoodleApp({"save_dir": str(runs_dir)}, recall_last=False)
    async with app.run_test() as pilot:
        app.start(config_for(runs_dir, n_epochs=100_000))
        await until(pilot, lambda: isinstance(app.screen, LiveScreen) and app.screen.state.epoch > 0)
        live = app.screen
        assert isinstance(live, LiveScreen)
        for _ in range(8):
            await pilot.press("f5")
            await until(pilot, lambda: isinstance(app.screen, RunsScreen) and bool(app.screen.selection.shown))
            assert isinstance(app.screen, RunsScreen) and app.screen.picked is not None
            assert app.screen.picked.folder == live.source.folder, "the cursor is on the run that one comes from"
            await pilot.press("enter")
            await until(pilot, lambda: app.screen is live)
        assert len(app.screen_stack) == 3  # Textual's own, Setup, Live

        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.setup)
        await until(pilot, lambda: "To the run" in str(app.setup.query_one("#start", Button).label))
        assert "a run goes on in this app" in str(app.setup.query_one("#headline", Static).content)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen))

        await pilot.press("s", "y")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen) and app.screen.status == "stopped")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.setup and "Start" in str(app.setup.query_one("#start", Button).label))


async def test_there_are_threads_for_everything_that_a_screen_does(tmp_path: Path) -> None:
    app = NoodleApp({"save_dir": str(tmp_path)}, recall_last=False)
    async with app.run_test():
        held = threading.Event()
        waiting = [asyncio.to_thread(held.wait, 30) for _ in range(40)]
        followers = [asyncio.ensure_future(one) for one in waiting]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "done"), 10) == "done"
        held.set()
        await asyncio.gather(*followers)


async def test_the_runs_beside_a_result_are_a_key_away(tmp_path: Path) -> None:
    folders = [fake_folder(tmp_path, name) for name in ("one", "two", "three")]
    app = NoodleApp(recall_last=False)
    async with app.run_test() as pilot:
        app.show_result(folders[0])
        await until(pilot, lambda: isinstance(app.screen, ResultScreen))
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and len(app.screen.selection.shown) == 3)
        assert isinstance(app.screen, RunsScreen) and app.screen.picked is not None
        assert app.screen.picked.folder == folders[0]
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen))
