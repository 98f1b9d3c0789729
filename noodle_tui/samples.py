"""The images of a data folder, found but not decoded: `train/<class>/` and `val/<class>/`. Without torch, so quickly."""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from noodle_tui.config import DEFAULT_PERSON, SORTING, RunConfig, options
from noodle_tui.errors import NoodleError
from noodle_tui.names import are_classes, level_in, person_in, person_pattern
from noodle_tui.rejig import load_manifest, rejig_options
from noodle_tui.rejig.manifest import SPLITS
from noodle_tui.rejig.scan import has_photo_name, is_system_folder


@dataclass(frozen=True)
class Sample:
    """One image of the data folder."""

    path: Path
    name: str  # relative to the data folder, e.g. "val/sad/34M_Ne_to_Sa_C08.JPG"
    label: int
    person: str | None
    level: int | None


class Found(NamedTuple):
    """What there is in a data folder."""

    classes: list[str]
    samples: dict[str, list[Sample]]  # by split
    rejig: dict[str, Any] | None  # how rejig made the folder, see `rejig_options`; None where somebody else did
    by_hand: int = 0  # of the photos of a folder that rejig made: how many it didn't put there


def find_samples(data_dir: Path, person: str) -> Found:
    """The classes, and the images of each split, from data_dir/{train,val}/<class>/ at any depth, sorted by name.

    Of a photo that rejig put there person and level are told by the path that it came from. The person is what `person_regex`
    finds in it. NoodleError if a folder is missing or empty, or the two splits have different classes.
    """
    made = load_manifest(data_dir)
    manifest = {file.target: made.relative(file) for file in made.files} if made else {}
    rejig = rejig_options(data_dir)
    pattern = person_pattern(person_regex(person, rejig))
    classes = class_folders(data_dir)

    def sample(split: str, label: int, path: Path) -> Sample:
        name = path.relative_to(data_dir).as_posix()
        source = manifest.get(name) or path.relative_to(data_dir / split / classes[label]).as_posix()
        return Sample(path, name, label, person_in(source, pattern), level_in(source))

    samples = {
        split: [sample(split, label, path)
                for label, name in enumerate(classes)
                for path in _image_files(data_dir / split / name)]
        for split in SPLITS
    }
    words = [*classes, *(str(pair).partition("=")[2] for pair in (rejig or {}).get("classes", ()))]
    if are_classes((one.person for split in SPLITS for one in samples[split]), words, pattern):
        samples = {split: [replace(one, person=None) for one in samples[split]] for split in SPLITS}
    by_hand = sum(one.name not in manifest for split in SPLITS for one in samples[split]) if made else 0
    return Found(classes, samples, rejig, by_hand)


def person_regex(wanted: str, made: Mapping[str, Any] | None) -> str:
    """The regular expression that tells people: the one that is wanted; where that is the default, the one that rejig sorted
    the photos by (`made`, see `rejig_options`), if it did."""
    return wanted if made is None or wanted != DEFAULT_PERSON else made.get("person", wanted)


