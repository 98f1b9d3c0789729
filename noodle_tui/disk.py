"""Room on the disk for a run folder. Quotas are not seen from here: what they refuse is said when it is refused."""

import os
import shutil
import tempfile
from pathlib import Path

import platformdirs

from noodle_tui.errors import NoodleError

MIB = 2**20
MODEL_BYTES = 45 * MIB  # ResNet18 in fp32
SESSION_BYTES = 3 * MODEL_BYTES  # a checkpoint: weights, momentum, best weights
# A run folder at its fullest: the model, and three sessions (the last, the one before, the one being written).
RUN_BYTES = MODEL_BYTES + 3 * SESSION_BYTES
RESUME_BYTES = MODEL_BYTES + SESSION_BYTES  # a run that is picked up has the rest already


def nearest_folder(path: Path) -> Path:
    """`path`, or the first folder (or file) above it that exists: where it would be made."""
    place = path.absolute()
    while not os.path.lexists(place):
        place = place.parent
    return place


def check_room(save_dir: Path, needed: int) -> int:
    """The free bytes where `save_dir` is or would be made. NoodleError if it can't be made or written to, or has too few."""
    place = nearest_folder(save_dir)
    if not place.is_dir():
        raise NoodleError(f"--save-dir {save_dir}: {place} is not a folder; choose another")
    if not os.access(place, os.W_OK | os.X_OK):
        raise NoodleError(f"--save-dir {save_dir}: no right to write in {place}; choose another")
    free = shutil.disk_usage(place).free
    if free < needed:
        raise NoodleError(f"--save-dir {save_dir}: {free / MIB:.0f} MiB are free there, a run needs up to {needed / MIB:.0f}: "
                          "make room, or choose another")
    return free


def rescue_places() -> list[Path]:
    """Where a run that its own folder refuses may go, best first: this user's state folder, the temporary folder."""
    return [platformdirs.user_state_path("noodle-tui") / "rescued", Path(tempfile.gettempdir())]


def make_rescue_folder(place: Path, name: str) -> Path:
    """A new folder for a run in `place`, for its owner's eyes only. OSError if it can't be made."""
    place.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place))
