"""Where a screen gets its run from: this process, or a run folder on the same filesystem."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event as Flag
from typing import Any, Protocol

from textual.screen import Screen
from textual.worker import get_current_worker

from noodle_tui.background import BackgroundRun
from noodle_tui.control import request_go_on, request_pause, request_stop
from noodle_tui.errors import NoodleError
from noodle_tui.events import EpochDone, Event, Message, StageDone, StageProgress
from noodle_tui.run_folder import EVENTS, Follower, is_alive

EVENTS_AT_ONCE = 2000  # a long run's past is taken in by parts: no part holds up a key for long


def in_parts(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """The events in parts that a screen takes in at once."""
    return (events[start : start + EVENTS_AT_ONCE] for start in range(0, len(events), EVENTS_AT_ONCE))


def hand_over(screen: Screen[Any], left: Flag, take: Callable[..., object], *arguments: Any) -> None:
    """Have `take` called by the screen, and wait until it was, or the screen has `left`: parts that lay in its queue together
    would be taken one after another, and no key in between. For a thread worker of the screen's."""
    worker, taken = get_current_worker(), Flag()

    def call() -> None:
        try:
            take(*arguments)
        finally:
            taken.set()

    screen.call_later(call)
    while not (taken.wait(0.1) or left.is_set() or worker.is_cancelled):
        pass


class RunSource(Protocol):
    """A run as a screen sees it. Every method may be called from another thread than the screen's own; all may wait for the
    disk, and raise NoodleError for what it refuses."""

    @property
    def folder(self) -> Path | None:
        """The run folder; None before it is made."""
        ...

    def read(self) -> list[Event]:
        """The events since the last call. To be called about four times a second."""
        ...

    def alive(self) -> bool:
        """Whether somebody still works on the run. A run that is neither alive nor ended was interrupted."""
        ...

    def stop(self) -> None:
        """Ask the run to save and stop; it says RunStopped when it has."""
        ...

    def pause(self) -> None:
        """Ask the run to wait after its current batch; it says Paused."""
        ...

    def go_on(self) -> None:
        """Ask a paused run to go on; it says Resumed."""
        ...


class BackgroundSource:
    """A run in a thread of this process."""

    def __init__(self, run: BackgroundRun):
        self._run = run
        self._position = 0
        self._progress: StageProgress | None = None

    @property
    def folder(self) -> Path | None:
        return self._run.folder

    def read(self) -> list[Event]:
        events = self._run.events[self._position :]
        self._position += len(events)
        progress = self._run.progress
        if progress is not None and progress is not self._progress:
            self._progress = progress
            if not any(event.time > progress.time and isinstance(event, StageDone | EpochDone) for event in events):
                events.append(progress)
        return events

    def alive(self) -> bool:
        return self._run.alive()

    def stop(self) -> None:
        self._run.control.stop()

    def pause(self) -> None:
        request_pause(self._run_folder())

    def go_on(self) -> None:
        request_go_on(self._run_folder())

    def _run_folder(self) -> Path:
        """A pause is a file there also for a run of this process: whoever sees it paused can have it go on."""
        if self.folder is None:
            raise NoodleError("the run has no folder yet: try again in a moment")
        return self.folder


class FolderSource:
    """A run folder: of a job on this machine or on another one of the same filesystem, or of a run of the past."""

    def __init__(self, folder: Path):
        self.folder: Path | None = folder
        self._folder = folder
        self._follower = Follower(folder)
        self._told_of_broken = False
        self._alive = False

    def read(self) -> list[Event]:
        if not os.path.isdir(self._folder):
            raise NoodleError(f"{self._folder} is gone: moved, deleted, or on a disk that is")
        events = self._follower.read()
        if events and self._follower.broken_lines and not self._told_of_broken:
            self._told_of_broken = True
            events.insert(0, Message(level="warning", time=events[0].time, text=f"lines of {EVENTS} can't be read and are left "
                                     "out: they are broken, or of another version of this program"))
        return events

    def alive(self) -> bool:
        """As it was last known while the folder is gone: the run may go on without."""
        if os.path.isdir(self._folder):
            self._alive = is_alive(self._folder)
        return self._alive

    def stop(self) -> None:
        request_stop(self._folder)

    def pause(self) -> None:
        request_pause(self._folder)

    def go_on(self) -> None:
        request_go_on(self._folder)
