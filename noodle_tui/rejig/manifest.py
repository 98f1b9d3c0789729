"""The manifest in a data folder: `rejig.csv`, a row a photo, and `rejig.json`, how it was made.

It may come from somebody else: every value is checked, and none can lead out of the data folder or the stimuli.
"""

import csv
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noodle_tui.atomic import sync, write_atomic
from noodle_tui.errors import NoodleError
from noodle_tui.text import printable

CSV_NAME, JSON_NAME = "rejig.csv", "rejig.json"
COLUMNS = ["source", "target", "class", "split", "person", "level"]
SPLITS = ("train", "val")
LONGEST_NAME = 255  # bytes
MAX_TABLE = 256 * 2**20  # bytes: a million photos take about as much
MODES = ("move", "copy", "link")
Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One photo: where it came from, and where in the data folder it stands."""

    source: str  # absolute: its original place
    target: str  # posix, relative to the data folder: "train/sad/34M_Ne_to_Sa_C08.JPG"
    label: str
    split: str  # "train" or "val"
    person: str | None
    level: int | None


@dataclass(frozen=True)
class Manifest:
    """What rejig has put into a data folder."""

    mode: str
    stimuli: str  # the folder that all sources are in, as it is found from here today
    files: tuple[PlannedFile, ...]
    stamp: Stamp  # changes whenever the manifest is written anew

    def relative(self, file: PlannedFile) -> str:
        """A photo's posix path below the stimuli."""
        return file.source[len(self.stimuli) + 1:]


def rejig_options(data_dir: Path) -> dict[str, Any] | None:
    """How rejig made this data folder, as far as it is recorded: the run's options "classes", "val_fraction", "split_by",
    "person" and "mode", "stimuli" as they are found today, the split's "seed", and "left_out" ({reason: files}). None if rejig
    didn't make it. NoodleError if rejig.json is broken."""
    if manifest_stamp(data_dir) is None:
        return None
    try:
        made = _read_options(data_dir / JSON_NAME)
    except (ValueError, OSError, RecursionError) as error:
        raise NoodleError(f"{printable(str(data_dir / JSON_NAME))} is broken: {printable(str(error))[:200]}") from None
    if made.get("split_by") not in ("file", "person"):  # of a later version, or of anybody
        made.pop("split_by", None)
    if isinstance(left_out := made.get("left_out"), dict):
        made["left_out"] = {reason: count for reason, count in left_out.items() if type(count) is int and count > 0}
    tokens = made.get("tokens")
    if isinstance(tokens, dict):
        made["classes"] = [f"{name}={token}" for name, token in tokens.items()]
    made["stimuli"] = _stimuli_today(data_dir, made)
    wanted = {"stimuli": str, "classes": list, "val_fraction": float, "split_by": str, "person": str, "mode": str, "seed": int,
              "left_out": dict}
    return {key: made[key] for key, kind in wanted.items() if isinstance(made.get(key), kind)}


def load_manifest(data_dir: Path) -> Manifest | None:
    """The manifest; None if there is no rejig.csv. NoodleError if it is broken.

    A project that was moved or copied to another place keeps working: the stimuli are looked for where they lie as seen
    from the data folder, and only then at the absolute path that was recorded.
    """
    stamp = manifest_stamp(data_dir)
    if stamp is None:
        return None
    table, options = data_dir / CSV_NAME, data_dir / JSON_NAME
    try:
        made = _read_options(options)
        stimuli = _stimuli_today(data_dir, made)
        files = tuple(_read_rows(table, made["stimuli"], stimuli))
        if len(files) != made["files"]:
            raise ValueError(f"{len(files)} rows where {JSON_NAME} says {made['files']}")
        if len({file.target for file in files}) < len(files) or len({file.source for file in files}) < len(files):
            raise ValueError("a photo is named twice")
    except (ValueError, csv.Error, RecursionError, OSError) as error:
        reason = printable(str(error))[:200]
        raise NoodleError(f"the manifest {printable(str(table))} is broken ({reason}): put back {CSV_NAME} and "
                          f"{JSON_NAME} as noodle rejig wrote them, or choose another --data-dir") from None
    return Manifest(made["mode"], stimuli, files, stamp)


def manifest_stamp(data_dir: Path) -> Stamp | None:
    """Something that changes whenever the manifest does; None where there is none."""
    try:
        found = os.lstat(data_dir / CSV_NAME)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def is_recorded(data_dir: Path, options: dict[str, Any]) -> bool:
    """Whether rejig.json says of these options what they are."""
    try:
        made = _read_options(data_dir / JSON_NAME)
    except (ValueError, OSError, RecursionError):
        return False
    return all(key in made and made[key] == value for key, value in options.items())


