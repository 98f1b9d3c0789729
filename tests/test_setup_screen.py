"""The Setup screen, driven by keys on drawn faces."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import FinishedRun, draw_face
from fake_stimuli import draw, have_pil_warn
from PIL import Image
from small_app import SmallApp, burst, until
from test_cli import noodle_here
from textual.containers import VerticalScroll
from textual.events import AppBlur, AppFocus, Paste
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Button, Input, Static

from noodle_tui.config import RunConfig, options
from noodle_tui.preflight.checks import Preflight
from noodle_tui.preflight.estimate import photo_bytes
from noodle_tui.preflight.photos import Photos
from noodle_tui.remember import recall, remember
from noodle_tui.tui import setup, setup_paths, setup_text
from noodle_tui.tui.command import CommandLine
from noodle_tui.tui.setup import SetupScreen
from noodle_tui.tui.setup_form import ESSENTIAL, Form, brief, hint_of, in_fields, without_flag
from noodle_tui.tui.setup_panel import Panel
from noodle_tui.tui.setup_text import rejig_in_words
from noodle_tui.tui.widgets.dialogs import Help, Question
from noodle_tui.tui.widgets.option_field import OptionChoice, OptionInput, read
from noodle_tui.tui.widgets.painting import Lines
from noodle_tui.tui.widgets.path_completion import PathCompletion, list_folder
from noodle_tui.tui.widgets.photo import Photo, thumbnail
from noodle_tui.tui.words import end_of, home_in_full

SMALL = {"weights": "none", "device": "cpu"}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of the test's own, with eight stimuli of two people; nothing is remembered of it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "project"
    for person in ("07F", "25M"):
        for emotion in ("Ha", "Sa"):
            for level in (18, 19):
                draw_face(folder / f"Resources/stimuli/{person}_Ne_to_{emotion}_C{level}.JPG", person, emotion, level)
    monkeypatch.chdir(folder)
    return folder


class Host(SmallApp):
    """Notes what the screen asks of the app, and what it copies."""

    def __init__(self, values: dict[str, Any] | None, theme: str):
        super().__init__(SetupScreen(values), theme)
        self.asked: list[Message] = []
        self.copied: list[str] = []
        self.runs_shown = 0

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "live"  # no run goes on

    def action_runs(self) -> None:
        self.runs_shown += 1

    def on_setup_screen_start(self, message: SetupScreen.Start) -> None:
        self.asked.append(message)

    def on_setup_screen_rejig_only(self, message: SetupScreen.RejigOnly) -> None:
        self.asked.append(message)

    def on_setup_screen_undo_rejig(self, message: SetupScreen.UndoRejig) -> None:
        self.asked.append(message)

    def on_setup_screen_demo(self, message: SetupScreen.Demo) -> None:
        self.asked.append(message)

    def copy_to_clipboard(self, text: str) -> None:
        self.copied.append(text)


@asynccontextmanager
async def opened(
    values: dict[str, Any] | None = None, size: tuple[int, int] = (80, 24), theme: str = "noodle-dark"
) -> AsyncIterator[tuple[Pilot[Any], SetupScreen, Host]]:
    """The screen, once its first look has ended or its form has problems."""
    app = Host(SMALL if values is None else values, theme)
    async with app.run_test(size=size) as pilot:
        screen = app.screen
        assert isinstance(screen, SetupScreen)
        await settled(pilot, screen)
        yield pilot, screen, app


async def settled(pilot: Pilot[Any], screen: SetupScreen) -> None:
    await until(pilot, lambda: bool(screen.values.problems) or is_current(screen))
    await pilot.pause()


def is_current(screen: SetupScreen) -> bool:
    return "looking" not in text_of(screen, "#headline") and screen.result is not None and not screen.result.waiting_for


def text_of(screen: SetupScreen, selector: str) -> str:
    """What a widget says, without its line breaks and columns."""
    widget = screen.query_one(selector)
    return " ".join((widget.text if isinstance(widget, Lines) else str(screen.query_one(selector, Static).content)).split())


def shown(pilot: Pilot[Any]) -> str:
    """All that is on the screen, line by line."""
    lines = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in lines)


def editor(screen: SetupScreen, name: str) -> OptionInput:
    found = screen.query_one(Form).editors[name]
    assert isinstance(found, OptionInput)
    return found


async def type_in(pilot: Pilot[Any], screen: SetupScreen, name: str, text: str) -> None:
    field = editor(screen, name)
    field.focus()
    field.clear()
    await pilot.press(*("slash" if c == "/" else "full_stop" if c == "." else "minus" if c == "-" else c for c in text))
    await pilot.pause()


# -- the form ---------------------------------------------------------------------------------------------------------


async def test_every_option_is_in_the_form_with_its_help() -> None:
    async with opened({**SMALL, "rejig_data": True}, (160, 50)) as (pilot, screen, _):
        assert set(screen.query_one(Form).editors) == {option.name for option in options()}
        picture = shown(pilot)
        for option in options():
            assert option.name.replace("_", " ") in picture
            assert brief(option.help, 48) in picture
            editor = screen.query_one(Form).editors[option.name]
            assert isinstance(editor, OptionChoice) == (option.kind in ("bool", "choice"))


async def test_the_focused_option_says_its_help_bounds_and_flag() -> None:
    async with opened(size=(120, 30)) as (pilot, screen, _):
        editor(screen, "batch_size").focus()
        await pilot.pause()
        assert text_of(screen, "#hint") == "batch size images a step (at least 1, at most 65536) --batch-size"


async def test_in_fields_left_alone_stands_where_the_picked_up_run_saves(finished: FinishedRun) -> None:
    async with opened({"load_dir": str(finished.folder)}) as (pilot, screen, _):
        await until(pilot, lambda: screen.panel.is_settled)
        await until(pilot, lambda: editor(screen, "save_dir").base == str(finished.folder.parent))


async def test_escape_brings_back_what_a_field_held() -> None:
    async with opened({**SMALL, "stimuli": "some/photos", "namestr": "mine"}) as (pilot, screen, _):
        editor(screen, "stimuli").focus()
        await pilot.press("q")  # a stray key replaces it all
        assert screen.given["stimuli"] == "q"
        assert "esc: back to some/photos" in text_of(screen, "#hint")
        await pilot.press("escape", "escape")  # the list of names that is open is closed first
        assert (screen.given["stimuli"], editor(screen, "stimuli").raw) == ("some/photos", "some/photos")
        editor(screen, "namestr").focus()
        await pilot.press("x")
        pilot.app.post_message(AppBlur())
        pilot.app.post_message(AppFocus())
        await pilot.pause()
        await pilot.press("escape")
        assert screen.given["namestr"] == "mine"
        await pilot.press("y")  # typing replaces what a field holds
        assert editor(screen, "namestr").value == "y"


async def test_new_errors_are_shown_from_the_panels_top_and_the_heading_says_both_ways() -> None:
    async with opened(SMALL, (60, 20)) as (pilot, screen, _):
        await until(pilot, lambda: screen.panel.is_settled)
        scroll = screen.query_one("#panel", VerticalScroll)
        await pilot.press("pagedown")
        await until(pilot, lambda: scroll.scroll_y > 0)
        scroll.scroll_to(y=1, animate=False)
        await until(pilot, lambda: "page ↑↓" in text_of(screen, "#heading"))
        await type_in(pilot, screen, "n_epochs", "0")
        await until(pilot, lambda: scroll.scroll_y == 0)


async def test_a_new_warning_is_shown_from_the_panels_top_and_the_bar_counts_it() -> None:
    async with opened({**SMALL, "rejig_data": True, "mode": "copy"}, (80, 24)) as (pilot, screen, _):
        await until(pilot, lambda: screen.panel.is_settled)
        assert text_of(screen, "#headline").endswith("! 3 warnings")
        scroll = screen.query_one("#panel", VerticalScroll)
        await pilot.press("pagedown")
        await until(pilot, lambda: scroll.scroll_y > 0)
        await type_in(pilot, screen, "val_fraction", "0.9")
        await until(pilot, lambda: scroll.scroll_y == 0 and screen.panel.is_settled)


async def test_each_explanation_is_there_in_full_at_80x24() -> None:
    async with opened(SMALL, (80, 24)) as (pilot, screen, _):
        hint = screen.query_one("#hint", Lines)
        await until(pilot, lambda: bool(screen.query_one(Form).problems))
        wrong = screen.query_one(Form).problems  # as was found on the disk
        assert "Resources/classify/train is missing" in wrong["data_dir"]
        for option in options():
            screen.query_one(Form).editors[option.name].focus()
            await until(pilot, lambda flag=f"--{option.flag}": flag in text_of(screen, "#hint").split())
            said, bounds = text_of(screen, "#hint"), f" ({option.bounds})" if option.bounds else ""
            about = wrong.get(option.name, option.help + bounds)
            assert "".join(about.split()) in "".join(said.split())
            assert all(len(line) <= hint.size.width for line in hint.text.splitlines()) and hint.text.count("\n") < 2


@pytest.mark.parametrize(("width", "height", "is_whole"), [(78, 2, True), (78, 1, False), (70, 2, True), (40, 2, False)])
def test_at_a_wrong_path_what_escape_brings_back_is_said_whole_or_not_at_all(width: int, height: int, is_whole: bool) -> None:
    load_dir = next(option for option in options() if option.name == "load_dir")
    problem = without_flag(f"--load-dir {'/long' * 20}x: neither a run folder with a checkpoint nor a model.pth")
    lines = hint_of(load_dir, problem, "/long" * 20, width, height)
    text = " ".join(line.plain for line in lines)
    assert text.startswith("load dir  ✗ neither a run folder with a checkpoint")
    assert text.endswith("…long/long/long/long" if is_whole else ("…", "nor a model.pth"))
    assert ("esc: back" in text) == is_whole
    assert len(lines) <= height and all(line.cell_length <= width for line in lines)


async def test_a_wrong_value_is_said_at_its_field_as_it_is_typed() -> None:
    async with opened({**SMALL, "rejig_data": True}, (160, 50)) as (pilot, screen, app):  # nothing else is wrong
        await type_in(pilot, screen, "n_epochs", "0")
        assert screen.query_one(Form).problems == {"n_epochs": "0 is out of bounds: at least 1, at most 1000000"}
        row = next(line for line in shown(pilot).splitlines() if line.lstrip().startswith("n epochs"))
        assert "✗ 0 is out of bounds" in row
        assert "✗ 0 is out of bounds" in text_of(screen, "#hint")
        assert "1 thing to mend" in text_of(screen, "#headline")
        assert screen.query_one("#start", Button).disabled
        await pilot.press("ctrl+r")
        assert app.asked == []
        await type_in(pilot, screen, "n_epochs", "3")
        assert screen.query_one(Form).problems == {}


async def test_what_is_typed_becomes_the_options_value() -> None:
    async with opened() as (pilot, screen, _):
        for name, typed, value in (
            ("lr", "1e-3", 0.001), ("classes", "a=_A_, b=_B_", ("a=_A_", "b=_B_")), ("namestr", "[red]x", "[red]x"),
            ("stimuli", "some/where/", Path("some/where")), ("stimuli", "~", Path.home()), ("load_dir", "", None),
        ):  # fmt: skip
            editor(screen, name).put(typed)
            await pilot.pause()
            assert screen.values.config is not None
            assert getattr(screen.values.config, name) == value


async def test_choices_are_made_with_arrows_space_and_mouse() -> None:
    async with opened() as (pilot, screen, _):
        choice = screen.query_one(Form).editors["mode"]
        choice.focus()
        await pilot.press("left", "right", "right", "right")
        assert screen.given["mode"] == "link"
        await pilot.press("space")
        assert "mode" not in screen.given, "around the end, back to the default"
        await pilot.click(choice, offset=(11, 0))
        assert screen.given["mode"] == "copy"


async def test_only_what_she_set_is_passed_on() -> None:
    async with opened() as (pilot, screen, _):
        await type_in(pilot, screen, "n_epochs", "7")
        assert screen.values.config is not None
        assert screen.values.config.model_fields_set == {"weights", "device", "n_epochs"}
        assert "n_epochs" in screen.query_one(Form).given
        await type_in(pilot, screen, "n_epochs", "40")
        assert "n_epochs" not in screen.given, "the default again"
        editor(screen, "weights").put("")
        await pilot.pause()
        assert "weights" not in screen.given, "an empty field is the default"


async def test_an_empty_field_takes_its_default_over_to_be_changed() -> None:
    async with opened() as (pilot, screen, _):
        editor(screen, "data_dir").focus()
        await pilot.press("right")
        assert editor(screen, "data_dir").value == "Resources/classify"
        assert "data_dir" not in screen.given
        await pilot.press("2")
        assert screen.given["data_dir"] == "Resources/classify2"


async def test_a_focus_that_moves_repaints_two_fields_and_not_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as (pilot, screen, _):
        await pilot.press("tab", "tab", "tab", "tab")
        repainted: list[object] = []
        monkeypatch.setattr(screen._compositor, "render_full_update", lambda simplify=False: repainted.append(1))
        await pilot.press("tab")
        await pilot.pause(0.2)
        assert repainted == []


async def test_up_down_and_enter_go_from_field_to_field() -> None:
    async with opened() as (pilot, screen, _):
        assert screen.focused is editor(screen, "stimuli")
        assert not any(field.cursor_blink for field in screen.query(Input)), "a blink writes bytes for nothing"
        await pilot.press("down", "down")
        assert screen.focused is editor(screen, "data_dir")
        await pilot.press("enter")
        assert screen.focused is editor(screen, "classes")
        await pilot.press("up")
        assert screen.focused is editor(screen, "data_dir")


async def test_what_is_typed_before_the_whole_form_is_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    mount_rest = Form.mount_rest

    async def mount_and_type(form: Form, *values: Any) -> None:
        await mount_rest(form, *values)
        field = form.editors["stimuli"]
        assert isinstance(field, OptionInput)
        field.insert_text_at_cursor("m")  # as a key does; the form hasn't heard of it yet

    monkeypatch.setattr(Form, "mount_rest", mount_and_type)
    async with opened() as (pilot, screen, _):
        await until(pilot, lambda: editor(screen, "stimuli").value == "m")
        await pilot.pause()
        assert screen.given == {**SMALL, "stimuli": "m"} and editor(screen, "weights").value == "none"


async def test_keys_that_come_all_at_once_go_where_they_would_one_by_one() -> None:
    async with opened({"weights": "none", "rejig_data": True, "mode": "copy", "n_epochs": "3"}) as (pilot, screen, app):
        editor(screen, "n_epochs").focus()
        burst(pilot, "30", "tab", "16", "enter", "0.05", "down", "cpu", "up", "end", "5", "shift+tab", "right", "7", "ctrl+r")
        await until(pilot, lambda: bool(app.asked))
        message = app.asked[0]
        assert isinstance(message, SetupScreen.Start)
        config = message.config
        assert (config.n_epochs, config.batch_size, config.lr) == (30, 167, 0.055)
        assert screen.given["device"] == "cpu"


async def test_typing_replaces_what_a_field_holds_but_after_end_goes_on_from_it() -> None:
    async with opened({**SMALL, "n_epochs": "40", "data_dir": "/photos"}) as (pilot, screen, _):
        for name, keys, value in [("n_epochs", ("8", "0"), "80"), ("n_epochs", ("end", "0"), "800"), ("data_dir", ("x",), "x"),
                                  ("data_dir", ("right", "y"), "xy")]:
            editor(screen, "batch_size").focus()
            editor(screen, name).focus()
            await pilot.press(*keys)
            assert editor(screen, name).value == value


async def test_what_will_happen_is_scrolled_from_the_form_and_fits_a_new_window() -> None:
    def heading() -> str:
        return screen.query_one("#heading", Lines).text

    async with opened({**SMALL, "rejig_data": True}) as (pilot, screen, _):
        await until(pilot, lambda: "page ↓" in heading())
        before = screen.query_one("#panel").scroll_y
        await pilot.press("pagedown", "pagedown")
        await until(pilot, lambda: "page ↑" in heading() and screen.query_one("#panel").scroll_y > before)
        assert screen.focused is editor(screen, "stimuli")
        await pilot.press("pageup", "pageup")
        await until(pilot, lambda: "page ↓" in heading())
        facts = screen.query_one("#facts", Static)
        narrow = str(facts.content)
        await pilot.resize_terminal(60, 24)  # the panel lies below the form now, and is wider
        await until(pilot, lambda: str(facts.content).count("\n") < narrow.count("\n"))
        assert heading().startswith("─ What will happen ───")
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: str(facts.content) == narrow)


async def test_reset_asks_first() -> None:
    async with opened() as (pilot, screen, _):
        await pilot.press("f8")
        assert isinstance(pilot.app.screen, Question)
        assert str(pilot.app.screen.query_one(Static).content) == "2 options will have the default again."
        await pilot.press("n")
        assert screen.given == SMALL
        await pilot.press("f8", "y")
        await until(pilot, lambda: screen.given == {})
        assert editor(screen, "weights").value == ""


async def test_values_are_remembered_for_the_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as (pilot, screen, _):
        await type_in(pilot, screen, "n_epochs", "7")
        await settled(pilot, screen)
    async with opened({"batch_size": "5"}) as (pilot, screen, _):
        assert screen.given == {**SMALL, "n_epochs": "7", "batch_size": "5"}
        assert editor(screen, "n_epochs").value == "7"
        assert "last values of this folder" in text_of(screen, "#facts")
    monkeypatch.chdir(place.parent)
    async with opened({}) as (pilot, screen, _):
        assert screen.given == {}


async def test_options_of_a_past_run_fill_the_form() -> None:
    async with opened() as (pilot, screen, _):
        screen.load_values({**RunConfig(n_epochs=9, mode="copy", comet=True).model_dump(mode="json"), "unknown": 1})
        await pilot.pause()
        assert screen.values.config == RunConfig(n_epochs=9, mode="copy", comet=True)
        assert editor(screen, "n_epochs").value == "9"
        assert screen.query_one(Form).editors["comet"].raw is True


# -- what will happen -------------------------------------------------------------------------------------------------


async def test_the_plan_stands_beside_the_form() -> None:
    async with opened({**SMALL, "rejig_data": True, "val_fraction": "0.5"}) as (_, screen, _):
        facts = text_of(screen, "#facts")
        assert "happy 2 2" in facts
        assert "all 4 4 people 1 1" in facts
        assert "! on 4 validation photos of 1 person an accuracy of 0.90 is known as" in facts
        for text in ("8 of 2 people in Resources/stimuli", "8 moved to Resources/classify", "CPU", "about"):
            assert text in facts
        assert "✓ ready" in text_of(screen, "#headline")


async def test_all_that_is_to_mend_is_counted_at_once() -> None:
    """A number that is none keeps nobody from hearing of a folder that isn't there."""
    async with opened({**SMALL, "n_epochs": "-3", "batch_size": "24.5", "device": "gpu"}) as (pilot, screen, _):
        await until(pilot, lambda: "4 things to mend" in text_of(screen, "#headline"))
        assert set(screen.query_one(Form).problems) == {"n_epochs", "batch_size", "device", "data_dir"}
        assert "Resources/classify/train is missing" in text_of(screen, "#facts")


