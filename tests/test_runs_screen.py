"""The Runs screen on real run folders: list, filter, sort, marks, and what its keys ask for."""

import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fake_folders import fake_folder, summarise
from fake_runs import STARTED_AT, fake_events
from rich.cells import cell_len
from small_app import SmallApp, burst, until
from textual.message import Message
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, Static
from textual.widgets._footer import FooterKey

from noodle_tui import summaries
from noodle_tui.errors import NoodleError
from noodle_tui.events import EpochDone, Event, RunFailed
from noodle_tui.listeners.record import Recorder
from noodle_tui.paths import with_full_paths
from noodle_tui.run_folder import Follower, locked
from noodle_tui.summaries import RunSummary, pin
from noodle_tui.trash import move_to_trash
from noodle_tui.tui import compare, runs, runs_chores
from noodle_tui.tui.clipboard import copy_path
from noodle_tui.tui.compare import CompareScreen, differing_options, option_lines, told_apart
from noodle_tui.tui.messages import CopyOptions, MoreEpochs, Open, PickUp
from noodle_tui.tui.runs import RunsScreen
from noodle_tui.tui.runs_text import GUTTER, SORTABLE, columns_for, curve, sorted_runs, when_in_short
from noodle_tui.tui.widgets.dialogs import Help, Question
from noodle_tui.tui.widgets.drawing import LABEL_WIDTH, RUN
from noodle_tui.tui.widgets.painting import Lines
from noodle_tui.tui.widgets.pick_list import PickList
from noodle_tui.tui.widgets.plot import Plot
from noodle_tui.tui.widgets.sheet import Sheet
from noodle_tui.tui.words import shortened

STOPS = "finishes the current batch, saves (epoch 25 of 40), and can be resumed (r)."  # as in test_live.py


class Home(Message):
    """Setup was asked for."""


class Back(Message):
    """The screen before was asked for."""


@asynccontextmanager
async def opened(
    save_dir: Path, size: tuple[int, int] = (100, 30)
) -> AsyncIterator[tuple[RunsScreen, Pilot[Any], list[Message]]]:
    """The screen in an app, loaded, and the messages that reach the app."""
    asked: list[Message] = []

    class Around(SmallApp):
        def on_open(self, message: Message) -> None:
            asked.append(message)

        on_pick_up = on_copy_options = on_more_epochs = on_open

        def action_home(self) -> None:
            asked.append(Home())

        def action_back(self) -> None:
            asked.append(Back())

    screen = RunsScreen(save_dir)
    async with Around(screen).run_test(size=size) as pilot:
        await until(pilot, lambda: screen._loaded)
        yield screen, pilot, asked


def rows(screen: Screen[Any]) -> list[str]:
    table = screen.query_one(PickList)
    return [table.render_line(y).text.rstrip() for y in range(table.size.height) if table.render_line(y).text.strip()]


@pytest.fixture
def save_dir(tmp_path: Path) -> Path:
    """Four runs, the newest last: done, failed, stopped, interrupted."""
    for i, state in enumerate(["done", "failed", "stopped", "interrupted"]):
        fake_folder(tmp_path, f"{state}_run", state, stamp=f"20261123-10150{i}", later=3600 * i, lr=10.0 ** -(i + 1), seed=i)
    return tmp_path


async def test_lists_newest_first_with_counts_and_interval(save_dir: Path) -> None:
    async with opened(save_dir, (160, 30)) as (screen, _, _):
        names = [run.name for run in screen.selection.shown]
        assert names == ["interrupted_run", "stopped_run", "failed_run", "done_run"]
        best = screen.selection.shown[3]
        assert best.best is not None
        low, high = best.best.val_interval or (0, 0)
        line = rows(screen)[4]
        counts = f"{best.best_accuracy:.3f}", f"{best.best.val_correct}/60", f"{low:.2f}–{high:.2f}"
        assert all(text in line for text in ("✓ done", "done_run", "40/40", *counts))
        assert all(mark in "".join(rows(screen)) for mark in "✓✗■!")
        curve_at = next(x for x, char in enumerate(line) if "⠀" < char <= "⣿")
        assert rows(screen)[0].index("curve") == curve_at


async def test_at_60_columns_the_essentials_are_there(save_dir: Path) -> None:
    async with opened(save_dir, (60, 20)) as (screen, _, _):
        line = rows(screen)[4]
        assert line.startswith("    ✓ done_run")
        assert "40/40" in line
        detail = screen.query_one("#runs-detail", Lines).text
        assert "★" in detail
        assert "–" in detail


@pytest.mark.parametrize("width", [60, 80, 100, 160])
async def test_runs_of_one_name_are_told_apart_by_their_time_and_names_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr("noodle_tui.tui.runs_text.now", lambda: datetime.fromtimestamp(STARTED_AT + 7200))
    name = "resnet_sweep_with_lr_0.003" if width > 60 else "resnet_sweep"
    for i in range(3):
        fake_folder(tmp_path, name, stamp=f"20251009-10150{i}", later=3600 * i - 86400)
    async with opened(tmp_path, (width, 24)) as (screen, _, _):
        lines = rows(screen)[1:4]
        for i, line in enumerate(lines):
            assert f" {name} " in line
            assert f"{datetime.fromtimestamp(STARTED_AT + 3600 * (2 - i) - 86400):%m-%d %H:%M}" in line
            assert "40/40" in line
        assert ("0.9" in lines[0]) and ("–" in lines[0] or width == 60)


