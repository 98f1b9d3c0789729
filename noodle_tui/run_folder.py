"""Run folders: make, lock, list, read and follow them. The one contract between processes.

Nothing here writes metrics (that is `listeners/record.py`), makes requests (`control.py`) or knows how a run trains.
"""

import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from noodle_tui.config import make_config
from noodle_tui.errors import NoodleError, UsageError
from noodle_tui.events import Event, RunStarted, from_json
from noodle_tui.paths import with_full_paths, working_folder
from noodle_tui.run_state import RunState
from noodle_tui.text import as_argument

CONFIG, EVENTS, METRICS, MODEL, CARD, LOCK = (
    "config.json", "events.jsonl", "metrics.csv", "model.pth", "model.json", "run.lock"
)
CHECKPOINT, PREVIOUS = "checkpoint.pt", "checkpoint.prev.pt"
MAX_LINE = 1_000_000  # bytes: a longer line is no event
CHUNK = 4_000_000  # bytes of events read at a time
MOST_NAMED = 3  # of the runs that one name may mean
ENDLESS = 16  # of these without a line's end: what comes after is left for the next look


def make_run_folder(save_dir: Path, name: str) -> Path:
    """A new folder `save_dir`/<name>-<YYYYmmdd-HHMMSS>; -2, -3 … is added where it exists. NoodleError if it can't be made."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for attempt in range(1, 1000):
        folder = save_dir / (f"{name}-{stamp}" if attempt == 1 else f"{name}-{stamp}-{attempt}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG and len(os.fsencode(folder.name)) > 255:
                raise NoodleError(f"--namestr {name}: too long for a folder's name; use a shorter one") from None
            raise NoodleError(f"--save-dir {save_dir}: no folder can be made there ({error.strerror})") from None
    raise NoodleError(f"--save-dir {save_dir}: no folder can be made there")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run's lock. The system lets go of it when the process dies, however it dies. NoodleError if another holds it."""
    try:
        file = os.fdopen(os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666), "r+b",
                         buffering=0)
    except OSError as error:
        raise NoodleError(f"{folder}: can't be written to ({error.strerror})") from None
    try:
        try:
            _lock(file.fileno())
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise NoodleError(f"{folder}: files can't be locked there ({error.strerror}); use another --save-dir") from None
            file.seek(0)
            holder = file.read(200).decode(errors="replace").strip() or "holder unknown"
            raise NoodleError(f"{folder}: a run is already going on in it ({holder})") from None
        with suppress(OSError):  # a full disk: the lock is held all the same, only its holder isn't named
            file.truncate(0)
            file.write(f"process {os.getpid()} on {os.uname().nodename}\n".encode())
        yield
    finally:
        with suppress(OSError):  # a network disk that is gone: it is closed all the same, and the lock went with the disk
            file.close()


def _lock(descriptor: int) -> None:
    """Take the lock; a moment's patience, since `is_alive` of some onlooker may hold it for an instant."""
    for _ in range(20):
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_alive(folder: Path) -> bool:
    """Whether some process holds the run's lock now."""
    try:
        with open_plain(folder / LOCK) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except (FileNotFoundError, ValueError):
        return False
    except OSError as error:
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES)


