"""Room on the disk for a run folder. A quota, or a limit on the size of files, is seen by trying only."""

import ctypes
import errno
import os
import shutil
import stat
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

import platformdirs

from noodle_tui.errors import NoodleError

MIB = 2**20
MODEL_BYTES = 45 * MIB  # ResNet18 in fp32
SESSION_BYTES = 3 * MODEL_BYTES  # a checkpoint: weights, momentum, best weights
# A run folder at its fullest: the model, and three sessions (the last, the one before, the one being written).
RUN_BYTES = MODEL_BYTES + 3 * SESSION_BYTES
RESUME_BYTES = MODEL_BYTES + SESSION_BYTES  # a run that is picked up has the rest already


def is_own_folder(folder: Path) -> bool:
    """Whether a folder, or a link to one, was made by this user, and nobody else can put anything into it. OSError if it can't
    be looked at."""
    link, about = folder.lstat(), folder.stat()
    return stat.S_ISDIR(about.st_mode) and {link.st_uid, about.st_uid} == {os.geteuid()} and not about.st_mode & 0o022


def close_to_others(folder: Path) -> None:
    """Leave a folder's rights to its owner. A file system that has no rights of its own keeps those that it gives to all."""
    with suppress(OSError):
        folder.chmod(0o700)


def nearest_existing(path: Path) -> Path:
    """`path`, or the first folder (or file) above it that exists: where it would be made."""
    place = path.absolute()
    while not os.path.lexists(place):
        place = place.parent
    return place


def free_room(folder: Path, needed: int, option: str = "save-dir") -> int:
    """The free bytes where `folder` is or would be made. NoodleError if it can't be made or written to, or has too few; it
    names the option that gave the folder."""
    place, given = nearest_existing(folder), f"--{option} {folder}"
    other = "; choose another" if option == "save-dir" else ""
    if not place.is_dir():
        raise NoodleError(f"{given}: {place} is not a folder{other}")
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        raise NoodleError(f"{given}: the disk of {place} is read-only{other}")
    if not os.access(place, os.W_OK | os.X_OK):
        raise NoodleError(f"{given}: no right to write in {place}{other}")
    free = shutil.disk_usage(place).free
    if free < needed:
        raise NoodleError(f"{given}: {free / MIB:.0f} MiB are free there, a run needs up to {needed / MIB:.0f}: make room"
                          f"{other.replace('; ', ', or ')}")
    return free


def check_room(folder: Path, needed: int, option: str = "save-dir") -> int:
    """As `free_room`, but `needed` bytes are really taken for a moment: a NoodleError too where a quota, or a limit on the size
    of files, refuses them. Nothing is left behind, not by a kill either."""
    free = free_room(folder, needed, option)
    place = nearest_existing(folder)
    try:
        _take(place, needed)
    except OSError as error:
        hint = "raise `ulimit -f`" if error.errno == errno.EFBIG else "have the quota raised, make room there"
        other = ", or choose another" if option == "save-dir" else ""
        raise NoodleError(f"--{option} {folder}: a run needs up to {needed / MIB:.0f} MiB, and {place} refuses them "
                          f"({error.strerror}): {hint}{other}") from None
    return free


def check_temporary_room(needed: int) -> None:
    """NoodleError where there is no temporary folder, or it has fewer free bytes than a command will need there for a while."""
    try:
        place = Path(tempfile.gettempdir())
    except FileNotFoundError:  # a read-only container, say
        raise NoodleError("no folder for temporary files can be written, neither TMPDIR nor /tmp or /var/tmp: set TMPDIR to "
                          "one that can") from None
    free = shutil.disk_usage(place).free
    if free < needed:
        raise NoodleError(f"{place}: {free / MIB:.0f} MiB are free there, and up to {needed / MIB:.0f} are needed for a while: "
                          "make room, or set TMPDIR to a folder on another disk")


def _take(folder: Path, n_bytes: int) -> None:
    """Have the file system set `n_bytes` aside and give them back, in files as large as a run's. OSError if it refuses."""
    with ExitStack() as files:
        for start in range(0, n_bytes, SESSION_BYTES):
            file = files.enter_context(tempfile.TemporaryFile(dir=folder, buffering=0))  # has no name: a kill frees it
            if not _allocate(file.fileno(), min(SESSION_BYTES, n_bytes - start)):
                return


def _allocate(file: int, n_bytes: int) -> bool:
    """Set room aside for an open file. OSError if there is none; False where the system doesn't say: macOS, NFS 3, many more.

    Not os.posix_fallocate: where the file system can't, that writes into each block, which takes minutes over a network.
    """
    fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)
    if fallocate is None:
        return False
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    while fallocate(file, 0, 0, n_bytes) != 0:
        number = ctypes.get_errno()
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise OSError(number, os.strerror(number))
        if number != errno.EINTR:  # a signal came in between
            return False
    return True


def state_folder() -> Path:
    """Where this user's things that are of no run are kept. FileNotFoundError for who has no home, as in some containers."""
    try:
        return platformdirs.user_state_path("noodle-tui")
    except RuntimeError:
        raise FileNotFoundError(errno.ENOENT, "this user has no home folder: set HOME") from None


def rescue_places() -> list[Path]:
    """Where a run that its own folder refuses may go, best first: this user's state folder, the temporary folder. Who has no
    home lacks the one, a container that is read-only, or a machine whose disk is full, the other."""
    places: list[Path] = []
    with suppress(FileNotFoundError):
        places.append(state_folder() / "rescued")
    with suppress(FileNotFoundError):
        places.append(Path(tempfile.gettempdir()))
    return places


def make_rescue_folder(place: Path, name: str) -> Path:
    """A new folder for a run in `place`, for its owner's eyes only. OSError if it can't be made."""
    place.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place))
