"""What a rejig would do: which photo goes where, what is skipped and why."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from noodle_tui.config import RunConfig, class_tokens
from noodle_tui.errors import NoodleError
from noodle_tui.names import are_classes, classes_in, level_in, one_form, person_in, person_pattern
from noodle_tui.progress import Check, Progress, nothing
from noodle_tui.rejig.disk import errors_in_words
from noodle_tui.rejig.look import Found, look_around
from noodle_tui.rejig.manifest import (
    CSV_NAME,
    JSON_NAME,
    SPLITS,
    Manifest,
    PlannedFile,
    Stamp,
    is_recorded,
    load_manifest,
    manifest_stamp,
)
from noodle_tui.rejig.scan import SkippedFile, by_reason, unreadable
from noodle_tui.rejig.split import hold_out_files, hold_out_people
from noodle_tui.rejig.spoiled import refuse_spoiled_sources, will_do
from noodle_tui.rejig.target_names import target_names
from noodle_tui.rejig.undo import recover
from noodle_tui.text import are, number_of, printable

if TYPE_CHECKING:
    from regex import Pattern

NO_TOKEN = "no class's token in its name"


class Photo(NamedTuple):
    """One that takes part."""

    path: str  # posix, relative to the stimuli
    label: str
    person: str | None


@dataclass(frozen=True)
class RejigPlan:
    """Which photo goes where. `apply_rejig` does it; until then nothing is touched."""

    stimuli: Path  # real and absolute
    data_dir: Path  # real and absolute
    mode: str  # "move", "copy" or "link"
    options: dict[str, Any]  # for rejig.json, and the files that are left out, by reason
    recorded: bool  # rejig.json says so already
    classes: tuple[str, ...]  # sorted: the order of the class folders
    files: tuple[PlannedFile, ...]  # a row a photo, sorted by source
    by_hand: dict[PlannedFile, str]  # photos that stand elsewhere in the data folder than rejig put them, and where: they stay
    skipped: tuple[SkippedFile, ...]
    standing_at: dict[str, str]  # {source: place in the data folder} of photos that are taken from there, not from stimuli
    before: Stamp | None  # the manifest that this plan builds on; None: there is none
    before_mode: str | None
    arranged: bool  # the data folder is as planned
    sources_left: int  # moved photos whose source still stands
    new: int  # photos that the data folder didn't hold
    leaving: int  # photos in the data folder that leave it, back to where they came from
    switching: int  # photos that were in train and come to val, or the other way: earlier accuracies can't be compared

    @property
    def already_done(self) -> bool:
        """Applying this plan changes nothing."""
        return self.arranged and not self.sources_left

    @property
    def rows(self) -> tuple[PlannedFile, ...]:
        """The manifest's: where each photo came from, those that stand elsewhere by hand among them."""
        return _rows(self.files, self.by_hand)

    @cached_property
    def _counts(self) -> Counter[tuple[str, str]]:
        return Counter((file.split, file.label) for file in self.files)

    def count(self, split: str, label: str | None = None) -> int:
        """Photos of a split ("train", "val"), of one class or of all."""
        return sum(self._counts[split, name] for name in (self.classes if label is None else (label,)))

    def people(self, split: str) -> set[str]:
        """The people on the photos of a split, as far as names tell them."""
        return {file.person for file in self.files if file.person is not None and file.split == split}

    @property
    def people_in_both(self) -> set[str]:
        """The people with photos both in train and in val: validation accuracy then measures memory for known faces."""
        return self.people("train") & self.people("val")


