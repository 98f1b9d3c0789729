"""TensorBoard: the curves of a run, in `tensorboard/` in its run folder (`tensorboard --logdir weights` shows all runs)."""

import contextlib
import math
import os
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from noodle_tui.errors import NoodleError
from noodle_tui.events import EpochDone, Event, RunStarted

FOLDER = "tensorboard"


def check_installed() -> None:
    """NoodleError if TensorBoard isn't installed."""
    if find_spec("tensorboard") is None:
        raise NoodleError("--tensorboard needs a package: pip install 'noodle-tui[tensorboard]'")


class TensorBoardWriter:
    """Listens to a run: a point an epoch in loss/train, loss/val, accuracy/train, accuracy/val and lr.

    A resumed run appends, and takes back the points of epochs that it does again. Written here rather than by torch's
    SummaryWriter, whose thread prints a traceback across the screen when the disk is full.
    """

    def __init__(self, run_dir: Path) -> None:
        """NoodleError if TensorBoard isn't installed. Nothing is written before the first epoch."""
        check_installed()
        self._folder = run_dir / FOLDER
        self._file: BinaryIO | None = None
        self._resumed_at = 0

    def __call__(self, event: Event) -> None:
        """Take in one event of the run. OSError if the disk refuses."""
        if isinstance(event, RunStarted):
            self._resumed_at = event.resumed_at
        elif isinstance(event, EpochDone):
            self._file = self._file or self._open()
            write_record(self._file, wall_time=event.time, step=event.epoch, summary=epoch_summary(event))

    def close(self) -> None:
        """Close the file. Doesn't raise: each epoch was flushed, and what the disk refused was said then."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def _open(self) -> BinaryIO:
        """A new event file. Its first records give the format, and the step from which on older files count no more."""
        self._folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        file = (self._folder / f"events.out.tfevents.{now:.6f}.{os.getpid()}").open("xb")
        write_record(file, wall_time=now, file_version="brain.Event:2")
        if self._resumed_at:
            event_pb2 = proto("event")
            again = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            write_record(file, wall_time=now, step=self._resumed_at + 1, session_log=again)
        return file


def write_record(file: BinaryIO, **fields: Any) -> None:
    """Append one of TensorBoard's Event messages, in its framing (length, checksum, data, checksum), and flush."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    RecordWriter(file).write(proto("event").Event(**fields).SerializeToString())
    file.flush()


def proto(name: str) -> ModuleType:
    """One of TensorBoard's protobuf modules: their classes are made at import, unknown to type checkers."""
    return import_module(f"tensorboard.compat.proto.{name}_pb2")


def epoch_summary(event: EpochDone) -> Any:
    """An epoch's points as TensorBoard's Summary message."""
    summary_pb2 = proto("summary")
    values = [summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in scalars(event).items()]
    return summary_pb2.Summary(value=values)


def scalars(event: EpochDone) -> dict[str, float]:
    """An epoch's points by tag; none for what wasn't measured or isn't a finite number."""
    points = {
        "loss/train": event.train_loss, "loss/val": event.val_loss,
        "accuracy/train": event.train_accuracy, "accuracy/val": event.val_accuracy,
        "lr": event.lr,
    }
    return {tag: value for tag, value in points.items() if value is not None and math.isfinite(value)}
