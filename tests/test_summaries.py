"""Summaries of run folders: the same as the whole state says, quick, and never an exception."""

import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fake_folders import fake_folder, summarise
from fake_runs import STARTED_AT, fake_events

from noodle_tui.errors import NoodleError
from noodle_tui.events import EpochDone, Paused, RunStarted, StageProgress
from noodle_tui.listeners.record import Recorder
from noodle_tui.run_folder import Follower, locked, read_state
from noodle_tui.summaries import Summaries, as_json, pin
from noodle_tui.tui.run_watch import RunWatch


@pytest.mark.parametrize("state", ["done", "failed", "stopped", "interrupted"])
def test_says_what_the_whole_state_says(tmp_path: Path, state: str) -> None:
    folder = fake_folder(tmp_path, "run", state, lr=0.01)
    summary, whole = summarise(folder), read_state(folder)
    assert summary.status == whole.status == state
    assert (summary.epoch, summary.n_epochs, summary.error) == (whole.epoch, whole.n_epochs, whole.error)
    assert whole.best is not None
    assert summary.best == whole.best
    assert list(summary.val_accuracy) == [e.val_accuracy for e in whole.epochs]
    assert summary.config["lr"] == 0.01
    assert summary.name == "run"
    assert summary.seconds == (whole.ended.seconds if whole.ended else 24.0 + 0.0)


def test_a_renamed_run_stays_where_its_start_puts_it_and_one_that_tells_none_where_its_name_does(tmp_path: Path) -> None:
    day = datetime.fromtimestamp(STARTED_AT)
    for hours in (1, 2, 3):
        fake_folder(tmp_path, "run", stamp=f"{day + timedelta(hours=hours):%Y%m%d-%H%M%S}", later=3600 * hours)
    middle = next(tmp_path.glob(f"*-{day + timedelta(hours=2):%Y%m%d-%H%M%S}")).rename(tmp_path / "best")
    broken = tmp_path / f"broken-{day + timedelta(hours=2.5):%Y%m%d-%H%M%S}"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    listed = [run.folder for run in Summaries().read(tmp_path)]
    assert listed[1:3] == [broken, middle]
    assert [run.folder for run in RunWatch(tmp_path)._look(Summaries(), True, None)[0]] == listed


def test_a_run_that_said_nothing_is_told_by_its_options(tmp_path: Path) -> None:
    """It was killed at once."""
    folder = tmp_path / "two-words-20261123-101500"
    folder.mkdir()
    (folder / "config.json").write_text('{"namestr": "two words", "lr": 0.1}')
    summary = summarise(folder)
    assert (summary.name, summary.status, summary.epoch, summary.n_epochs) == ("two words", "interrupted", 0, 0)
    assert (summary.config["lr"], summary.cwd, summary.folder_then, summary.resumable) == (0.1, "", "", False)
    told = as_json(summary)
    assert [told[name] for name in ("best_epoch", "correct", "count", "accuracy", "low")] == [None, None, 0, None, None]


def test_of_a_run_that_ended_early_it_is_told_where_and_whether_it_can_go_on(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "stopped")
    start = next(event for event in Follower(folder).read() if isinstance(event, RunStarted))
    Recorder(folder, print)(replace(start, cwd="/home/ada", folder="weights/run", resumed_at=40))
    summary = summarise(folder)
    assert (summary.cwd, summary.folder_then, summary.resumable) == ("/home/ada", "weights/run", True)
    for name in ("checkpoint.pt", "checkpoint.prev.pt"):
        (folder / name).unlink(missing_ok=True)
    assert not summarise(folder).resumable
    assert not summarise(fake_folder(tmp_path, "whole", "done")).resumable


def test_epochs_that_were_not_validated_are_none_of_the_curve(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "interrupted", n_epochs=4)
    last = next(event for event in reversed(Follower(folder).read()) if isinstance(event, EpochDone))
    before = summarise(folder).val_epochs
    Recorder(folder, print)(replace(last, epoch=last.epoch + 1, val_loss=None, val_correct=None, val_count=0, is_best=False))
    assert (summarise(folder).epoch, summarise(folder).val_epochs) == (last.epoch + 1, before)


def test_work_after_the_last_epoch_counts_in_a_run_that_was_killed(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "interrupted")
    last = max(event.time for event in Follower(folder).read())
    Recorder(folder, print)(StageProgress(stage="train", done=3, total=9, time=last + 300))
    assert summarise(folder).seconds == read_state(folder).seconds > 300


@pytest.mark.parametrize("ended", ["done", "stopped", "failed"])
def test_a_run_that_is_being_picked_up_is_starting_and_one_that_still_tidies_up_is_not(tmp_path: Path, ended: str) -> None:
    folder = fake_folder(tmp_path, "run", ended)
    with locked(folder):
        assert (summarise(folder).status, summarise(folder).alive) == ("starting", True)
        assert (read_state(folder).status, read_state(folder).ended) == ("starting", None)
        os.utime(folder / "run.lock", (STARTED_AT, STARTED_AT))  # it has held its lock from the start on
        assert summarise(folder).status == read_state(folder).status == ended
    assert summarise(folder).status == read_state(folder).status == ended