def plan_rejig(config: RunConfig, check: Check = nothing, progress: Progress = nothing) -> RejigPlan:
    """Plan which photos of the stimuli go to <data folder>/<train or val>/<class>/. Touches nothing, except that what a killed
    rejig has left half done is finished or rolled back first.

    check     called between files; may raise StopRun
    progress  called with (files looked at, files in all or None)

    The same photos and options give the same plan wherever the stimuli lie, and whether photos were moved or not.
    Raises NoodleError: no such folder, folders inside each other, a data folder that rejig didn't make, a broken
    manifest, a class without photos, a split without photos of a class, no person in any name (split by person), no
    right to move.
    """
    tokens, mode = class_tokens(config.classes), config.mode
    with errors_in_words(f"plan a rejig of {printable(str(config.stimuli))}"):
        stimuli, data_dir = real_folders(config.stimuli, config.data_dir)
        recover(data_dir)
        made = _load_before(stimuli, data_dir)
        found = look_around(stimuli, data_dir, made, check, progress)
        standing, scanned = found.standing, set(found.images)
        photos, unnamed = _photos(found, tokens, person_pattern(config.person), config.split_by)
        unseen = [photo.path for photo in photos if photo.path not in standing]
        broken = unreadable(str(stimuli), unseen, check, progress)
        photos = [photo for photo in photos if photo.path not in broken]
        skipped = [*found.skipped, *unnamed, *(SkippedFile(path, reason) for path, reason in broken.items())]
        _refuse_empty(photos, tokens, stimuli, skipped)
        files = _files(stimuli, photos, _splits(photos, config), found.by_hand)
        _refuse_homeless(data_dir, found.by_hand, mode)
        planned = {photo.path for photo in photos}
        left = planned & scanned if mode == "move" else set[str]()
        _refuse_strangers(found.strangers, planned, mode)
        standing_at = _standing_at(data_dir, made, mode, photos, standing, scanned) if made else {}
        if made:
            refuse_spoiled_sources(data_dir, made, check, progress)
        is_there = len(standing_at) == len(files)
        arranged = made is not None and made.mode == mode and is_there and made.files == _rows(files, found.by_hand)
        if left or not arranged:
            _refuse_read_only(stimuli, data_dir, left)
        options = {"mode": mode, "tokens": tokens, "val_fraction": config.val_fraction, "split_by": config.split_by,
                   "person": config.person, "seed": config.seed, "left_out": dict(Counter(one.reason for one in skipped))}
    return RejigPlan(
        stimuli=stimuli, data_dir=data_dir, mode=mode,
        options=options,
        recorded=arranged and is_recorded(data_dir, options),
        classes=tuple(sorted(tokens)),
        files=files,
        by_hand=found.by_hand,
        skipped=tuple(sorted(skipped, key=lambda one: (one.reason, one.path))),
        standing_at=standing_at,
        before=made.stamp if made else None,
        before_mode=made.mode if made else None,
        arranged=arranged,
        sources_left=len(left),
        new=len(planned - standing.keys()),
        leaving=len(standing.keys() - planned),
        switching=sum(photo.path in standing and standing[photo.path].split != file.split
                      for photo, file in zip(photos, files, strict=True)),
    )


def _rows(files: Iterable[PlannedFile], by_hand: Iterable[PlannedFile]) -> tuple[PlannedFile, ...]:
    return tuple(sorted((*files, *by_hand), key=lambda file: file.source))


def real_folders(stimuli: Path, data_dir: Path) -> tuple[Path, Path]:
    """Both folders by their real names. NoodleError where photos can't be sorted from the one into the other."""
    if not stimuli.is_dir() and (stimuli.exists() or manifest_stamp(data_dir) is None):
        problem = "is not a folder" if stimuli.exists() else "does not exist"
        raise NoodleError(f"the stimuli folder {printable(str(stimuli))} {problem}: give the folder of your photos as "
                          "--stimuli (noodle demo draws some)")
    if os.path.lexists(data_dir) and not data_dir.is_dir():
        raise NoodleError(f"{printable(str(data_dir))} is not a folder: choose another --data-dir")
    stimuli, data_dir = Path(os.path.realpath(stimuli)), Path(os.path.realpath(data_dir))
    if stimuli == data_dir or stimuli in data_dir.parents or data_dir in stimuli.parents:
        raise NoodleError(f"the stimuli {printable(str(stimuli))} and the data folder {printable(str(data_dir))} "
                          "must not lie inside each other: choose another --data-dir")
    if data_dir.is_mount():
        raise NoodleError(f"{printable(str(data_dir))} is a mount point, which can't be replaced by one rename: "
                          "choose a folder inside it as --data-dir")
    return stimuli, data_dir


