"""Write a file so that nobody ever sees half of it: neither after a crash nor from another process."""

import errno
import os
import secrets
from pathlib import Path


def write_atomic(path: Path, data: bytes | memoryview | str) -> None:
    """Put `data` (text as UTF-8) at `path`: the old content or the new is there at any moment, never a part.

    The data goes to a temporary file in the same folder, is synced to the disk, and takes the name with one rename.
    Raises OSError (disk full, read-only, no such folder); the old file is then as it was, and no temporary file stays.
    """
    raw = data.encode("utf-8") if isinstance(data, str) else data
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"  # a name of its own: two writers never share one
    try:
        with open(temporary, "xb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:  # an interrupt too: nothing may stay behind
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path | str) -> None:
    """Wait until a file's bytes, or a folder's names, would survive a power cut. OSError as from `fsync`."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # so say network filesystems that can't sync a folder
            raise
    finally:
        os.close(handle)
