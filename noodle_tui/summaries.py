"""What a list of runs shows of each: a `RunSummary`, read from the run folder quickly.

Five hundred folders of 200 epochs have to be there within a second, so that an epoch's line is taken apart by a pattern
instead of a JSON parser, and a folder that is looked at again costs only what was appended since.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from noodle_tui.errors import NoodleError
from noodle_tui.events import ENDINGS, EpochDone, Event, Paused, Resumed, RunFailed, RunStarted, from_json
from noodle_tui.run_folder import (
    CHUNK,
    EVENTS,
    MAX_LINE,
    has_checkpoint,
    is_alive,
    is_picked_up,
    list_runs,
    open_plain,
    read_config,
    touch_plain,
)
from noodle_tui.stats import wilson_interval

PIN = "pinned"  # an empty file in a run folder: the run is kept on top of lists
LIVE = ("starting", "running", "paused")
ENDED_EARLY = ("stopped", "failed", "interrupted")

# An epoch's line as `to_json` writes it; a line of any other form goes through the JSON parser. The possessive ++ (what
# is matched is never given back) makes it three times as fast. Numbers of at most 15 digits are within the parser's bounds.
_ANY = rb"[^,{}]++"
_WHOLE = rb"([0-9]{1,15}+)"
_EPOCH = re.compile(
    rb'\{"event": "EpochDone", "time": ([0-9]{1,11}+(?:\.[0-9]++)?+), "epoch": ' + _WHOLE + rb', "n_epochs": ' + _WHOLE + rb', '
    rb'"train_loss": ' + _ANY + rb', "train_correct": [0-9]++, "train_count": [0-9]++, '
    rb'"val_loss": ' + _ANY + rb', "val_correct": ([0-9]{1,15}+|null), "val_count": ' + _WHOLE + rb', '
    rb'"lr": ' + _ANY + rb', "seconds": ' + _ANY + rb', "images_per_second": ' + _ANY + rb', "is_best": (true|false)\}'
)
# Lines that tell a summary nothing but that the run still lived then.
_SKIPPED = re.compile(rb'\{"event": "(?:Stage\w+|Saved|Message|DataReady|ModelReady)", "time": ([0-9]{1,11}+(?:\.[0-9]++)?+),')


@dataclass(frozen=True)
class RunSummary:
    """One run in a list. `status` is a RunState's, or "interrupted", or "broken" (then `error` says why)."""

    folder: Path
    name: str  # namestr
    status: str
    epoch: int = 0  # the last finished one
    n_epochs: int = 0
    best_correct: int | None = None  # None before the first validation
    best_count: int = 0
    best_epoch: int = 0
    val_accuracy: tuple[float, ...] = ()  # of each validated epoch, in order
    val_epochs: tuple[int, ...] = ()
    started: float | None = None  # seconds since 1970; the first start of a run that was picked up again
    seconds: float = 0.0  # of work: the times between a stop and a pick-up don't count
    config: dict[str, Any] = field(default_factory=dict)
    cwd: str = ""  # the folder that its relative paths start from
    folder_then: str = ""  # where the run folder lay when it was started, as seen from there
    error: str = ""
    pinned: bool = False
    resumable: bool = False  # it ended early, and there is a checkpoint to go on from

    @property
    def best_accuracy(self) -> float | None:
        return None if self.best_correct is None else self.best_correct / max(self.best_count, 1)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95% interval of the best accuracy."""
        return None if self.best_correct is None else wilson_interval(self.best_correct, self.best_count)

    @property
    def alive(self) -> bool:
        return self.status in LIVE


def summarise(folder: Path) -> RunSummary:
    """The summary of one run folder. Never raises: a folder that can't be understood is "broken", with the reason."""
    return Summaries().summarise(folder)


