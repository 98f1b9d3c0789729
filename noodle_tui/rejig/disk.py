"""What rejig does to a disk: locks, links, copies that are whole, and errors in words."""

import errno
import fcntl
import filecmp
import os
import pwd
import re
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from zlib import crc32

from noodle_tui.atomic import sync
from noodle_tui.errors import NoodleError
from noodle_tui.text import printable

# Two places are on different filesystems, or this one (exFAT, some network disks) has no links: then a copy has to do.
NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


@contextmanager
def errors_in_words(what: str) -> Iterator[None]:
    """Turn an OSError into a NoodleError of one line: "can't <what>: No space left on device: 'file'"."""
    try:
        yield
    except OSError as error:
        place = f": {printable(os.fsdecode(error.filename))}" if error.filename is not None else ""
        raise NoodleError(f"can't {what}: {error.strerror or error}{place}") from error


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the lock of a data folder: a hidden file next to it. NoodleError, at once, if another process holds it."""
    path = data_dir.parent / f".{data_dir.name}.rejig-lock"
    lock = _take_lock(path, data_dir)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while we hold it: nobody else's can stand there
        os.close(lock)


def _take_lock(path: Path, data_dir: Path) -> int:
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = re.match(rb"process \d+ on [\w.-]+", os.pread(lock, 200, 0))
            os.close(lock)
            who = f" ({holder[0].decode()})" if holder else ""
            raise NoodleError(f"another noodle rejig{who} is at work on {printable(str(data_dir))}: "
                              "wait until it is done") from None
        except OSError:
            os.close(lock)
            raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), os.lstat(path)):
                with suppress(OSError):  # a full disk: the lock is held all the same, only its holder isn't named
                    os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
                return lock
        os.close(lock)  # its last holder removed it between our open and our lock: try the new one


def refuse_others_folder(data_dir: Path) -> None:
    """NoodleError where a folder that is to be taken apart may not be changed: found out halfway, it would stay halfway."""
    for folder, folders, _ in os.walk(data_dir):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise NoodleError(f"{printable(folder)} can't be changed: it belongs to {_owner(folder)}, who alone can sort these "
                              "photos anew; choose another --data-dir")
        if len(Path(folder).relative_to(data_dir).parts) == 2:  # of a class: it is deep enough
            folders.clear()


def _owner(folder: str) -> str:
    uid = os.stat(folder).st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def refuse_standing_in(data_dir: Path) -> None:
    """NoodleError where we are in a folder that is to be replaced or removed: it would be gone from under our feet."""
    try:
        here = Path(os.getcwd())
    except OSError:  # it is gone already
        return
    if here.is_relative_to(data_dir):
        raise NoodleError(f"{printable(str(data_dir))} is replaced as a whole, and you are in it: go to another folder first, "
                          "or choose another --data-dir")


def link_or_copy(source: str, target: str) -> None:
    """Make `target` (which mustn't exist) the same photo as `source`: a hard link, or else a synced copy."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        shutil.copy2(source, target)
        sync(target)


def make_symbolic_link(source: str, target: str) -> None:
    """NoodleError where the disk knows none: a copy, which takes room, is for the user to choose."""
    try:
        os.symlink(source, target)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        raise NoodleError(f"--mode link: the disk of the data folder has no symbolic links ({error.strerror}); use --mode copy "
                          "or move") from None


def move_back(photo: str, place: str) -> None:
    """Move a photo to a place where nothing stands. A kill leaves it whole in one place or in both, never half."""
    try:
        os.link(photo, place)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        half = os.path.join(os.path.dirname(place), f".rejig-{crc32(os.fsencode(place)):08x}.part")
        shutil.copy2(photo, half)
        sync(half)
        os.rename(half, place)
    os.unlink(photo)


def same_photo(one: str, other: str) -> bool:
    """Are these the same regular file, or two files of the same bytes?"""
    a, b = os.lstat(one), os.lstat(other)
    if os.path.samestat(a, b):
        return True
    if not (stat.S_ISREG(a.st_mode) and stat.S_ISREG(b.st_mode) and a.st_size == b.st_size):
        return False
    filecmp.clear_cache()
    return filecmp.cmp(one, other, shallow=False)