def test_when_in_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("noodle_tui.tui.runs_text.now", lambda: datetime(2026, 1, 6, 9, 30))
    said = [when_in_short(datetime(*day, 6, 12).timestamp()) for day in ((2026, 1, 6), (2025, 12, 30), (2025, 1, 6))]
    assert said == ["06:12", "12-30 06:12", "2025-01-06"]


def test_a_long_name_is_cut_in_the_middle() -> None:
    assert shortened("person-with-a-long-name7", 14) == "person-…-name7"
    assert shortened("short", 5) == "short"
    assert all(cell_len(shortened("人物人物person人物", width)) <= width for width in range(12))


@pytest.mark.parametrize("width", [60, 80, 100, 160])
async def test_the_footer_shows_whole_keys_the_most_used_first(save_dir: Path, width: int) -> None:
    async with opened(save_dir, (width, 24)) as (screen, pilot, _):
        def keys() -> list[FooterKey]:
            return [key for key in screen.query(FooterKey) if not key.has_class("-command-palette")]

        await pilot.press("space", "space")
        await until(pilot, lambda: [key.description for key in keys()][:5] == ["Open", "Mark", "Overlay", "Filter", "Resume"])
        await pilot.pause(0.3)
        assert all(key.region.right <= width for key in keys())
        assert ("Help" in [key.description for key in keys()]) == (width > 60)
        assert ("Pin" in [key.description for key in keys()]) == (width == 160)


async def test_where_no_run_fits_the_filter_the_list_says_so_and_no_curve_is_drawn(save_dir: Path) -> None:
    async with opened(save_dir, (160, 50)) as (screen, pilot, _):
        plot = screen.query_one("#runs-curve", Plot)
        assert plot.visible
        await pilot.press("slash", *"none")
        await until(pilot, lambda: not screen.selection.shown)
        assert not plot.visible and "no run fits this filter; esc takes it away" in rows(screen)[1]
        await pilot.press("escape")
        await until(pilot, lambda: plot.visible and len(rows(screen)) == 5)


async def test_filter_as_you_type_and_say_what_is_wrong(save_dir: Path) -> None:
    async with opened(save_dir) as (screen, pilot, _):
        await pilot.press("slash", *"lr>=1e-2")
        assert [run.name for run in screen.selection.shown] == ["failed_run", "done_run"]
        await pilot.press(*" acc>")
        assert [run.name for run in screen.selection.shown] == ["failed_run", "done_run"]
        error = screen.query_one("#runs-trouble", Static)
        assert "a value is missing" in str(error.content)
        await pilot.press(*"2")
        assert screen.selection.shown == []
        assert "no run fits" in rows(screen)[1]
        assert not screen.query_one("#runs-detail", Lines).text.strip()
        await pilot.press(*["backspace"] * 6)
        await pilot.press(*" -done x", *"y:")
        assert "no such key" in str(error.content)
        await pilot.press("escape")
        assert not error.display
        assert len(screen.selection.shown) == 4
        assert screen.query_one(PickList).has_focus


@pytest.mark.parametrize("width", [60, 80, 160])
async def test_what_is_wrong_with_a_filter_is_said_whole(save_dir: Path, width: int) -> None:
    async with opened(save_dir, (width, 24)) as (screen, pilot, _):
        await pilot.press("slash", *"foo:bar")
        await pilot.pause()
        error = screen.query_one("#runs-trouble", Static)
        shown = " ".join(strip.text.strip() for strip in error.render_lines(error.size.region))
        assert "foo: no such key; there are name" in shown
        assert "e.g. cfg.lr" in shown
        said = screen.query_one("#runs-account", Sheet).text if width == 160 else screen.query_one("#runs-detail", Lines).text
        assert "interrup" in said and "-101503" in said


async def test_a_filter_that_comes_all_at_once_is_typed_and_does_nothing_to_the_runs(save_dir: Path) -> None:
    async with opened(save_dir) as (screen, pilot, asked):
        burst(pilot, "/", "run")
        query = screen.query_one("#runs-query", Input)
        await until(pilot, lambda: query.value == "run")
        await pilot.press("slash")
        assert query.value == "run/", "in the filter it is a letter"
        assert pilot.app.screen is screen and asked == []


async def test_while_a_filter_is_typed_the_footer_says_what_leads_out_of_it(save_dir: Path) -> None:
    def footer() -> list[str]:
        return [key.description for key in screen.query(FooterKey) if not key.has_class("-command-palette")]

    async with opened(save_dir, (80, 24)) as (screen, pilot, _):
        await pilot.press("slash", *"done")
        await until(pilot, lambda: footer() == ["Keep it, to the list", "No filter"])
        await pilot.press("enter")
        await until(pilot, lambda: "Open" in footer())
        assert len(screen.selection.shown) == 1
        await pilot.press("slash", "f1")
        await until(pilot, lambda: isinstance(pilot.app.screen, Help))
        await pilot.press("escape", "escape")
        assert screen.query_one(PickList).has_focus
        assert len(screen.selection.shown) == 4