class Summaries:
    """Summaries of run folders, remembered: what has been read of a folder is not read again."""

    def __init__(self) -> None:
        self._tallies: dict[Path, _Tally] = {}

    def folders(self, save_dir: Path) -> list[Path]:
        """The run folders of a save_dir, newest first; others are forgotten. NoodleError if it can't be listed."""
        folders = list_runs(save_dir)
        self._tallies = {folder: self._tallies[folder] for folder in folders if folder in self._tallies}
        return folders

    def read(self, save_dir: Path) -> list[RunSummary]:
        """All runs of a save_dir, newest first. NoodleError if it can't be listed; a missing one has no runs."""
        return [self.summarise(folder) for folder in self.folders(save_dir)]

    def summarise(self, folder: Path) -> RunSummary:
        """See the function of this name."""
        tally = self._tallies.setdefault(folder, _Tally())
        try:
            tally.catch_up(folder)
            return _summary(folder, tally)
        except (OSError, ValueError, NoodleError, OverflowError) as error:
            del self._tallies[folder]
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return RunSummary(folder, folder.name, "broken", error=reason.split("\n")[0][:300])


@dataclass
class _Tally:
    """What a summary needs of a run's events so far."""

    identity: tuple[int, int] | None = None  # device and inode of events.jsonl
    modified: tuple[int, int] = (0, -1)  # its time (ns) and size when it was last read
    position: int = 0  # bytes read: whole lines
    started: RunStarted | None = None
    first_start: float | None = None
    seconds_before: float = 0.0  # as in RunState
    ending: Event | None = None
    paused: bool = False
    last_time: float = 0.0
    epoch: int = 0
    n_epochs: int = 0
    epochs: list[tuple[int, int, int, bool]] = field(default_factory=list)  # validated: epoch, correct, count, is_best
    summary: RunSummary | None = None  # of what has been read, where nothing but more events can change it

    def catch_up(self, folder: Path) -> None:
        """Read what was appended since the last call. OSError or ValueError if events.jsonl is no file of a run's."""
        try:
            file = open_plain(folder / EVENTS)
        except FileNotFoundError:
            return
        with file:
            now = os.fstat(file.fileno())
            if self.identity != (now.st_dev, now.st_ino) or now.st_size < self.position:
                self.__init__()  # another file, or one that a full disk had cut
                self.identity = (now.st_dev, now.st_ino)
            if self.modified == (now.st_mtime_ns, now.st_size):
                return
            self.summary = None
            self._read(file)
            self.modified = (now.st_mtime_ns, now.st_size)

    def _read(self, file: BinaryIO) -> None:
        file.seek(self.position)
        rest = b""
        while chunk := file.read(CHUNK):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()  # torn, or not yet whole
            for line in lines:
                self._take(line)
            self.position = file.tell() - len(rest)
            if len(rest) > MAX_LINE:
                raise ValueError(f"{EVENTS} has a line of more than {MAX_LINE:,} bytes: no run writes that")

    def _take(self, line: bytes) -> None:
        if found := _EPOCH.fullmatch(line):
            clock, epoch, n_epochs, correct, count, best = found.groups()
            if correct != b"null" and int(correct) > int(count):
                return  # a broken line, as the parser would find
            self.epoch, self.n_epochs, self.last_time = int(epoch), int(n_epochs), float(clock)
            if correct != b"null":
                self._add(int(epoch), int(correct), int(count), best == b"true")
            return
        if found := _SKIPPED.match(line):
            self.last_time = float(found[1])
            return
        try:
            self._apply(from_json(line))
        except ValueError:  # a broken line is left out, as everywhere a run is read
            return

    def _add(self, epoch: int, correct: int, count: int, is_best: bool) -> None:
        while self.epochs and epoch <= self.epochs[-1][0]:  # no run goes back: the later word counts, as in RunState
            self.epochs.pop()
        self.epochs.append((epoch, correct, count, is_best))

    def _apply(self, event: Event) -> None:
        """As RunState does, as far as a summary tells of it."""
        if isinstance(event, RunStarted):
            self.seconds_before = self.seconds
        self.last_time = event.time
        match event:
            case RunStarted():
                self.first_start = event.time if self.first_start is None else self.first_start
                self.started, self.ending, self.paused, self.n_epochs = event, None, False, event.n_epochs
                self.epochs = [e for e in self.epochs if e[0] <= event.resumed_at]
                self.epoch = min(self.epoch, event.resumed_at)
            case EpochDone():
                self.epoch, self.n_epochs = event.epoch, event.n_epochs
                if event.val_correct is not None:
                    self._add(event.epoch, event.val_correct, event.val_count, event.is_best)
            case Paused():
                self.paused = True
            case Resumed():
                self.paused = False
            case _ if isinstance(event, ENDINGS):
                self.ending = event

    @property
    def seconds(self) -> float:
        """As in RunState."""
        if self.started is None:
            return 0.0
        now = getattr(self.ending, "seconds", None)
        return self.seconds_before + (max(self.last_time - self.started.time, 0.0) if now is None else now)

    def status(self, folder: Path) -> str:
        """The run's state; the lock tells a run that goes on from one that died without a word."""
        if self.ending is not None and is_picked_up(folder, self.ending.time):
            return "starting"
        if self.ending is not None:
            return {"RunDone": "done", "RunStopped": "stopped", "RunFailed": "failed"}[type(self.ending).__name__]
        if not is_alive(folder):
            return "interrupted"
        return "starting" if self.started is None else "paused" if self.paused else "running"


