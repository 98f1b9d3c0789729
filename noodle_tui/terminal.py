"""The terminal may go away at any time; a run must not."""

import contextlib
import errno
import io
import os
import re
import select
import signal
import sys
import termios
import textwrap
from collections.abc import Iterator
from typing import Any, NoReturn, TextIO

from noodle_tui.imports import uncollected

CHUNK = 512  # bytes: POSIX's smallest PIPE_BUF; a pipe that is writable at all takes them without blocking
BACKLOG = 4_000_000  # bytes that wait for a reader; what comes on top is left out
STREAMS = ("stdin", "stdout", "stderr")
INCAPABLE = ("", "dumb", "unknown")  # values of TERM: terminals that know no control codes
QUOTED = re.compile(r"`[^`]*`|(?<!\S)'[^']*'")  # commands and paths, as messages name them
# Textual's modes off: mouse, focus, paste and size reports, kitty's keys, its other screen. A cursor and line wrap on.
RESET = b"\x1b[0m" + b"".join(b"\x1b[?%dl" % mode for mode in (1000, 1003, 1015, 1006, 1016, 1004, 2004, 2048)) + (
    b"\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?7h")
PATIENCE = 10.0  # seconds at the end, without the reader taking a byte, after which the rest is left out


Modes = list[Any]  # termios' own, with its types


class LastingStream:
    """A terminal to write to that may be gone: what it refuses is dropped, so that its writer lives on."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:  # EIO: nobody sees it any more; `terminal_is_there` finds that out
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            return

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()


class UnblockedStream:
    """A text stream whose writer never waits: for a reader that has stopped reading (a pager, Ctrl-S, a stuck pipe), and for a
    file on a disk that is full, text is kept until it is taken again. OSError from `write` and `flush` where it never will be
    (a closed pipe, a dead terminal)."""

    def __init__(self, stream: TextIO):
        stream.flush()  # what was printed before comes before
        self._stream = stream
        self._waiting = bytearray()
        self.left_out = 0  # characters for which the backlog had no room
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        if len(self._waiting) < BACKLOG:
            self._waiting += text.encode(self.encoding, "backslashreplace")
        else:
            self.left_out += len(text)
        return len(text)

    def flush(self) -> None:
        """Write as much as the reader takes now."""
        while self._waiting and self._is_writable(0) and self._write_some():
            pass

    def drain(self) -> bool:
        """Write all that is left; False if the reader has taken nothing for PATIENCE seconds, or the disk is full, and the rest
        is left out."""
        while self._waiting:
            if not (self._is_writable(PATIENCE) and self._write_some()):
                self._waiting.clear()
                return False
        return True

    def reader_is_gone(self) -> bool:
        """Whether nobody will ever read again; known without writing."""
        poll = select.poll()
        poll.register(self.fileno(), 0)
        return any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0))

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def _is_writable(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self.fileno(), select.POLLOUT)
        return bool(poll.poll(1000 * seconds))

    def _write_some(self) -> bool:
        """Whether it could: a disk that is full takes nothing now, and may have room later."""
        try:
            del self._waiting[: os.write(self.fileno(), self._waiting[:CHUNK])]
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            return False
        return True


def columns_of(stream: TextIO) -> int | None:
    """The columns of the terminal that a stream leads to; None where it is none, or one that doesn't say."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):  # ValueError: it is closed
        return None


def folded(text: str, stream: TextIO, indent: int = 2) -> str:
    """A line as it is best printed to `stream`: for a terminal folded at blanks, every line but the first indented by so many.
    What stands in quotes, or is longer than a line (a path), stays whole: the terminal folds it, and copies it in one piece."""
    columns = columns_of(stream)
    if columns is None:
        return text
    whole = QUOTED.sub(lambda found: found[0].replace(" ", "\0"), text)
    lines = textwrap.wrap(whole, columns, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\0", " ")


def open_closed_streams() -> None:
    """Where stdin, stdout or stderr were closed (`>&-`), point them at nothing: the next file that is opened would take their
    number, and be written into by whoever prints."""
    for number, mode in enumerate("rww"):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the system gives out the lowest free number
            if getattr(sys, STREAMS[number]) is None:
                setattr(sys, STREAMS[number], open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def end_at_interrupt() -> None:
    """From now on ctrl+c ends this process at once: while it imports or leaves it has nothing to save, and Python would print
    where it is just then. A shell that starts it in the background has it ignore ctrl+c; that stays."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_at_interrupt() -> None:
    """From now on ctrl+c is a KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def end_now(code: int) -> NoReturn:
    """End this process with what it has printed, without what Python does on its way out."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)


@contextlib.contextmanager
def ended_at_interrupt() -> Iterator[None]:
    """In here ctrl+c ends this process at once. For imports of large libraries: an exception amid torch's would abort it with a
    core dump, or be lost."""
    end_at_interrupt()
    try:
        with uncollected():
            yield
    finally:
        raise_at_interrupt()


@contextlib.contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """In here SIGTERM and a hang-up end what is under way as ctrl+c does, so that it ends the processes that it began and
    removes the files that it drew. The main thread only. Under `nohup` a hang-up stays ignored."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    numbers = [number for number, handler in before.items() if handler is not signal.SIG_IGN]

    def interrupt(*_: object) -> None:
        for number in numbers:  # a hang-up comes from the system and from the shell
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number])


def print_everything() -> None:
    """From now on what stdout's and stderr's encoding lacks (an emoji in ASCII, a name that is no UTF-8) is printed escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def draw_in_utf8() -> None:
    """From now on stdout is UTF-8, whatever the locale says: lines and curves are no letters of Latin-1 or ASCII, and whoever
    draws them would stop at the first and leave an empty screen."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def terminal_streams() -> list[int]:
    """Which of stdin, stdout and stderr are a terminal. Ask while it is there: one that is gone is none any more."""
    return [number for number in range(3) if os.isatty(number)]


def survive_hangup() -> None:
    """From now on a hang-up (closed window, dropped connection) does not end this process: it goes on without a terminal.

    The main thread only: it sets a signal handler.
    """
    streams = terminal_streams()
    signal.signal(signal.SIGHUP, lambda *_: leave_terminal(streams))


def terminal_is_there() -> bool:
    """Whether stdin is still a living terminal: one that was hung up answers with an error."""
    try:
        os.tcgetpgrp(0)
    except OSError:
        return False
    return True


def leave_terminal(streams: list[int]) -> None:
    """Point these streams, a terminal that is gone, at nothing: reading ends at once, writing never fails."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in streams:
        os.dup2(nowhere, stream)
    os.close(nowhere)


def terminal_modes() -> Modes | None:
    """How the terminal on stdin reads and echoes, for `restore_terminal`; None where there is none."""
    try:
        return termios.tcgetattr(0)
    except (termios.error, OSError):
        return None


def restore_terminal(modes: Modes | None) -> None:
    """Have the terminal as it was before an app that had no time to tidy up: its own screen, a cursor, no mouse."""
    with contextlib.suppress(termios.error, OSError):  # it may be gone
        if modes is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, modes)
        os.write(1, RESET)


def leave_session() -> None:
    """A session of its own: the signals that a dying terminal and its shell send, some twice, don't reach this process."""
    with contextlib.suppress(PermissionError):  # it leads a process group of its own already
        os.setsid()