async def test_a_class_has_room_for_its_name() -> None:
    values = {**SMALL, "rejig_data": True, "classes": "surprised=_Sa_, happy=_Ha_"}
    async with opened(values) as (_, screen, _):
        assert "surprised" in text_of(screen, "#facts")


async def test_what_is_set_to_its_default_is_not_marked() -> None:
    async with opened({**SMALL, "lr": "1e-3", "momentum": "0.8"}) as (_, screen, _):
        assert "momentum" in screen.query_one(Form).given and "lr" not in screen.query_one(Form).given


async def test_a_look_at_an_old_run_leaves_what_is_remembered(place: Path) -> None:
    remember({"n_epochs": "7"}, place)
    async with opened({**SMALL, "load_dir": "weights/old"}) as (pilot, screen, _):
        await until(pilot, lambda: "load_dir" in screen.query_one(Form).problems)
    assert recall(place) == ({"n_epochs": "7"}, "")


async def test_what_the_look_finds_wrong_keeps_start_away() -> None:
    async with opened() as (pilot, screen, app):
        assert "Resources/classify/train is missing: sort photos into it with rejig data" in text_of(screen, "#facts")
        assert "--" not in screen.query_one(Form).problems["data_dir"]
        assert "1 thing to mend" in text_of(screen, "#headline")
        assert screen.query_one("#start", Button).disabled
        assert "data_dir" in screen.query_one(Form).problems
        editor(screen, "seed").focus()
        await pilot.press("ctrl+r")
        assert app.asked == []
        assert screen.focused is editor(screen, "data_dir"), "there it is mended"


