"""TensorBoard: written by the listener, read back with TensorBoard's own reader."""

import importlib.util
import resource
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from noodle_tui.errors import NoodleError
from noodle_tui.events import EpochDone, RunStarted
from noodle_tui.listeners.tensorboard import TensorBoardWriter

Points = dict[str, list[tuple[int, float]]]


def started(resumed_at: int = 0) -> RunStarted:
    return RunStarted(name="x", folder="x", config={}, n_epochs=4, pid=1, host="h", resumed_at=resumed_at)


def epoch(number: int, loss: float = 0.5, val_loss: float | None = 0.25, val_correct: int | None = 3) -> EpochDone:
    return EpochDone(epoch=number, n_epochs=4, train_loss=loss, train_correct=6, train_count=8, val_loss=val_loss,
                     val_correct=val_correct, val_count=4, lr=0.125, seconds=1.0, images_per_second=8.0)


def write(run_dir: Path, *events: RunStarted | EpochDone) -> None:
    writer = TensorBoardWriter(run_dir)
    for event in events:
        writer(event)
    writer.close()


def read(run_dir: Path) -> Points:
    reader = EventAccumulator(str(run_dir / "tensorboard"))
    reader.Reload()
    return {tag: [(point.step, point.value) for point in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def test_a_point_an_epoch_in_five_curves(tmp_path: Path):
    write(tmp_path, started(), epoch(1), epoch(2, loss=0.375))
    assert read(tmp_path) == {
        "loss/train": [(1, 0.5), (2, 0.375)],
        "loss/val": [(1, 0.25), (2, 0.25)],
        "accuracy/train": [(1, 0.75), (2, 0.75)],
        "accuracy/val": [(1, 0.75), (2, 0.75)],
        "lr": [(1, 0.125), (2, 0.125)],
    }


def test_an_epoch_without_validation_and_a_loss_that_is_no_number_leave_gaps(tmp_path: Path):
    write(tmp_path, started(), epoch(1, val_loss=None, val_correct=None), epoch(2, loss=float("nan")))
    points = read(tmp_path)
    assert points["loss/train"] == [(1, 0.5)]
    assert points["loss/val"] == [(2, 0.25)]
    assert points["accuracy/val"] == [(2, 0.75)]


def test_points_are_there_while_the_run_goes_on(tmp_path: Path):
    writer = TensorBoardWriter(tmp_path)
    writer(started())
    writer(epoch(1))
    assert read(tmp_path)["loss/train"] == [(1, 0.5)]
    writer.close()


def test_a_resumed_run_appends_and_takes_back_what_it_does_again(tmp_path: Path):
    write(tmp_path, started(), epoch(1), epoch(2), epoch(3, loss=9.0))  # killed after 3; 2 was saved
    write(tmp_path, started(resumed_at=2), epoch(3, loss=0.25), epoch(4))
    assert read(tmp_path)["loss/train"] == [(1, 0.5), (2, 0.5), (3, 0.25), (4, 0.5)]
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2


def test_without_the_package_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("noodle_tui.listeners.tensorboard.find_spec",
                        lambda name: None if name == "tensorboard" else importlib.util.find_spec(name))
    with pytest.raises(NoodleError, match=r"pip install 'noodle-tui\[tensorboard\]'"):
        TensorBoardWriter(tmp_path)


def test_nothing_is_written_for_a_run_that_never_trained(tmp_path: Path):
    write(tmp_path, started())
    assert not list(tmp_path.iterdir())


def test_a_full_disk_raises_for_the_fanout_but_not_at_the_end(tmp_path: Path):
    writer = TensorBoardWriter(tmp_path)
    writer(started())
    writer(epoch(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    (file,) = (tmp_path / "tensorboard").iterdir()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 10, hard))  # the disk is full now
        with pytest.raises(OSError):
            writer(epoch(2))
        writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read(tmp_path)["loss/train"] == [(1, 0.5)]