def test_a_live_run_is_running_then_paused_then_interrupted(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "interrupted")
    with locked(folder):
        assert summarise(folder).status == "running"
        Recorder(folder, print)(Paused(24))
        assert summarise(folder).status == "paused"
        assert summarise(folder).alive
    assert summarise(folder).status == "interrupted"


def test_a_resumed_run_forgets_the_epochs_it_does_anew(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "interrupted")
    events = fake_events(40, "done", seed=5)
    recorder = Recorder(folder, print)
    for event in events:
        if isinstance(event, RunStarted):
            recorder(replace(event, resumed_at=20, time=event.time + 9000))
        elif isinstance(event, EpochDone) and event.epoch > 20:
            recorder(event)
    summary = summarise(folder)
    assert summary.val_epochs == tuple(range(1, 41))
    assert summary.best and summary.best.epoch == next(e.epoch for e in reversed(read_state(folder).epochs) if e.is_best)
    assert summary.started == events[0].time


def test_of_a_run_that_goes_on_only_what_was_appended_is_read_again(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "interrupted")
    summaries = Summaries()
    with locked(folder):
        first = summaries.read(tmp_path)[0]
        events = folder / "events.jsonl"
        content = events.read_bytes()
        with events.open("r+b") as file:  # an onlooker who read from the start would lose all epochs
            file.write(content.replace(b"EpochDone", b"XpochDone"))
        last = [e for e in fake_events(40, "done") if isinstance(e, EpochDone)][24]
        Recorder(folder, print)(last)
        assert summaries.read(tmp_path)[0].val_epochs == (*first.val_epochs, 25)


def test_a_run_that_has_ended_is_not_read_again(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "done")
    summaries = Summaries()
    first = summaries.read(tmp_path)[0]
    events = folder / "events.jsonl"
    before, content = events.stat(), events.read_bytes()
    with events.open("r+b") as file:
        file.write(content.replace(b"EpochDone", b"XpochDone"))
    os.utime(events, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert summaries.read(tmp_path)[0] == first
    Recorder(folder, print)(replace(fake_events(40, "done")[0], resumed_at=40))  # it is picked up
    assert (summaries.read(tmp_path)[0].epoch, first.epoch) == (0, 40)


def test_another_file_in_the_place_of_a_live_runs_events_is_read_from_its_start(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "interrupted")
    other = fake_folder(tmp_path / "else", "run", "done", n_epochs=60, seed=5)
    summaries = Summaries()
    with locked(folder):
        assert summaries.summarise(folder).alive
        os.replace(other / "events.jsonl", folder / "events.jsonl")
        assert summaries.summarise(folder) == summarise(folder)


def test_a_run_that_was_killed_in_a_pause_is_picked_up_at_its_checkpoint_and_runs(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "interrupted")
    recorder, first = Recorder(folder, print), fake_events(40, "done")[0]
    assert isinstance(first, RunStarted)
    recorder(Paused(24))
    recorder(replace(first, resumed_at=20, time=first.time + 9000))
    with locked(folder):
        assert (summarise(folder).status, summarise(folder).epoch) == ("running", 20)


def test_a_rewritten_file_is_read_from_its_start(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "done")
    summaries = Summaries()
    assert summaries.read(tmp_path)[0].epoch == 40
    events = folder / "events.jsonl"
    events.write_bytes(b"".join(events.read_bytes().splitlines(keepends=True)[:20]))
    assert 0 < summaries.read(tmp_path)[0].epoch < 20


@pytest.mark.parametrize("harm", ["link", "pipe", "folder", "long line", "no options", "broken options"])
def test_a_hostile_folder_is_broken_and_says_why(tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "run-20261123-101500"
    folder.mkdir()
    events = folder / "events.jsonl"
    match harm:
        case "link":
            events.symlink_to("/dev/zero")
        case "pipe":
            os.mkfifo(events)
        case "folder":
            events.mkdir()
        case "long line":
            events.write_bytes(b"x" * 9_000_000)
        case "no options":
            events.write_bytes(b"")
        case "broken options":
            (folder / "config.json").write_text("[" * 100_000)
    summary = summarise(folder)
    assert summary.status == "broken"
    assert summary.error
    assert "\n" not in summary.error


def test_a_pipe_for_a_lock_does_not_hold_the_reader_up(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "interrupted")
    os.mkfifo(folder / "run.lock")
    assert summarise(folder).status == "interrupted"


def test_pins(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run")
    summaries = Summaries()
    assert not summaries.read(tmp_path)[0].pinned
    pin(folder, True)
    assert summaries.read(tmp_path)[0].pinned
    pin(folder, False)
    assert not summaries.read(tmp_path)[0].pinned
    with pytest.raises(NoodleError, match="pinned"):
        pin(tmp_path / "gone", True)


def test_json_has_counts_and_interval(tmp_path: Path) -> None:
    summary = summarise(fake_folder(tmp_path, "run"))
    values = as_json(summary)
    assert values["accuracy"] == values["correct"] / values["count"]
    assert (values["low"], values["high"]) == (summary.best and summary.best.val_interval)
    assert values["status"] == "done"


def test_a_missing_save_dir_has_no_runs_and_a_file_is_an_error(tmp_path: Path) -> None:
    assert Summaries().read(tmp_path / "none") == []
    (tmp_path / "file").write_text("")
    with pytest.raises(NoodleError, match="can't be listed"):
        Summaries().read(tmp_path / "file")
