"""The run folder's events.jsonl and metrics.csv, also on a disk that refuses; and who passes the events on."""

import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from noodle_tui.events import EpochDone, Event, Message, RunDone, RunMoved, RunStarted, StageProgress, from_json
from noodle_tui.listeners.fanout import Fanout
from noodle_tui.listeners.record import Recorder
from noodle_tui.run_folder import Follower, read_config, read_state


def started(resumed_at: int = 0) -> RunStarted:
    return RunStarted(name="x", folder="f", config={}, n_epochs=9, pid=1, host="here", resumed_at=resumed_at)


def epoch(number: int, **changes: Any) -> EpochDone:
    values: dict[str, Any] = {
        "epoch": number, "n_epochs": 9, "train_loss": 0.1 + 0.2, "train_correct": 3, "train_count": 4, "val_loss": 0.5,
        "val_correct": 1, "val_count": 2, "lr": 0.001, "seconds": 1.23456, "images_per_second": 9.87}
    return EpochDone(**{**values, **changes})


def recorded(folder: Path, *events: Event, history: Sequence[EpochDone] = ()) -> list[Event]:
    """Pass events through a recorder as a run does; what was said on the way."""
    said: list[Event] = []
    emit = Fanout([said.append])
    emit.add(Recorder(folder, emit, history))
    for event in events:
        emit(event)
    return said


def lines(folder: Path) -> list[str]:
    return (folder / "metrics.csv").read_text().splitlines()


def epochs_in(folder: Path) -> list[str]:
    return [line.split(",")[0] for line in lines(folder)[1:]]


def test_what_is_written(tmp_path: Path) -> None:
    events = [started(), epoch(1), epoch(2, val_loss=None, val_correct=None, val_count=0), Message(level="info", text="é\n")]
    recorded(tmp_path, *events)
    assert [from_json(line) for line in (tmp_path / "events.jsonl").read_bytes().splitlines()] == events
    assert lines(tmp_path) == [
        "epoch,train_loss,train_accuracy,val_loss,val_accuracy,lr,seconds,images_per_second",  # scripts read it
        "1,0.30000000000000004,0.75,0.5,0.5,0.001,1.2346,9.9",
        "2,0.30000000000000004,0.75,,,0.001,1.2346,9.9",
    ]


def test_each_event_is_there_at_once(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, lambda _: None)
    follower = Follower(tmp_path)
    for event in (started(), epoch(1)):
        recorder(event)
        assert follower.read() == [event]


def test_progress_is_thinned_out(tmp_path: Path) -> None:
    recorded(tmp_path, started(), *[StageProgress(stage="decode", done=i) for i in range(100)])
    assert len(Follower(tmp_path).read()) == 2


def test_a_resumed_run_has_no_epoch_twice(tmp_path: Path) -> None:
    recorded(tmp_path, started(), epoch(1), epoch(2), epoch(3))
    recorded(tmp_path, started(resumed_at=1), epoch(2, train_loss=7.0), history=[epoch(1)])
    assert [line.split(",")[:2] for line in lines(tmp_path)[1:]] == [["1", "0.30000000000000004"], ["2", "7.0"]]
    assert len(Follower(tmp_path).read()) == 6  # the events tell all that happened


def test_torn_last_lines_of_a_killed_process(tmp_path: Path) -> None:
    recorded(tmp_path, started(), epoch(1), epoch(2))
    for name in ("events.jsonl", "metrics.csv"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[:-9])
    recorded(tmp_path, started(resumed_at=2), epoch(3), history=[epoch(1), epoch(2)])
    follower = Follower(tmp_path)
    kinds = [type(e).__name__ for e in follower.read()]
    assert kinds == ["RunStarted", "EpochDone", "RunStarted", "EpochDone", "EpochDone"]
    assert follower.broken_lines == 1
    assert [e.epoch for e in read_state(tmp_path).epochs] == [1, 2, 3]
    assert epochs_in(tmp_path) == ["1", "2", "3"]


@pytest.mark.parametrize("lost", ["metrics.csv", "events.jsonl"])
def test_a_lost_file_is_written_anew_from_what_the_checkpoint_remembers(lost: str, tmp_path: Path) -> None:
    recorded(tmp_path, started(), epoch(1), epoch(2))
    before = lines(tmp_path)
    (tmp_path / lost).unlink()
    recorded(tmp_path, started(resumed_at=2), history=[epoch(1), epoch(2)])
    assert lines(tmp_path) == before
    assert [e.epoch for e in read_state(tmp_path).epochs] == [1, 2]


def test_what_is_held_is_written_when_it_is_released(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, lambda _: None, held=True)
    for event in (started(), epoch(1)):
        recorder(event)
    assert os.listdir(tmp_path) == []
    recorder.release()
    recorder(epoch(2))
    assert [type(e).__name__ for e in Follower(tmp_path).read()] == ["RunStarted", "EpochDone", "EpochDone"]
    assert epochs_in(tmp_path) == ["1", "2"]


