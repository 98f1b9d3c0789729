"""The app around its screens: what it says where, and what it does for Setup."""

import os
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_folders import fake_folder
from fake_runs import ReplaySource, fake_events
from fake_stimuli import draw_seed_like
from small_app import until
from textual.css.errors import StylesheetError
from textual.css.stylesheet import Stylesheet
from textual.widgets import Button, Static
from textual.widgets._toast import Toast

from noodle_tui import demo, run_folder
from noodle_tui.config import RunConfig
from noodle_tui.control import Control
from noodle_tui.demo import draw_stimuli
from noodle_tui.errors import EXIT_STOPPED, NoodleError
from noodle_tui.preflight import checks
from noodle_tui.progress import Check, Progress
from noodle_tui.remember import recall_theme, remember_theme
from noodle_tui.run_folder import has_options, read_config
from noodle_tui.tui import chores
from noodle_tui.tui.app import NoodleApp
from noodle_tui.tui.live import LiveScreen
from noodle_tui.tui.messages import PickUp
from noodle_tui.tui.result import ResultScreen
from noodle_tui.tui.setup import SetupScreen
from noodle_tui.tui.widgets.dialogs import ChoiceDialog, Question
from noodle_tui.tui.widgets.option_field import OptionInput

SMALL = {"weights": "none", "device": "cpu"}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


