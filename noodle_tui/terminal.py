"""The terminal may go away at any time; a run must not."""

import os
import signal
import sys


def survive_hangup() -> None:
    """From now on a hang-up (closed window, dropped connection) does not end this process: it goes on without a terminal.

    Writing to a terminal that is gone raises EIO; the console listener falls silent then.
    """
    signal.signal(signal.SIGHUP, lambda *_: leave_terminal())


def terminal_is_there() -> bool:
    """Whether stdin is still a living terminal: one that was hung up answers with an error."""
    try:
        os.tcgetpgrp(sys.__stdin__.fileno() if sys.__stdin__ else 0)
    except OSError:
        return False
    return True


def leave_terminal() -> None:
    """Point stdin, stdout and stderr at nothing: the terminal that they were is gone."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if stream is not None and stream.isatty():
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