@pytest.mark.parametrize(("said", "shown"), [
    ("x is missing: sort photos into it with --rejig-data, or name another --data-dir",
     "x is missing: sort photos into it with rejig data, or name another data dir"),
    ("--class: at least two classes are needed, e.g. --class sad=_Sa_ --class happy=_Ha_",
     "classes: at least two classes are needed, e.g. sad=_Sa_, happy=_Ha_"),
    ("undo it (noodle rejig --undo), or choose another --data-dir", "undo it (f3), or choose another data dir"),
    ("put them back there: noodle rejig --undo --stimuli a --data-dir b", "put them back there: f3, with stimuli a data dir b"),
    ("only noodle run --headless opens the debugger", "only noodle run --headless opens the debugger"),
    ("a/--mode/b is a folder", "a/--mode/b is a folder"),
    ("/home/noodle demo/sorted and noodle rejig/ are folders", "/home/noodle demo/sorted and noodle rejig/ are folders"),
])  # fmt: skip
def test_the_app_says_fields_and_keys_where_the_command_line_says_flags(said: str, shown: str) -> None:
    assert in_fields(said) == shown
    assert setup_text.panel(None, [("data_dir", said)], [], 200).plain == f"✗ {shown}\n"


@pytest.mark.parametrize(("typed", "path"), [
    ("'/my photos/faces 2026'", "/my photos/faces 2026"), ('"/my photos"', "/my photos"), (r"/my\ photos/a", "/my photos/a"),
    ("/my photos", "/my photos"), ("'/half", "'/half"), ("it's/here", "it's/here"), ("/a\\b c", "/a\\b c"), ("/tail/", "/tail"),
    ("/", "/"),
])  # fmt: skip
def test_a_path_that_is_pasted_as_a_shell_has_it_is_understood(typed: str, path: str) -> None:
    stimuli = next(option for option in options() if option.name == "stimuli")
    assert read(stimuli, typed) == path


