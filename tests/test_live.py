"""The Live screen, driven by keys on made-up runs."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_runs import FOLDER, ReplaySource, fake_events
from measure_bytes import measure
from small_app import burst, until
from textual.pilot import Pilot
from textual.widgets import Static

from noodle_tui.errors import NoodleError
from noodle_tui.events import (
    Event,
    Message,
    Paused,
    Resumed,
    RunDone,
    RunFailed,
    RunMoved,
    RunStarted,
    RunStopped,
    Saved,
    SaveRefused,
    StageProgress,
    StageStarted,
)
from noodle_tui.run_folder import locked
from noodle_tui.run_state import RunState
from noodle_tui.tui import live, live_text, words
from noodle_tui.tui.app import NoodleApp
from noodle_tui.tui.live import LiveScreen
from noodle_tui.tui.machine import read_machine
from noodle_tui.tui.messages import Open, PickUp
from noodle_tui.tui.sources import FolderSource
from noodle_tui.tui.themes import DARK_VARIABLES, LIGHT_VARIABLES, THEMES
from noodle_tui.tui.widgets.dialogs import Help, Question
from noodle_tui.tui.widgets.epoch_table import EpochTable
from noodle_tui.tui.widgets.event_log import EventLog
from noodle_tui.tui.widgets.painting import Lines, headed_rule
from noodle_tui.tui.widgets.plot import Plot
from noodle_tui.tui.widgets.sheet import Sheet
from noodle_tui.tui.widgets.sparkline import load_line
from noodle_tui.tui.widgets.too_small import TooSmall


class Watched(NoodleApp):
    """The app, noting what the Live screen asks of it."""

    def __init__(self, source: ReplaySource, theme: str = "noodle-dark"):
        super().__init__(first=LiveScreen(source))
        self.theme = theme
        self.asked: list[str] = []
        self.copied: list[str] = []

    def on_live_screen_detach(self) -> None:
        self.asked.append("detach")

    def on_open(self, message: Open) -> None:
        assert not message.alive
        self.asked.append(f"result {message.folder}")

    def on_pick_up(self, message: PickUp) -> None:
        self.asked.append(f"resume {message.folder}")

    def copy_to_clipboard(self, text: str) -> None:
        self.copied.append(text)


def source_of(state: str, n_epochs: int = 40) -> ReplaySource:
    events = fake_events(n_epochs, state, host=socket.gethostname())
    return ReplaySource(events, alive=state in ("running", "paused"), folder=Path(FOLDER))


async def settled(pilot: Pilot, status: str) -> LiveScreen:
    """The screen, once the worker thread has brought the run this far."""
    for _ in range(100):
        screen = pilot.app.screen
        if isinstance(screen, LiveScreen) and screen.status == status and screen.state.epochs:
            await pilot.pause()
            return screen
        await pilot.pause(0.02)
    raise AssertionError(f"never {status}")


def shown(screen: LiveScreen) -> list[str]:
    """The rows of the terminal as text."""
    width, height = screen.size
    return [strip.text for strip in screen._compositor.render_strips()][:height] or [" " * width]


@pytest.mark.parametrize("size", [(160, 50), (80, 24), (60, 20)])
async def test_all_that_matters_is_in_sight(size: tuple[int, int]):
    async with Watched(source_of("running")).run_test(size=size) as pilot:
        screen = await settled(pilot, "running")
        text = "\n".join(shown(screen))
        best = screen.state.best
        assert best is not None
        for needed in ("neuro_ml", "train  epoch 25/40", "60%", "0:16 left", "5.6k img/s", "loss", "acc", "★",
                       f"({best.val_correct}/{best.val_count}, 95%", "! 1 warning", "? Help"):
            assert needed in text
        assert sum(f"{n}  " in row for n in (24, 23, 22) for row in shown(screen)) >= 3
        assert all(screen.query_one(f"#{which}", Plot).size.height >= 8 for which in ("loss", "accuracy"))
        assert not screen.query_one(TooSmall).display
        for sparkline_end in ("▁", "█"):
            assert sparkline_end in shown(screen)[2]


async def test_a_run_that_says_nothing_any_more_is_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "SILENT_AFTER", 0.6)
    source = source_of("running")
    async with Watched(source).run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot, "running")
        assert "0:16 left" in shown(screen)[1]
        source.add(StageProgress(stage="train", done=9, total=9))  # it validates, and says nothing
        await pilot.pause(1.2)
        assert "no word" not in shown(screen)[1]
        source.add(StageProgress(stage="train", done=2, total=9))
        await until(pilot, lambda: "! no word for " in shown(screen)[1])
        assert " left" not in shown(screen)[1]
        monkeypatch.setattr(live, "SILENT_AFTER", 60)
        source.add(StageProgress(stage="train", done=3, total=9))
        await until(pilot, lambda: " left" in shown(screen)[1])
        source.add(Paused(epoch=24))
        await until(pilot, lambda: screen.status == "paused")
        monkeypatch.setattr(live, "SILENT_AFTER", 0.6)
        await pilot.pause(1)
        assert "no word" not in shown(screen)[1]


@pytest.mark.parametrize("width", [119, 120, 121, 122])
async def test_the_best_epoch_is_said_once_in_every_width(width: int):
    async with Watched(source_of("running")).run_test(size=(width, 36)) as pilot:
        screen = await settled(pilot, "running")
        best = screen.state.best
        assert best is not None
        assert "\n".join(shown(screen)).count(f"({best.val_correct}/{best.val_count}, 95%") == 1


async def test_a_wide_window_shows_more():
    async with Watched(source_of("running")).run_test(size=(160, 50)) as pilot:
        text = "\n".join(shown(await settled(pilot, "running")))
        for needed in (FOLDER, "✓ rejig 0.3s", "▸ train", "· evaluate", "H100", "bf16", "train 216  val 24",
                       "! 6 people in both train and val", "--split-by person"):
            assert needed in text


async def test_below_60_x_20_a_sentence_says_so_and_it_comes_back():
    async with Watched(source_of("running")).run_test(size=(59, 24)) as pilot:
        screen = await settled(pilot, "running")
        assert "60 x 20 is needed" in " ".join(shown(screen))
        await pilot.resize_terminal(60, 20)
        await pilot.pause()
        assert "epoch 25/40" in "\n".join(shown(screen))
        await pilot.resize_terminal(100, 19)
        await pilot.pause()
        assert "This window is 100 x 19." in "\n".join(shown(screen))


async def test_new_epochs_arrive_by_the_worker_thread():
    whole = fake_events(40, "running", host=socket.gethostname())
    source = ReplaySource(whole[:-10], alive=True, folder=Path(FOLDER))
    async with Watched(source).run_test(size=(100, 40)) as pilot:
        screen = await settled(pilot, "running")
        before = screen.state.epoch
        source.add(*whole[-10:])
        for _ in range(150):
            await pilot.pause(0.02)
            if f"epoch {whole[-1].epoch + 1}/40" in shown(screen)[1]:  # type: ignore[attr-defined]
                break
        assert screen.state.epoch == whole[-1].epoch > before  # type: ignore[attr-defined]
        assert f"epoch {screen.state.epoch + 1}/40" in shown(screen)[1]
        assert screen.state == RunState.fold(whole)


async def test_stop_asks_first():
    source = source_of("running")
    async with Watched(source).run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot, "running")
        for refusal in ("n", "escape", "enter"):  # enter: the focus is on "keep running"
            await pilot.press("s")
            await pilot.pause()
            assert isinstance(pilot.app.screen, Question)
            said = pilot.app.screen.query_one("Static").content.plain  # type: ignore[attr-defined]
            assert "finishes the current batch, saves (epoch 24 of 40), and can be resumed (r)." in said
            await pilot.press(refusal)
            await pilot.pause()
        assert source.requests == []
        await pilot.press("s")
        await pilot.pause()
        await pilot.press("y")
        await until(pilot, lambda: source.requests == ["stop"])
        assert "stopping" in shown(screen)[1]
        source.add(RunStopped("asked to stop", 24.0))
        source.end()
        await settled(pilot, "stopped")
        await pilot.press("s")
        await pilot.pause()
        assert pilot.app.screen is screen  # nothing left to stop


async def test_a_key_that_comes_twice_asks_once():
    async with Watched(source_of("running")).run_test(size=(80, 24)) as pilot:
        await settled(pilot, "running")
        burst(pilot, "s", "s")
        await until(pilot, lambda: isinstance(pilot.app.screen, Question))
        await pilot.pause(0.2)
        assert sum(isinstance(screen, Question) for screen in pilot.app.screen_stack) == 1


async def test_pause_and_go_on():
    source = source_of("running")
    async with Watched(source).run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot, "running")
        assert "p Pause" in shown(screen)[-1]
        await pilot.press("p")
        await until(pilot, lambda: source.requests == ["pause"])
        source.add(Paused(24))
        await settled(pilot, "paused")
        await pilot.pause(0.1)
        assert "‖ paused" in shown(screen)[1]
        assert "p Go on" in shown(screen)[-1]
        await pilot.press("p")
        await until(pilot, lambda: source.requests == ["pause", "go on"])
        source.add(Resumed(24))
        await settled(pilot, "running")


async def test_a_request_that_is_refused_is_said_and_the_app_goes_on():
    source = source_of("running")

    def refuse() -> None:
        raise NoodleError("weights/[red]x[/]/pause: can't be made (Permission denied)")

    source.pause = refuse  # type: ignore[method-assign]
    async with Watched(source).run_test(size=(100, 40), notifications=True) as pilot:
        screen = await settled(pilot, "running")
        await pilot.press("p")
        await until(pilot, lambda: "[red]x[/]/pause: can't be" in "\n".join(shown(screen)))
        assert "pausing" not in shown(screen)[1]


async def test_a_disk_that_hiccups_is_said_once_and_read_again():
    whole = fake_events(40, "running", host=socket.gethostname())
    source = ReplaySource(whole[:-10], alive=True, folder=Path(FOLDER))
    read, refusals = source.read, [3]

    def read_or_refuse() -> Sequence[Event]:
        if refusals[0]:
            refusals[0] -= 1
            raise NoodleError("events.jsonl: can't be read (Stale file handle)")
        return read()

    source.read = read_or_refuse  # type: ignore[method-assign]
    async with Watched(source).run_test(size=(100, 40)) as pilot:
        screen = await settled(pilot, "running")
        assert sum("Stale file handle" in getattr(entry, "text", "") for entry in screen.state.log) == 1


async def test_detach_and_copy():
    app = Watched(source_of("running"))
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot, "running")
        await pilot.press("y", "d")
        await pilot.pause()
        assert app.copied == [os.path.abspath(FOLDER)]
        assert app.asked == ["detach"]


async def test_keys_of_tmux_screen_and_readline_destroy_nothing():
    source = source_of("running")
    app = Watched(source)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot, "running")
        await pilot.press("ctrl+c", "ctrl+z", "ctrl+a", "ctrl+b", "ctrl+d", "ctrl+w", "ctrl+u", "ctrl+k", "ctrl+l")
        await pilot.pause()
        assert app.is_running
        assert app.screen is screen
        assert (source.requests, app.asked) == ([], [])


async def test_curves_follow_their_keys():
    async with Watched(source_of("running")).run_test(size=(160, 50)) as pilot:
        screen = await settled(pilot, "running")
        loss, accuracy = screen.query_one("#loss", Plot), screen.query_one("#accuracy", Plot)
        await pilot.press("l", "m")
        assert "(log, smooth 0.6)" in loss.heading
        assert "(smooth 0.6)" in accuracy.heading  # an accuracy has no log scale
        assert loss.cells is not None
        assert loss.cells.scales is not None
        assert loss.cells.scales.y.log
        await pilot.press("l", "m", "m")
        assert "(" not in loss.heading
        await pilot.press("+", "+")
        assert "last 10" in loss.heading
        await pilot.press("-")
        assert "last 19" in accuracy.heading  # the window is one ahead
        await pilot.press("0")
        assert "last" not in loss.heading
        await pilot.press("left", "left")
        assert "epoch 23" in loss.heading
        assert "epoch 23" in accuracy.heading
        assert f"train {words.number(screen.state.epochs[22].train_loss)}" in loss.heading
        await pilot.press("right", "right", "right")
        assert "epoch 24" in loss.heading
        await pilot.press("escape")
        assert "epoch" not in loss.heading


async def test_the_cursor_comes_in_at_the_last_epoch_of_a_long_run():
    async with Watched(source_of("running", 1000)).run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot, "running")
        await until(pilot, lambda: screen.state.epoch == 600)
        await pilot.press("left")
        assert screen.view.cursor == 600
        await pilot.press("left")
        assert screen.view.cursor < 598  # a column of the plot is many epochs


async def test_home_and_end_set_the_cursor_unless_table_or_log_has_the_focus():
    async with Watched(source_of("running")).run_test(size=(160, 50)) as pilot:
        screen = await settled(pilot, "running")
        await pilot.press("home")
        assert screen.view.cursor == 1
        await pilot.press("end")
        assert screen.view.cursor == 24
        await pilot.press("tab", "home")
        assert screen.view.cursor == 24


async def test_a_click_sets_the_cursor_of_both_plots():
    async with Watched(source_of("running")).run_test(size=(160, 50)) as pilot:
        screen = await settled(pilot, "running")
        plot = screen.query_one("#accuracy", Plot)
        assert plot.cells is not None
        assert plot.cells.scales is not None
        await pilot.click(plot, offset=(7 + plot.cells.scales.column(10), 5))
        await pilot.pause()
        assert "epoch 10" in screen.query_one("#loss", Plot).heading


async def test_a_log_without_room_for_rows_counts_none():
    async with Watched(source_of("running")).run_test(size=(80, 40)) as pilot:
        screen = await settled(pilot, "running")
        log = screen.query_one(EventLog)
        log.focus()
        log.styles.height = 1
        await until(pilot, lambda: log.size.height == 1)
        await until(pilot, lambda: "1 warning" in log._lines[0].text and "of" not in log._lines[0].text)


async def test_a_failed_run_is_a_calm_sentence():
    app = Watched(source_of("failed"))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot, "failed")
        text = "\n".join(shown(screen))
        assert "✗ failed" in text
        assert "✗ the loss is NaN in epoch 12: lower --lr (it is 0.5), or try --precision" in text
        assert f"--load-dir {FOLDER}" in " ".join(row.strip(" ▌") for row in shown(screen))
        assert "Traceback" not in text
        assert "Stop" not in shown(screen)[-1]
        assert "Result" in shown(screen)[-1] and "r Resume" in shown(screen)[-1]
        await pilot.press("r")
        await pilot.pause()
        assert app.asked == [f"resume {FOLDER}"]


async def test_a_done_run_has_a_verdict_with_counts_interval_and_doubt():
    app = Watched(source_of("done"))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot, "done")
        text = " ".join(row.strip(" ▌") for row in shown(screen))
        best = screen.state.best
        assert best is not None
        low, high = best.val_interval or (0, 1)
        counts = f"({best.val_correct}/{best.val_count}, 95% interval {low:.2f} to {high:.2f})"
        assert f"best validation accuracy {best.val_accuracy:.3f} {counts} at epoch {best.epoch}." in text
        assert "6 of 6 people are in both train and val" in text
        assert "100%" in shown(screen)[1]
        assert "Result" in shown(screen)[-1] and "Resume" not in shown(screen)[-1]
        await pilot.press("r", "enter")
        await pilot.pause()
        assert app.asked == [f"result {FOLDER}"]


def test_a_network_that_starts_from_nothing_is_said_in_words():
    state = RunState.fold(fake_events(3))
    assert state.model is not None
    assert "ResNet18, ImageNet weights" in live_text.facts_line(state).plain
    assert state.started is not None
    started = replace(state.started, config={"data_dir": "sorted"})
    state = replace(state, model=replace(state.model, weights="none"), started=started)
    assert "ResNet18, random weights  NVIDIA" in live_text.facts_line(state).plain
    where, options = live_text.overview(state)
    assert ("model", "ResNet18, random weights") in where[1]
    assert options[1] == [("data dir", "sorted")], "as the form names it"


def test_how_photos_were_sorted_is_an_option_of_a_run_that_sorted_them_alone():
    state = RunState.fold(fake_events(3))
    assert state.started is not None
    config = {"data_dir": "sorted", "rejig_data": False, "split_by": "person", "mode": "move", "lr": 0.1}
    _, options, sorted_by = live_text.overview(replace(state, started=replace(state.started, config=config)))
    assert options[1] == [("data dir", "sorted"), ("rejig data", "no"), ("lr", "0.1")]
    assert sorted_by == ("How rejig had sorted the photos", [("split by", "person"), ("mode", "move")])
    config["rejig_data"] = True
    _, options = live_text.overview(replace(state, started=replace(state.started, config=config)))
    assert ("split by", "person") in options[1]


async def test_a_run_that_nobody_works_on_was_interrupted():
    async with Watched(source_of("interrupted")).run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot, "interrupted")
        assert "! interrupted after epoch 24 of 40" in "\n".join(shown(screen))


async def test_the_table_is_newest_first_marks_the_best_and_stays_where_she_reads():
    whole = fake_events(100, "running", host=socket.gethostname())
    source = ReplaySource(whole, alive=True)
    async with Watched(source).run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot, "running")
        table = screen.query_one(EpochTable)

        def rows() -> list[str]:
            return [strip.text for strip in table._lines[2:]]

        assert rows()[0].split()[0] == "60"
        table.focus()
        await pilot.press("end")
        assert rows()[-1].split()[0] == "1"
        best = screen.state.best
        assert best is not None
        await pilot.press("home", *["down"] * (60 - best.epoch))
        assert rows()[0].startswith(" ★")
        assert rows()[0].split()[1] == str(best.epoch)
        before = rows()
        table.show([*screen.state.epochs, screen.state.epochs[-1]], best, headed_rule_detail())
        assert rows() == before


def headed_rule_detail():
    from textual.content import Content

    return Content("")


async def test_the_log_tells_warnings_by_their_sign_and_prints_markup_as_it_is():
    source = source_of("running")
    source.add(Message("warning", "[red]no[/] such thing \x1b[31m"), Message("error", "gone"))
    async with Watched(source).run_test(size=(160, 50)) as pilot:
        screen = await settled(pilot, "running")
        lines = [strip.text for strip in screen.query_one(EventLog)._lines]
        assert "! 2 warnings" in lines[0]
        assert any("✗ gone" in text for text in lines)
        assert any("! [red]no[/] such thing" in text for text in lines)
        assert not any("\x1b" in text for text in lines)
        assert sum("saved checkpoint.pt" in text for text in lines) == 1  # the last one tells all


@pytest.mark.parametrize(("size", "before", "focused"), [((80, 24), 2, 5), ((90, 40), 5, 12), ((160, 50), 15, 15)])
async def test_the_log_is_as_high_as_the_table_while_it_is_read(size: tuple[int, int], before: int, focused: int):
    async with Watched(source_of("running")).run_test(size=size) as pilot:
        screen = await settled(pilot, "running")
        log, table = screen.query_one(EventLog), screen.query_one(EpochTable)
        both = log.size.height + table.size.height
        assert log.size.height == before
        log.focus()
        await pilot.pause()
        assert log.size.height == focused
        assert log.size.height + table.size.height == both, "the curves keep their place"
        table.focus()
        await pilot.pause()
        assert log.size.height == before


async def test_both_themes_can_be_worn():
    async with Watched(source_of("running"), theme="noodle-light").run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot, "running")
        assert "epoch 25/40" in shown(screen)[1]
        pilot.app.theme = "noodle-dark"
        await pilot.pause()
        assert "epoch 25/40" in shown(screen)[1]


def test_both_themes_name_the_same_colours_and_all_are_of_the_256_palette():
    assert DARK_VARIABLES.keys() == LIGHT_VARIABLES.keys()
    steps = (0, 95, 135, 175, 215, 255)
    cube = {f"#{r:02x}{g:02x}{b:02x}" for r in steps for g in steps for b in steps}
    greys = {f"#{8 + 10 * i:02x}" * 1 + f"{8 + 10 * i:02x}" * 2 for i in range(24)}
    for theme in THEMES:
        assert {c for c in theme.variables.values() if c.startswith("#")} <= cube | greys


async def test_idle_refreshes_nothing():
    async with Watched(source_of("done")).run_test(size=(160, 50)) as pilot:
        screen = await settled(pilot, "done")
        await pilot.pause(1.2)
        refreshed: list[object] = []
        for widget in (Lines, Plot, EpochTable, EventLog):
            for one in screen.query(widget):
                original = one.refresh
                one.refresh = lambda *a, _o=original, **k: (refreshed.append(a), _o(*a, **k))[1]  # type: ignore
        await pilot.pause(1.0)
        assert refreshed == []


def test_bytes_on_the_line():
    """An epoch a second at 160 x 50: under 4 KB a second; at rest nothing."""
    sizes = measure(160, 50, seconds=3, idle=1)
    print(sizes)
    assert 200 < sizes["a second"] < 4096
    assert sizes["idle"] == 0


def test_below_the_help_a_run_writes_nothing():
    """Textual would write the whole screen anew for every epoch, 30 kB."""
    sizes = measure(160, 50, seconds=2, idle=1, covered=True)
    assert (sizes["a second"], sizes["idle"]) == (0, 0)


async def test_what_came_while_the_help_lay_above_is_there_when_it_closes():
    whole = fake_events(40, "running", host=socket.gethostname())
    source = ReplaySource(whole[:-10], alive=True, folder=Path(FOLDER))
    async with Watched(source).run_test(size=(100, 40)) as pilot:
        screen = await settled(pilot, "running")
        await pilot.press("question_mark")
        await pilot.pause()
        source.add(*whole[-10:])
        await until(pilot, lambda: screen.state.epoch == whole[-1].epoch)  # type: ignore[attr-defined]
        await pilot.press("escape")
        await until(pilot, lambda: f"epoch {screen.state.epoch + 1}/40" in shown(screen)[1])


@pytest.mark.parametrize("size", [(160, 50), (80, 24)])
async def test_before_the_first_epoch_the_plots_say_what_is_awaited(size: tuple[int, int]):
    events = fake_events(40, "running", host=socket.gethostname())
    decoding = next(i for i, e in enumerate(events) if isinstance(e, StageStarted) and e.stage == "decode")
    source = ReplaySource(events[:decoding + 1], alive=True, folder=Path(FOLDER))
    async with Watched(source).run_test(size=size) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, LiveScreen)
        await until(pilot, lambda: screen.state.stage == "decode"
                    and "\n".join(shown(screen)).count("waiting for the first epoch") == 2)
        assert "·  ·" not in "\n".join(shown(screen))  # no empty axes
        source.add(*events[decoding + 1:])
        await until(pilot, lambda: "waiting for" not in "\n".join(shown(screen)))


def test_a_run_that_ended_without_an_epoch_awaits_nothing():
    assert live_text.awaited(RunState(), "failed") == "no epoch was finished"


async def test_the_curves_alone_and_the_table_again():
    async with Watched(source_of("running")).run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot, "running")
        plot = screen.query_one("#loss", Plot)
        before = plot.size.height
        await pilot.press("f")
        await pilot.pause()
        assert plot.size.height == before + 7
        await pilot.press("f")
        await pilot.pause()
        assert plot.size.height == before


async def test_the_options_of_a_run_and_where_it_runs():
    async with Watched(source_of("running")).run_test(size=(100, 60)) as pilot:
        screen = await settled(pilot, "running")
        await pilot.press("i")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Help)
        text = pilot.app.screen.query_one(Sheet).text
        started = screen.state.started
        assert started is not None
        for name in started.config:
            assert f"  {name} " in text
        assert socket.gethostname() in text


async def test_the_cursors_epoch_is_said_in_a_narrow_window_too():
    async with Watched(source_of("running")).run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot, "running")
        await pilot.press("m", "left", "left")
        await pilot.pause()
        lines = shown(screen)
        heading = next(line for line in lines if " accuracy " in line)
        epoch = screen.state.epochs[22]
        assert heading.count("│ 23") + heading.count("│ epoch 23") == 2
        assert heading.count(words.number(epoch.train_accuracy)) == 1
        assert heading.count(words.number(epoch.train_loss)) == 1


async def test_a_long_entry_that_is_cut_ends_in_an_ellipsis():
    source = source_of("running")
    source.add(Message("warning", "a word " * 30))
    async with Watched(source).run_test(size=(80, 24)) as pilot:
        screen = await settled(pilot, "running")
        entry = screen.query_one(EventLog)._lines[1].text
        assert "! a word a word" in entry
        assert entry.rstrip().endswith("…")


async def test_the_verdict_takes_no_cells_from_the_plots():
    widths = []
    for state in ("running", "done"):
        async with Watched(source_of(state)).run_test(size=(160, 50)) as pilot:
            screen = await settled(pilot, state)
            widths.append(screen.query_one("#accuracy", Plot).region.right)
    assert widths[0] == widths[1]


def test_the_load_of_the_last_minute():
    assert load_line([0, 50, 100, 12.6], 3) == "▅█▂"
    assert load_line([], 3) == ""


def test_a_long_past_is_taken_in_without_holding_up_the_screen():
    state = RunState.fold(fake_events(3000, "done"))
    started = time.perf_counter()
    live_text.stage_line(state, "done", "", 160)
    live_text.stages_line(state, "done")
    assert time.perf_counter() - started < 0.05


def test_machine_line():
    found: list[tuple[str, float | None]] = []
    reader = threading.Thread(target=lambda: found.append(read_machine("cpu", socket.gethostname(), 1)))
    busy = threading.Event()
    worker = threading.Thread(target=lambda: [sum(range(10_000)) for _ in iter(busy.is_set, True)])
    worker.start()
    reader.start()
    reader.join()
    busy.set()
    worker.join()
    [(text, load)] = found
    assert load is not None and load > 0, "a thread's first look sees a load, too"
    assert text.startswith("CPU ")
    assert load is not None
    assert 0 <= load <= 100
    assert "GiB" in read_machine("", "", 0)[0]
    assert read_machine("cuda:0", "some-other-node", 1) == ("on some-other-node", None)


@pytest.mark.parametrize(("device", "visible"), [("cuda:1", ""), ("cuda:x", ""), ("cuda:0", "5"), ("cuda:²", "")])
def test_a_card_that_is_not_here_is_a_question_mark(device: str, visible: str, monkeypatch: pytest.MonkeyPatch):
    """A run folder from elsewhere may name any."""

    class NVMLError(Exception):
        pass

    def by_uuid(name: str) -> None:
        raise NVMLError("Not Found")

    nvml = SimpleNamespace(
        NVMLError=NVMLError, nvmlInit=lambda: None, nvmlShutdown=lambda: None, nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index, nvmlDeviceGetComputeRunningProcesses=lambda card: [],
        nvmlDeviceGetHandleByUUID=by_uuid)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    text, load = read_machine(device, socket.gethostname(), 1)
    assert text.startswith("GPU ? (") and load is None


def test_the_first_screen_needs_neither_torch_nor_comet():
    code = "import sys, noodle_tui.tui.app; print([m for m in ('torch', 'comet_ml', 'sklearn', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_run_that_was_stopped_in_its_first_epoch_can_be_picked_up():
    state = RunState.fold([*fake_events(4, "running")[:1], Saved(what="checkpoint", file="checkpoint.pt", epoch=0),
                           RunStopped(reason="asked", seconds=1.0)])
    verdict = live_text.verdict(state, "stopped")
    assert verdict is not None and "Saved within the first epoch. To go on: noodle run --load-dir" in verdict.plain
    assert state.started is not None
    state.started = replace(state.started, folder="/my weights/two words")
    verdict = live_text.verdict(state, "stopped")
    assert verdict is not None and verdict.plain.endswith("noodle run --load-dir '/my weights/two words'")


def test_a_run_that_its_folder_refuses_says_so_all_along_and_where_it_is_in_the_end():
    events = [*fake_events(4, "running"), SaveRefused(file="checkpoint.pt", reason="No space left on device")]
    state = RunState.fold(events)
    assert live_text.facts_line(state).plain.startswith("✗ not saved")
    assert "(No space left on device)" in live_text.facts_line(state).plain
    for event in (RunMoved(folder="/rescued/two words"), Saved(what="checkpoint", file="checkpoint.pt", epoch=4),
                  RunStopped(reason="asked", seconds=1.0)):
        state.apply(event)
    assert "not saved" not in live_text.facts_line(state).plain
    verdict = live_text.verdict(state, "stopped")
    assert verdict is not None
    assert f"✗ {FOLDER} took no files: all of it is in /rescued/two words\n" in verdict.plain
    assert verdict.plain.endswith("To go on: noodle run --load-dir '/rescued/two words'")


def test_a_folder_that_is_gone_is_no_dead_run(tmp_path: Path):
    folder = tmp_path / "run"
    folder.mkdir()
    source = FolderSource(folder)
    with locked(folder):
        assert source.alive()
        folder.rename(tmp_path / "elsewhere")
        assert source.alive(), "the run may go on without it"
        with pytest.raises(NoodleError, match=r"run is gone"):
            source.read()


async def test_of_a_run_whose_folder_is_gone_that_is_the_verdict(tmp_path: Path):
    screen = LiveScreen(FolderSource(tmp_path / "run"))
    app = NoodleApp(first=screen)
    async with app.run_test(size=(80, 24)) as pilot:
        verdict = screen.query_one("#verdict", Static)
        await until(pilot, lambda: "is gone: moved, deleted, or on a disk that is" in str(verdict.content))
        await pilot.pause()
        text = "\n".join(shown(screen))
        assert "? broken" in text and "the run can't be read" in text and "interrupted" not in text


def test_a_run_that_was_picked_up_has_one_duration():
    first, *_ = fake_events(4, "running")
    assert isinstance(first, RunStarted)
    parts = [replace(first, time=100.0), RunStopped(reason="asked", seconds=7.0), replace(first, time=200.0, resumed_at=1),
             RunDone(best_epoch=1, best_correct=1, best_count=2, seconds=8.0)]
    state = RunState.fold(parts)
    verdict = live_text.verdict(state, "done")
    assert verdict is not None and "done in 0:15:" in verdict.plain
    assert "in 0:15" in live_text.stage_line(state, "done", "", 100).plain


def test_a_stage_that_is_not_asked_for_is_not_awaited():
    started = fake_events(4, "running")[0]
    assert isinstance(started, RunStarted)
    for asked in (True, False):
        state = RunState.fold([replace(started, config={**started.config, "rejig_data": asked})])
        line = live_text.stages_line(state, "running").plain
        assert line.split() == [word for name in ("rejig", "decode", "weights", "train", "evaluate") if name != "rejig" or asked
                                for word in ("·", name)]


def test_words():
    assert [words.number(v) for v in (0.4123, 12.3, None, float("nan"), 1e-5, 0.0)] == \
        ["0.412", "12.30", "–", "nan", "1.0e-05", "0.000"]
    assert [words.duration(s) for s in (0.31, 16, 99, 7390, 273_900)] == ["0.3s", "0:16", "1:39", "2:03:10", "3d 04:05"]
    assert [words.rate(r) for r in (8.44, 812.4, 5634, 12_345)] == ["8.4", "812", "5.6k", "12k"]
    assert words.bar(0.5, 5) == ("━━╸", "──")


def test_a_headed_rule_takes_the_first_detail_that_fits():
    from textual.content import Content

    title, long, short = Content("loss"), Content("long detail that needs room"), Content("short")
    assert headed_rule(title, 60, long, short).plain.endswith(" long detail that needs room")
    assert headed_rule(title, 30, long, short).plain.endswith(" short")
    assert {headed_rule(title, width, long, short).cell_length for width in (30, 60)} == {30, 60}


def test_of_a_pick_up_that_failed_before_it_began_nothing_is_said_to_be_lost():
    state = RunState.fold([RunFailed(error="a run is already going on in it", seconds=0.0)])
    verdict = live_text.verdict(state, "failed")
    assert verdict is not None and verdict.plain.endswith("a run is already going on in it")


def test_of_a_stage_with_a_long_text_the_count_stays_whole_and_the_bar_stands_off() -> None:
    text = "reading the photos in a/folder/with/a/rather/long/name/of/its/own"
    state = RunState.fold([fake_events(4, "running")[0], StageStarted(stage="decode", text=text),
                           StageProgress(stage="decode", done=312, total=960)])
    for width in (40, 60, 80):
        line = live_text.stage_line(state, "running", "", width).plain
        assert len(line) == width and "…" in line and "own  312/960  ━━" in line


def test_images_a_second_are_those_of_training() -> None:
    *events, done = fake_events(4, "done")
    state = RunState.fold([*events, StageStarted(stage="decode", text="reading")])
    assert "img/s" not in live_text.stage_line(state, "running", "", 100).plain
    assert "img/s" in live_text.stage_line(RunState.fold([*events, done]), "done", "", 100).plain
