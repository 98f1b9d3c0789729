"""The app: from screen to screen and back, and the command palette."""

import asyncio
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from conftest import MakeConfig
from fake_folders import fake_folder, summarise
from fake_runs import ReplaySource, fake_events
from fake_stimuli import draw_seed_like
from small_app import burst, until
from textual.binding import Binding
from textual.command import CommandList, CommandPalette
from textual.events import Key
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen
from textual.widgets import Button, Input, Static
from textual.widgets._footer import FooterKey

from noodle_tui import tui
from noodle_tui.config import RunConfig
from noodle_tui.rejig import undo_rejig
from noodle_tui.run import run
from noodle_tui.run_folder import locked
from noodle_tui.tui import app as app_module
from noodle_tui.tui import chores
from noodle_tui.tui.app import NoodleApp
from noodle_tui.tui.below import only_on_top
from noodle_tui.tui.compare import CompareScreen
from noodle_tui.tui.live import LiveScreen
from noodle_tui.tui.messages import PickUp
from noodle_tui.tui.result import ResultScreen
from noodle_tui.tui.runs import RunsScreen
from noodle_tui.tui.setup import SetupScreen
from noodle_tui.tui.sources import FolderSource
from noodle_tui.tui.widgets.dialogs import ChoiceDialog, Help, Question
from noodle_tui.tui.widgets.key_bar import KeyBar
from noodle_tui.tui.widgets.path_picker import PickFile, PickFolder
from noodle_tui.tui.widgets.pick_list import PickList
from noodle_tui.tui.widgets.sheet import Sheet
from noodle_tui.tui.widgets.too_small import TooSmall

TEXTUALS = {"Focus Next", "Focus Previous", "Copy selected text", "Scroll Up", "Scroll Down", "Page Up", "Page Down"}


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


async def test_the_curves_of_a_run_that_has_ended_are_a_key_away_from_its_result(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "done", report=True)
    app = NoodleApp({"save_dir": str(tmp_path)}, recall_last=False)
    async with app.run_test() as pilot:
        app.show_result(folder)
        await until(pilot, lambda: isinstance(app.screen, ResultScreen) and app.screen.facts is not None)
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen) and app.screen.state.ended is not None)
        await pilot.press("left")
        assert isinstance(app.screen, LiveScreen) and app.screen.view.cursor == 40
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen))


async def test_from_setup_f5_leads_to_the_runs_of_its_save_dir_and_n_back(tmp_path: Path) -> None:
    app = NoodleApp({"save_dir": str(tmp_path), "n_epochs": "many"}, recall_last=False)  # a wrong field keeps nobody from it
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.setup.query_one("#option-stimuli").has_focus)
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and app.screen.save_dir == tmp_path)
        await pilot.press("n")
        await until(pilot, lambda: app.screen is app.setup)


async def test_options_are_copied_to_a_setup_that_was_never_shown(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "done", lr=0.05)
    app = NoodleApp(first=LiveScreen(FolderSource(folder), "run"), recall_last=False)  # as `noodle watch` does
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, LiveScreen) and app.screen.state.ended is not None)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen) and app.screen.facts is not None)
        await pilot.press("c")
        await until(pilot, lambda: app.screen is app.setup and app.setup.is_mounted)
        await until(pilot, lambda: app.setup.query_one("#option-lr", Input).value == "0.05")


@pytest.mark.parametrize("key", ["d", "escape"])
async def test_out_of_what_noodle_watch_opened_the_way_leads_to_the_shell(tmp_path: Path, key: str) -> None:
    folder = fake_folder(tmp_path, "run", "running")
    first = LiveScreen(FolderSource(folder), "run")
    app = NoodleApp(first=first, recall_last=False)
    with locked(folder):
        async with app.run_test() as pilot:
            await until(pilot, lambda: first.status == "running")
            await pilot.press("f5")
            await until(pilot, lambda: isinstance(app.screen, RunsScreen) and bool(app.screen.selection.shown))
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is first)
            assert not app._exit, "only from the screen that it opened on"
            await pilot.press(key)
            await until(pilot, lambda: app._exit)
    assert app.return_code in (0, None) and not app.setup.is_mounted and not (folder / "stop").exists()