def test_a_blank_at_the_end_of_a_regular_expression_is_part_of_it() -> None:
    named = {option.name: option for option in options()}
    assert read(named["person"], "([^/ ]+) ") == "([^/ ]+) "
    assert read(named["person"], "  ") is None
    assert read(named["namestr"], " x ") == "x"


async def test_what_is_not_known_yet_is_said_to_be_looked_up() -> None:
    waiting = Preflight(RunConfig(), waiting_for="loading torch")
    lines = [line.split(maxsplit=1) for line in setup_text.panel(waiting, [], [], 60).plain.splitlines()]
    assert lines[:3] == [[name, "being looked up …"] for name in ("model", "device", "time")]


@pytest.mark.parametrize(("before", "keys", "after"), [
    ("8", ("ctrl+u", "1", "5"), "15"), ("15", ("end", "backspace", "6"), "16"), ("19", ("backspace", "3", "3"), "33"),
    ("7", ("ctrl+a", "ctrl+k", "4", "4"), "44"), ("12", ("end", "left", "0"), "102"), ("12", ("home", "delete", "3"), "32"),
])
async def test_editing_keys_and_letters_of_one_burst_keep_their_order(before: str, keys: tuple[str, ...], after: str) -> None:
    async with opened({**SMALL, "n_epochs": before}) as (pilot, screen, _):
        field = editor(screen, "n_epochs")
        field.focus()
        await pilot.pause()
        burst(pilot, *keys)
        await until(pilot, lambda: field.value == after)  # type: ignore[union-attr]


async def test_runs_can_be_looked_at_while_a_field_is_wrong() -> None:
    async with opened({**SMALL, "n_epochs": "many"}) as (pilot, _, app):
        await pilot.press("f5")
        await until(pilot, lambda: app.runs_shown == 1)


async def test_what_was_mended_meanwhile_is_looked_at_again() -> None:
    async with opened({**SMALL, "data_dir": "later"}) as (pilot, screen, _):
        await until(pilot, lambda: "is missing" in text_of(screen, "#facts"))
        assert noodle_here("rejig", "--data-dir", "later", "--mode", "copy") == 0
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "is missing" not in text_of(screen, "#facts"))


async def test_start_posts_the_config() -> None:
    async with opened({**SMALL, "rejig_data": True, "mode": "link"}) as (pilot, _, app):
        await pilot.press("ctrl+r")
        await pilot.pause()
        assert [type(message) for message in app.asked] == [SetupScreen.Start]
        message = app.asked[0]
        assert isinstance(message, SetupScreen.Start)
        assert message.config == RunConfig(weights="none", device="cpu", rejig_data=True, mode="link")


async def test_no_photo_leaves_its_folder_without_a_yes() -> None:
    async with opened({**SMALL, "rejig_data": True}) as (pilot, screen, app):
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        text = str(pilot.app.screen.query_one(Static).content)
        assert "8 photos will be moved from Resources/stimuli to Resources/classify." in text
        await pilot.press("enter")  # the safe answer
        await until(pilot, lambda: pilot.app.screen is screen)
        assert app.asked == []
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: [type(message) for message in app.asked] == [SetupScreen.Start])