def record_options(data_dir: Path, options: dict[str, Any]) -> None:
    """Write these options into rejig.json, where they come to the same arrangement as those before."""
    made = _read_options(data_dir / JSON_NAME) | options
    write_atomic(data_dir / JSON_NAME, _as_json(made))


def links_lead_astray(data_dir: Path) -> bool:
    """Whether rejig made links here that lead to where the stimuli were, before they were moved together with this folder."""
    made = load_manifest(data_dir)
    if made is None or made.mode != "link":
        return False
    for file in made.files:
        if (link := data_dir / file.target).is_symlink():
            return os.readlink(link) != file.source
    return False


def write_manifest(folder: Path, data_dir: Path, stimuli: Path, files: Sequence[PlannedFile],
                   options: dict[str, Any]) -> None:
    """Write both files into `folder`, which is to become `data_dir`, and wait until they are on the disk."""
    table = folder / CSV_NAME
    # surrogateescape: names that aren't UTF-8 come back byte for byte
    with open(table, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        rows = csv.writer(stream)  # its \r\n line ends see to it that a \r or \n in a name is quoted
        rows.writerow(COLUMNS)
        rows.writerows((file.source, file.target, file.label, file.split, file.person, file.level) for file in files)
    made = {"version": 1, **options, "stimuli": str(stimuli), "stimuli_from_here": os.path.relpath(stimuli, data_dir),
            "files": len(files)}
    (folder / JSON_NAME).write_text(_as_json(made), encoding="utf-8")
    sync(str(table))
    sync(str(folder / JSON_NAME))


def _as_json(made: dict[str, Any]) -> str:
    return json.dumps(made, indent=2) + "\n"


def _read_options(path: Path) -> dict[str, Any]:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > 1_000_000:
        raise ValueError(f"{path.name} is missing or no file of rejig's")
    made = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(made, dict) or made.get("version") != 1:
        raise ValueError(f"{path.name} is not of version 1")
    for key, kind in {"mode": str, "stimuli": str, "stimuli_from_here": str, "files": int}.items():
        if not isinstance(made.get(key), kind):
            raise ValueError(f"{path.name}: {key!r} is missing or mistyped")
    if made["mode"] not in MODES:
        raise ValueError(f"{path.name}: no mode {made['mode'][:20]!r}")
    if not os.path.isabs(made["stimuli"]) or os.path.normpath(made["stimuli"]) != made["stimuli"]:
        raise ValueError(f"{path.name}: stimuli is no absolute path")
    return made


def _stimuli_today(data_dir: Path, made: dict[str, Any]) -> str:
    seen_from_here = os.path.normpath(os.path.join(os.path.realpath(data_dir), made["stimuli_from_here"]))
    return seen_from_here if os.path.isdir(seen_from_here) else made["stimuli"]


def _read_rows(table: Path, recorded: str, stimuli: str) -> Iterator[PlannedFile]:
    if table.is_symlink() or not table.is_file():
        raise ValueError("it is no regular file")
    if table.stat().st_size > MAX_TABLE:
        raise ValueError(f"it is larger than {MAX_TABLE // 2**20} MiB")
    with open(table, encoding="utf-8", errors="surrogateescape", newline="") as stream:
        rows = csv.reader(stream, strict=True)
        if next(rows, None) != COLUMNS:
            raise ValueError(f"its columns aren't {','.join(COLUMNS)}")
        for number, row in enumerate(rows, start=1):
            yield _read_row(row, number, recorded, stimuli)


def _read_row(row: list[str], number: int, recorded: str, stimuli: str) -> PlannedFile:
    if len(row) != len(COLUMNS):
        raise ValueError(f"row {number} has {len(row)} columns")
    source, target, label, split, person, level = row
    parts = target.split("/")
    if len(parts) != 3 or parts[0] != split or parts[1] != label or split not in SPLITS or not _plain(parts):
        raise ValueError(f"row {number}: target {target[:100]!r} is not <train or val>/<class>/<name>")
    relative = source.removeprefix(recorded + "/")
    if relative == source or not _plain(relative.split("/")):
        raise ValueError(f"row {number}: source {source[:100]!r} is not inside the stimuli {recorded[:100]!r}")
    if level and not level.isdigit():
        raise ValueError(f"row {number}: level {level[:20]!r} is not a whole number")
    return PlannedFile(f"{stimuli}/{relative}", target, label, split, person or None, int(level) if level else None)


def _plain(parts: list[str]) -> bool:
    """Names of files and folders only: nothing that climbs or stays in place, or that no file system takes."""
    return not any(part in ("", ".", "..") or "\0" in part or len(os.fsencode(part)) > LONGEST_NAME for part in parts)