async def test_a_run_of_this_app_is_not_left_with_what_noodle_watch_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was resumed from the list of runs, and began only when its user was back on the first screen."""
    folder = fake_folder(tmp_path, "run", "running")
    first = LiveScreen(FolderSource(folder), "run")
    app = NoodleApp(first=first, recall_last=False)
    with locked(folder):
        async with app.run_test() as pilot:
            await until(pilot, lambda: first.status == "running")
            monkeypatch.setattr(app, "is_busy", lambda: True)
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.setup)
            assert not app._exit


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


async def test_no_photo_leaves_its_folder_for_a_resumed_run_without_a_yes(
    tmp_path: Path, config_for: MakeConfig, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stimuli, data_dir = tmp_path / "stimuli", tmp_path / "sorted"
    draw_seed_like(stimuli)
    folder = run(config_for(runs_dir, n_epochs=1, stimuli=stimuli, data_dir=data_dir, rejig_data=True, mode="move")).folder
    started: list[Path | None] = []
    monkeypatch.setattr("noodle_tui.background.BackgroundRun", lambda config: started.append(config.load_dir))
    app = NoodleApp(first=RunsScreen(runs_dir))
    async with app.run_test(notifications=True) as pilot:
        app.post_message(PickUp(folder))
        await until(pilot, lambda: started == [folder])  # nothing is to be moved: no question

        undo_rejig(data_dir, stimuli=stimuli)
        app.post_message(PickUp(folder))
        await until(pilot, lambda: isinstance(app.screen, Question) and bool(app.screen.query(Static)))
        assert f"60 photos will be moved from {stimuli} to {data_dir}." in str(app.screen.query_one(Static).content)
        await pilot.press("enter")  # the safe answer
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert started == [folder]
        app.post_message(PickUp(folder))
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: started == [folder, folder])

        look, elsewhere = chores.photos_to_move, threading.Event()
        monkeypatch.setattr(chores, "photos_to_move", lambda *args: elsewhere.wait(30) and look(*args))
        app.post_message(PickUp(folder))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help))
        elsewhere.set()
        await until(pilot, lambda: any(note.title == "Not resumed" for note in app._notifications))
        assert isinstance(app.screen, Help) and started == [folder, folder]
        await pilot.press("escape")

        for file in ("checkpoint.pt", "checkpoint.prev.pt"):
            (folder / file).write_bytes(b"torn")
        app.post_message(PickUp(folder))
        await until(pilot, lambda: any(note.title == "Not started" for note in app._notifications))
        assert started == [folder, folder]


async def test_what_is_asked_for_twice_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fake_folder(tmp_path, "run", "stopped")
    monkeypatch.setattr(chores, "may_move_photos", lambda _: True)
    monkeypatch.setattr(chores, "photos_to_move", lambda *_: (RunConfig(), None))
    monkeypatch.setattr(app_module, "resume_question", lambda *_: Question("Move?", "All photos.", "y", "n"))
    app = NoodleApp(first=RunsScreen(tmp_path))
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and bool(app.screen.selection.shown))
        app.post_message(PickUp(folder))
        await until(pilot, lambda: isinstance(app.screen, Question))
        app.post_message(PickUp(folder))
        await pilot.pause(0.3)
        assert [type(screen) for screen in app.screen_stack[1:]] == [RunsScreen, Question]
        await pilot.press("escape")
        burst(pilot, "enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen))
        await pilot.pause(0.3)
        assert [type(screen) for screen in app.screen_stack[1:]] == [RunsScreen, ResultScreen]


async def test_a_resumed_run_does_not_take_the_screen_from_who_types_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, looked, started = fake_folder(tmp_path, "run", "stopped"), threading.Event(), list[Path | None]()
    monkeypatch.setattr("noodle_tui.background.BackgroundRun", lambda config: started.append(config.load_dir))
    monkeypatch.setattr(chores, "may_move_photos", lambda _: looked.wait(30) and False)
    app = NoodleApp(first=RunsScreen(tmp_path))
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and bool(app.screen.selection.shown))
        await pilot.press("r", "slash", "s")
        looked.set()
        await until(pilot, lambda: started == [folder])
        await until(pilot, lambda: any("ctrl+p, Live" in note.message for note in app._notifications))
        assert isinstance(app.screen, RunsScreen) and app.screen.query_one(Input).value == "s"


async def test_the_palette_lists_each_action_once() -> None:
    app = NoodleApp(recall_last=False)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.screen is app.setup)
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert len(titles) == len(set(titles))
        assert {"Quit", "Help", "Runs"} <= set(titles)
        assert titles[0] == "Start", "what the screen can do comes first"
        await pilot.press("ctrl+p")
        await until(pilot, lambda: bool(app.screen.query(CommandList)) and bool(app.screen.query_one(CommandList).option_count))
        listed = app.screen.query_one(CommandList)
        assert [str(option.prompt).splitlines()[0] for option in listed.options][:2] == titles[:2]


async def found(pilot: Pilot[Any], query: str) -> list[str]:
    """What the palette has for a query: title and description, the best first; the palette is left open."""
    app = pilot.app
    await pilot.press("ctrl+p", *query)
    await until(pilot, lambda: isinstance(app.screen, CommandPalette) and app.screen.query_one(Input).value == query)
    palette = app.screen
    await until(pilot, lambda: not palette.has_class("-searching") and bool(palette.query_one(CommandList).option_count))
    await pilot.pause(0.3)
    return [str(option.prompt) for option in palette.query_one(CommandList).options]


@pytest.mark.parametrize(("query", "hit", "says"), [
    ("light", "Theme", "light colours"), ("undo", "Undo", "f3"), ("sample", "Photos", "f7"), ("command", "Command", "f6"),
    ("seed", "seed", "decides what is random"), ("comet", "comet", "log to Comet"), ("held out", "val fraction", "held out"),
])
async def test_the_palette_finds_by_title_and_by_what_is_said_of_it(query: str, hit: str, says: str) -> None:
    app = NoodleApp({"weights": "none", "device": "cpu"}, recall_last=False)
    async with app.run_test(size=(100, 40)) as pilot:
        await until(pilot, lambda: app.setup.form.editors["tensorboard"].is_attached)
        first = (await found(pilot, query))[0]
        assert first.startswith(hit) and says in first


async def test_an_option_that_is_chosen_in_the_palette_gets_the_keyboard() -> None:
    app = NoodleApp({"weights": "none", "device": "cpu"}, recall_last=False)
    async with app.run_test(size=(80, 24)) as pilot:
        field = app.setup.form.editors["momentum"]
        await until(pilot, lambda: field.is_attached)
        assert (await found(pilot, "momentum"))[0].startswith("momentum")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.setup and field.has_focus)


@pytest.mark.parametrize("name", ["setup", "live", "runs", "result", "overlay"])
async def test_the_palette_says_of_each_key_what_the_help_says(name: str, tmp_path: Path) -> None:
    screen = OPENED[name](fake_folder(tmp_path, "run", "done"))
    async with NoodleApp(first=screen).run_test() as pilot:
        await until(pilot, lambda: pilot.app.screen is screen)
        await pilot.pause(0.3)
        bare = [command.title for command in pilot.app.get_system_commands(screen) if len(command.help.split()) < 3]
        assert not [title for title in bare if title not in ("Back", "Help", "Panel up", "Panel down")]


async def test_the_palette_leaves_out_how_one_types_and_scrolls(tmp_path: Path) -> None:
    fake_folder(tmp_path, "one", report=True)
    app = NoodleApp(recall_last=False)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.setup.query_one("#option-stimuli").has_focus)
        in_setup = {command.title for command in app.get_system_commands(app.screen)}
        app.show_result(tmp_path / "one-20261123-101500")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen) and app.screen.facts is not None)
        await pilot.pause()
        in_result = {command.title for command in app.get_system_commands(app.screen)}
        app.show_live(ReplaySource(fake_events(3, "running"), alive=True), "run")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen) and app.screen.status == "running")
        in_live = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Predict", "Log scale"} <= in_result and {"Pause", "Zoom in"} <= in_live
        for titles in (in_setup, in_result, in_live):
            assert not [title for title in titles if title in TEXTUALS or title.startswith("Field")]
        assert not any(binding.description in in_setup for binding in Input.BINDINGS if isinstance(binding, Binding))


@pytest.mark.parametrize("width", [60, 72, 80, 100, 120])
async def test_every_footer_shows_whole_keys(tmp_path: Path, width: int) -> None:
    def whole() -> bool:
        keys = app.screen.query(FooterKey).exclude(".-command-palette")
        palette = app.screen.query("FooterKey.-command-palette")
        room = palette.first().region.x if width >= 100 and palette else width
        return bool(keys) and all(0 < key.region.right <= room for key in keys)

    fake_folder(tmp_path, "one", report=True)
    fake_folder(tmp_path, "two", "stopped")
    app = NoodleApp(recall_last=False)
    async with app.run_test(size=(width, 24)) as pilot:
        app.show_live(ReplaySource(fake_events(9, "running"), alive=True), "run")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen) and app.screen.status == "running")
        await until(pilot, whole)
        if width == 80:
            assert "Info" in [key.description for key in app.screen.query(FooterKey)]
        app.show_result(tmp_path / "one-20261123-101500")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen) and app.screen.facts is not None and whole())
        app.show_runs(tmp_path)
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and len(app.screen.selection.shown) == 2)
        await pilot.press("space", "space")
        await until(pilot, whole)
        await pilot.press("v")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and whole())


async def test_of_two_commands_at_once_the_second_is_for_a_screen_that_is_gone(tmp_path: Path) -> None:
    """Enter that is struck twice, over a slow line."""
    fake_folder(tmp_path, "run")
    app = NoodleApp({"save_dir": str(tmp_path)}, recall_last=False)
    async with app.run_test() as pilot:
        app.show_runs(tmp_path)
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and bool(app.screen.selection.shown))
        commands = {command.title: command.callback for command in app.get_system_commands(app.screen)}
        commands["New"]()
        commands["Sort"]()
        await until(pilot, lambda: app.screen is app.setup)
        await pilot.pause()


@pytest.mark.parametrize("key", ["pageup", "pagedown"])
async def test_a_page_key_that_is_quicker_than_the_palette_does_nothing(key: str) -> None:
    app = NoodleApp(recall_last=False)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.setup.query_one("#option-stimuli").has_focus)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        palette = app.screen.query_one(CommandList)
        await until(pilot, lambda: palette.option_count > 9 and palette.highlighted == 0)
        await pilot.resize_terminal(1, 1)  # as little room as a list has that isn't drawn yet
        await pilot.press(key)
        await pilot.resize_terminal(80, 24)
        await pilot.press("pagedown")
        assert palette.highlighted


async def test_keys_behind_the_one_that_ends_the_app_do_nothing(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "running")
    app = NoodleApp(first=LiveScreen(FolderSource(folder), "run"), recall_last=False)
    async with app.run_test() as pilot:
        await pilot.pause()
        for key in ("escape", "f5", "end", "v"):
            app.post_message(Key(key, None))
        await until(pilot, lambda: app.return_code == 0)
        await pilot.pause(0.3)


WINDOWS: dict[str, Callable[[], Screen]] = {
    "question": lambda: Question("t", "x", "yes", "no"),
    "choice": lambda: ChoiceDialog("t", "x", (("a", "A", "s"), ("b", "B", "d"))),
    "folder": lambda: PickFolder(Path()),
    "file": lambda: PickFile(Path()),
}


@pytest.mark.parametrize("name", WINDOWS)
async def test_a_button_that_is_pressed_twice_closes_only_its_window(name: str) -> None:
    app = NoodleApp(recall_last=False)
    async with app.run_test() as pilot:
        window = WINDOWS[name]()
        app.push_screen(window)
        await until(pilot, lambda: bool(window.query(Button)))
        button = window.query(Button).last()
        button.press()
        button.press()
        await until(pilot, lambda: app.screen is not window)
        await pilot.pause()
        assert app.screen is app.setup


async def test_keys_that_come_twice_close_only_their_window() -> None:
    app = NoodleApp(recall_last=False)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.setup.query_one("#option-stimuli").has_focus)
        app.push_screen(WINDOWS["choice"]())
        await pilot.pause()
        burst(pilot, "dd")
        await until(pilot, lambda: app.screen is app.setup)
        await pilot.press("ctrl+p")
        burst(pilot, "dl", "enter", "enter")
        await until(pilot, lambda: not isinstance(app.screen, CommandPalette))
        await pilot.pause(0.3)
        assert app.screen is app.setup


async def test_a_letter_behind_the_key_that_closes_the_palette_is_no_search(tmp_path: Path) -> None:
    """Keys that were all read before the app had seen the first."""
    fake_folder(tmp_path, "run")
    app = NoodleApp({"save_dir": str(tmp_path)}, recall_last=False)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.setup.query_one("#option-stimuli").has_focus)
        await pilot.press("f5")
        for key in ("escape", "p", "ctrl+p", "pageup", "ctrl+r", "c"):
            app.post_message(Key(key, key if len(key) == 1 else None))
        await pilot.pause(0.5)
        assert app.is_running


async def test_r_on_a_run_that_is_done_leads_to_setup_where_it_is_given_more_epochs(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "done")
    app = NoodleApp({"save_dir": str(tmp_path)}, recall_last=False)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.setup.query_one("#option-stimuli").has_focus)
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and app.screen.picked is not None)
        await pilot.press("r")
        await until(pilot, lambda: app.screen is app.setup and app.setup.given == {"load_dir": str(folder)})
        await until(pilot, lambda: app.setup.query_one("#option-n_epochs").has_focus)


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


SAID = {"question_mark": "?", "slash": "/", "delete": "del", "escape": "esc", "plus": "+", "minus": "-", "left": "←",
        "right": "→", "pageup": "↑", "pagedown": "↓"}  # how a help names keys, where not as Textual does
OPENED: dict[str, Callable[[Path], Screen[None]]] = {
    "setup": lambda folder: SetupScreen({"weights": "none", "device": "cpu"}, recall_last=False),
    "live": lambda folder: LiveScreen(FolderSource(folder)),
    "runs": lambda folder: RunsScreen(folder.parent),
    "result": lambda folder: ResultScreen(folder),
    "overlay": lambda folder: CompareScreen([summarise(folder)] * 2),
}


@pytest.mark.parametrize("name", OPENED)
async def test_every_help_names_every_key(name: str, tmp_path: Path) -> None:
    screen = OPENED[name](fake_folder(tmp_path, "run", "done"))
    bindings = [binding for binding in screen.BINDINGS if isinstance(binding, Binding)]
    async with NoodleApp(first=screen).run_test() as pilot:
        await until(pilot, lambda: pilot.app.screen is screen)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(pilot.app.screen, Help))
        named = pilot.app.screen.query_one(Sheet).text.split()
        for key in ("ctrl+q", "ctrl+p", *(binding.key.split(",")[0] for binding in bindings)):
            said = SAID.get(key, key)
            assert said in named or said.replace("ctrl+", "^") in named
        await pilot.press("f1")
        await until(pilot, lambda: pilot.app.screen is screen)


@pytest.mark.parametrize("name", OPENED)
async def test_every_screen_is_one_of_ours(name: str, tmp_path: Path) -> None:
    """What a new one forgets nobody sees at once: to stand still below others, the keys at its foot, a word in tiny windows."""
    screen = OPENED[name](fake_folder(tmp_path, "run", "done"))
    assert type(screen).is_current is only_on_top
    async with NoodleApp(first=screen).run_test() as pilot:
        await until(pilot, lambda: pilot.app.screen is screen)
        assert screen.query_one(KeyBar) and screen.query_one(TooSmall)


def test_every_screen_is_among_those_that_are_looked_at(tmp_path: Path) -> None:
    modules = [import_module(f"noodle_tui.tui.{module.name}") for module in iter_modules(tui.__path__)]
    there = {name for module in modules for name, value in vars(module).items()
             if isinstance(value, type) and issubclass(value, Screen) and not issubclass(value, ModalScreen)
             and value.__module__ == module.__name__}
    assert there == {type(opened(fake_folder(tmp_path, name, "done"))).__name__ for name, opened in OPENED.items()}


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
        await pilot.press("p")  # it needs no processor meanwhile
        await until(pilot, lambda: live.status == "paused")
        for _ in range(3):
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
