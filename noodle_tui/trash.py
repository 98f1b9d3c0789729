"""Run folders that somebody deletes: moved into `<save_dir>/.trash/`, from where they can be had back."""

import os
from pathlib import Path

from noodle_tui.errors import NoodleError
from noodle_tui.run_folder import LOCK, is_run_folder, locked

TRASH = ".trash"


def move_to_trash(save_dir: Path, folder: Path) -> Path:
    """Move a run folder of `save_dir` into its trash with one rename; returns its new place.

    NoodleError, and nothing is touched, if the run is alive, the folder is no run folder directly in `save_dir`, or it,
    its lock or the trash is a link: what lies elsewhere is never moved or written to.
    """
    _check_is_run_of(save_dir, folder)
    trash = _trash_of(save_dir)
    with locked(folder):  # held while it moves, so that nobody picks the run up meanwhile
        place = _free_name(trash, folder.name)
        try:
            trash.mkdir(exist_ok=True)
            os.rename(folder, place)
        except OSError as error:
            raise NoodleError(f"{folder}: can't be moved to {trash} ({error.strerror}); nothing was deleted") from None
    return place


def restore(save_dir: Path, place: Path) -> Path:
    """Put back what `move_to_trash` moved to `place`; returns the run folder. NoodleError if it is gone or its name taken."""
    folder = save_dir / place.name
    if place.parent != _trash_of(save_dir) or place.is_symlink() or not place.is_dir():
        raise NoodleError(f"{place}: not a run in the trash of {save_dir}")
    if os.path.lexists(folder):
        raise NoodleError(f"{folder}: there is something of that name again; move it away first")
    try:
        os.rename(place, folder)
    except OSError as error:
        raise NoodleError(f"{place}: can't be moved back ({error.strerror})") from None
    return folder


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


def _free_name(trash: Path, name: str) -> Path:
    """`name` in the trash, with -2, -3 … where it is taken."""
    place, attempt = trash / name, 1
    while os.path.lexists(place):
        attempt += 1
        place = trash / f"{name}-{attempt}"
    return place