def open_plain(path: Path) -> BinaryIO:
    """Open a plain file; a link, a pipe or a device in a run folder, where reading may never end, is a ValueError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        if path.is_symlink():
            raise ValueError(f"{path.name} is a link; no run writes that") from None
        if error.errno == errno.ENXIO:  # a socket
            raise ValueError(f"{path.name} is not a plain file; no run writes that") from None
        raise error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{path.name} is not a plain file; no run writes that")
    return os.fdopen(descriptor, "rb", buffering=0)


def read_plain(path: Path, limit: int) -> bytes:
    """A plain file's content. ValueError if it is none, or holds more than `limit` bytes; OSError as from `open`."""
    with open_plain(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{path.name} is too large")
    return content


def is_run_folder(folder: Path) -> bool:
    return any(os.path.isfile(folder / name) for name in (EVENTS, CONFIG))  # False too for what may not be looked into


def has_checkpoint(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (CHECKPOINT, PREVIOUS))


def how_to_pick_up(folder: Path) -> str:
    """What to say of a run that left a checkpoint."""
    return f"pick it up with `noodle run --headless --load-dir {as_argument(folder)}`"


def list_runs(save_dir: Path, known: Container[Path] = ()) -> list[Path]:
    """Run folders in `save_dir`, newest first by the time in their name's end, then by name. Those that are `known` to be some
    aren't looked into."""
    try:
        with os.scandir(save_dir) as entries:
            found = [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise NoodleError(f"{save_dir}: can't be listed ({error.strerror})") from None
    return sorted((f for f in found if f in known or is_run_folder(f)), key=lambda f: (stamp_of(f), f.name), reverse=True)


def stamp_of(folder: Path) -> str:
    """The YYYYmmddHHMMSS of a run folder's name ("" where it has none)."""
    parts = folder.name.split("-")
    for day, clock in zip(reversed(parts[:-1]), reversed(parts[1:]), strict=True):
        if len(day) == 8 and len(clock) == 6 and (day + clock).isdigit():
            return day + clock
    return ""


def _without_date(folder: Path) -> str:
    """The name that a run was given, as its folder's tells."""
    stamp = stamp_of(folder)
    return folder.name.rpartition(f"-{stamp[:8]}-{stamp[8:]}")[0] if stamp else folder.name


def read_config(folder: Path) -> dict[str, Any]:
    """The options a run was started with. NoodleError if config.json is missing or broken."""
    file = folder / CONFIG
    try:
        content = json.loads(read_plain(file, MAX_LINE))
        if not isinstance(content, dict):
            raise ValueError("not an object")
    except (OSError, ValueError, RecursionError) as error:
        raise NoodleError(f"{file}: can't be read as a run's options ({str(error)[:100]})") from None
    return content


def has_options(folder: Path, values: Mapping[str, Any]) -> bool:
    """Whether these options, as they were given here, are those of a run: of who repeats its command, it is meant."""
    if (load_dir := values.get("load_dir")) is not None:
        return os.path.realpath(load_dir) == os.path.realpath(folder)
    try:
        starts = [event for event in Follower(folder).read() if isinstance(event, RunStarted)]
        config, given = read_config(folder), make_config(dict(values)).model_dump(mode="json")
    except NoodleError:
        return False
    there, here = with_full_paths(config, starts[-1].cwd if starts else ""), with_full_paths(given, working_folder())
    return all(there[name] == here[name] for name in values if name in there)


@dataclass
class Follower:
    """Reads a run's events as they are appended; a torn last line waits for its end, a broken one is left out."""

    folder: Path
    position: int = 0
    broken_lines: int = 0

    def read(self) -> list[Event]:
        """Events that came since the last call. NoodleError where they can't be read; a later call may do better."""
        try:
            with open_plain(self.folder / EVENTS) as file:
                # shorter, where a full disk had the run take a line back
                self.position = min(self.position, os.fstat(file.fileno()).st_size)
                file.seek(self.position)
                return self._read(file)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise NoodleError(f"{self.folder / EVENTS}: can't be read ({error.strerror})") from None
        except ValueError:  # a link or a pipe in the file's place
            self.broken_lines += 1
            return []

    def _read(self, file: BinaryIO) -> list[Event]:
        events, rest, endless = list[Event](), b"", 0
        while endless < ENDLESS and (chunk := file.read(CHUNK)):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()[: MAX_LINE + 1]  # of a line that is too long no more is kept in memory
            for line in lines:
                try:
                    if len(line) > MAX_LINE:
                        raise ValueError("a line of this length is no event")
                    events.append(from_json(line))
                except ValueError:
                    self.broken_lines += 1
            self.position = file.tell() - len(rest)
            endless = 0 if lines else endless + 1
        return events


def status_now(folder: Path, told: str, ended: float | None, alive: bool) -> str:
    """A run's status: what its events have `told`, unless the lock knows better. Without an end and a holder it is interrupted;
    one that `ended` (seconds since 1970) is starting where the lock was taken since, and is held: who picks a run up writes
    nothing before it is known that it can go on. `alive`: as it was before the events were read."""
    if ended is None:
        return told if alive else "interrupted"
    with suppress(OSError):
        if os.lstat(folder / LOCK).st_mtime > ended and is_alive(folder):
            return "starting"
    return told


def read_state(folder: Path) -> RunState:
    """A run's state from its events and its lock."""
    alive = is_alive(folder)  # before the reading: a run that ends in between has then said all that it will
    state = RunState.fold(Follower(folder).read())
    state.status = status_now(folder, state.status, state.ended.time if state.ended else None, alive)
    if state.status == "starting":
        state.ended = None
    return state


def find_run(save_dir: Path, run: str | None) -> Path:
    """The run folder that a user means: a path, or a name in `save_dir`, as in `run_named`; without one (None) the newest that
    is going on, else the newest. NoodleError if there is none, or several are meant."""
    if run is None:
        runs = list_runs(save_dir)
        if not runs:
            raise NoodleError(no_runs(save_dir))
        return next((r for r in runs if is_alive(r)), runs[0])
    if is_run_folder(Path(run)):
        return Path(run)
    if folder := run_named(save_dir, run):
        return folder
    if os.path.isdir(run) and not os.access(run, os.R_OK | os.X_OK):
        raise NoodleError(f"{run}: you may not look into this folder; ask its owner")
    raise NoodleError(f"{run}: no run folder, and no run of {save_dir} is called so; see `noodle runs`")


def no_runs(save_dir: Path) -> str:
    missing = "" if save_dir.is_dir() else ", there is no such folder"
    return f"no runs in {save_dir}{missing}; start one with `noodle run`, or name another --save-dir"


def run_named(save_dir: Path, name: str) -> Path | None:
    """The run folder in `save_dir` of this name; else the only one that has it before the date; else the only one whose name
    begins so. A path into `save_dir`, as a shell completes it, is such a name, too. None if there is none; UsageError, which
    names some, if there are several."""
    if Path(name).parent == save_dir:
        name = Path(name).name
    if is_run_folder(save_dir / name):
        return save_dir / name
    begin_so = [folder for folder in list_runs(save_dir) if name and folder.name.startswith(name)]
    found = [folder for folder in begin_so if _without_date(folder) == name] or begin_so
    if len(found) > 1:
        some = ", ".join(folder.name for folder in found[:MOST_NAMED]) + (", …" if len(found) > MOST_NAMED else "")
        raise UsageError(f"{name}: {len(found)} runs in {save_dir} have such a name ({some}): give more of it")
    return found[0] if found else None


def path_or_run(save_dir: Path, place: Path) -> Path:
    """What --load-dir names: a file, a folder with a run or a model in it, or a run in `save_dir` as in `run_named`. A path,
    too, where there is none of these: whoever opens it says so."""
    if place.is_file() or is_run_folder(place) or (place / MODEL).exists():
        return place
    return run_named(save_dir, str(place)) or place


def clear_leftovers(folder: Path) -> None:
    """Remove the half-written files of a process that was killed (see atomic.py). Only for who holds the run's lock."""
    for file in [*folder.glob(f".{'[0-9a-f]' * 16}.tmp"), folder / f"{PREVIOUS}.new"]:
        if file.is_file():
            file.unlink()


def touch_plain(path: Path) -> None:
    """Make an empty file; one that is there stays as it is. A link is not followed: it could lead out of the run folder."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666))
