"""Writes a run's events into its folder: events.jsonl, metrics.csv and, as it starts, config.json.

A disk that is full or gone does not stop training: what couldn't be written is kept, said once, and tried again with the
next event. What it refuses to the end is said then.
"""

import contextlib
import csv
import errno
import io
import json
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from noodle_tui.atomic import write_atomic
from noodle_tui.events import MEASURES, Emit, EpochDone, Event, Message, RunMoved, RunStarted, StageProgress, to_json
from noodle_tui.progress import at_most_every
from noodle_tui.run_folder import CONFIG, EVENTS, METRICS, Follower, open_plain
from noodle_tui.run_state import RunState

COLUMNS = ("epoch", *MEASURES, "seconds", "images_per_second")
PROGRESS_EVERY = 2.0  # seconds: a watcher in another process need not see each batch


class Recorder:
    """Listens to a run. Call it with each event; `emit` is told, once, when the disk refuses."""

    def __init__(self, folder: Path, emit: Emit, history: Sequence[EpochDone] = (), held: bool = False):
        """history  the epochs that a run which is picked up remembers; what the files lack of them is written anew
        held     write nothing before `release`
        """
        self._folder, self._emit, self._history = folder, emit, history
        self._held: list[Event] | None = [] if held else None
        self._events = AppendFile(folder / EVENTS, on_trouble=self._trouble)
        self._metrics = AppendFile(folder / METRICS, on_trouble=self._trouble)
        self._config = AppendFile(folder / CONFIG, on_trouble=self._trouble)
        self._progress_is_due = at_most_every(PROGRESS_EVERY)
        self._said = self._moved = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, StageProgress) and not self._progress_is_due():
            return
        if self._held is not None:
            self._held.append(event)
            return
        self._moved = self._moved or isinstance(event, RunMoved)
        lost = self._lost_epochs() if isinstance(event, RunStarted) else []
        self._events.append(to_json(event) + "\n")
        if isinstance(event, RunStarted):
            self._config.restart(json.dumps(event.config, indent=1) + "\n")
            self._events.append("".join(to_json(epoch) + "\n" for epoch in lost))
            self._metrics.restart("".join(csv_line(row) for row in [list(COLUMNS), *map(metrics_row, self._history)]))
        self._metrics.append(csv_line(metrics_row(event)) if isinstance(event, EpochDone) else "")
        self._config.append("")

    def release(self) -> None:
        """Write what was held back, and from now on everything at once."""
        held, self._held = self._held or [], None
        for event in held:
            self(event)

    def close(self) -> None:
        """Nothing more comes: try once more what the disk refused, and say what it still does, unless all is elsewhere."""
        if self._held is not None or self._moved:
            return
        refused: dict[str, str] = {}
        for file in (self._events, self._metrics, self._config):
            file.append("")
            if file.trouble is not None:
                refused[file.path.name] = file.trouble.strerror or str(file.trouble)
        if refused:
            self._emit(Message(level="error", text=f"{' and '.join(refused)} could not be written to the end "
                               f"({', '.join(dict.fromkeys(refused.values()))}): once that is mended, picking the run up "
                               "brings the epochs back that its checkpoint knows"))

    def _lost_epochs(self) -> Sequence[EpochDone]:
        """The remembered epochs at the end of the history that events.jsonl has not got."""
        if not self._history:
            return []
        known = RunState.fold(Follower(self._folder).read()).epochs
        last = max((epoch.epoch for epoch in known), default=0)
        return [epoch for epoch in self._history if epoch.epoch > last]

    def _trouble(self, file: Path, error: OSError) -> None:
        if not self._said:
            self._said = True
            self._emit(Message(level="error", text=f"{file.name} can't be written ({error.strerror}); training goes on, "
                               "nothing is lost while it does, and every new event tries again"))


def metrics_row(event: EpochDone) -> list[str]:
    """One epoch as metrics.csv has it; an epoch without validation has empty fields there."""
    measures = ("" if value is None else repr(value) for value in event.measures.values())
    return [str(event.epoch), *measures, f"{event.seconds:.4f}", f"{event.images_per_second:.1f}"]


def csv_line(values: Sequence[Any]) -> str:
    """One row, ended by a newline. csv quotes a carriage return within a name only where its own rows may end in one."""
    out = io.StringIO()
    csv.writer(out).writerow(values)
    return out.getvalue().removesuffix("\r\n") + "\n"


class AppendFile:
    """Appends whole lines, each flushed. A torn last line of an earlier process is ended first. What the disk refuses is
    kept in memory and tried again."""

    def __init__(self, path: Path, on_trouble: Callable[[Path, OSError], None]):
        self.path, self._on_trouble = path, on_trouble
        self.trouble: OSError | None = None  # why the last try failed
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
                write_atomic(self.path, data)  # the rows that are kept must outlive a kill at this moment
            else:
                with _open_to_append(self.path) as file:
                    size = file.tell()
                    file.write(data)
        except OSError as error:
            if size is not None:  # part of it may be there: take it back, so that the next try doesn't double it
                with contextlib.suppress(OSError):
                    os.truncate(self.path, size)
            self.trouble = error
            self._on_trouble(self.path, error)
            return
        self._whole, self._pending, self.trouble = None, "", None

    def _ends_torn(self) -> bool:
        try:
            with open_plain(self.path) as file:
                file.seek(-1, os.SEEK_END)
                return file.read(1) != b"\n"
        except (OSError, ValueError):  # it is empty; or what is wrong with it is said when it is written
            return False


def _open_to_append(path: Path) -> BinaryIO:
    """Open or make a plain file. OSError too for a link, which could lead out of the run folder, and for a pipe or a device."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return os.fdopen(descriptor, "ab")
