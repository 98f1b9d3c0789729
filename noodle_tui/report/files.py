"""Reading what may come from somebody else."""

from pathlib import Path, PurePosixPath

from noodle_tui.errors import NoodleError
from noodle_tui.run_folder import read_plain
from noodle_tui.text import printable


def read_plain_file(path: Path, limit: int) -> bytes:
    """A plain file's bytes; a link, a pipe, a folder or a giant is a NoodleError."""
    try:
        return read_plain(path, limit)
    except FileNotFoundError:
        raise NoodleError(f"{printable(str(path))} is not there: has this run finished?") from None
    except ValueError as error:
        raise NoodleError(f"{printable(str(path))}: {error}") from None
    except OSError as error:
        raise NoodleError(f"{printable(str(path))} can't be read: {error.strerror}") from None


def stay_inside(path: str) -> None:
    """ValueError for a path that leaves the data folder: readers of a report open these files."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise ValueError(f"the path {path[:100]!r} leaves the data folder")