def _summary(folder: Path, tally: _Tally) -> RunSummary:
    status = tally.status(folder)
    pinned = (folder / PIN).exists()
    resumable = status in ENDED_EARLY and has_checkpoint(folder)
    known = tally.summary
    if known is not None and (known.status, known.pinned, known.resumable) == (status, pinned, resumable):
        return known
    started = tally.started
    config = started.config if started else read_config(folder)
    best = next((e for e in reversed(tally.epochs) if e[3]), None)
    name = started.name if started else config.get("namestr")
    tally.summary = RunSummary(
        folder=folder,
        name=name if isinstance(name, str) else folder.name,
        status=status,
        epoch=tally.epoch,
        n_epochs=tally.n_epochs,
        best_correct=best[1] if best else None,
        best_count=best[2] if best else 0,
        best_epoch=best[0] if best else 0,
        val_accuracy=tuple(correct / max(count, 1) for _, correct, count, _ in tally.epochs),
        val_epochs=tuple(e[0] for e in tally.epochs),
        started=tally.first_start,
        seconds=tally.seconds,
        config=config,
        cwd=started.cwd if started else "",
        folder_then=started.folder if started else "",
        error=tally.ending.error if isinstance(tally.ending, RunFailed) else "",
        pinned=pinned,
        resumable=resumable,
    )
    return tally.summary


def pin(folder: Path, pinned: bool) -> None:
    """Keep a run on top of lists, or no longer. NoodleError if the folder can't be written to."""
    try:
        if pinned:
            touch_plain(folder / PIN)
        else:
            (folder / PIN).unlink(missing_ok=True)
    except OSError as error:
        raise NoodleError(f"{folder / PIN}: can't be written ({error.strerror})") from None


def as_json(summary: RunSummary) -> dict[str, Any]:
    """A summary as plain values, for `noodle runs --format json`."""
    low, high = summary.interval or (None, None)
    return {
        "folder": str(summary.folder), "name": summary.name, "status": summary.status, "epoch": summary.epoch,
        "n_epochs": summary.n_epochs, "best_epoch": summary.best_epoch or None, "correct": summary.best_correct,
        "count": summary.best_count, "accuracy": summary.best_accuracy, "low": low, "high": high,
        "started": summary.started, "seconds": round(summary.seconds, 3), "error": summary.error,
        "config": summary.config,
    }  # fmt: skip
