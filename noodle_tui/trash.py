"""Run folders that somebody deletes: moved into `<save_dir>/.trash/<time>/`, a folder for each deletion, from where the last
can be had back until the trash is emptied."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from noodle_tui.errors import NoodleError
from noodle_tui.run_folder import LOCK, is_alive, is_run_folder, locked

TRASH = ".trash"
DELETION = re.compile(r"\d{8}-\d{6}(-\d+)?")


def move_to_trash(save_dir: Path, folders: Sequence[Path]) -> Path:
    """Move run folders of `save_dir` into its trash, each with one rename; returns the folder that they are in now.

    NoodleError, and nothing is touched, if a run is alive, a folder is no run folder directly in `save_dir`, or it,
    its lock or the trash is a link: what lies elsewhere is never moved or written to.
    """
    for folder in folders:
        _check_is_run_of(save_dir, folder)
    trash = _trash_of(save_dir)
    with ExitStack() as locks:  # held while they move, so that nobody picks a run up meanwhile
        for folder in folders:
            locks.enter_context(locked(folder))
        place, moved = trash, 0
        try:
            place = _new_deletion(trash)
            for folder in folders:
                _move(folder, place / folder.name, locks)
                moved += 1
        except OSError as error:
            _tidy_up(place, trash)
            deleted = f"{moved} of {len(folders)} runs are in it" if moved else "nothing was deleted"
            raise NoodleError(f"{folders[moved]}: can't be moved to {trash} ({error.strerror}); {deleted}") from None
    return place


def _move(folder: Path, place: Path, locks: ExitStack) -> None:
    try:
        os.rename(folder, place)
    except OSError:
        # Windows moves no folder with an open file in it, as our lock is one; nor does it where a run has taken the lock since
        locks.close()
        os.rename(folder, place)


def deletions(save_dir: Path) -> list[Path]:
    """What this user put into the trash, a folder for each deletion, the last one at the end. NoodleError if the trash is a
    link, OSError if it can't be listed."""
    trash = _trash_of(save_dir)
    found = [trash / name for name in os.listdir(trash)] if trash.is_dir() else []
    owner = _owner_of_ours(trash) if found else None
    return sorted(place for place in found if os.lstat(place).st_uid == owner and runs_in(place))


def _owner_of_ours(folder: Path) -> int:
    """Whose the files are that this user makes in a folder: another's on a disk that is mounted so (SMB, exFAT)."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_uid
    except OSError:  # read-only
        return os.geteuid()


def runs_in(deletion: Path) -> list[Path]:
    """The run folders that went with a deletion."""
    if deletion.is_symlink() or not DELETION.fullmatch(deletion.name) or not deletion.is_dir():
        return []
    return [place for place in sorted(deletion.iterdir()) if not place.is_symlink() and is_run_folder(place)]


def restore_last(save_dir: Path) -> list[Path]:
    """Put back what was deleted last; returns the run folders, none if the trash is empty. NoodleError if a name is taken."""
    found = deletions(save_dir)
    places = runs_in(found[-1]) if found else []
    for place in places:
        if os.path.lexists(save_dir / place.name):
            raise NoodleError(f"{save_dir / place.name}: there is something of that name again; move it away first")
    for place in places:
        try:
            os.rename(place, save_dir / place.name)
        except OSError as error:
            raise NoodleError(f"{place}: can't be moved back ({error.strerror})") from None
    _tidy_up(*found[-1:], save_dir / TRASH)
    return [save_dir / place.name for place in places]


def empty_trash(save_dir: Path, gone: Sequence[Path]) -> None:
    """Remove these `deletions` for good, and nothing else. Links in them are removed, not followed. NoodleError where one can't
    be, and before anything is removed where a run in them is alive: somebody picked it up there."""
    trash = _trash_of(save_dir)
    for deletion in gone:
        if deletion.parent != trash:
            raise NoodleError(f"{deletion}: not in the trash of {save_dir}")
        if alive := [run for run in runs_in(deletion) if is_alive(run)]:
            raise NoodleError(f"{alive[0]}: a run is going on in it; nothing was removed")
    for deletion in gone:
        try:
            shutil.rmtree(deletion)
        except OSError as error:
            raise NoodleError(f"{error.filename}: can't be removed ({error.strerror})") from None
    _tidy_up(trash)


def size_of(folder: Path) -> int:
    """The bytes of all files in a folder. Links are not followed; what is gone meanwhile counts nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def _tidy_up(*folders: Path) -> None:
    """Remove folders that are empty now."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _check_is_run_of(save_dir: Path, folder: Path) -> None:
    if folder.is_symlink() or not folder.is_dir():
        raise NoodleError(f"{folder}: not a folder (or a link to one); remove it by hand")
    if folder.name in ("", "..") or not folder.parent.exists() or not os.path.samefile(folder.parent, save_dir):
        raise NoodleError(f"{folder}: not a run folder of {save_dir}")
    if not is_run_folder(folder):
        raise NoodleError(f"{folder}: not a run folder: there are neither options nor events in it")
    if (folder / LOCK).is_symlink():
        raise NoodleError(f"{folder / LOCK}: is a link; no run makes that; remove the folder by hand")
    if os.path.lexists(folder / LOCK) and not (folder / LOCK).is_file():
        raise NoodleError(f"{folder / LOCK}: is not a plain file; no run makes that; remove the folder by hand")


def _trash_of(save_dir: Path) -> Path:
    trash = save_dir / TRASH
    if trash.is_symlink() or (trash.exists() and not trash.is_dir()):
        raise NoodleError(f"{trash}: is not a plain folder; move it away first")
    return trash


def _new_deletion(trash: Path) -> Path:
    """A new folder named by the time in UTC, which no clock change puts out of order; with -2, -3 … where that is taken."""
    trash_is_new = not trash.exists()
    trash.mkdir(exist_ok=True)
    if trash_is_new:
        with suppress(OSError):  # a file system without rights of its own; or another process's, made in this moment
            trash.chmod(trash.parent.stat().st_mode & 0o7777)  # whoever may delete in the save folder may do it here
    name, attempt = time.strftime("%Y%m%d-%H%M%S", time.gmtime()), 1
    while True:
        place = trash / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            place.mkdir()
            return place
        except FileExistsError:
            attempt += 1
