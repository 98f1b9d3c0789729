"""TensorBoard: the curves of a run, in `tensorboard/` in its run folder (`tensorboard --logdir weights` shows all runs)."""

import contextlib
import math
import os
import re
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

from noodle_tui.errors import NoodleError
from noodle_tui.events import Emit, EpochDone, Event, Message, ModelReady, RunMoved

FOLDER = "tensorboard"
OWN_FILE = re.compile(r"events\.out\.tfevents\.\d+\.\d{6}\.\d+")  # as named here; other programs add a host


def check_installed() -> None:
    """NoodleError if TensorBoard isn't installed."""
    if find_spec("tensorboard") is None:
        raise NoodleError("--tensorboard: needs a package: pip install 'noodle-tui[tensorboard]'")


class TensorBoardWriter:
    """Listens to a run: a point an epoch in loss/train, loss/val, accuracy/train, accuracy/val and lr.

    All epochs stand in one file, in place of those of earlier processes: it is begun anew when the run is picked up, when the
    disk has refused an epoch, and where the run moves to. Written here rather than by torch's SummaryWriter, whose thread
    prints a traceback across the screen when the disk is full.
    """

    def __init__(self, run_dir: Path, emit: Emit, history: Sequence[EpochDone] = ()) -> None:
        """NoodleError if TensorBoard isn't installed. Nothing is written before the run is ready to train.

        emit     is told, once, when the disk refuses
        history  the epochs that a run which is picked up remembers
        """
        check_installed()
        self._folder, self._emit = run_dir / FOLDER, emit
        self._epochs = list(history)
        self._file: BinaryIO | None = None  # holds all of them but the newest
        self._said = False

    def __call__(self, event: Event) -> None:
        """Take in one event of the run."""
        if isinstance(event, EpochDone):
            self._epochs.append(event)
        elif isinstance(event, RunMoved):
            self._let_go()
            self._folder = Path(event.folder, FOLDER)
        elif not isinstance(event, ModelReady):
            return
        if self._epochs:
            self._write()

    def close(self) -> None:
        """Close the file, after a last try if the disk has refused something. Doesn't raise."""
        if self._said and self._file is None:
            self._write()
        self._let_go()

    def _write(self) -> None:
        """Append the newest epoch, or begin a file with all of them."""
        try:
            if self._file is None:
                self._file = begin_file(self._folder, self._epochs)
            else:
                write_epoch(self._file, self._epochs[-1])
        except OSError as error:
            self._let_go()
            if not self._said:
                self._said = True
                self._emit(Message(level="error", text=f"{self._folder} can't be written ({error.strerror}); training goes on, "
                                   "and every epoch tries again"))

    def _let_go(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


def begin_file(folder: Path, epochs: Sequence[EpochDone]) -> BinaryIO:
    """A new event file with these epochs, in place of earlier ones. OSError if the disk refuses: those then stay."""
    folder.mkdir(exist_ok=True)
    earlier = [file for file in folder.iterdir() if OWN_FILE.fullmatch(file.name) and not file.is_symlink()]
    now = time.time()
    path = folder / f"events.out.tfevents.{now:.6f}.{os.getpid()}"
    file = path.open("xb")
    try:
        start = proto("event").SessionLog(status=proto("event").SessionLog.START)
        write_record(file, wall_time=now, file_version="brain.Event:2")
        write_record(file, wall_time=now, step=1, session_log=start)  # who looks on forgets what it has from earlier files
        for epoch in epochs:
            write_epoch(file, epoch)
    except OSError:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            file.close()
        raise
    for old in earlier:
        retire(old)
    return file


def retire(file: Path) -> None:
    """Have an earlier file count no more. It is emptied, and removed the next time: some TensorBoards that read it just now
    would never come to another, were it gone."""
    with contextlib.suppress(OSError):
        if file.stat().st_size:
            os.truncate(file, 0)
        else:
            file.unlink()


def write_epoch(file: BinaryIO, epoch: EpochDone) -> None:
    """Append an epoch's points."""
    write_record(file, wall_time=epoch.time, step=epoch.epoch, summary=epoch_summary(epoch))


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
    tags = {name: "/".join(reversed(name.split("_", 1))) for name in event.measures}  # train_loss: loss/train
    return {tags[name]: value for name, value in event.measures.items() if value is not None and math.isfinite(value)}