async def test_a_past_runs_options_take_the_place_of_what_was_typed_only_with_a_yes() -> None:
    async with opened() as (pilot, screen, _):
        screen.take_options({"lr": "0.1"}, "first")  # nothing was typed yet
        await until(pilot, lambda: screen.given == {"lr": "0.1"})
        await type_in(pilot, screen, "namestr", "precious")
        for answer, name in (("n", "precious"), ("y", None)):
            screen.take_options({"lr": "0.2"}, "second")
            await until(pilot, lambda: isinstance(pilot.app.screen, Question))
            text = str(pilot.app.screen.query_one(Static).content)
            assert "the options of second" in text and "goes: lr, namestr." in text
            await pilot.press(answer)
            await until(pilot, lambda name=name: pilot.app.screen is screen and screen.given.get("namestr") == name)
        await type_in(pilot, screen, "namestr", "started")
        await settled(pilot, screen)
        screen.values.keep()  # as a start does
        screen.take_options({"lr": "0.3"}, "third")
        await until(pilot, lambda: screen.given == {"lr": "0.3"})


async def test_a_finished_run_that_is_to_go_on_stands_in_the_form_and_its_epochs_are_asked_for() -> None:
    async with opened() as (pilot, screen, _):
        await type_in(pilot, screen, "namestr", "precious")
        screen.take_run(Path("weights/old"))
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: screen.given == {"load_dir": "weights/old"})
        assert screen.focused is editor(screen, "n_epochs")


@pytest.mark.parametrize("key", ["f2", "f6"])
async def test_keys_that_a_wrong_field_keeps_from_working_say_so_and_go_there(key: str) -> None:
    async with opened() as (pilot, screen, _):
        await type_in(pilot, screen, "n_epochs", "0")
        editor(screen, "seed").focus()
        await pilot.press(key)
        await pilot.pause()
        assert any("Mend what is wrong first: n epochs." in note.message for note in pilot.app._notifications)
        assert screen.focused is editor(screen, "n_epochs")


async def test_start_waits_for_the_look_and_then_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "LOOK_AFTER", 600)
    async with opened({**SMALL, "rejig_data": True, "mode": "copy"}) as (pilot, screen, app):
        await type_in(pilot, screen, "n_epochs", "7")
        await pilot.press("ctrl+r")
        assert app.asked == []
        screen.look_again()
        await until(pilot, lambda: bool(app.asked))
        assert isinstance(app.asked[0], SetupScreen.Start)
        assert app.asked[0].config.n_epochs == 7


async def test_a_start_before_the_form_is_whole_is_kept() -> None:
    app = Host({**SMALL, "rejig_data": True, "mode": "copy"}, "noodle-dark")
    async with app.run_test(size=(80, 24)) as pilot:
        assert isinstance(app.screen, SetupScreen) and app.screen.result is None
        app.screen.action_start()
        await until(pilot, lambda: bool(app.asked))
        assert isinstance(app.asked[0], SetupScreen.Start)


async def test_a_start_is_not_kept_for_who_goes_elsewhere() -> None:
    app = Host({**SMALL, "rejig_data": True, "mode": "copy"}, "noodle-dark")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = app.screen
        assert isinstance(screen, SetupScreen)
        screen.action_start()
        assert not screen.is_untouched, "no other screen comes by itself"
        app.push_screen(Help("another", (("", (("a", "key"),)),)))
        await pilot.pause()
        app.pop_screen()
        await settled(pilot, screen)
        assert app.asked == []


async def test_a_start_is_not_kept_for_who_has_something_to_mend() -> None:
    app = Host({**SMALL, "data_dir": "later"}, "noodle-dark")
    async with app.run_test(size=(80, 24)) as pilot:
        screen = app.screen
        assert isinstance(screen, SetupScreen)
        screen.action_start()
        await until(pilot, lambda: screen.panel.has_errors)
        assert noodle_here("rejig", "--data-dir", "later", "--mode", "copy") == 0
        screen.look_again()
        await until(pilot, lambda: screen.panel.is_settled and not screen.panel.has_errors)
        await pilot.pause()
        assert app.asked == []


async def test_a_start_that_waits_ends_where_the_look_finds_an_error() -> None:
    async with opened({**SMALL, "rejig_data": True}) as (pilot, screen, app):
        await type_in(pilot, screen, "stimuli", "nowhere")
        await pilot.press("ctrl+r")
        await settled(pilot, screen)
        assert app.asked == []
        assert screen.focused is editor(screen, "stimuli")


async def test_late_answers_are_dropped() -> None:
    async with opened({**SMALL, "rejig_data": True}) as (pilot, screen, _):
        before = text_of(screen, "#facts")
        late = Preflight(RunConfig(namestr="late"), resumed_at=77)
        screen.post_message(Panel.Looked(screen.panel.number - 1, late, ""))
        await pilot.pause()
        assert screen.result is not late
        assert text_of(screen, "#facts") == before


async def test_what_is_typed_as_a_look_arrives_stays(finished: FinishedRun) -> None:
    """A look that found a run to pick up fills the fields in anew."""
    async with opened({"load_dir": str(finished.folder), "n_epochs": "60"}) as (pilot, screen, _):
        await until(pilot, lambda: editor(screen, "batch_size").base == "10")
        field = editor(screen, "n_epochs")
        screen.values.base["batch_size"] = 24  # as if the look that is coming were the first to find the run
        with field.prevent(Input.Changed):  # the form hasn't heard of it yet
            field.put("6")
        assert screen.result is not None
        screen.on_panel_looked(Panel.Looked(screen.panel.number, screen.result, ""))
        assert (field.value, screen.given["n_epochs"]) == ("6", "6")
        await settled(pilot, screen)
        assert (field.value, screen.given["n_epochs"]) == ("6", "6")


async def test_folders_are_looked_at_again_when_she_comes_back(place: Path) -> None:
    async with opened() as (pilot, screen, _):
        await pilot.press("f1")
        assert isinstance(pilot.app.screen, Help)
        for split in ("train", "val"):
            for label in ("happy", "sad"):
                draw_face(place / f"Resources/classify/{split}/{label}/07F_C01.JPG", "07F", "Ha", 1)
        await pilot.press("escape")
        await until(pilot, lambda: "✓ ready" in text_of(screen, "#headline"))


async def test_a_picked_up_runs_options_stand_in_the_fields(finished: FinishedRun) -> None:
    async with opened({"load_dir": str(finished.folder), "n_epochs": "40"}) as (pilot, screen, _):
        assert editor(screen, "batch_size").placeholder == "10"
        assert editor(screen, "n_epochs").value == "40", "given, though it is the default"
        assert screen.values.config is not None
        assert screen.values.config.model_fields_set == {"load_dir", "n_epochs"}
        assert "after epoch 3 of 40" in text_of(screen, "#facts")
        editor(screen, "load_dir").put("")
        await pilot.pause(0.4)
        await settled(pilot, screen)
        assert editor(screen, "batch_size").placeholder == "24"


