"""A run in a thread of this process. The thread belongs to no app: it outlives the screen that started it."""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from noodle_tui.config import RunConfig
from noodle_tui.control import Control
from noodle_tui.errors import NoodleError, one_line
from noodle_tui.events import ENDINGS, Event, RunFailed, RunMoved, RunStarted, StageProgress
from noodle_tui.gpu import has_gpu, leave_gpu
from noodle_tui.run_folder import Follower

GRACE = 3.0  # seconds that an app without a terminal has for leaving by itself
NICENESS = 10  # of threads that train on all cores, so that a key is answered at once all the same


class BackgroundRun:
    """One run in its thread; started at once. Any number of readers follow its events, each from the beginning."""

    def __init__(self, config: RunConfig):
        self.control = Control()
        self.folder: Path | None = None
        self.events: list[Event] = []  # all but progress; only the Fanout appends, one at a time
        self.progress: StageProgress | None = None  # the newest; older ones interest nobody
        self._config = config
        self._thread = threading.Thread(target=self._work, name="run")  # no daemon: the process waits for it
        self._thread.start()

    def alive(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        self._thread.join()

    def _work(self) -> None:
        try:
            if self._config.device == "cpu" or not has_gpu():
                _be_nice()
            from noodle_tui.run import run

            run(self._config, [self._listen], self.control)
        except BaseException as error:  # noqa: BLE001 - the thread's last word; a run that had begun has said it already
            if not self._has_ended():
                self._listen(RunFailed(error=one_line(error), seconds=0.0))
        leave_gpu()

    def _has_ended(self) -> bool:
        """Whether the run has said its end since it began here; loggers may have a word after it."""
        ends = (event for event in reversed(self.events) if isinstance(event, (RunStarted, *ENDINGS)))
        return isinstance(next(ends, None), ENDINGS)

    def _listen(self, event: Event) -> None:
        if isinstance(event, StageProgress):
            self.progress = event
            return
        if isinstance(event, RunStarted):
            self.folder = Path(event.folder)
            self.events += _past(self.folder)
        if isinstance(event, RunMoved):
            self.folder = Path(event.folder)
        self.events.append(event)


def _past(folder: Path) -> list[Event]:
    """What a run had said before it was picked up. Nothing where that can't be read: what comes now is shown all the same."""
    try:
        return [event for event in Follower(folder).read() if not isinstance(event, StageProgress)]
    except NoodleError:
        return []


def _be_nice() -> None:
    """Lower this thread's priority, and so that of the threads it starts (on Linux niceness is per thread).

    Not where a GPU trains: that needs little of a processor, but needs it in time, also when others keep all of them busy.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def end_process_after(*joins: Callable[[], None]) -> None:
    """See to it that this process ends soon after what still goes on in it, even if a write to a dead terminal blocks the app's
    own way out.

    joins  each waits for something, e.g. for a run
    """

    def wait() -> None:
        for join in joins:
            join()
        time.sleep(GRACE)
        os._exit(0)

    threading.Thread(target=wait, name="end", daemon=True).start()