def _load_before(stimuli: Path, data_dir: Path) -> Manifest | None:
    """The manifest of the data folder, if there is one. NoodleError if the folder is somebody else's."""
    made = load_manifest(data_dir)
    if made is None and os.path.lexists(data_dir / JSON_NAME):
        raise NoodleError(f"{printable(str(data_dir))} has a {JSON_NAME} but no {CSV_NAME}, which says where each photo came "
                          "from: put it back, or choose another --data-dir")
    if made is None:
        theirs = [split for split in SPLITS if os.path.lexists(data_dir / split)]
        if theirs:
            raise NoodleError(f"{printable(str(data_dir / theirs[0]))} was not made by noodle rejig: choose another "
                              "--data-dir or move it away")
    elif made.stimuli != str(stimuli) and not stimuli.is_dir():
        raise NoodleError(f"the stimuli folder {printable(str(stimuli))} does not exist ({printable(str(data_dir))} was made "
                          f"from {printable(made.stimuli)}): see --stimuli")
    elif made.stimuli != str(stimuli):
        raise NoodleError(f"{printable(str(data_dir))} was made from {printable(made.stimuli)}, not from "
                          f"{printable(str(stimuli))}: undo it (noodle rejig --undo; where that keeps the record of lost "
                          "photos, remove rejig.csv and rejig.json), or choose another --data-dir")
    return made


def _photos(found: Found, tokens: dict[str, str], person: "Pattern[str]",
            split_by: str) -> tuple[list[Photo], list[SkippedFile]]:
    """The photos whose names say all that is needed, sorted by path; and the others, with the reason."""
    photos, skipped = list[Photo](), list[SkippedFile]()
    for path in sorted({*found.images, *found.standing}):
        labels = classes_in(path, tokens)
        if len(labels) == 1:
            photos.append(Photo(path, labels[0], person_in(path, person)))
        elif labels:
            skipped.append(SkippedFile(path, f"tokens of two classes or more in its name ({', '.join(labels)})"))
        else:
            skipped.append(SkippedFile(path, NO_TOKEN))
    if are_classes((photo.person for photo in photos), chain(*tokens.items()), person):
        photos = [photo._replace(person=None) for photo in photos]
    if split_by == "person" and (nameless := [photo for photo in photos if photo.person is None]):
        if len(nameless) == len(photos):
            raise NoodleError(f"no photo's name tells its person with --person {printable(person.pattern)!r} (e.g. "
                              f"{printable(photos[0].path)}): give a regular expression that does, or --split-by file")
        skipped += [SkippedFile(photo.path, "no person in its name") for photo in nameless]
        photos = [photo for photo in photos if photo.person is not None]
    return photos, skipped


def _refuse_empty(photos: Sequence[Photo], tokens: dict[str, str], stimuli: Path, skipped: list[SkippedFile]) -> None:
    found = {photo.label for photo in photos}
    missing = next((label for label in tokens if label not in found), None)
    if missing is None:
        return
    left_out = by_reason((one.reason, printable(one.path)) for one in skipped)
    reasons = [f"{len(files)} {reason}, e.g. {files[0]}" for reason, files in left_out.items()][:3]
    why = f" (skipped: {'; '.join(reasons)})" if reasons else ""
    token = tokens[missing]
    folder = token.endswith("/")
    place = "in a folder of the name" if folder else "in its own name"
    with_token = sum(bool(classes_in(one.path, {"": token})) for one in skipped)
    if with_token:
        raise NoodleError(f"no photo of class {missing} in {printable(str(stimuli))}: "
                          f"{number_of(with_token, 'file')} with {token!r} {place} can't be used{why}; see --class")
    other_case = sum(bool(classes_in(one.path.lower(), {"": token.lower()})) for one in skipped)
    hint = "" if folder else f"; folders count where a token ends in a slash, as in --class {missing}=FOLDER/"
    if other_case:
        hint = f"; {number_of(other_case, 'file')} {'has' if other_case == 1 else 'have'} it in other letters: capitals count"
    see = "--class" if photos or NO_TOKEN in left_out else "--stimuli"  # what is to be mended
    raise NoodleError(f"no photo of class {missing} in {printable(str(stimuli))}: no readable image has {token!r} {place}"
                      f"{why}{hint}; see {see}")


