"""The terminal may go away at any time; a run must not."""

import contextlib
import os
import signal
from typing import TextIO


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


def leave_session() -> None:
    """A session of its own: the signals that a dying terminal and its shell send, some twice, don't reach this process."""
    with contextlib.suppress(PermissionError):  # it leads a process group of its own already
        os.setsid()