async def test_names_are_printed_as_they_are(place: Path) -> None:
    (place / "Resources").rename(place / "[red]x")
    values = {**SMALL, "rejig_data": True, "stimuli": "[red]x/stimuli", "data_dir": "[b]/y"}
    async with opened(values) as (pilot, screen, _):
        facts = text_of(screen, "#facts")
        assert "[red]x/stimuli" in facts
        assert "[b]/y" in shown(pilot)
        await pilot.press("f6")
        await pilot.pause()
        assert "'[red]x/stimuli'" in shown(pilot)


OSC = "\x1b]0;PWNED\x07"  # names the terminal's window


async def test_control_codes_in_names_are_shown_as_such_and_copied_as_they_are(place: Path) -> None:
    for split in ("train", "val"):
        for label in (f"ha{OSC}ppy", "sad"):
            draw_face(place / f"sorted/{split}/{label}/07F_C01.JPG", "07F", "Ha", 1)
    async with opened({**SMALL, "data_dir": "sorted", "save_dir": f"we{OSC}ights"}, (120, 40)) as (pilot, screen, app):
        await pilot.press("f7")
        await until(pilot, lambda: bool(screen.query(Photo)))
        await until(pilot, lambda: "ha�" in text_of(screen, "#facts"))
        await until(pilot, lambda: any("ha�" in str(label.content) for label in screen.query(".sample Static").results(Static)))
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandLine))
        for text in pilot.app.screen.query(".code").results(Static):
            assert "we�]0;PWNED" in str(text.content)
        await pilot.press("c")
        assert f"'we{OSC}ights'" in app.copied[0]


async def test_what_is_pasted_has_no_control_codes(place: Path) -> None:
    (place / f"so{OSC}").mkdir()
    assert list_folder(place, folders_only=True) == ["Resources/"], "a field couldn't hold the other"
    async with opened() as (pilot, screen, _):
        for pasted, value in ((f"so{OSC}x\0y/", "so]0;PWNEDxy/"), ("~no\0body/x", "~nobody/x")):
            await pilot.press("ctrl+u")
            pilot.app.post_message(Paste(pasted))
            await until(pilot, lambda value=value: editor(screen, "stimuli").value == value)
    assert home_in_full("~no\0body/x") == "~no\0body/x"


# -- what she can do --------------------------------------------------------------------------------------------------


async def test_rejig_only_shows_its_plan_first() -> None:
    async with opened() as (pilot, screen, app):
        await pilot.press("f2")
        assert screen.values.config is not None
        assert screen.values.config.rejig_data
        assert app.asked == []
        await settled(pilot, screen)
        assert "8 moved to" in text_of(screen, "#facts")
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        asked = str(pilot.app.screen.query_one(Static).content)
        assert asked.startswith("8 photos will be moved from Resources/stimuli to Resources/classify.")
        await pilot.press("escape")
        await pilot.pause()
        assert app.asked == []
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: bool(app.asked))
        assert [type(message) for message in app.asked] == [SetupScreen.RejigOnly]


@pytest.mark.parametrize(("mode", "new", "leaving", "originals", "words"), [
    ("copy", 8, 0, 0, "8 photos will be copied from a to b; the originals stay. f3 takes that back."),
    ("link", 1, 0, 0, "1 photo of a will be linked to from b; the originals stay. f3 takes that back."),
    ("move", 0, 3, 0, "3 photos in b will go back to the stimuli. The others in b will be rearranged. "
                      "f3 puts all of them back."),
    ("move", 0, 0, 9, "The photos in b will be rearranged. 9 originals will leave a: b alone has them then. "
                      "f3 puts all of them back."),
    ("move", 2, 0, 9, "2 photos will be moved from a to b. 9 originals will leave a: b alone has them then. "
                      "f3 puts all of them back."),
])  # fmt: skip
def test_a_rejig_in_words(mode: Any, new: int, leaving: int, originals: int, words: str) -> None:
    photos = Photos((), ("sad",), (4,), (4,), 2, 2, 2, 2, "needed", new, leaving, originals, 0, (), (), 0.0, ())
    assert rejig_in_words(RunConfig(stimuli=Path("a"), data_dir=Path("b"), mode=mode), photos) == words


async def test_undo_is_offered_where_rejig_made_the_folder_and_asks(place: Path) -> None:
    async with opened() as (pilot, screen, app):
        await pilot.press("f3")
        assert pilot.app.screen is screen, "nothing to undo"
        assert noodle_here("rejig") == 0
        screen.look_again()
        await until(pilot, lambda: screen.result is not None and screen.result.made_by_rejig)
        await type_in(pilot, screen, "stimuli", "somewhere/else")  # the photos know where they came from
        await settled(pilot, screen)
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        text = str(pilot.app.screen.query_one(Static).content)
        stimuli = place / "Resources/stimuli"
        assert text == f"8 photos will go back from Resources/classify to {stimuli}. Nothing is overwritten."
        await pilot.press("y")
        await until(pilot, lambda: bool(app.asked))
        message = app.asked[0]
        assert isinstance(message, SetupScreen.UndoRejig)
        assert (message.data_dir, message.stimuli) == (Path("Resources/classify"), stimuli)
        screen.load_values({**SMALL, "data_dir": "a\0b"})  # meanwhile the default folder is looked at: that one isn't meant
        await until(pilot, lambda: screen.panel.is_settled)
        assert screen.result is not None and screen.result.made_by_rejig and not screen.check_action("undo_rejig", ())


async def test_the_demo_is_the_apps_business() -> None:
    async with opened({**SMALL, "save_dir": "elsewhere"}) as (pilot, _, app):
        await pilot.press("f4")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        assert "What is set there now goes: weights, device, save dir." in str(pilot.app.screen.query_one(Static).content)
        await pilot.press("n", "f4")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        assert app.asked == []
        await pilot.press("y")
        await until(pilot, lambda: bool(app.asked))
        assert isinstance(app.asked[0], SetupScreen.Demo)


async def test_the_command_and_the_script_are_copied() -> None:
    async with opened({**SMALL, "n_epochs": "3"}) as (pilot, _, app):
        await pilot.press("f6")
        assert isinstance(pilot.app.screen, CommandLine)
        await pilot.press("c", "s")
        assert app.copied[0] == "noodle run --headless --n-epochs 3 --weights none --device cpu"
        assert app.copied[1].startswith("#!/bin/bash")
        assert app.copied[0] in app.copied[1]


