"""TensorBoard: written by the listener, read back with TensorBoard's own reader."""

import importlib.util
import resource
from collections.abc import Sequence
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from noodle_tui.errors import NoodleError
from noodle_tui.events import EpochDone, Event, Message, ModelReady, RunMoved
from noodle_tui.listeners.tensorboard import TensorBoardWriter

Points = dict[str, list[tuple[int, float]]]


READY = ModelReady(architecture="resnet18", weights="none", device="cpu", device_name="a CPU", precision="fp32")


def epoch(number: int, loss: float = 0.5, val_loss: float | None = 0.25, val_correct: int | None = 3) -> EpochDone:
    return EpochDone(epoch=number, n_epochs=4, train_loss=loss, train_correct=6, train_count=8, val_loss=val_loss,
                     val_correct=val_correct, val_count=4, lr=0.125, seconds=1.0, images_per_second=8.0)


def write(run_dir: Path, *epochs: EpochDone | RunMoved, history: Sequence[EpochDone] = ()) -> None:
    writer = TensorBoardWriter(run_dir, lambda event: None, history)
    for event in (READY, *epochs):
        writer(event)
    writer.close()


def read(run_dir: Path) -> Points:
    reader = EventAccumulator(str(run_dir / "tensorboard"))
    reader.Reload()
    return {tag: [(point.step, point.value) for point in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


def test_a_point_an_epoch_in_five_curves(tmp_path: Path):
    write(tmp_path, epoch(1), epoch(2, loss=0.375))
    assert read(tmp_path) == {
        "loss/train": [(1, 0.5), (2, 0.375)],
        "loss/val": [(1, 0.25), (2, 0.25)],
        "accuracy/train": [(1, 0.75), (2, 0.75)],
        "accuracy/val": [(1, 0.75), (2, 0.75)],
        "lr": [(1, 0.125), (2, 0.125)],
    }


def test_an_epoch_without_validation_and_a_loss_that_is_no_number_leave_gaps(tmp_path: Path):
    write(tmp_path, epoch(1, val_loss=None, val_correct=None), epoch(2, loss=float("nan")))
    points = read(tmp_path)
    assert points["loss/train"] == [(1, 0.5)]
    assert points["loss/val"] == [(2, 0.25)]
    assert points["accuracy/val"] == [(2, 0.75)]


def test_points_are_there_while_the_run_goes_on(tmp_path: Path):
    writer = TensorBoardWriter(tmp_path, lambda event: None)
    writer(READY)
    writer(epoch(1))
    assert read(tmp_path)["loss/train"] == [(1, 0.5)]
    writer.close()


def test_a_run_that_is_picked_up_has_the_epochs_of_its_checkpoint_in_one_file(tmp_path: Path):
    """Whatever an earlier process left out, or did that is done again or no more; files of other programs stay."""
    write(tmp_path, epoch(1), epoch(2), epoch(3, loss=9.0))  # killed after 3; 2 was saved
    folder = tmp_path / "tensorboard"
    other = folder / "events.out.tfevents.1700000000.somewhere.1.0"
    other.write_bytes(b"")
    (folder / "events.out.tfevents.1.000000.1").symlink_to(other)
    onlooker = EventAccumulator(str(folder))
    onlooker.Reload()
    write(tmp_path, history=[epoch(1), epoch(2)])
    assert read(tmp_path)["loss/train"] == [(1, 0.5), (2, 0.5)]
    onlooker.Reload()
    write(tmp_path, epoch(4), epoch(5), history=[epoch(1), epoch(2), epoch(3, loss=0.25)])  # 3 was without TensorBoard
    assert read(tmp_path)["loss/train"] == [(1, 0.5), (2, 0.5), (3, 0.25), (4, 0.5), (5, 0.5)]
    assert len(list(folder.iterdir())) == 4 and other.exists()
    assert len([file for file in folder.iterdir() if file.stat().st_size]) == 1
    onlooker.Reload()
    assert [(point.step, point.value) for point in onlooker.Scalars("loss/train")] == read(tmp_path)["loss/train"]


def test_a_pick_up_that_cant_train_leaves_the_files_alone(tmp_path: Path):
    write(tmp_path, epoch(1), epoch(2))
    TensorBoardWriter(tmp_path, lambda event: None, [epoch(1)]).close()
    assert len(read(tmp_path)["loss/train"]) == 2


def test_where_the_run_moves_its_curves_go(tmp_path: Path):
    (tmp_path / "rescued").mkdir()
    write(tmp_path, epoch(1), RunMoved(folder=str(tmp_path / "rescued")))
    assert read(tmp_path / "rescued") == read(tmp_path)


def test_without_the_package_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("noodle_tui.listeners.tensorboard.find_spec",
                        lambda name: None if name == "tensorboard" else importlib.util.find_spec(name))
    with pytest.raises(NoodleError, match=r"pip install 'noodle-tui\[tensorboard\]'"):
        TensorBoardWriter(tmp_path, lambda event: None)


def test_nothing_is_written_for_a_run_that_never_trained(tmp_path: Path):
    write(tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_a_full_disk_refuses_is_written_once_there_is_room(tmp_path: Path):
    said: list[Event] = []
    writer = TensorBoardWriter(tmp_path, said.append)
    writer(READY)
    writer(epoch(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    (file,) = (tmp_path / "tensorboard").iterdir()
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 10, hard))  # the disk is full now
        writer(epoch(2))
        writer(epoch(3))
        assert read(tmp_path)["loss/train"] == [(1, 0.5)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    writer(epoch(4))
    assert [step for step, _ in read(tmp_path)["loss/train"]] == [1, 2, 3, 4]
    (message,) = said
    assert isinstance(message, Message) and "tensorboard can't be written (File too large); training goes on" in message.text
    writer.close()


def test_what_is_still_refused_at_the_end_is_tried_once_more(tmp_path: Path):
    (tmp_path / "tensorboard").write_bytes(b"in the way")
    writer = TensorBoardWriter(tmp_path, lambda event: None)
    writer(epoch(1))
    (tmp_path / "tensorboard").unlink()
    writer.close()
    assert read(tmp_path)["loss/train"] == [(1, 0.5)]
