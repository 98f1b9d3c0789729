"""What there is before a rejig: the photos in the stimuli, and those that an earlier rejig has put into the data folder."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from noodle_tui.progress import Check, Progress
from noodle_tui.rejig.by_hand import places_by_hand
from noodle_tui.rejig.disk import same_photo
from noodle_tui.rejig.manifest import Manifest, PlannedFile
from noodle_tui.rejig.scan import SkippedFile, scan
from noodle_tui.rejig.undo import refuse_links


@dataclass(frozen=True)
class Found:
    """What there is before a rejig. Paths are relative to the stimuli."""

    images: list[str]  # in the stimuli
    standing: dict[str, PlannedFile]  # photos that the data folder holds, with their rows
    strangers: dict[str, PlannedFile]  # images where another photo was moved away from, with the row of that
    skipped: list[SkippedFile]
    by_hand: dict[PlannedFile, str]  # see RejigPlan


def look_around(stimuli: Path, data_dir: Path, made: Manifest | None, check: Check, progress: Progress) -> Found:
    """What there is to sort. `made`: what an earlier rejig put into the data folder, None where none did; the others as in
    `plan_rejig`. OSError where a folder can't be read."""
    if made is None:
        images, skipped = scan(str(stimuli), check, progress)
        return Found(images, {}, {}, skipped, {})
    images, skipped = list[str](), list[SkippedFile]()
    if stimuli.is_dir():  # else every photo was moved, and the empty folder removed since
        images, skipped = scan(str(stimuli), check, progress)
    standing = _standing(data_dir, made, set(images))
    known = {*images, *standing}
    gone = [file for file in made.files if made.relative(file) not in known]
    places = places_by_hand(data_dir, made, gone)
    by_hand = {file: places[file.source] for file in gone if file.source in places}
    skipped += [SkippedFile(made.relative(file), "removed since the last rejig") for file in gone if file not in by_hand]
    strangers = _strangers(stimuli, data_dir, images, standing) if made.mode == "move" else {}
    reason = "another photo was moved from this place before (rename this one)"
    skipped += [SkippedFile(path, reason) for path in strangers]
    return Found([path for path in images if path not in strangers], standing, strangers, skipped, by_hand)


def _standing(data_dir: Path, made: Manifest, scanned: set[str]) -> dict[str, PlannedFile]:
    """{path relative to the stimuli: its row} of the photos that the data folder holds, as rejig put them there."""
    refuse_links(data_dir, made)
    folders: dict[str, dict[str, os.DirEntry[str]]] = {}
    standing: dict[str, PlannedFile] = {}
    for file in made.files:
        folder, _, name = file.target.rpartition("/")
        if folder not in folders:
            folders[folder] = _entries(data_dir / folder)
        entry = folders[folder].get(name)
        if entry is None:
            continue
        path = made.relative(file)
        if made.mode != "link":
            is_ours = entry.is_file(follow_symlinks=False)
        else:
            is_ours = path in scanned and entry.is_symlink() and os.readlink(entry.path) == file.source
        if is_ours:
            standing[path] = file
    return standing


def _entries(folder: Path) -> dict[str, os.DirEntry[str]]:
    return {entry.name: entry for entry in os.scandir(folder)} if folder.is_dir() else {}


def _strangers(stimuli: Path, data_dir: Path, images: Sequence[str],
               standing: Mapping[str, PlannedFile]) -> dict[str, PlannedFile]:
    """The images that came to stand where other photos were moved away from, with the row of the photo moved."""
    return {path: standing[path] for path in images if path in standing
            and not same_photo(f"{stimuli}/{path}", f"{data_dir}/{standing[path].target}")}