async def test_photos_are_faces_and_hidden_until_asked_for() -> None:
    async with opened({**SMALL, "rejig_data": True}) as (pilot, screen, _):
        assert not screen.query(Photo)
        assert "▀" not in shown(pilot)
        await pilot.press("f7")
        await until(pilot, lambda: "▀" in shown(pilot))
        assert len(screen.query(Photo)) == 6
        assert [str(label.content) for label in screen.query(".sample Static").results(Static)] == 3 * ["happy"] + 3 * ["sad"]
        await pilot.press("f7")
        await pilot.pause()
        assert not screen.query(Photo)


async def test_a_completion_that_comes_as_its_screen_is_left_breaks_nothing() -> None:
    async with opened() as (pilot, screen, _):
        completion = PathCompletion(editor(screen, "stimuli"), folders_only=True)
        editor(screen, "stimuli").focus()
        await pilot.pause()
        screen.mount(completion)
        await completion.remove()  # it is mounted without a list of names then


async def test_paths_are_completed_as_they_are_typed(place: Path) -> None:
    async with opened() as (pilot, screen, _):
        await type_in(pilot, screen, "stimuli", "Res")
        completion = screen.query_one(PathCompletion)
        await until(pilot, lambda: bool(completion.display))
        await pilot.press("tab")
        assert editor(screen, "stimuli").value == "Resources/"
        await pilot.pause()
        assert screen.given["stimuli"] == "Resources"
        await pilot.press("tab")
        assert screen.focused is not editor(screen, "stimuli"), "a whole folder: tab goes on"


async def test_the_list_of_names_takes_keys_that_come_all_at_once(place: Path) -> None:
    (place / "Resources2").mkdir()
    async with opened() as (pilot, screen, _):
        await type_in(pilot, screen, "stimuli", "Re")
        await until(pilot, lambda: bool(screen.query_one(PathCompletion).display))
        burst(pilot, "s", "down", "down", "down", "up", "tab", "tab", "tab", "d")
        await pilot.pause(0.2)
        assert editor(screen, "stimuli").value == "Resources2/"
        assert editor(screen, "data_dir").value == "d"


async def test_a_new_name_is_not_replaced_by_one_that_is_there(place: Path) -> None:
    for name in ("my_sorted_2025", "sorted_2024", "a_new_one_without_end"):
        (place / name).mkdir()
    async with opened() as (pilot, screen, _):
        await type_in(pilot, screen, "data_dir", "sorted")
        completion = editor(screen, "data_dir").completion
        assert completion is not None
        await until(pilot, lambda: bool(completion.display))
        assert [str(option.prompt) for option in completion.option_list.options] == ["sorted_2024/"], "begins so"
        await pilot.press("enter")
        assert screen.given["data_dir"] == "sorted"
        assert screen.focused is not editor(screen, "data_dir") and not completion.display
        await type_in(pilot, screen, "data_dir", "sorted")
        await until(pilot, lambda: bool(completion.display))
        await pilot.press("down", "enter")
        await pilot.pause()
        assert screen.given["data_dir"] == "sorted_2024"
        await type_in(pilot, screen, "weights", "none")
        await pilot.pause(0.3)
        assert not any(completion.display for completion in screen.query(PathCompletion))


async def test_no_list_of_names_opens_unless_she_types(place: Path) -> None:
    (place / "Resources2").mkdir()
    async with opened({**SMALL, "stimuli": "Res", "data_dir": "Res"}) as (pilot, screen, _):
        await pilot.press("tab", "tab", "shift+tab", "shift+tab", "home", "end")
        await pilot.pause(0.3)
        assert [completion.display for completion in screen.query(PathCompletion)] == [False, False], "filled in, not typed"
        assert screen.focused is editor(screen, "stimuli")
        editor(screen, "stimuli").put("Reso")  # as when she has picked a folder in a window
        await pilot.pause(0.3)
        assert not any(completion.display for completion in screen.query(PathCompletion))
        await pilot.press("u")
        await until(pilot, lambda: bool(screen.query(PathCompletion).first().display))
        await pilot.press("escape")
        await pilot.pause(0.3)
        assert not any(completion.display for completion in screen.query(PathCompletion))


async def test_the_list_of_names_closes_when_its_field_moves_or_is_left(place: Path) -> None:
    (place / "Resources2").mkdir()
    async with opened() as (pilot, screen, _):
        for leave in (lambda: pilot.resize_terminal(70, 40), lambda: pilot.press("shift+tab")):
            await type_in(pilot, screen, "stimuli", "Res")
            completion = screen.query_one(PathCompletion)
            await until(pilot, lambda: bool(completion.display))  # noqa: B023 - called at once
            await leave()
            await pilot.pause(0.3)
            assert not completion.display


def test_folders_are_listed_first_and_hidden_files_only_when_begun(place: Path) -> None:
    (place / "a file").touch()
    (place / "Zoo").mkdir()
    assert list_folder(place, folders_only=False) == ["Resources/", "Zoo/", "a file"]
    assert list_folder(place, folders_only=True) == ["Resources/", "Zoo/"]


async def test_a_folder_is_picked_in_a_window(place: Path) -> None:
    async with opened() as (pilot, screen, _):
        editor(screen, "stimuli").focus()
        await pilot.press("ctrl+o")
        await until(pilot, lambda: pilot.app.screen is not screen)
        await until(pilot, lambda: "space takes it" in shown(pilot) and "../" in shown(pilot))
        await pilot.press("space")  # with the way up marked: the folder that is listed
        await until(pilot, lambda: pilot.app.screen is screen)
        assert editor(screen, "stimuli").value == "Resources/stimuli"


async def test_of_a_long_path_that_was_picked_the_end_is_shown(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = place / "a_long_folder_name" / "another_long_folder_name" / "run-20261127-161200"
    deep.mkdir(parents=True)
    monkeypatch.setattr(setup_paths, "nearest_folder", lambda _: deep)  # as if she had gone there in the window
    async with opened() as (pilot, screen, _):
        field = editor(screen, "load_dir")
        field.focus()
        await pilot.press("ctrl+o")
        await until(pilot, lambda: pilot.app.screen is not screen)
        await until(pilot, lambda: "space takes it" in shown(pilot) and "../" in shown(pilot))
        await pilot.press("space")
        await until(pilot, lambda: pilot.app.screen is screen)
        await until(pilot, lambda: field.value == str(deep.relative_to(place)))
        await pilot.pause()
        assert 0 < field.max_scroll_x == field.scroll_offset.x


async def test_the_marked_folder_is_taken_and_letters_lead_to_it(place: Path) -> None:
    for name in ("anna", "bert", "berta", "a_name_without_size_and_date_beside_it_that_is_shown_whole"):
        (place / name).mkdir()
    async with opened() as (pilot, screen, _):
        await type_in(pilot, screen, "data_dir", "nowhere")
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "a_name_without_size_and_date_beside_it_that_is_shown_whole/" in shown(pilot))
        await pilot.resize_terminal(1, 1)
        await pilot.press("pageup", "pagedown")  # no crash
        await pilot.resize_terminal(80, 24)
        await pilot.press("b", "b", "space")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert editor(screen, "data_dir").value == "berta"


