"""Errors meant for people: one line that says what is wrong, with which value or file, and what to do."""

EXIT_STOPPED = 130  # the exit code of a run that was stopped on request, as after Ctrl-C in a shell


class NoodleError(Exception):
    """Something the user can understand and mend. `str(error)` is shown as it is; no traceback without `--debug`."""

    exit_code = 1


class UsageError(NoodleError):
    """A wrong option or argument: nothing was started."""

    exit_code = 2


class StopRun(Exception):
    """Raised between two batches (or two files) when somebody asked the run to stop; carries who asked."""

    def __init__(self, reason: str = "asked to stop"):
        super().__init__(reason)
        self.reason = reason


def one_line(error: BaseException) -> str:
    """The first line of an error, with its type where the text alone would say nothing."""
    text = str(error).strip().split("\n")[0]
    if isinstance(error, NoodleError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
