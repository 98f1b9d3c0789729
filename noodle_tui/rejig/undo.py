"""Taking a rejig back, and clearing up after one that was killed.

A photo may stand in three places: its source, the data folder, and, while an existing data folder is being re-arranged,
the arrangement before, which was renamed aside (`.<name>.rejig-old`). Whatever is half done is seen from which of them
exist; there is no journal that could disagree with the disk.
"""

import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from noodle_tui.errors import NoodleError
from noodle_tui.progress import Check, Progress, nothing
from noodle_tui.rejig.by_hand import places_by_hand
from noodle_tui.rejig.disk import errors_in_words, locked, move_back, refuse_others_folder, refuse_standing_in, same_photo
from noodle_tui.rejig.manifest import CSV_NAME, JSON_NAME, SPLITS, Manifest, PlannedFile, load_manifest, manifest_stamp
from noodle_tui.rejig.spoiled import refuse_spoiled_sources
from noodle_tui.text import as_argument, printable

UNDONE = ".rejig-undone.json"  # rejig.json in the last steps of an undo


class Undone(NamedTuple):
    """What an undo did, or would do."""

    count: int  # photos taken out of the data folder
    missing: tuple[PlannedFile, ...]  # moved ones that are neither there nor where they came from; they stay on record


def staging_folder(data_dir: Path) -> Path:
    """Where a new arrangement is put together; on the data folder's filesystem, so that one rename publishes it."""
    return data_dir.parent / f".{data_dir.name}.rejig-new"


def aside_folder(data_dir: Path) -> Path:
    """Where the arrangement before stands while the new one takes its place."""
    return data_dir.parent / f".{data_dir.name}.rejig-old"


def recover(data_dir: Path) -> None:
    """Finish or roll back what a killed rejig has left; touches nothing otherwise. NoodleError if one is at work."""
    if _is_whole(data_dir):
        return
    with errors_in_words(f"clear up after an interrupted rejig of {printable(str(data_dir))}"), locked(data_dir):
        recover_locked(data_dir)


def _is_whole(data_dir: Path) -> bool:
    return not any(map(os.path.lexists, (data_dir / UNDONE, staging_folder(data_dir), aside_folder(data_dir))))


def recover_locked(data_dir: Path) -> None:
    """The same, for whoever holds the lock."""
    staging, aside = staging_folder(data_dir), aside_folder(data_dir)
    for folder in (staging, aside):
        if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir()):
            raise NoodleError(f"{printable(str(folder))} is no folder of an interrupted rejig: move it away, then call "
                              "noodle rejig again")
    if os.path.lexists(aside):
        if not data_dir.exists() or not any(data_dir.iterdir()):
            os.rename(aside, data_dir)  # killed between the two renames: the one before takes its place again
        elif manifest_stamp(data_dir) is not None:
            clear_aside(data_dir)  # killed after the new one was published
        else:
            raise NoodleError(f"{printable(str(aside))} holds photos of an interrupted rejig, but {data_dir.name} was "
                              "replaced since: move it away, then call noodle rejig again")
    if os.path.lexists(staging):
        shutil.rmtree(staging)  # never published: every photo in it is still in its place
    if os.path.lexists(data_dir / JSON_NAME):
        (data_dir / UNDONE).unlink(missing_ok=True)  # an arrangement stands here again, from a backup say
    elif os.path.lexists(data_dir / UNDONE):
        _forget(data_dir)


def undo_rejig(data_dir: Path, *, stimuli: Path | None = None, progress: Progress = nothing, check: Check = nothing,
               dry_run: bool = False) -> Undone:
    """Put moved photos back to their sources, remove copies and links. `dry_run`: only say what would be done, if it can be.

    Only what rejig made is touched: anything else in the data folder stays. Nothing is overwritten. A moved photo that has come
    to another place in the data folder by hand goes back, too; where one is not found, the manifest stays, which alone knows
    where it came from: a later undo puts it back once it stands in its place again. `stimuli`, where
    given, must be the folder that the photos came from: a manifest from somebody else can't send them elsewhere.
    `progress` is called with (photos done, photos in all); `check` between files, and may raise StopRun; a later undo goes on
    from there.
    Raises NoodleError: no manifest or a broken one, another stimuli folder, a new file stands at a photo's old place, a source
    that can't be read any more while its copy can.
    """
    data_dir = Path(os.path.realpath(data_dir))
    if not data_dir.parent.is_dir():
        raise NoodleError(_nothing_to_undo(data_dir))
    with errors_in_words(f"undo the rejig of {printable(str(data_dir))}"), locked(data_dir):
        recover_locked(data_dir)
        made = load_manifest(data_dir)
        if made is None:
            raise NoodleError(_nothing_to_undo(data_dir))
        if stimuli is not None and os.path.realpath(stimuli) != made.stimuli:
            there, here = (as_argument(folder) for folder in (made.stimuli, data_dir))
            raise NoodleError(f"the photos in {printable(str(data_dir))} came from {printable(made.stimuli)}; to put them back "
                              f"there: noodle rejig --undo --stimuli {there} --data-dir {here}")
        refuse_others_folder(data_dir, "undo its rejig")
        _refuse_conflicts(data_dir, made)
        refuse_spoiled_sources(data_dir, made, check, progress, removed={file.source for file in made.files})
        away = _missing_photos(data_dir, made)
        by_hand = places_by_hand(data_dir, made, away)
        missing = tuple(file for file in away if file.source not in by_hand)
        if dry_run:
            return Undone(sum(os.path.lexists(data_dir / file.target) for file in made.files) + len(by_hand), missing)
        refuse_standing_in(data_dir)
        count = take_apart(data_dir, made, by_hand=by_hand, progress=progress, check=check)
        _refuse_conflicts(data_dir, made)  # again: what came to stand at a source meanwhile was left alone
        if not missing:
            os.rename(data_dir / JSON_NAME, data_dir / UNDONE)
            _forget(data_dir)
    return Undone(count, missing)


