"""What ended a run, in a line for people."""

import traceback
from pathlib import Path

from noodle_tui.atomic import write_atomic
from noodle_tui.errors import NoodleError, full_memory_in_words, one_line

ERROR_LOG = "error.log"


def failure_in_words(error: BaseException, folder: Path | None) -> str:
    """One line for people; the traceback of an unforeseen error goes to error.log in the run folder, where it is known."""
    if isinstance(error, NoodleError):
        return str(error)
    if full := full_memory_in_words(error):
        return full
    if isinstance(error, KeyboardInterrupt):
        return "interrupted at once; what was saved last is in the run folder"
    if folder is None:
        return one_line(error)
    try:
        text = "".join(traceback.format_exception(error))
        write_atomic(folder / ERROR_LOG, text.encode(errors="backslashreplace"))
        return f"{one_line(error)}; the details are in {folder / ERROR_LOG}"
    except OSError:
        return one_line(error)