def options_as_used(config: RunConfig, made: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options as JSON. Of photos that this run didn't sort, how they were sorted is what rejig recorded (`made`, see
    `rejig_options`), if it did."""
    values = config.model_dump(mode="json")
    if config.rejig_data:
        return values
    for name in ("stimuli", *SORTING):
        del values[name]
    recorded = {name: made[name] for name in SORTING if name in made} if made else {}
    return values | recorded | {"person": person_regex(config.person, made)}


def options_told(config: RunConfig) -> dict[str, Any]:
    """`options_as_used`, before the photos are looked at."""
    return options_as_used(config, None if config.rejig_data else _recorded(config))


def unread_options(config: RunConfig) -> str:
    """What to say of options that were given and change nothing, since they are rejig's and it isn't asked for; "" where there
    are none. Those that say what rejig did say nothing wrong."""
    if config.rejig_data:
        return ""
    given = {"stimuli": os.path.realpath(config.stimuli), "classes": set(config.classes), "val_fraction": config.val_fraction,
             "split_by": config.split_by, "mode": config.mode}
    made = _recorded(config) or {}
    made = {**made, "classes": set(made.get("classes", ()))}
    flags = [f"--{option.flag}" for option in options()
             if option.name in config.model_fields_set & given.keys() and made.get(option.name) != given[option.name]]
    if not flags:
        return ""
    return (f"{', '.join(flags)}: not used, since the photos in {config.data_dir} are taken as they are sorted; "
            "--rejig-data sorts them")


def _recorded(config: RunConfig) -> dict[str, Any] | None:
    """`rejig_options` of the data folder; None too where they are broken: that is told when the photos are looked at."""
    with contextlib.suppress(NoodleError):
        return rejig_options(config.data_dir)
    return None


def order_fingerprint(samples: Sequence[Sample]) -> str:
    """SHA-256 of the names in their order: that decides which photos make up a batch. No name can be read from it."""
    return hashlib.sha256("\n".join(sample.name for sample in samples).encode("utf-8", "surrogateescape")).hexdigest()


def class_folders(data_dir: Path) -> list[str]:
    """The names of the class folders, sorted. NoodleError if a split is missing, has others, or there are fewer than two."""
    train, val = (_subfolders(data_dir / split) for split in SPLITS)
    if train != val:
        raise NoodleError(f"{data_dir}: train/ has the classes {', '.join(train)} but val/ has {', '.join(val)}")
    if len(train) < 2:
        raise NoodleError(f"{data_dir}/train: there must be a folder for each of at least two classes, found {train}")
    return train


def check_apart(save_dir: Path, data_dir: Path) -> None:
    """NoodleError if run folders would lie among the photos: for the next run they would be a class, or in one."""
    place = Path(os.path.realpath(save_dir))
    for split in SPLITS:
        if place.is_relative_to(os.path.realpath(data_dir / split)):
            raise NoodleError(f"--save-dir {save_dir}: is in {data_dir / split}, where each folder is a class: choose another")


def _subfolders(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise NoodleError(f"{folder} is missing: sort photos into it with --rejig-data, or name another --data-dir")
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and not is_system_folder(entry.name))
    except OSError as error:
        _cannot_list(error)


def _image_files(folder: Path) -> list[Path]:
    """What has an image's ending below `folder`, sorted; a folder of such a name too, so that it is told and not passed over.

    NoodleError if there is none, or a folder can't be listed.
    """
    found = [
        Path(parent, name)
        for parent, folders, names in walk(folder)
        for name in folders + names
        if has_photo_name(name)
    ]
    if not found:
        raise NoodleError(f"{folder}: no image in it; each class needs images in train/ and in val/")
    return sorted(found)


def walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """`os.walk`, sorted, which follows links to folders, comes to each folder once and to those of systems (trash, thumbnails)
    never. NoodleError for one that can't be listed."""
    seen = set[tuple[int, int]]()
    for parent, folders, names in os.walk(folder, onerror=_cannot_list, followlinks=True):
        about = os.stat(parent)
        if (about.st_dev, about.st_ino) in seen:
            folders.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        folders[:] = sorted(name for name in folders if not (is_system_folder(name) or _leads_up(parent, name)))
        yield parent, list(folders), names


def _leads_up(parent: str, name: str) -> bool:
    """Whether a name in a folder is a link to that folder, or to one above it: other classes' photos would come along."""
    place = os.path.join(parent, name)
    return os.path.islink(place) and Path(os.path.realpath(parent)).is_relative_to(os.path.realpath(place))


def _cannot_list(error: OSError) -> NoReturn:
    """For os.walk, which would pass over a folder that it may not list: NoodleError."""
    raise NoodleError(f"{error.filename}: this folder can't be listed ({error.strerror}): give yourself the right to read it")