async def test_what_was_said_before_does_not_cover_a_dialog_or_a_run() -> None:
    app = NoodleApp(dict(SMALL), recall_last=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        app.notify("one line\nand another", timeout=60)
        await until(pilot, lambda: bool(app.screen.query(Toast)))
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.pause()
        assert not app.screen.query(Toast)
        app.notify("what comes while it is open", timeout=60)
        await until(pilot, lambda: bool(app.screen.query(Toast)))
        toast = app.screen.query_one(Toast)
        await until(pilot, lambda: bool(toast.region))
        assert not any(toast.region.overlaps(button.region) for button in app.screen.query(Button))
        await pilot.press("escape")
        app.show_live(ReplaySource(fake_events(3, "done")), "run")
        await pilot.pause(0.3)
        assert not app.screen.query(Toast)


async def test_a_demo_is_drawn_once_and_fills_in_an_empty_form_unasked(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "draw_stimuli", partial(draw_stimuli, people=2))
    app = NoodleApp({}, recall_last=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("f4", "f4", "f4")
        await until(pilot, lambda: app.setup.given.get("namestr") == "demo")
        given = dict(app.setup.given)
        app.clear_notifications()
        await pilot.press("f4")
        await until(pilot, lambda: any("filled in already" in note.message for note in app._notifications))
        assert app.screen is app.setup
        assert app.setup.given == given
        assert [path.name for path in place.iterdir()] == ["noodle-demo"]
        await until(pilot, lambda: app.setup.panel.is_settled)  # and remembered
    again = NoodleApp()  # with what is remembered of the folder
    async with again.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("f4")
        await until(pilot, lambda: any("filled in already" in note.message for note in again._notifications))
        await pilot.press("f8", "y", "f4")
        await until(pilot, lambda: again.setup.given.get("namestr") == "demo")


async def test_the_colours_are_remembered() -> None:
    app = NoodleApp(recall_last=False)
    assert app.theme == "noodle-dark"
    async with app.run_test() as pilot:
        app.theme = "noodle-light"
        await until(pilot, lambda: recall_theme() == "noodle-light")
    later = NoodleApp(recall_last=False)
    assert later.theme == "noodle-light"
    assert set(later.available_themes) == {"noodle-dark", "noodle-light"}, "those in which everything can be told apart"
    remember_theme("from a later version")
    assert NoodleApp(recall_last=False).theme == "noodle-dark"


async def test_the_first_key_replaces_what_the_first_field_holds() -> None:
    app = NoodleApp({**SMALL, "stimuli": "tiny"}, recall_last=False)
    async with app.run_test(size=(80, 24)) as pilot:
        field = app.setup.query_one("#option-stimuli", OptionInput)
        await until(pilot, lambda: field.has_focus and app.setup.result is not None)
        await pilot.resize_terminal(70, 24)
        await pilot.pause(0.1)
        await pilot.press("x")
        assert field.value == "x"


async def test_ctrl_c_in_a_field_copies_or_says_how_to_quit() -> None:
    app = NoodleApp({**SMALL, "stimuli": "tiny"}, recall_last=False)
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.setup.query_one("#option-stimuli").has_focus)
        await pilot.press("ctrl+c")
        await pilot.pause()
        assert app.clipboard == "tiny" and not app._notifications
        await pilot.press("end", "ctrl+c")
        await until(pilot, lambda: any(note.message == "ctrl+q quits" for note in app._notifications))


async def test_ctrl_c_says_how_to_quit() -> None:
    app = NoodleApp(recall_last=False)
    async with app.run_test(notifications=True) as pilot:
        app.show_live(ReplaySource(fake_events(3, "running")), "run")
        await pilot.pause()
        await pilot.press("ctrl+c")
        await until(pilot, lambda: any(note.message == "ctrl+q quits" for note in app._notifications))


def said(app: NoodleApp, words: str) -> bool:
    """Whether a note that is shown has these words."""
    return any(words in note.message for note in app._notifications)


@pytest.mark.parametrize("touch", ["m", "tab", "f1"])
async def test_a_run_that_goes_on_does_not_take_the_screen_from_who_is_at_work(
    touch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    listed = run_folder.list_runs
    monkeypatch.setattr("noodle_tui.tui.app.list_runs", lambda save_dir: listed(save_dir) if answered.wait(30) else [])
    folder = fake_folder(tmp_path / "weights", "night", "running")
    app = NoodleApp({**SMALL, "save_dir": str(tmp_path / "weights")}, recall_last=False)
    with run_folder.locked(folder):
        async with app.run_test(notifications=True) as pilot:
            await until(pilot, lambda: app.setup.query_one("#option-stimuli").has_focus)
            await pilot.press(touch)
            screen = app.screen
            answered.set()
            await until(pilot, lambda: said(app, "1 run going on"))
            assert app.screen is screen


async def test_a_run_that_goes_on_is_shown_at_once(tmp_path: Path) -> None:
    with run_folder.locked(fake_folder(tmp_path / "weights", "night", "running")):
        app = NoodleApp({"save_dir": str(tmp_path / "weights")}, recall_last=False)
        async with app.run_test() as pilot:
            await until(pilot, lambda: isinstance(app.screen, LiveScreen))


async def test_who_came_for_a_run_of_her_own_is_only_told_of_another(tmp_path: Path) -> None:
    with run_folder.locked(fake_folder(tmp_path / "weights", "night", "running")):
        app = NoodleApp({**SMALL, "save_dir": str(tmp_path / "weights")}, recall_last=False)
        async with app.run_test(notifications=True) as pilot:
            await until(pilot, lambda: said(app, "1 run going on in "))
            assert app.screen is app.setup


async def test_who_repeats_the_command_of_a_run_that_goes_on_sees_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = fake_folder(tmp_path / "weights", "night", "running")
    config = read_config(folder)
    values = {"data_dir": os.path.abspath(config["data_dir"]), "lr": str(config["lr"]), "save_dir": "weights"}
    with run_folder.locked(folder):
        app = NoodleApp(values, recall_last=False)
        async with app.run_test() as pilot:
            await until(pilot, lambda: isinstance(app.screen, LiveScreen))
    assert not has_options(folder, {**values, "lr": "0.5"}) and not has_options(folder, {"lr": "x"})
    assert has_options(folder, {"load_dir": str(folder)}) and not has_options(folder, {"load_dir": str(tmp_path)})


async def test_sorting_is_said_done_once_and_not_left(monkeypatch: pytest.MonkeyPatch) -> None:
    sorted_now, calls = threading.Event(), []

    def sort(config: RunConfig, progress: Progress, check: Check) -> str:
        calls.append(config)
        progress(1200, 5000)
        sorted_now.wait(30)
        check()
        return "all are sorted"

    monkeypatch.setattr(chores, "rejig", sort)
    app = NoodleApp(dict(SMALL), recall_last=False)
    async with app.run_test(notifications=True) as pilot:
        app.post_message(SetupScreen.RejigOnly(RunConfig()))
        headline = app.setup.query_one("#headline", Static)
        await until(pilot, lambda: "… sorting the photos: 24%" in str(headline.content))
        app.post_message(SetupScreen.UndoRejig(Path("sorted"), Path("stimuli")))
        await until(pilot, lambda: said(app, "Still sorting the photos"))
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        await pilot.press("enter")  # the safe answer: let it finish
        assert app.is_running and app.screen is app.setup
        sorted_now.set()
        await until(pilot, lambda: said(app, "all are sorted"))
        assert not app.at_work() and "sorting" not in str(headline.content)
        await pilot.press("ctrl+q")
    assert len(calls) == 1 and app._exit


class Held:
    """A chore that goes on until it is let go, and looks then whether it is to stop."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.fails = False

    def __call__(self, *arguments: Any) -> str:
        *_, check = arguments
        self.begun.set()
        self.let_go.wait(30)
        check()
        if self.fails:
            raise NoodleError("a full disk")
        return "all is done"


@pytest.mark.parametrize("fails", [False, True])
async def test_a_start_waits_for_the_photos_and_nobody_looks_at_them_meanwhile(
    fails: bool, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, started, looks = Held(), list[RunConfig](), list[RunConfig]()
    look = checks.preflight

    def look_slowly(config: RunConfig, *rest: Any) -> Any:
        looks.append(config)
        found = look(config, *rest)
        time.sleep(0.2)
        return found

    monkeypatch.setattr(checks, "preflight", look_slowly)
    monkeypatch.setattr(chores, "rejig", held)
    app = NoodleApp({**SMALL, "data_dir": str(data_dir)}, recall_last=False)
    monkeypatch.setattr(app, "start", started.append)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.setup.panel.is_settled)
        looks.clear()
        app.setup.look_again()
        await until(pilot, lambda: bool(looks))  # it is under way when photos begin to move
        app.post_message(SetupScreen.RejigOnly(RunConfig()))
        await until(pilot, held.begun.is_set)
        before = app.setup.result
        looks.clear()
        await pilot.press("ctrl+r", "f9")
        headline = app.setup.query_one("#headline", Static)
        await until(pilot, lambda: str(headline.content) == "… sorting the photos, then Start")
        await pilot.pause(0.3)
        assert not looks and not started and app.setup.result is before
        held.fails = fails
        held.let_go.set()
        await until(pilot, lambda: bool(looks) and app.setup.panel.is_settled)
        await pilot.pause()
        assert [str(config.data_dir) for config in started] == ([] if fails else [str(data_dir)])


async def test_a_start_right_behind_the_yes_to_sorting_waits_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    held, started = Held(), list[RunConfig]()
    monkeypatch.setattr(chores, "rejig", held)
    draw_seed_like(Path("stimuli"))
    app = NoodleApp({**SMALL, "stimuli": "stimuli", "data_dir": "sorted", "rejig_data": True}, recall_last=False)
    monkeypatch.setattr(app, "start", started.append)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.setup.panel.is_settled)
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("y", "ctrl+r")
        await until(pilot, held.begun.is_set)
        headline = app.setup.query_one("#headline", Static)
        await until(pilot, lambda: str(headline.content) == "… sorting the photos, then Start")
        assert app.screen is app.setup, "photos are not asked about that are on their way already"
        held.let_go.set()
        await until(pilot, lambda: isinstance(app.screen, Question))  # they were not sorted really


async def test_a_start_that_waits_for_the_demo_is_meant_for_it(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, started = threading.Event(), list[RunConfig]()

    def draw(progress: Progress, check: Check) -> dict[str, Any]:
        drawn.wait(30)
        return {**SMALL, "data_dir": str(data_dir)}

    monkeypatch.setattr(chores, "draw_demo", draw)
    app = NoodleApp({}, recall_last=False)
    monkeypatch.setattr(app, "start", started.append)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.setup.panel.is_settled)
        await pilot.press("f4")
        await until(pilot, lambda: bool(app.at_work()))
        await pilot.press("ctrl+r")
        drawn.set()
        await until(pilot, lambda: [config.data_dir for config in started] == [data_dir])


async def test_no_run_is_resumed_while_photos_are_on_their_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held()
    monkeypatch.setattr(chores, "rejig", held)
    app = NoodleApp(dict(SMALL), recall_last=False)
    async with app.run_test(notifications=True) as pilot:
        app.post_message(SetupScreen.RejigOnly(RunConfig()))
        await until(pilot, held.begun.is_set)
        app.post_message(PickUp(fake_folder(tmp_path / "weights", "night", "interrupted")))
        await until(pilot, lambda: said(app, "Still sorting the photos"))
        assert not app.is_busy() and not [worker for worker in app.workers if worker.group == "pick up"]
        held.let_go.set()
        await until(pilot, lambda: not app.at_work())
        await pilot.pause()  # what it says at its end comes before the app goes


async def test_sorting_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held()
    monkeypatch.setattr(chores, "rejig", held)
    app = NoodleApp(dict(SMALL), recall_last=False)
    async with app.run_test(notifications=True) as pilot:
        app.post_message(SetupScreen.RejigOnly(RunConfig()))
        await until(pilot, held.begun.is_set)
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, ChoiceDialog))
        await pilot.press("s")
        await until(pilot, lambda: app._exit)
        held.let_go.set()
    assert app.chore is not None
    app.chore.join()
    assert app.chore.last_words.startswith("Stopped sorting the photos: every photo is whole")


async def test_a_signal_while_photos_are_sorted_stops_that(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held()
    monkeypatch.setattr(chores, "undo", held)
    app = NoodleApp(dict(SMALL), recall_last=False)
    async with app.run_test() as pilot:
        app.post_message(SetupScreen.UndoRejig(Path("sorted"), Path("stimuli")))
        await until(pilot, held.begun.is_set)
        app.stop_and_leave("stopped by SIGTERM")
        held.let_go.set()
    assert app.chore is not None and app.return_code == EXIT_STOPPED
    app.chore.join()
    assert app.chore.last_words.startswith("Stopped putting the photos back")
    app.on_done(chores.Done("late"))  # a chore may end when the screens are gone
    app.on_demo_drawn(chores.DemoDrawn({}))


async def test_control_characters_of_what_kept_a_chore_from_its_end_are_shown_as_escapes() -> None:
    app = NoodleApp(dict(SMALL), recall_last=False)
    async with app.run_test(notifications=True) as pilot:
        app.post_message(chores.Done("a photo\x1b[2J", failed=True))
        await until(pilot, lambda: bool(app._notifications))
        assert [one.message for one in app._notifications] == [r"a photo\x1b[2J"]


def test_what_keeps_a_stopped_chore_from_its_end_is_its_last_word() -> None:
    """The app has gone then, and shows no message any more."""
    begun, asked, told = threading.Event(), threading.Event(), []

    def sort(progress: Progress, check: Check) -> chores.Done:
        begun.set()
        asked.wait(30)
        raise NoodleError("a full disk\udcff")

    chore = chores.Chore("sorting the photos", sort, told.append, way_on="")
    assert begun.wait(30)
    chore.stop()
    asked.set()
    chore.join()
    assert chore.last_words == r"Not done sorting the photos: a full disk\udcff"
    assert [message.failed for message in told] == [True] and chore.in_words() == ""


async def test_what_is_typed_while_the_demo_is_drawn_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, calls = threading.Event(), []

    def draw(progress: Progress, check: Check) -> dict[str, Any]:
        calls.append(1)
        drawn.wait(30)
        return {"namestr": "demo"}

    monkeypatch.setattr(chores, "draw_demo", draw)
    app = NoodleApp(dict(SMALL), recall_last=False)
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.setup.query_one("#option-stimuli").has_focus)
        await pilot.press("f4")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: bool(calls))
        await pilot.press("m", "y")
        drawn.set()
        await until(pilot, lambda: said(app, "f4 fills the form in"))
        assert app.screen is app.setup and app.setup.given["stimuli"] == "my"
        await pilot.press("f4")
        await until(pilot, lambda: isinstance(app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: app.setup.given == {"namestr": "demo"})
    assert calls == [1]


async def test_who_resumes_a_run_beside_another_is_told_a_command_that_does_it() -> None:
    app = NoodleApp(dict(SMALL), recall_last=False)
    async with app.run_test(notifications=True) as pilot:
        app.background = SimpleNamespace(alive=lambda: True)  # type: ignore[assignment]
        app.post_message(PickUp(Path("weights/a night")))
        await until(pilot, lambda: said(app, "or in a shell: noodle run --load-dir 'weights/a night'"))
        app.background = None


async def test_a_signal_during_a_run_ends_the_app_as_stopped() -> None:
    control = Control()
    app = NoodleApp(dict(SMALL), recall_last=False)
    async with app.run_test():
        app.background = SimpleNamespace(control=control, alive=lambda: True)  # type: ignore[assignment]
        app.stop_and_leave("stopped by SIGTERM")
        app.background = None  # it has ended by the time that somebody looks
    assert control.stop_requested and app.return_code == EXIT_STOPPED


async def test_an_upgrade_while_it_is_open_takes_neither_modules_nor_style_sheets_from_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported: list[str] = []
    for module in ("app", "setup_panel"):
        monkeypatch.setattr(f"noodle_tui.tui.{module}.import_all", imported.append)
    watching = NoodleApp({}, first=LiveScreen(ReplaySource(fake_events(3, "done")), "run"), recall_last=False)
    async with watching.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: imported == ["noodle_tui.tui"])
    imported.clear()
    app = NoodleApp(dict(SMALL), recall_last=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "noodle_tui" in imported)

        def gone(self: Stylesheet, filename: object) -> None:
            raise StylesheetError(f"unable to read CSS file {filename}")

        monkeypatch.setattr(Stylesheet, "read", gone)
        app.show_live(ReplaySource(fake_events(3, "done")), "run")
        app.show_runs(place)
        app.show_result(fake_folder(place, "run"))
        await pilot.pause()
        assert isinstance(app.screen, ResultScreen)
