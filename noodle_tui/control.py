"""Requests to a run: stop, pause, go on. They come from this process or as files in the run folder from any other."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from noodle_tui.errors import NoodleError, StopRun
from noodle_tui.run_folder import touch_plain

STOP_FILE, PAUSE_FILE = "stop", "pause"
LOOK_EVERY = 0.25  # seconds between two looks at the run folder: it may lie on a slow network disk


class Control:
    """What was asked of a run, by any thread, a signal, or a file in the run folder. The run calls `check` between batches,
    files and blocks of a download."""

    def __init__(self) -> None:
        self.folder: Path | None = None  # the run folder, once there is one
        # plain flags: a signal handler that interrupts threading.Event.set() and calls it again would wait for itself
        self._stop = False
        self._pause = False
        self._reason = ""
        self._last_look = 0.0

    def stop(self, reason: str = "asked to stop") -> None:
        self._reason = self._reason or reason
        self._stop = True

    @property
    def stop_requested(self) -> bool:
        return self._stop

    @property
    def pause_requested(self) -> bool:
        self._look_at_files()
        return self._pause

    def check(self) -> None:
        """Raise StopRun if somebody asked for it. Cheap enough to call between batches."""
        self._look_at_files()
        if self._stop:
            raise StopRun(self._reason)

    def wait_while_paused(self) -> None:
        """Sleep until the pause ends; StopRun if the run is stopped meanwhile."""
        while self.pause_requested:
            self.check()
            time.sleep(0.1)

    def _look_at_files(self) -> None:
        now = time.monotonic()
        if self.folder is None or now - self._last_look < LOOK_EVERY:
            return
        self._last_look = now
        # not Path.exists, which raises where the disk is gone (ESTALE, EIO): that must not end a run
        self._pause = os.path.exists(self.folder / PAUSE_FILE)
        if os.path.exists(self.folder / STOP_FILE):
            self.stop("asked to stop (by `noodle stop`, an app that watches, or the file `stop`)")


@contextmanager
def stop_on_signals(control: Control, *, hangup: bool = False) -> Iterator[None]:
    """SIGINT, SIGTERM and Slurm's SIGUSR1 ask the run to stop and save; a second SIGINT ends at once.

    Only for the main thread. SIGHUP is left out: a dropped connection must not end a run (see `terminal.survive_hangup`);
    `hangup` has it stop the run, too, as torchrun wants it.
    """

    def ask(number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and control.stop_requested:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            raise KeyboardInterrupt
        control.stop(f"stopped by {signal.Signals(number).name}")

    wanted = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, *([signal.SIGHUP] if hangup else [])]
    before = {number: signal.signal(number, ask) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def request_stop(folder: Path) -> None:
    _request(folder, STOP_FILE)


def request_pause(folder: Path) -> None:
    _request(folder, PAUSE_FILE)


def request_go_on(folder: Path) -> None:
    """End a pause."""
    _forget(folder / PAUSE_FILE)


def clear_requests(folder: Path) -> None:
    """Forget requests made to an earlier process of this run."""
    for name in (STOP_FILE, PAUSE_FILE):
        _forget(folder / name)


def _request(folder: Path, name: str) -> None:
    try:
        touch_plain(folder / name)
    except OSError as error:
        raise NoodleError(f"{folder / name}: can't be made ({error.strerror})") from None


def _forget(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise NoodleError(f"{file}: can't be removed ({error.strerror}); remove it by hand") from None
