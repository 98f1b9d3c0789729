"""Starts the app so that a run in it outlives the terminal.

    shell ── noodle-tui (waits) ── its child: the app, and the run's thread

The app runs in a child process. To detach, the child leaves the terminal and its session, and tells the waiting parent, which
gives the shell its prompt back; the child goes on without a terminal until the run has ended. A hang-up (closed window,
dropped connection) takes the same way without a word.
"""

import contextlib
import gc
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from noodle_tui.disk import state_folder
from noodle_tui.errors import EXIT_STOPPED, UsageError
from noodle_tui.failure import failure_in_words
from noodle_tui.heap import share_one_heap
from noodle_tui.paths import check_working_folder
from noodle_tui.terminal import (
    INCAPABLE,
    LastingStream,
    Modes,
    draw_in_utf8,
    end_now,
    folded,
    leave_session,
    leave_terminal,
    open_closed_streams,
    restore_terminal,
    terminal_modes,
)
from noodle_tui.text import as_argument, printable

if TYPE_CHECKING:
    from noodle_tui.background import BackgroundRun
    from noodle_tui.tui.app import NoodleApp
    from noodle_tui.tui.live import LiveScreen


PATIENCE = 2.0  # seconds at the end that threads have for what they do
HUNG_UP = b"\0"  # before a farewell: the app had no terminal to tidy up


def main() -> NoReturn:
    """`noodle-tui` without arguments."""
    open_closed_streams()
    try:
        code = launch({})
    except UsageError as error:
        print(folded(f"noodle-tui: {error}", sys.stderr), file=sys.stderr)
        code = error.exit_code
    sys.exit(code)


def launch(values: dict[str, Any], watch: Path | None = None, *, mouse: bool = True) -> int:
    """Open the app, its form filled in with `values` (options of RunConfig; none: the folder's last ones), or on the run folder
    `watch`.

    Returns the exit code once the app has ended or detached. The child, where the app runs, doesn't return.
    """
    instead = "noodle watch --headless" if watch else "noodle run --headless"
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"the app needs a terminal; in a script use `{instead}`")
    if os.environ.get("TERM", "") in INCAPABLE:
        raise UsageError(f"TERM={os.environ.get('TERM', '')}: the app can't be drawn on such a terminal; use `{instead}`, or "
                         "set TERM to what it is, e.g. TERM=xterm-256color")
    check_working_folder()
    sys.stdout.flush()
    sys.stderr.flush()
    modes = terminal_modes()
    hears, tells = os.pipe()
    child = os.fork()  # before torch, Textual or any thread is there
    if child:
        os.close(tells)
        return _wait(child, hears, modes)
    os.close(hears)
    _run_app(values, watch, mouse, tells)


def _wait(child: int, hears: int, modes: Modes | None) -> int:
    """The parent: pass on what the child says when it detaches, or its exit code. Where it left the terminal as it stood, tidy
    up."""

    def pass_on(number: int, _: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended at this very moment
            os.kill(child, number)

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the app hears of it, too
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, pass_on)
    with os.fdopen(hears, "rb") as pipe:
        farewell = pipe.read()  # until the child detaches or ends
    if farewell.startswith(HUNG_UP):  # perhaps by kill -HUP, and the terminal is still there
        restore_terminal(modes)
    if text := farewell.removeprefix(HUNG_UP).decode():
        _say(sys.stdout, text)
        return 0
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        return os.waitstatus_to_exitcode(status)
    restore_terminal(modes)
    if os.WTERMSIG(status) == signal.SIGINT:  # ctrl+c, before there was anything
        return EXIT_STOPPED
    name = signal.Signals(os.WTERMSIG(status)).name
    _say(sys.stderr, f"noodle-tui: its process was ended by {name}. A run that went on in it stands where it was saved last: "
         "`noodle runs` lists it, `noodle run --load-dir RUN` goes on with it.\n")
    return 128 + os.WTERMSIG(status)


def _say(stream: TextIO, text: str) -> None:
    with contextlib.suppress(OSError):  # nobody hears it after a hang-up
        stream.write(text)
        stream.flush()


