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

NO_SYMBOLIC_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}  # how exFAT and network disks say so

# how disks refuse a name that others take: its letters, its length, its encoding; or, where capitals don't count, a second one
BAD_NAME = {errno.EINVAL, errno.ENAMETOOLONG, errno.EILSEQ, errno.EEXIST}


@contextmanager
def errors_in_words(what: str) -> Iterator[None]:
    """Turn an OSError into a NoodleError of one line: "can't <what>: No space left on device: 'file'"."""
    try:
        yield
    except OSError as error:
        place = f": {printable(os.fsdecode(error.filename))}" if error.filename is not None else ""
        raise NoodleError(f"can't {what}: {error.strerror or error}{place}") from error


@contextmanager
def names_in_words(name: str, what: str) -> Iterator[None]:
    """NoodleError where the disk of the data folder doesn't take a `name`, which is that of a `what`."""
    try:
        yield
    except OSError as error:
        if error.errno not in BAD_NAME:
            raise
        raise NoodleError(f"the disk of the data folder takes no {printable(name)!r} ({error.strerror}): give the {what} "
                          "another name, or choose another --data-dir") from None


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the lock of a data folder: a hidden file next to it. NoodleError, at once, if another process holds it."""
    path = data_dir.parent / f".{data_dir.name}.rejig-lock"
    lock = _take_lock(path, data_dir)
    try:
        yield
    finally:
        with suppress(OSError):  # a disk that removes no open file keeps it: without a holder it is in nobody's way
            path.unlink()  # while we hold it: nobody else's can stand there
        os.close(lock)


def _take_lock(path: Path, data_dir: Path) -> int:
    while True:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except PermissionError:
            if not os.path.lexists(path):  # it is the folder that may not be written to
                raise
            raise NoodleError(f"a noodle rejig of {_owner(str(path))} is at work on {printable(str(data_dir))}, or was killed: "
                              f"wait until it is done, or have {printable(str(path))} removed") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = re.match(rb"process \d+ on [\w.-]+", os.pread(lock, 200, 0))
            os.close(lock)
            who = f" ({holder[0].decode()})" if holder else ""
            raise NoodleError(f"another noodle rejig{who} is at work on {printable(str(data_dir))}: "
                              "wait until it is done") from None
        except OSError as error:
            os.close(lock)
            raise NoodleError(f"files can't be locked in {printable(str(path.parent))} ({error.strerror}), which keeps two "
                              "rejigs apart: choose a --data-dir on another disk") from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), os.lstat(path)):
                with suppress(OSError):  # a full disk: the lock is held all the same, only its holder isn't named
                    os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
                return lock
        os.close(lock)  # its last holder removed it between our open and our lock: try the new one


def refuse_others_folder(data_dir: Path, what: str) -> None:
    """NoodleError where a folder that is to be taken apart may not be changed: found out halfway, it would stay halfway.
    `what`: its owner alone can do, as words."""
    for folder, folders, _ in os.walk(data_dir):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise NoodleError(f"{printable(folder)} can't be changed: it belongs to {_owner(folder)}, who alone can {what}")
        if len(Path(folder).relative_to(data_dir).parts) == 2:  # of a class: it is deep enough
            folders.clear()


def refuse_stuck_folder(data_dir: Path) -> None:
    """NoodleError where a data folder can't be replaced: it is another's, and stands where each may remove only their own."""
    if not data_dir.is_dir() or os.geteuid() in (0, data_dir.stat().st_uid, data_dir.parent.stat().st_uid):
        return
    if data_dir.parent.stat().st_mode & stat.S_ISVTX:
        raise NoodleError(f"{printable(str(data_dir))} can't be replaced: it belongs to {_owner(str(data_dir))}, and in "
                          f"{printable(str(data_dir.parent))} all can remove only what is theirs; choose another --data-dir")


def _owner(folder: str) -> str:
    uid = os.lstat(folder).st_uid
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
    if not _link(source, target):
        copy_photo(source, target)
        sync(target)


def _link(source: str, target: str) -> bool:
    """Whether `target` could be made a hard link to `source`. Another file system, or one without links, says no in many ways;
    the copy that has to do then speaks up itself where it is the disk that is full or gone. FileExistsError where something
    stands at `target`."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def copy_photo(source: str, target: str) -> None:
    """Copy a photo with its time and its rights, as far as the disk takes them: one that is mounted as another user's, as SMB
    and FAT may be, takes neither, and the photo is whole all the same."""
    shutil.copyfile(source, target)
    try:
        shutil.copystat(source, target)
    except OSError:
        with suppress(OSError):
            shutil.copymode(source, target)  # where it was only the time


def make_symbolic_link(source: str, target: str) -> None:
    """NoodleError where the disk knows none: a copy, which takes room, is for the user to choose."""
    try:
        os.symlink(source, target)
    except OSError as error:
        if error.errno not in NO_SYMBOLIC_LINKS:
            raise
        raise NoodleError(f"--mode link: the disk of the data folder has no symbolic links ({error.strerror}); use --mode copy "
                          "or move") from None


def move_back(photo: str, place: str) -> None:
    """Move a photo to a place where nothing stands. A kill leaves it whole in one place or in both, never half."""
    if not _link(photo, place):
        half = os.path.join(os.path.dirname(place), f".rejig-{crc32(os.fsencode(place)):08x}.part")
        copy_photo(photo, half)
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