async def test_a_working_folder_that_was_removed_ends_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch  # noqa: F401 - its libraries can't be loaded there

    (place / "gone").mkdir()
    monkeypatch.chdir(place / "gone")
    (place / "gone").rmdir()
    async with opened({**SMALL, "n_epochs": "3"}) as (pilot, screen, app):
        await pilot.press("f6", "s", "escape")
        assert "\ncd .\n" in app.copied[0]
        editor(screen, "data_dir").focus()
        await pilot.press("ctrl+o")
        await until(pilot, lambda: any("type the path" in note.message for note in pilot.app._notifications))


# -- how it looks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "theme"), [((60, 20), "noodle-dark"), ((80, 24), "noodle-light"), ((160, 50), "noodle-dark")])
async def test_nothing_essential_is_cut(size: tuple[int, int], theme: str) -> None:
    async with opened({**SMALL, "rejig_data": True}, size, theme) as (pilot, screen, _):
        picture = shown(pilot)
        for text in ("Start", "✓ ready", "What will happen", "stimuli", "^r Start", "f1 Help"):
            assert text in picture
        assert max(map(len, picture.splitlines())) <= size[0]
        if size != (60, 20):
            wanted = options() if size == (160, 50) else [o for o in options() if any(o.name in g for g in ESSENTIAL.values())]
            for option in wanted:
                assert screen.query_one("#scroll").region.contains_region(screen.query_one(Form).editors[option.name].region)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_of_long_paths_the_end_is_shown_on_one_line(place: Path, size: tuple[int, int]) -> None:
    deep = place / ("a_long_folder_name/" * 9)
    deep.mkdir(parents=True)
    (place / "Resources").rename(deep / "Resources")
    long = {"stimuli": str(deep / "Resources/stimuli"), "data_dir": str(deep / "Resources/classify"),
            "save_dir": str(deep / "weights")}
    async with opened({**SMALL, **long, "rejig_data": True}, size) as (pilot, screen, _):

        def row(name: str) -> str:
            return next(line for line in shown(pilot).splitlines() if line.lstrip().startswith(f"{name} "))

        def field(name: str) -> str:
            region = editor(screen, name.replace(" ", "_")).region
            return row(name)[region.x:region.right]

        assert field("stimuli").rstrip().endswith("/Resources/stimuli")  # in focus, the cursor behind it
        assert field("data dir").rstrip().endswith("/Resources/classify")
        assert field("data dir").strip().startswith("…")
        assert field("save dir").rstrip().endswith("/weights")
        editor(screen, "data_dir").focus()
        await pilot.press("home")
        await pilot.pause()
        assert field("data dir").strip().startswith("/")
        await pilot.press("tab")
        await pilot.pause()
        assert field("data dir").rstrip().endswith("/Resources/classify"), "left, its end again"
        paths = [word for word in str(screen.query_one("#facts", Static).content).split() if "/" in word]
        assert [path[0] + path[-8:] for path in paths] == ["…/stimuli", "…classify", "…/weights"], "each whole on a line"


def test_the_end_of_a_path_fits_its_cells() -> None:
    assert end_of("/a/b", 4) == "/a/b"
    assert end_of("/a/photos", 8) == "…/photos"
    assert end_of("/写真写真", 6) == "…写真"


async def test_a_window_that_is_too_small_says_so() -> None:
    async with opened(size=(50, 15)) as (pilot, _, _):
        assert "60 x 20 is needed" in shown(pilot)
        await pilot.resize_terminal(1, 1)  # no crash either
        await pilot.press("down")
        await pilot.pause()


def test_the_screen_needs_neither_torch_nor_numpy() -> None:
    program = "import sys, noodle_tui.tui.setup; print([m for m in ('torch', 'comet_ml', 'numpy', 'PIL') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout == "[]\n"


# -- widgets ----------------------------------------------------------------------------------------------------------


def test_a_thumbnail_keeps_shape_colours_and_orientation(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 80), (200, 30, 30))
    image.paste((30, 30, 200), (0, 40, 40, 80))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(tmp_path / "a.png", exif=exif)
    pixels, problem = thumbnail(tmp_path / "a.png", 20, 20)
    assert problem == ""
    assert (len(pixels), len(pixels[0])) == (40, 20)
    assert pixels[0][0] == (30, 30, 200)
    assert pixels[-1][-1] == (200, 30, 30)
    pixels, _ = thumbnail(tmp_path / "a.png", 20, 20, grey=True)
    assert {len(set(pixel)) for row in pixels for pixel in row} == {1}


@pytest.mark.parametrize("content", [b"", b"no photo", b"\xff\xd8\xff\xe0 half of it"])
def test_a_broken_photo_is_said_to_be_and_an_odd_one_is_none(
    tmp_path: Path, content: bytes, recwarn: pytest.WarningsRecorder
) -> None:
    have_pil_warn(draw(tmp_path / "odd.jpg"))
    assert thumbnail(tmp_path / "odd.jpg", 10, 10)[1] == "" and photo_bytes([tmp_path / "odd.jpg"]) == 3 * 8 * 10
    assert not recwarn.list, "on stderr it would tear the screen"
    (tmp_path / "a.jpg").write_bytes(content)
    assert thumbnail(tmp_path / "a.jpg", 10, 10) == ([], "can't be read")
    assert thumbnail(tmp_path / "none.jpg", 10, 10) == ([], "isn't there")


def test_a_choice_that_is_none_of_them_can_be_left() -> None:
    choice = OptionChoice(next(option for option in options() if option.name == "mode"))
    choice.show("teleport", "move")
    assert "●" not in choice.render().plain


def test_a_note_ends_where_a_thought_ends():
    text = "log to Comet (the key: settings.json, say), or not; one more thought"
    assert brief(text, 100) == text
    assert brief(text, 60) == "log to Comet (the key: settings.json, say), or not"
    assert brief(text, 45) == "log to Comet (the key: settings.json, say)"
    assert brief(text, 40) == "log to Comet"
    assert brief("one long thought", 10) == "one long thought"


@pytest.mark.parametrize("option", options(), ids=lambda option: option.name)
def test_every_note_fits_beside_its_field_at_160_columns(option: Any):
    assert len(brief(option.help, 48)) <= 48