async def test_sorts_by_column_and_turns_round(save_dir: Path) -> None:
    async with opened(save_dir) as (screen, pilot, _):
        screen.selection.sort_by(next(column for column in SORTABLE if column.name == "name"))
        screen._refill()
        assert [run.name for run in screen.selection.shown] == ["done_run", "failed_run", "interrupted_run", "stopped_run"]
        await pilot.press("O")
        assert screen.selection.shown[0].name == "stopped_run"
        seen = set()
        for _ in range(8):
            await pilot.press("o")
            seen.add(screen.selection.sort.name)
        assert {"state", "name", "epochs", "best", "started"} <= seen


@pytest.mark.parametrize("reverse", [False, True])
def test_runs_without_a_columns_value_come_last(save_dir: Path, reverse: bool) -> None:
    runs = [summarise(folder) for folder in sorted(save_dir.iterdir())]
    runs = [run if run.name == "failed_run" else replace(run, best=None) for run in runs]
    best = next(column for column in SORTABLE if column.name == "best")
    assert sorted_runs(runs, best, reverse)[0].name == "failed_run"
    broken = RunSummary(save_dir / "broken", "broken", "broken")
    for column in SORTABLE:
        if column.name in ("started", "epochs", "time"):
            assert sorted_runs([broken, *runs], column, reverse)[-1] is broken or (column.name, reverse) == ("started", True)


async def test_a_click_on_a_column_sorts_and_on_a_row_picks_then_opens(save_dir: Path) -> None:
    async with opened(save_dir) as (screen, pilot, asked):
        await pilot.click(PickList, offset=(20, 0))
        assert screen.selection.sort.name == "name"
        await pilot.click(PickList, offset=(20, 2))
        assert screen.picked is not None
        assert screen.picked.name == "failed_run"
        assert asked == []
        await pilot.click(PickList, offset=(20, 2))
        await pilot.pause()
        assert isinstance(asked[0], Open)


async def test_enter_opens_and_keys_ask_the_app(save_dir: Path) -> None:
    async with opened(save_dir) as (_, pilot, asked):
        await pilot.press("enter", "down", "r", "c")
        await until(pilot, lambda: len(asked) == 3)
        await pilot.press("n")
        await pilot.pause()
        opening, resume, options, new = asked
        assert isinstance(opening, Open)
        assert (opening.folder.name, opening.alive) == ("interrupted_run-20261123-101503", False)
        assert isinstance(resume, PickUp)
        assert resume.folder.name == "stopped_run-20261123-101502"
        assert isinstance(options, CopyOptions)
        assert options.config["lr"] == pytest.approx(1e-3)
        assert isinstance(new, Home)
        await pilot.press("end", "r", "s")  # a run that is done is given more epochs, and can't be stopped
        await pilot.pause()
        assert [type(message) for message in asked[4:]] == [MoreEpochs]
        await pilot.press("space", "escape", "escape")  # the first takes the mark back
        await pilot.pause()
        assert [type(message) for message in asked[5:]] == [Back]


def toasts(pilot: Pilot[Any]) -> str:
    return "\n".join(toast.message for toast in pilot.app._notifications)


async def test_only_a_run_with_a_checkpoint_is_resumed_and_a_key_without_effect_says_why(save_dir: Path) -> None:
    (save_dir / "failed_run-20261123-101501" / "checkpoint.pt").unlink()
    async with opened(save_dir) as (screen, pilot, asked):
        assert [run.resumable for run in screen.selection.shown] == [True, True, False, False]
        await pilot.press("down", "down", "r")
        assert "saved nothing" in toasts(pilot)
        assert "c copies its options" in toasts(pilot)
        await until(pilot, lambda: "r" not in [key.key for key in screen.query(FooterKey)])
        await pilot.press("s", "v", "end", "r", "space", "v")
        for why in ("nothing to stop", "No run is marked", "Only one run is marked"):
            assert why in toasts(pilot)
        await pilot.pause()
        [more] = asked  # r of the run that is done
        assert isinstance(more, MoreEpochs) and more.folder == screen.selection.shown[-1].folder
        assert pilot.app.screen is screen
        (save_dir / "failed_run-20261123-101501" / "checkpoint.prev.pt").touch()
        screen.folder_watch.look_now()
        await until(pilot, lambda: screen.selection.shown[2].resumable)


async def test_delete_asks_by_name_and_can_be_taken_back(save_dir: Path) -> None:
    folder = save_dir / "interrupted_run-20261123-101503"
    async with opened(save_dir) as (screen, pilot, _):
        await pilot.press("delete")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        assert folder.name in question(pilot) and "  21 MiB" in question(pilot) and "emptied (E)" in question(pilot)
        await pilot.press("escape")
        assert folder.is_dir()
        await pilot.press("delete")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: len(screen.selection.shown) == 3)
        assert len(list(save_dir.glob(f".trash/*/{folder.name}/events.jsonl"))) == 1
        await until(pilot, lambda: "Undo delete" in [key.description for key in screen.query(FooterKey)])
        assert screen.picked is not None and screen.picked.folder != folder
        await pilot.press("u")
        await until(pilot, lambda: len(screen.selection.shown) == 4)
        assert folder.is_dir()
        assert screen.picked.folder == folder, "the next key is for it"


