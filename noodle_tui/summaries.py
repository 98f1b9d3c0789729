"""What a list of runs shows of each: a `RunSummary`, read from the run folder.

Five hundred folders of 200 epochs have to be there within a second, and one that is looked at again costs only what was
appended since.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from noodle_tui.errors import NoodleError
from noodle_tui.events import EpochDone
from noodle_tui.run_folder import (
    EVENTS,
    Follower,
    has_checkpoint,
    is_alive,
    list_runs,
    open_plain,
    read_config,
    stamp_of,
    status_now,
    touch_plain,
)
from noodle_tui.run_state import RunState

PIN = "pinned"  # an empty file in a run folder: the run is kept on top of lists
LIVE = ("starting", "running", "paused")
ENDED_EARLY = ("stopped", "failed", "interrupted")


@dataclass(frozen=True)
class RunSummary:
    """One run in a list. `status` is a RunState's, or "interrupted", or "broken" (then `error` says why)."""

    folder: Path
    name: str  # namestr
    status: str
    epoch: int = 0  # the last finished one
    n_epochs: int = 0
    best: EpochDone | None = None  # None before the first validation
    val_accuracy: tuple[float, ...] = ()  # of each validated epoch, in order
    val_epochs: tuple[int, ...] = ()
    started: float | None = None  # seconds since 1970; the first start of a run that was picked up again
    ended: float | None = None  # seconds since 1970; None where it goes on, or died without a word
    seconds: float = 0.0  # of work: the times between a stop and a pick-up don't count
    config: dict[str, Any] = field(default_factory=dict)
    cwd: str = ""  # the folder that its relative paths start from
    folder_then: str = ""  # where the run folder lay when it was started, as seen from there
    error: str = ""
    pinned: bool = False
    resumable: bool = False  # it ended early, and there is a checkpoint to go on from

    @property
    def best_accuracy(self) -> float | None:
        return self.best.val_accuracy if self.best else None

    @property
    def alive(self) -> bool:
        return self.status in LIVE


class Summaries:
    """Summaries of run folders, remembered: what has been read of a folder is not read again."""

    def __init__(self) -> None:
        self._known: dict[Path, _Known] = {}

    def folders(self, save_dir: Path) -> list[Path]:
        """The run folders of a save_dir, newest first by name; others are forgotten. NoodleError if it can't be listed."""
        folders = list_runs(save_dir, self._known)
        self._known = {folder: self._known[folder] for folder in folders if folder in self._known}
        return folders

    def read(self, save_dir: Path) -> list[RunSummary]:
        """All runs of a save_dir, newest first. NoodleError if it can't be listed; a missing one has no runs."""
        return newest_first([self.summarise(folder) for folder in self.folders(save_dir)])

    def remembered(self, folder: Path) -> RunSummary:
        """The summary as it was last, of a run that has ended; of others as it is now."""
        known = self._known.get(folder)
        return known.summary if known is not None and not known.summary.alive else self.summarise(folder)

    def summarise(self, folder: Path) -> RunSummary:
        """The summary of one run folder. Never raises: a folder that can't be understood is "broken", with the reason."""
        try:
            known = _read(folder, self._known.get(folder))
        except (OSError, ValueError, NoodleError, OverflowError) as error:
            self._known.pop(folder, None)
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return RunSummary(folder, folder.name, "broken", error=reason.split("\n")[0][:300])
        self._known[folder] = known
        return known.summary


def newest_first(runs: Iterable[RunSummary]) -> list[RunSummary]:
    """By when they were started, which a folder that somebody renamed tells no more; of those that don't know it themselves by
    their names."""
    def start(run: RunSummary) -> str:
        return stamp_of(run.folder) if run.started is None else f"{datetime.fromtimestamp(run.started):%Y%m%d%H%M%S}"

    return sorted(runs, key=start, reverse=True)


@dataclass(frozen=True)
class _Known:
    """What has been read of a run folder."""

    stamp: tuple[int, ...] | None  # of events.jsonl; None: there was none
    follower: Follower
    state: RunState | None  # None of a run that doesn't go on: epochs take room
    told: RunSummary  # by the events
    summary: RunSummary  # and by what else the folder tells


def _read(folder: Path, known: _Known | None) -> _Known:
    """What is to be known of a folder now. OSError, ValueError or NoodleError if it is no run's."""
    alive = is_alive(folder)  # before the reading: a run that ends in between has then said all that it will
    stamp = _stamp(folder)
    if known is not None and stamp == known.stamp:
        follower, state, told = known.follower, known.state, known.told
    else:
        follower, state = _where_to_go_on(folder, known, stamp)
        for event in follower.read():
            state.apply(event)
        told = _summary(folder, state)
    summary = _as_it_is_now(told, alive)
    return _Known(stamp, follower, state if summary.alive else None, told, summary)


def _where_to_go_on(folder: Path, known: _Known | None, stamp: tuple[int, ...] | None) -> tuple[Follower, RunState]:
    """Where the last look ended; the start, if events.jsonl is another file now, or one that a full disk had cut."""
    if known and known.state and known.stamp and stamp and known.stamp[:2] == stamp[:2] and known.stamp[2] <= stamp[2]:
        return known.follower, known.state
    return Follower(folder), RunState()


def _stamp(folder: Path) -> tuple[int, ...] | None:
    """What tells whether events.jsonl is another file, is shorter, or has changed: device, inode, bytes, time (ns)."""
    try:
        with open_plain(folder / EVENTS) as file:
            now = os.fstat(file.fileno())
    except FileNotFoundError:
        return None
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns


def _summary(folder: Path, state: RunState) -> RunSummary:
    """What the events tell."""
    started = state.started
    config = started.config if started else read_config(folder)
    name = started.name if started else config.get("namestr")
    validated = [(e.epoch, e.val_accuracy) for e in state.epochs if e.val_accuracy is not None]
    return RunSummary(
        folder=folder,
        name=name if isinstance(name, str) else folder.name,
        status=state.status,
        epoch=state.epoch,
        n_epochs=state.n_epochs,
        best=state.best,
        val_accuracy=tuple(accuracy for _, accuracy in validated),
        val_epochs=tuple(epoch for epoch, _ in validated),
        started=state.first_start,
        ended=state.ended.time if state.ended else None,
        seconds=state.seconds,
        config=config,
        cwd=started.cwd if started else "",
        folder_then=started.folder if started else "",
        error=state.error,
    )


def _as_it_is_now(told: RunSummary, alive: bool) -> RunSummary:
    """With what else the folder tells than its events."""
    status = status_now(told.folder, told.status, told.ended, alive)
    return replace(told, status=status, pinned=(told.folder / PIN).exists(),
                   resumable=status in ENDED_EARLY and has_checkpoint(told.folder))


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
    best = summary.best
    low, high = (best and best.val_interval) or (None, None)
    return {
        "folder": str(summary.folder), "name": summary.name, "status": summary.status, "epoch": summary.epoch,
        "n_epochs": summary.n_epochs, "best_epoch": best and best.epoch,
        "correct": best and best.val_correct, "count": best.val_count if best else 0,
        "accuracy": summary.best_accuracy, "low": low, "high": high,
        "started": summary.started, "seconds": round(summary.seconds, 3), "error": summary.error,
        "config": summary.config,
    }  # fmt: skip