def _missing_photos(data_dir: Path, made: Manifest) -> list[PlannedFile]:
    """The moved photos that stand neither where rejig put them nor where they came from."""
    if made.mode != "move":
        return []
    return [file for file in made.files
            if not os.path.lexists(f"{data_dir}/{file.target}") and not os.path.lexists(file.source)]


def _forget(data_dir: Path) -> None:
    (data_dir / CSV_NAME).unlink(missing_ok=True)
    os.unlink(data_dir / UNDONE)
    with suppress(PermissionError):  # another's, among folders that only their owners may remove
        _remove_if_empty(data_dir)


def _nothing_to_undo(data_dir: Path) -> str:
    why = " was not made by noodle rejig: there is" if os.path.lexists(data_dir) else ": there is no such folder,"
    return f"{printable(str(data_dir))}{why} nothing to undo"


def _refuse_conflicts(data_dir: Path, made: Manifest) -> None:
    if made.mode != "move":
        return
    for file in made.files:
        photo = f"{data_dir}/{file.target}"
        if os.path.lexists(file.source) and os.path.lexists(photo) and not same_photo(photo, file.source):
            raise NoodleError(f"another file stands at {printable(file.source)}, where {printable(file.target)} came "
                              "from: move it away, then undo again")


def clear_aside(data_dir: Path) -> None:
    """Take the arrangement before apart, now that the new one is published; files that rejig didn't make come along."""
    aside = aside_folder(data_dir)
    before, now = load_manifest(aside), load_manifest(data_dir)
    if before is not None and now is not None:
        take_apart(aside, before, kept={file.source: f"{data_dir}/{file.target}" for file in now.files})
    for name in (CSV_NAME, JSON_NAME):
        (aside / name).unlink(missing_ok=True)
    _carry_over(aside, data_dir)


def _carry_over(folder: Path, place: Path) -> None:
    """Move what is in `folder` into `place`, and remove it. Folders are merged, a name that is taken gets a number."""
    for entry in list(os.scandir(folder)):
        target, number = place / entry.name, 0
        if entry.is_dir(follow_symlinks=False) and target.is_dir() and not target.is_symlink():
            _carry_over(Path(entry.path), target)
            continue
        while os.path.lexists(target):
            number += 1
            target = place / f"{number}-{entry.name}"
        os.rename(entry.path, target)
    folder.rmdir()


def take_apart(folder: Path, made: Manifest, *, kept: Mapping[str, str] | None = None,
               by_hand: Mapping[str, str] | None = None, progress: Progress = nothing, check: Check = nothing) -> int:
    """Empty an arrangement of what rejig put there; returns how many photos that were.

    A photo that also stands at `kept[source]` (the new arrangement) is only unlinked here; one whose source is gone
    goes back to it, whatever the mode was: the last copy of a photo is never removed. Where another file has come to
    stand at its source, a moved photo stays where it is. `by_hand`: see `places_by_hand`.
    """
    refuse_links(folder, made)
    kept, by_hand, ready, count = kept or {}, by_hand or {}, set[str](), 0
    for done, file in enumerate(made.files, start=1):
        check()
        if done % 100 == 0:
            progress(done, len(made.files))
        photo = f"{folder}/{by_hand.get(file.source, file.target)}"
        found = _lstat(photo)
        if found is None or stat.S_ISLNK(found.st_mode) != (made.mode == "link") or stat.S_ISDIR(found.st_mode):
            continue  # gone, or no longer what rejig made
        now = _lstat(kept[file.source]) if file.source in kept else None
        if made.mode == "link" or (now is not None and os.path.samestat(found, now)):
            os.unlink(photo)
            count += 1
        else:
            count += _put_back(photo, file, made, ready)
    for place in sorted({os.path.dirname(place) for place in (*(file.target for file in made.files), *by_hand.values())}):
        _remove_if_empty(folder / place)
    for split in SPLITS:
        _remove_if_empty(folder / split)
    return count


def refuse_links(folder: Path, made: Manifest) -> None:
    """NoodleError if a folder of the arrangement is a link: what it leads to isn't ours."""
    for part in sorted({f"{file.split}/{file.label}" for file in made.files}.union(SPLITS)):
        if (folder / part).is_symlink():
            raise NoodleError(f"{printable(str(folder / part))} has been replaced by a link, and links are not "
                              "followed: put the folder back in its place")


def _put_back(photo: str, file: PlannedFile, made: Manifest, ready: set[str]) -> bool:
    standing = _lstat(file.source)
    if standing is None:
        home = os.path.dirname(file.source)
        if home not in ready:
            _make_home(home, made.stimuli)
            ready.add(home)
        move_back(photo, file.source)
        return True
    if (made.mode == "copy" and stat.S_ISREG(standing.st_mode)) or same_photo(photo, file.source):
        os.unlink(photo)
        return True
    return False


def _make_home(home: str, stimuli: str) -> None:
    """The folder that a photo goes back to, made again if it is gone; never by way of a link out of the stimuli."""
    if not Path(os.path.realpath(home)).is_relative_to(os.path.realpath(stimuli)):
        raise NoodleError(f"{printable(home)} leads out of the stimuli by a link, and links are not followed: "
                          "put the folder back in its place")
    os.makedirs(home, exist_ok=True)


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()