def question(pilot: Pilot[Any]) -> str:
    """What the question in sight says."""
    assert isinstance(pilot.app.screen, Question)
    return f"{pilot.app.screen._title} {pilot.app.screen.query_one(Static).content}"


async def test_with_marks_delete_takes_the_marked_runs_and_undo_all_of_them(save_dir: Path) -> None:
    async with opened(save_dir) as (screen, pilot, _):
        await pilot.press("space", "space", "delete")  # the cursor is on the third
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        assert "Delete these 2 runs?" in question(pilot)
        assert "interrupted_run-" in question(pilot) and "stopped_run-" in question(pilot) and "failed" not in question(pilot)
        await pilot.press("y")
        await until(pilot, lambda: [run.name for run in screen.selection.shown] == ["failed_run", "done_run"])
        await until(pilot, lambda: "2 runs are in the trash; u takes them back" in toasts(pilot))
        await until(pilot, lambda: "Overlay" not in [key.description for key in screen.query(FooterKey)])
        await pilot.press("u")
        await until(pilot, lambda: len(screen.selection.shown) == 4)


async def test_no_marked_run_is_deleted_while_one_of_them_goes_on(save_dir: Path) -> None:
    with locked(fake_folder(save_dir, "live", "running", stamp="20261124-101500", later=86400)):
        async with opened(save_dir) as (screen, pilot, _):
            await pilot.press("space", "space", "delete")
            await until(pilot, lambda: "live-20261124-101500 is going on: nothing is deleted" in toasts(pilot))
            assert pilot.app.screen is screen and len(screen.selection.shown) == 5


async def test_what_was_deleted_before_the_app_was_started_comes_back_too(save_dir: Path) -> None:
    folder = save_dir / "failed_run-20261123-101501"
    move_to_trash(save_dir, [folder])
    async with opened(save_dir) as (screen, pilot, _):
        assert len(screen.selection.shown) == 3
        await pilot.press("u")
        await until(pilot, lambda: len(screen.selection.shown) == 4)
        await until(pilot, lambda: f"{folder.name} is back" in toasts(pilot))
        await pilot.press("u")
        await until(pilot, lambda: "there is nothing to take back" in toasts(pilot))


async def test_the_trash_is_emptied_after_a_question_that_says_what_it_frees(save_dir: Path) -> None:
    async with opened(save_dir) as (screen, pilot, _):
        await pilot.press("E")
        await until(pilot, lambda: "The trash is empty." in toasts(pilot))
        move_to_trash(save_dir, [save_dir / f"{name}_run-20261123-10150{i}" for i, name in ((1, "failed"), (2, "stopped"))])
        await pilot.press("E")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        assert "2 runs in" in question(pilot) and "43 MiB" in question(pilot)
        await pilot.press("enter")  # the safe answer
        await until(pilot, lambda: pilot.app.screen is screen)
        assert len(list(save_dir.glob(".trash/*/*"))) == 2
        await pilot.press("E")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: "43 MiB are free again" in toasts(pilot))
        assert not (save_dir / ".trash").exists() and len(list(save_dir.glob("*_run-*"))) == 2