def test_a_kill_while_the_metrics_are_rewritten_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path, started(), epoch(1), epoch(2))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        recorded(tmp_path, started(resumed_at=2), history=[epoch(1), epoch(2)])
    assert epochs_in(tmp_path) == ["1", "2"]


# a disk that refuses ----------------------------------------------------------------------------------------------------


@contextmanager
def full_disk() -> Iterator[None]:
    """The system refuses to write past 10 bytes of any file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said_once_and_later_events_complete_the_files(tmp_path: Path) -> None:
    said: list[Event] = []
    emit = Fanout([said.append])
    emit.add(Recorder(tmp_path, emit))
    emit(started())
    emit(epoch(1))
    with full_disk():
        for number in (2, 3, 4):
            emit(epoch(number))
    messages = [e for e in said if isinstance(e, Message)]
    assert [m.level for m in messages] == ["error"]
    assert "events.jsonl can't be written (File too large)" in messages[0].text
    assert "\n" not in messages[0].text

    emit(RunDone(best_epoch=1, best_correct=1, best_count=2, seconds=1.0))  # room again, though no epoch comes any more
    events = Follower(tmp_path).read()
    assert [e.epoch for e in events if isinstance(e, EpochDone)] == [1, 2, 3, 4]
    assert sum(isinstance(e, Message) for e in events) == 1
    assert epochs_in(tmp_path) == ["1", "2", "3", "4"]
    assert sorted(os.listdir(tmp_path)) == ["config.json", "events.jsonl", "metrics.csv"]


def test_a_disk_that_is_full_from_the_start(tmp_path: Path) -> None:
    said: list[Event] = []
    emit = Fanout([said.append])
    emit.add(Recorder(tmp_path, emit))
    config = {"namestr": "a run"}
    with full_disk():
        emit(replace(started(), config=config))
        emit(epoch(1))
    emit(epoch(2))
    assert epochs_in(tmp_path) == ["1", "2"] and read_config(tmp_path) == config
    assert len([e for e in said if isinstance(e, Message)]) == 1


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    said: list[Event] = []
    emit = Fanout([said.append])
    folder = tmp_path / "run"
    folder.mkdir()
    emit.add(Recorder(folder, emit))
    emit(started())
    folder.rename(tmp_path / "away")
    emit(epoch(1))
    (tmp_path / "away").rename(folder)
    emit(epoch(2))
    assert epochs_in(folder) == ["1", "2"]
    assert len([e for e in said if isinstance(e, Message)]) == 1


def test_what_a_disk_refuses_to_the_end_is_said_then(tmp_path: Path) -> None:
    said: list[Event] = []
    recorder = Recorder(tmp_path, said.append)
    recorder(started())
    (tmp_path / "metrics.csv").rename(tmp_path / "aside")
    (tmp_path / "metrics.csv").mkdir()
    recorder(epoch(1))
    recorder.close()
    assert [e.text for e in said[1:] if isinstance(e, Message)] == [
        "metrics.csv could not be written to the end (Is a directory): once that is mended, picking the run up brings the "
        "epochs back that its checkpoint knows"]
    (tmp_path / "metrics.csv").rmdir()
    (tmp_path / "aside").rename(tmp_path / "metrics.csv")
    recorder.close()
    assert epochs_in(tmp_path) == ["1"] and len(said) == 2, "the last try did it"


def test_of_a_run_that_is_elsewhere_the_old_record_is_not_missed(tmp_path: Path) -> None:
    said: list[Event] = []
    recorder = Recorder(tmp_path / "gone", said.append)
    recorder(started())
    recorder(RunMoved(folder=str(tmp_path)))
    recorder.close()
    assert len(said) == 1


def test_half_a_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails in its middle: the part that got through is not written twice."""
    recorder = Recorder(tmp_path, lambda _: None)
    recorder(started())
    limit = (tmp_path / "events.jsonl").stat().st_size + 30
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        recorder(epoch(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) == 1
    recorder(epoch(2))
    follower = Follower(tmp_path)
    assert len(follower.read()) == 3
    assert follower.broken_lines == 0


@pytest.mark.parametrize("name", ["events.jsonl", "metrics.csv"])
def test_a_record_that_is_a_link_or_a_pipe_is_not_written_through(name: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("kept\n")
    for place in (lambda path: path.symlink_to(outside), os.mkfifo):
        folder = tmp_path / "run"
        folder.mkdir()
        place(folder / name)
        said = recorded(folder, started(), epoch(1))
        assert outside.read_text() == "kept\n"
        if name == "events.jsonl":
            assert any(isinstance(event, Message) and "can't be written" in event.text for event in said)
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def test_a_pipe_that_somebody_reads_gets_no_record(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "events.jsonl")
    reader = os.open(tmp_path / "events.jsonl", os.O_RDONLY | os.O_NONBLOCK)
    said = recorded(tmp_path, started())
    assert any(isinstance(event, Message) and "(not a plain file)" in event.text for event in said)
    assert os.read(reader, 100) == b""
    os.close(reader)