def _refuse_strangers(strangers: Mapping[str, PlannedFile], planned: set[str], mode: str) -> None:
    """NoodleError if a moved photo would have to go back to where another photo stands now."""
    for path, file in strangers.items():
        if mode != "move" or path not in planned:
            raise NoodleError(f"{printable(file.target)} would go back to its place in the stimuli, but another "
                              f"photo stands there: rename {printable(path)} or move it away")


def _refuse_homeless(data_dir: Path, by_hand: Mapping[PlannedFile, str], mode: str) -> None:
    """NoodleError where photos would go back to their sources, but for those that can't be told from what isn't rejig's."""
    if by_hand and mode != "move":
        raise NoodleError(f"{number_of(len(by_hand), 'photo')} that rejig moved to {printable(str(data_dir))} "
                          f"{are(len(by_hand))} in another place there by hand ({printable(next(iter(by_hand.values())))}): "
                          "take the rejig back (noodle rejig --undo), or go on with --mode move")


def _refuse_read_only(stimuli: Path, data_dir: Path, to_move: Iterable[str]) -> None:
    for folder in sorted({path.rpartition("/")[0] for path in to_move}):
        if not os.access(stimuli / folder, os.W_OK | os.X_OK):
            raise NoodleError(f"photos can't be moved out of {printable(str(stimuli / folder))}, which is "
                              "read-only: use --mode copy or --mode link")
    existing = next(folder for folder in data_dir.parents if folder.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        raise NoodleError(f"no right to write in {printable(str(existing))}: choose another --data-dir")


def _splits(photos: Sequence[Photo], config: RunConfig) -> list[str]:
    """The side of each photo: "train" or "val"."""
    if config.split_by == "file":  # in an order that a Mac's copy of the photos has, too
        order = sorted(range(len(photos)), key=lambda position: (one_form(photos[position].path), position))
        held_out = hold_out_files([photos[position].label for position in order], config.val_fraction, config.seed)
        in_val = {order[place] for place in held_out}
        return ["val" if position in in_val else "train" for position in range(len(photos))]
    labels = [photo.label for photo in photos]
    people = hold_out_people(labels, [photo.person or "" for photo in photos], config.val_fraction, config.seed)
    return ["val" if photo.person in people else "train" for photo in photos]


def _files(stimuli: Path, photos: Sequence[Photo], splits: Sequence[str],
           by_hand: Iterable[PlannedFile]) -> tuple[PlannedFile, ...]:
    """A row for each photo, under a name that is none of those `by_hand` either."""
    paths = [photo.path for photo in photos]
    names = target_names([*paths, *(file.source for file in by_hand)])[:len(paths)]
    return tuple(
        PlannedFile(f"{stimuli}/{path}", f"{split}/{label}/{name}", label, split, person, level_in(path))
        for (path, label, person), split, name in zip(photos, splits, names, strict=True)
    )


def _standing_at(data_dir: Path, made: Manifest, mode: str, photos: Sequence[Photo], standing: Mapping[str, PlannedFile],
                 scanned: set[str]) -> dict[str, str]:
    """{source: place in the data folder} of the photos taken from there: what stands there will do, or it is all there is."""
    places = dict[str, str]()
    for path, _, _ in photos:
        if path in standing:
            source, here = standing[path].source, f"{data_dir}/{standing[path].target}"
            stays = made.mode == mode and (mode != "copy" or will_do(here, source))
            if stays or path not in scanned:
                places[source] = here
    return places
