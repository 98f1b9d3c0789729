"""Reading what may come from somebody else."""

from pathlib import Path, PurePosixPath

from noodle_tui.errors import NoodleError
from noodle_tui.names import printable


def read_plain_file(path: Path, limit: int) -> bytes:
    """A plain file's bytes; a link, a pipe, a folder or a giant is a NoodleError."""
    try:
        if path.is_symlink() or not path.is_file():
            raise NoodleError(f"{printable(str(path))} is not there (or not a plain file): has this run finished?")
        too_large = path.stat().st_size > limit
        with path.open("rb") as file:
            data = b"" if too_large else file.read(limit + 1)
    except OSError as error:
        raise NoodleError(f"{printable(str(path))} can't be read: {error.strerror}") from None
    if too_large or len(data) > limit:
        raise NoodleError(f"{printable(str(path))} is larger than {limit // 2**20} MiB: no run writes that")
    return data


def stay_inside(path: str) -> None:
    """ValueError for a path that leaves the data folder: readers of a report open these files."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise ValueError(f"the path {path[:100]!r} leaves the data folder")
