"""Writes a run's events into its folder: events.jsonl and metrics.csv.

A disk that is full or gone does not stop training: what couldn't be written is kept, said once, and tried again with the
next event.
"""

import contextlib
import csv
import io
import os
import time
from collections.abc import Callable
from pathlib import Path

from noodle_tui.atomic import write_atomic
from noodle_tui.events import Emit, EpochDone, Event, Message, RunStarted, StageProgress, to_json
from noodle_tui.run_folder import EVENTS, METRICS

COLUMNS = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds", "images_per_second")
PROGRESS_EVERY = 2.0  # seconds: a watcher in another process need not see each batch


class Recorder:
    """Listens to a run. Call it with each event; `emit` is told, once, when the disk refuses."""

    def __init__(self, folder: Path, emit: Emit):
        self._emit = emit
        self._events = AppendFile(folder / EVENTS, on_trouble=self._trouble)
        self._metrics = AppendFile(folder / METRICS, on_trouble=self._trouble)
        self._metrics_file = folder / METRICS
        self._last_progress = 0.0
        self._said = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageProgress) and not self._progress_is_due():
            return
        self._events.append(to_json(event) + "\n")
        if isinstance(event, RunStarted):
            self._start_metrics(event.resumed_at)
        self._metrics.append(csv_line(metrics_row(event)) if isinstance(event, EpochDone) else "")

    def _progress_is_due(self) -> bool:
        now = time.monotonic()
        due = now - self._last_progress >= PROGRESS_EVERY
        self._last_progress = now if due else self._last_progress
        return due

    def _start_metrics(self, resumed_at: int) -> None:
        """The header, or, in a run that is picked up, the rows of the epochs that it remembers."""
        rows = read_metrics(self._metrics_file) if resumed_at else []
        kept = [row for row in rows if row and row[0].isdigit() and int(row[0]) <= resumed_at]
        self._metrics.restart("".join(csv_line(row) for row in [list(COLUMNS), *kept]))

    def _trouble(self, file: Path, error: OSError) -> None:
        if not self._said:
            self._said = True
            self._emit(Message(level="error", text=f"{file.name} can't be written ({error.strerror}); training goes on, "
                               "nothing is lost while it does, and every new event tries again"))


def metrics_row(event: EpochDone) -> list[str]:
    """One epoch as metrics.csv has it; an epoch without validation has empty fields there."""
    def number(value: float | None) -> str:
        return "" if value is None else repr(value)

    return [str(event.epoch), number(event.train_loss), number(event.train_accuracy), number(event.val_loss),
            number(event.val_accuracy), number(event.lr), f"{event.seconds:.4f}", f"{event.images_per_second:.1f}"]


def csv_line(row: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(row)
    return out.getvalue()


def read_metrics(file: Path) -> list[list[str]]:
    """Rows of a metrics.csv without its header; a torn last line is left out."""
    if not file.exists():
        return []
    text = file.read_text(errors="replace")
    return list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1])))[1:]


class AppendFile:
    """Appends whole lines, each flushed. A torn last line of an earlier process is ended first. What the disk refuses is
    kept in memory and tried again."""

    def __init__(self, path: Path, on_trouble: Callable[[Path, OSError], None]):
        self._path, self._on_trouble = path, on_trouble
        self._pending = "" if not self._ends_torn() else "\n"
        self._whole: str | None = None  # content that replaces the file's, when it could not be replaced yet

    def append(self, line: str) -> None:
        """Append a line, after what the disk has refused until now; "" only tries that again."""
        self._pending += line
        if self._pending or self._whole is not None:
            self._write()

    def restart(self, content: str) -> None:
        """Replace what is in the file, with one rename."""
        self._whole, self._pending = content, ""
        self._write()

    def _write(self) -> None:
        data = ((self._whole or "") + self._pending).encode("utf-8", "surrogateescape")
        size = None
        try:
            if self._whole is not None:
                write_atomic(self._path, data)  # the rows that are kept must outlive a kill at this moment
            else:
                with self._path.open("ab") as file:
                    size = file.tell()
                    file.write(data)
        except OSError as error:
            if size is not None:  # part of it may be there: take it back, so that the next try doesn't double it
                with contextlib.suppress(OSError):
                    os.truncate(self._path, size)
            self._on_trouble(self._path, error)
            return
        self._whole, self._pending = None, ""

    def _ends_torn(self) -> bool:
        try:
            with self._path.open("rb") as file:
                file.seek(0, os.SEEK_END)
                if file.tell() == 0:
                    return False
                file.seek(-1, os.SEEK_END)
                return file.read(1) != b"\n"
        except OSError:
            return False