def _run_app(values: dict[str, Any], watch: Path | None, mouse: bool, tells: int) -> NoReturn:
    """The child: the app, and then, if a run is still going on, that run without a terminal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # as long as there is nothing to save
    gc.disable()  # on the way to the first paint nothing is garbage; the app switches it on again
    share_one_heap()  # a run trains in a thread
    from noodle_tui.tui.app import NoodleApp

    draw_in_utf8()
    # Textual writes to stderr; the app belongs on stdout, whatever stderr is redirected to
    sys.__stderr__ = LastingStream(sys.stdout)  # type: ignore[misc,assignment]
    app = NoodleApp(values, first=_live_screen(watch) if watch else None, recall_last=not values)
    app.run(mouse=mouse)
    signal.signal(signal.SIGCONT, signal.SIG_DFL)  # the driver would make a terminal ready that the run left
    if app.failure is not None:
        _say(sys.stderr, folded(f"noodle-tui: {_failure(app.failure)}", sys.stderr) + "\n")
    run = app.background

    def stop(number: int, _: FrameType | None) -> None:
        """What still goes on is stopped, and saved."""
        if run is not None:
            run.control.stop(f"stopped by {signal.Signals(number).name}")
        if app.chore is not None:
            app.chore.stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, stop)
    if run is not None and run.control.stop_requested and (run.alive() or app.return_code == EXIT_STOPPED):
        run.join()
        print(_where_it_stands(run))
        _end(app, EXIT_STOPPED)
    if run is None or not run.alive():
        if app.hung_up:
            with contextlib.suppress(BrokenPipeError):
                os.write(tells, HUNG_UP)
        _end(app, app.return_code or 0)
    # From here on nobody watches. SIGTERM still stops and saves.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    leave_terminal([0, 1, 2])
    leave_session()
    with contextlib.suppress(BrokenPipeError), os.fdopen(tells, "wb") as pipe:  # nobody hears it after a hang-up
        pipe.write((HUNG_UP if app.hung_up else b"") + _farewell(run).encode())
    run.join()
    _end(app, 0)


def _failure(error: Exception) -> str:
    """What ended the app, where nobody foresaw it. The traceback is in a file of the user's own: names may stand in it."""
    folder = None
    with contextlib.suppress(OSError):  # then the line is all that there is
        folder = state_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return f"a fault of its own ended the app: {failure_in_words(error, folder)}"


def _end(app: "NoodleApp", code: int) -> NoReturn:
    """End this process when what was begun is done: chores, and what threads still write. Not all threads are waited for: one
    that hangs on a disk would keep the shell's prompt away."""
    from noodle_tui.tui.app import THREAD_NAME

    if app.chore is not None:
        app.chore.join()
        if app.chore.last_words:
            _say(sys.stdout, f"{app.chore.last_words}\n")
    end = time.monotonic() + PATIENCE
    for thread in threading.enumerate():
        if thread.name.startswith(THREAD_NAME):
            thread.join(max(end - time.monotonic(), 0.0))
    end_now(code)


def _farewell(run: "BackgroundRun") -> str:
    """What the shell's terminal is told of a run that was left alone."""
    watch = f"noodle watch {as_argument(run.folder)}" if run.folder else "noodle watch"
    if run.control.pause_requested:
        return (f"The run is paused and waits without this terminal (process {os.getpid()}).\n"
                f"See it again with `{watch}`; p has it go on.\n")
    return f"The run goes on without this terminal (process {os.getpid()}).\nSee it again with `{watch}`.\n"


def _where_it_stands(run: "BackgroundRun") -> str:
    """The last words on a run that was stopped: they stay in the terminal when the app has left it."""
    from noodle_tui.events import ENDINGS, RunFailed, RunStopped
    from noodle_tui.run_folder import has_checkpoint

    ending = next((event for event in reversed(run.events) if isinstance(event, ENDINGS)), None)
    if isinstance(ending, RunFailed):
        return f"The run failed: {printable(ending.error)}"
    if isinstance(ending, RunStopped) and (run.folder is None or not has_checkpoint(run.folder)):
        return "The run is stopped; it had not learnt anything yet."
    if isinstance(ending, RunStopped):
        return f"The run is stopped and saved. Go on with it: noodle run --load-dir {as_argument(run.folder)}"
    return f"The run is done: {printable(str(run.folder))}"


def _live_screen(folder: Path) -> "LiveScreen":
    from noodle_tui.tui.live import LiveScreen
    from noodle_tui.tui.sources import FolderSource

    return LiveScreen(FolderSource(folder), title=folder.name)