async def test_a_question_that_takes_long_does_not_come_over_who_types_a_filter(
    save_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()
    monkeypatch.setattr(runs_chores, "size_of", lambda _: looked.wait(30) and 1)
    async with opened(save_dir) as (screen, pilot, _):
        await pilot.press("delete", "slash")
        looked.set()
        await pilot.pause(0.3)
        assert pilot.app.screen is screen


async def test_a_folder_that_refuses_to_go_is_said_and_the_screen_stays(
    save_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(runs_chores, "move_to_trash", refuse)
    async with opened(save_dir) as (screen, pilot, _):
        await pilot.press("delete")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: "Permission denied" in toasts(pilot))
        assert pilot.app.screen is screen and len(screen.selection.shown) == 4


async def test_a_live_run_ticks_is_stopped_after_a_question_and_cannot_be_deleted(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "live", "running")
    with locked(folder):
        async with opened(tmp_path) as (screen, pilot, _):
            assert screen.selection.shown[0].status == "running"
            await pilot.press("delete")
            await pilot.pause()
            assert pilot.app.screen is screen
            assert "Stop it first (s)" in toasts(pilot)
            Recorder(folder, print)([e for e in fake_events(40, "done") if isinstance(e, EpochDone)][24])
            await until(pilot, lambda: screen.selection.shown[0].epoch == 25)
            assert "25/40" in rows(screen)[1]
            await pilot.press("s")
            await until(pilot, lambda: isinstance(pilot.app.screen, Question))
            assert STOPS in pilot.app.screen.query_one("Static").content.plain  # type: ignore[attr-defined]
            await pilot.press("y")
            await until(pilot, (folder / "stop").exists)


async def test_a_quiet_list_is_not_repainted(save_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(save_dir) as (screen, pilot, _):
        await pilot.pause(0.3)
        told: list[object] = []
        monkeypatch.setattr(screen, "_take", lambda *found: told.append(found))
        for _ in range(3):
            screen.folder_watch.look_now()
            await pilot.pause(0.1)
        assert not told
        fake_folder(save_dir, "new")
        screen.folder_watch.look_now()
        await until(pilot, lambda: bool(told))


async def test_a_question_says_which_of_the_marked_runs_the_filter_hides(save_dir: Path) -> None:
    async with opened(save_dir) as (screen, pilot, _):
        await pilot.press("space", "space")
        for query, title in (("status:failed", "Delete these 2 runs, of which the filter hides 2?"),
                             ("status:stopped", "Delete these 2 runs, of which the filter hides 1?")):
            screen.selection.filter(query)
            screen._refill()
            await pilot.press("delete")
            await until(pilot, lambda: isinstance(pilot.app.screen, Question))
            assert title in question(pilot)
            await pilot.press("n")
            await until(pilot, lambda: pilot.app.screen is screen)


async def test_pinned_runs_that_an_overlay_has_no_room_for_are_told(tmp_path: Path) -> None:
    for n in range(10):
        pin(fake_folder(tmp_path, f"run{n}", n_epochs=2), True)
    async with opened(tmp_path) as (_, pilot, __):
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
        assert isinstance(pilot.app.screen, CompareScreen) and len(pilot.app.screen.runs) == 8
        assert "An overlay holds 8: 2 pinned runs had no room." in toasts(pilot)


async def test_pin_keeps_a_run_on_top(save_dir: Path) -> None:
    async with opened(save_dir) as (screen, pilot, _):
        await pilot.press("end", "p")
        await until(pilot, lambda: screen.selection.shown[0].name == "done_run")
        assert "◆" in rows(screen)[1]
        await pilot.press("O")  # sorted upwards has a mark of its own
        assert "◆" not in rows(screen)[0] and "▴" in rows(screen)[0]
        await pilot.press("O", "home", "p")
        await until(pilot, lambda: screen.selection.shown[-1].name == "done_run")


async def test_copies_the_path(save_dir: Path) -> None:
    async with opened(save_dir) as (_, pilot, _):
        await pilot.press("y")
        assert pilot.app.clipboard == str(save_dir / "interrupted_run-20261123-101503")


async def test_a_path_is_copied_from_a_folder_that_was_removed_and_one_that_is_no_text_is_said_to_be(
    save_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (save_dir.parent / "gone").mkdir()
    monkeypatch.chdir(save_dir.parent / "gone")
    async with opened(save_dir) as (screen, pilot, _):
        (save_dir.parent / "gone").rmdir()
        copy_path(screen, Path("weights/run"))
        assert pilot.app.clipboard == "weights/run"
        copy_path(screen, Path("weights/\udcff"))
        await until(pilot, lambda: "not UTF-8" in toasts(pilot))


async def test_options_are_looked_up_without_holding_up_the_keys(save_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(runs, "options_today", lambda config, *_: answered.wait(30) and config)
    async with opened(save_dir) as (screen, pilot, asked):
        await pilot.press("c", "down")
        assert screen._list.cursor == 1 and asked == []
        answered.set()
        await until(pilot, lambda: [type(message) for message in asked] == [CopyOptions])


async def test_keys_that_come_at_once_ask_once(save_dir: Path) -> None:
    async with opened(save_dir) as (_, pilot, _):
        burst(pilot, "delete", "delete")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        await pilot.pause(0.2)
        assert sum(isinstance(screen, Question) for screen in pilot.app.screen_stack) == 1


async def test_no_runs_says_what_to_press_and_a_bad_folder_says_why(tmp_path: Path) -> None:
    async with opened(tmp_path / "none") as (screen, _, _):
        assert "No runs here yet" in screen.query_one("#runs-empty").render().plain  # type: ignore[union-attr]
    (tmp_path / "file").write_text("")
    async with opened(tmp_path / "file") as (screen, _, _):
        assert "can't be listed" in screen.query_one("#runs-empty").render().plain  # type: ignore[union-attr]


async def test_a_broken_run_and_a_name_with_markup_are_shown_as_they_are(tmp_path: Path) -> None:
    fake_folder(tmp_path, "[red]x[[]y", "done")
    (tmp_path / "hostile-20261123-110000").mkdir()
    (tmp_path / "hostile-20261123-110000" / "events.jsonl").write_bytes(b"\0" * 5000)
    async with opened(tmp_path, (140, 30)) as (screen, pilot, asked):
        text = "\n".join(rows(screen))
        assert "[red]x[[]y" in text
        assert "? hostile" in text
        assert "? broken" in screen.query_one("#runs-account", Sheet).text
        await pilot.press("home", "enter")
        await pilot.pause()
        assert asked == []
        await pilot.press("down", "y", "delete")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        assert "[red]x[[]y" in pilot.app.screen.query_one("Static").content.plain  # type: ignore[attr-defined]


def test_the_preview_of_a_run_that_has_ended_is_filled_by_its_curve(tmp_path: Path) -> None:
    stopped = summarise(fake_folder(tmp_path, "short", "interrupted", n_epochs=400))
    assert curve(stopped).last == stopped.epoch == 240
    assert curve(replace(stopped, status="running")).last == 320


def refuse(*_: object) -> list[Path]:
    raise NoodleError("weights: can't be listed (Stale file handle)")


async def test_a_disk_that_hiccups_takes_nothing_from_the_list(save_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(save_dir) as (screen, pilot, _):
        await pilot.press("space", "space")
        with monkeypatch.context() as hiccup:
            hiccup.setattr(summaries, "list_runs", refuse)
            screen.folder_watch.look_now()
            trouble = screen.query_one("#runs-trouble", Static)
            await until(pilot, lambda: "Stale file handle" in str(trouble.content) and trouble.display)
            assert len(rows(screen)) == 5 and len(screen.selection.marked) == 2
            assert screen.picked is not None and screen.picked.name == "failed_run"
            assert screen.query_one(PickList).has_focus
        screen.folder_watch.look_now()
        await until(pilot, lambda: not trouble.display)


async def test_the_first_run_of_an_empty_list_has_the_keyboard(tmp_path: Path) -> None:
    async with opened(tmp_path) as (screen, pilot, asked):
        await until(pilot, lambda: screen.focused is None)
        fake_folder(tmp_path, "one")
        fake_folder(tmp_path, "two")
        screen.folder_watch.look_now()
        await until(pilot, lambda: screen.query_one(PickList).has_focus)
        await pilot.press("down", "enter")
        await until(pilot, lambda: bool(asked))
        assert screen._list.cursor == 1


async def test_a_cursor_that_was_moved_stays_while_the_rest_of_the_list_comes(save_dir: Path) -> None:
    async with opened(save_dir) as (screen, pilot, _):
        screen._first_picked = save_dir / "done_run-20261123-101500"
        runs = list(screen.selection.runs)
        screen._take(runs, "", whole=False)
        await until(pilot, lambda: screen._list.cursor == 3)
        await pilot.press("up")
        screen._take(runs, "", whole=False)
        await pilot.pause(0.1)
        assert screen._list.cursor == 2


# The overlay ----------------------------------------------------------------------------------------------------------


async def test_marked_runs_are_overlaid_with_letters_and_their_options_compared(save_dir: Path) -> None:
    async with opened(save_dir, (120, 40)) as (screen, pilot, _):
        await pilot.press("v")
        assert pilot.app.screen is screen  # nothing marked, nothing to compare
        await pilot.press("space", "space")
        assert rows(screen)[1].startswith(" a")
        await pilot.press("v")
        overlay = pilot.app.screen
        assert isinstance(overlay, CompareScreen)
        await until(pilot, lambda: all(state.epochs for state in overlay.states))
        await pilot.pause(0.2)
        plot = overlay.query_one("#compare-accuracy", Plot)
        assert plot.cells is not None
        assert {"a", "b"} <= set(plot.cells.char.ravel().tolist())
        assert {RUN, RUN + 1} <= set(plot.cells.ink.ravel().tolist())
        table = overlay.query_one("#compare-options", Sheet).text
        assert "lr" in table
        assert "0.0001" in table
        assert "batch_size" not in table
        await pilot.press("left")
        assert overlay.view.cursor == 24
        assert "epoch 24: loss" in overlay.query_one("#compare-runs", Sheet).text
        before = plot.cells.char.tolist()
        await pilot.press("t")
        assert plot.cells.char.tolist() != before
        await pilot.press("escape", "escape")
        assert pilot.app.screen is screen


@pytest.fixture
def two_runs(tmp_path: Path) -> list[RunSummary]:
    name = "resnet_sweep_with_a_long_name_lr_0.003"
    return [summarise(fake_folder(tmp_path, name, state, stamp=f"20261123-10150{i}", seed=i))
            for i, state in enumerate(("done", "failed"))]


@asynccontextmanager
async def overlaid(runs: list[RunSummary], size: tuple[int, int]) -> AsyncIterator[tuple[CompareScreen, Pilot[Any]]]:
    screen = CompareScreen(runs)
    async with SmallApp(screen).run_test(size=size) as pilot:
        await until(pilot, lambda: all(state.ended for state in screen.states) and not screen._paint_is_due)
        yield screen, pilot


async def test_an_overlay_shows_true_peaks_until_smoothing_is_asked_for(two_runs: list[RunSummary]) -> None:
    async with overlaid(two_runs, (160, 50)) as (screen, _):
        line = screen._curve(0, "accuracy")
        assert line is not None
        assert screen.states[0].best is not None
        assert line.y.max() == screen.states[0].best.val_accuracy


async def test_an_overlay_wears_the_theme_that_is_chosen_while_it_is_there(two_runs: list[RunSummary]) -> None:
    async with overlaid(two_runs, (160, 50)) as (screen, pilot):
        legend = screen.query_one("#compare-runs", Sheet)
        before = screen._colour(0)
        assert before in [str(span.style) for span in legend.render().spans]
        pilot.app.theme = "noodle-light"
        await until(pilot, lambda: screen._colour(0) != before)
        assert screen._colour(0) in [str(span.style) for span in legend.render().spans]


async def test_an_overlay_asks_a_disk_that_hiccups_again(
    two_runs: list[RunSummary], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "LOOK_EVERY", 0.05)
    read, refused = Follower.read, threading.Event()

    def read_or_refuse(follower: Follower) -> list[Event]:
        if not refused.is_set():
            raise NoodleError("events.jsonl: can't be read (Stale file handle)")
        return read(follower)

    monkeypatch.setattr(Follower, "read", read_or_refuse)
    screen = CompareScreen(two_runs)
    async with SmallApp(screen).run_test(size=(160, 50)) as pilot:
        legend = screen.query_one("#compare-runs", Sheet)
        await until(pilot, lambda: legend.text.count("Stale file handle") == 2)
        refused.set()
        await until(pilot, lambda: all(state.ended for state in screen.states))
        await until(pilot, lambda: "Stale" not in legend.text)


@pytest.mark.parametrize("width", [80, 100, 160])
async def test_the_cursor_reads_values_and_the_states_are_whole_in_every_width(two_runs: list[RunSummary], width: int) -> None:
    async with overlaid(two_runs, (width, 24)) as (screen, pilot):
        legend = screen.query_one("#compare-runs", Sheet)
        lines = legend.text.splitlines()
        assert "✓ done" in lines[0]
        assert "✗ failed" in lines[1]
        assert all("★ 0." in line for line in lines)
        assert all(("lr_0.003" in line) for line in lines)
        await pilot.press("left")
        lines = legend.text.splitlines()
        assert "epoch 40: loss 0." in lines[0]
        assert "accuracy 0." in lines[0]
        assert all(len(line) <= width - 2 for line in lines)


async def test_in_a_narrow_window_no_value_at_the_cursor_is_cut(tmp_path: Path) -> None:
    runs = [summarise(fake_folder(tmp_path, "a_sweep_lr_0.003", state, stamp=f"20261123-10150{i}", n_epochs=200))
            for i, state in enumerate(("done", "interrupted"))]
    screen = CompareScreen(runs)
    async with SmallApp(screen).run_test(size=(60, 20)) as pilot:
        await until(pilot, lambda: screen.states[1].status == "interrupted")
        await pilot.press("left")
        await until(pilot, lambda: "epoch" in screen.query_one("#compare-runs", Sheet).text)
        lines = screen.query_one("#compare-runs", Sheet).text.splitlines()
        assert re.search(r"  ✓   epoch 200: loss \d\.\d+  accuracy \d\.\d+$", lines[0]) and "  !   epoch 200: –" in lines[1]
        assert all(len(line) <= 58 and "0.003" in line for line in lines)


async def test_runs_of_one_name_are_told_apart_and_what_is_said_of_them_stands_in_columns(tmp_path: Path) -> None:
    runs = [summarise(fake_folder(tmp_path, name, state, stamp=stamp, later=later)) for name, state, stamp, later in
            (("twin", "done", "20261123-101500", 0), ("twin", "done", "20261125-101500", 2 * 86400),
             ("longer_name", "failed", "20261127-101500", 4 * 86400))]
    async with overlaid(runs, (80, 24)) as (screen, _):
        lines = screen.query_one("#compare-runs", Sheet).text.splitlines()
        assert all(f"twin  {when_in_short(run.started)}" in line for run, line in zip(runs[:2], lines, strict=False))
        assert len({when_in_short(run.started) for run in runs}) == 3
        assert {line.index("★") for line in lines} == {lines[0].index("★")}
        assert {line.index(mark) for line, mark in zip(lines, "✓✓✗", strict=True)} == {lines[0].index("✓")}


async def test_a_click_home_and_end_set_the_cursor_of_an_overlay(two_runs: list[RunSummary]) -> None:
    async with overlaid(two_runs, (120, 40)) as (screen, pilot):
        await pilot.press("home")
        assert screen.view.cursor == 1
        await pilot.press("end")
        assert screen.view.cursor == 40
        plot = screen.query_one("#compare-accuracy", Plot)
        assert plot.cells is not None and plot.cells.scales is not None
        await pilot.click(plot, offset=(LABEL_WIDTH + plot.cells.scales.column(20), 5))
        assert screen.view.cursor == 20


async def test_zoomed_in_at_an_epoch_runs_of_different_length_are_compared_there(tmp_path: Path) -> None:
    runs = [summarise(fake_folder(tmp_path, name, n_epochs=n)) for name, n in (("long", 100), ("short", 12))]
    async with overlaid(runs, (160, 40)) as (screen, pilot):
        legend, plot = screen.query_one("#compare-runs", Sheet), screen.query_one("#compare-loss", Plot)
        await pilot.press("plus", "plus")
        assert "validation loss (last 25)" in plot.heading
        screen.view.cursor = 10
        await pilot.press("right")
        assert plot.cells is not None and plot.cells.scales is not None
        assert plot.cells.scales.x.low <= 11 <= plot.cells.scales.x.high
        assert "(epochs 1–25)" in plot.heading
        assert {"a", "b"} <= set(plot.cells.char.ravel().tolist()), "both runs are in sight"
        assert all("epoch 11: loss 0." in text for text in legend.text.splitlines())
        screen.view.cursor = 20
        await pilot.press("right")
        long, short = legend.text.splitlines()
        assert "epoch 21: loss 0." in long
        assert short.rstrip().endswith("epoch 21: –")


async def test_runs_on_other_photos_are_warned_of(two_runs: list[RunSummary]) -> None:
    async with overlaid(two_runs, (80, 24)) as (screen, _):
        assert "different photos" not in screen.query_one("#compare-runs", Sheet).text
    events = two_runs[1].folder / "events.jsonl"
    events.write_text(events.read_text().replace('"fingerprint": "9f3c"', '"fingerprint": "77aa"'))
    async with overlaid(two_runs, (60, 24)) as (screen, _):
        lines = screen.query_one("#compare-runs", Sheet).text.splitlines()
        said = "! different photos (a/b): accuracies can be compared only where those of validation are the same"
        assert " ".join(" ".join(lines[:-2]).split()) == said and max(map(len, lines)) <= 58
    events.write_text(events.read_text().replace('"val_counts": [30, 30]', '"val_counts": [20, 30]'))
    async with overlaid(two_runs, (80, 24)) as (screen, _):
        first = screen.query_one("#compare-runs", Sheet).text.splitlines()[0]
        assert first == "! validated on different photos (a/b): accuracies can't be compared"


def test_differing_options() -> None:
    configs = [{"lr": 0.1, "seed": 1, "comet": True}, {"lr": 0.1, "seed": 2, "namestr": "x"}]
    assert differing_options(configs) == [("seed", ["1", "2"]), ("comet", ["yes", "–"])]
    assert "none" in option_lines([], 80)[0].plain
    wide = ["写真整理済実験一", "写真"]
    assert wide[0] in option_lines([("data_dir", wide)], 80)[1].plain
    paths = [with_full_paths({"data_dir": data_dir, "weights": "imagenet"}, cwd) for data_dir, cwd in
             (("sorted", "/a/b"), ("/a/b/sorted", "/c"), ("../b/sorted/", "/a/b"))]
    assert differing_options(paths) == [], "one folder, whatever it is called"
    assert all(line.cell_length <= 60 for line in option_lines([("classes", ["x" * 90] * 8)], 60))


@pytest.mark.parametrize("values", [
    ["/data/people/session-monday/photos", "/data/people/session-tuesday/photos"],
    ["/photos/of/the/first/session/a", "/photos/of/the/first/session/b"],
    ["a" * 40 + "x" + "b" * 40, "a" * 40 + "y" + "b" * 40],
])
def test_what_differs_in_long_values_is_seen(values: list[str]) -> None:
    _, row = option_lines([("data_dir", values)], 40)
    assert row.cell_length <= 40
    cells = row.plain.split()[1:]
    assert len(cells) == 2 and cells[0] != cells[1] and all("…" in cell for cell in cells)
    assert told_apart(["short", "x" * 30], 12) == ["short", shortened("x" * 30, 12)]


@pytest.mark.parametrize("width", [57, 79, 99, 119, 159])
def test_columns_never_take_more_than_there_is(width: int) -> None:
    for longest in (1, 2, 8, 30, 200):
        lengths = (("name", longest), ("epochs", 13), ("correct", 11), ("95%", 11), ("time", 8))
        assert sum(room for _, room in columns_for(width, lengths)) <= width - GUTTER, longest


async def test_below_a_short_list_the_reason_of_a_failure_is_there_in_full(save_dir: Path) -> None:
    reason = "the validation loss is not a number in epoch 1: training diverged; lower --lr (it is 90), or look at " \
             "the photos of each class once more"
    folder = fake_folder(save_dir, "failed_run", "failed", stamp="20261123-111503", later=86400)
    Recorder(folder, print)(RunFailed(error=reason, seconds=1.0))
    async with opened(save_dir, (80, 24)) as (screen, _, __):
        detail = screen.query_one("#runs-detail", Lines)
        assert reason in " ".join(detail.text.split()) and len(detail.text.splitlines()) <= detail.size.height
        assert screen.picked is not None and screen.picked.folder == folder


async def test_numbers_are_never_cut_however_many_photos_and_epochs(save_dir: Path) -> None:
    best = EpochDone(epoch=12000, n_epochs=12000, train_loss=0.1, train_correct=1, train_count=1, val_loss=0.1,
                     val_correct=9997, val_count=10000, lr=0.001, seconds=1.0, images_per_second=1.0, is_best=True)
    long = replace(summarise(next(save_dir.glob("done_run*"))), epoch=12000, n_epochs=12000, best=best, seconds=900_000.0)
    for size in ((80, 24), (160, 30)):
        async with opened(save_dir, size) as (screen, _, __):
            screen.selection.take([long], whole=True)
            screen._refill()
            line = rows(screen)[1]
            assert all(text in line for text in ("12000/12000", "0.999", "9997/10000", "0.999–1.000")), line
            assert ("10d 10:00" in line) == (size[0] == 160)
