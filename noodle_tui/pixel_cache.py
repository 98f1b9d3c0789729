"""Decoded pixels in a file on disk, for photos that main memory can't hold: built once, then shared by every run.

A file's name is its key: a digest of every photo's content and of how they are decoded. It begins with the pixels, so that it
can be mapped; a footer says the images' sizes and checksums. A builder fills `<key>.part` under an exclusive lock (`flock`)
and renames it when it is whole; a second run waits for it. Who uses a file holds a shared lock: the least recently used ones
that nobody holds are removed when the folder passes its limit or the disk is short of room. A lock goes with its process, so
a killed builder's part is taken over by the next one.
"""

import errno
import fcntl
import hashlib
import json
import mmap
import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import platformdirs
import psutil
import torch
from torch import Tensor

from noodle_tui.decode import in_threads
from noodle_tui.disk import close_to_others, is_own_folder
from noodle_tui.errors import NoodleError, UsageError
from noodle_tui.progress import Check

LIMIT_VARIABLE, LIMIT_GIB = "NOODLE_CACHE_GIB", 100.0
VERSION = 2  # of the file's form and of how photos are decoded: a change of either makes old files unknown
FOOTER = 8 + 32  # the file's last bytes: the JSON's length, little-endian, and its SHA-256
WAIT = 0.1  # seconds between two looks at a file that another run is building


class Damaged(Exception):
    """A cache file that isn't whole."""


@dataclass
class Contents:
    """What the footer says: the images in the order of the buffer, training ones first."""

    sizes: list[tuple[int, int]] = field(default_factory=list)  # height and width
    checksums: list[int] = field(default_factory=list)  # CRC-32 of each image's bytes
    n_train: int = 0
    skipped: list[tuple[int, str]] = field(default_factory=list)  # position and reason of images that can't be used


class Writer:
    """Appends images to a cache file that is being built."""

    def __init__(self, file: BinaryIO):
        self.contents = Contents()
        self._file = file

    def keep(self, image: Tensor) -> None:
        """Append `image`, uint8 [3, h, w]. OSError where the disk is full."""
        raw = image.contiguous().numpy().data.cast("B")
        write_all(self._file, raw)
        self.contents.sizes.append((image.shape[1], image.shape[2]))
        self.contents.checksums.append(zlib.crc32(raw))


def write_all(file: BinaryIO, raw: memoryview) -> None:
    """Write to an unbuffered file, which takes less than all when the disk is nearly full. OSError when it takes nothing."""
    while raw:
        raw = raw[file.write(raw) :]


@dataclass(frozen=True)
class CachedPixels:
    buffer: Tensor  # uint8, mapped read-only; as long as it lives, the file is in use
    contents: Contents
    reused: bool


def cached_pixels(key: str, size: int, build: Callable[[Writer], None], check: Check) -> CachedPixels:
    """The cache file `key`, made by `build` where there is none; about `size` bytes. Blocks while another run builds it.

    `check` is called meanwhile and may raise. NoodleError where the disk has no room, or refuses.
    """
    folder = cache_folder()
    try:
        return _found_or_built(folder / f"{key}.pixels", folder / f"{key}.part", size, build, check)
    except OSError as error:
        if error.errno == errno.ENOMEM:  # it is the memory that refuses to map the file
            raise
        raise NoodleError(f"the decoded photos can't be kept in {folder} ({error.strerror}): make room or rights there, or set "
                          "XDG_CACHE_HOME to another disk") from error


def _found_or_built(whole: Path, part: Path, size: int, build: Callable[[Writer], None], check: Check) -> CachedPixels:
    while True:
        found = _open_whole(whole, check)
        if found is not None:
            return found
        with open(os.open(part, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0) as file:
            if _lock(file, fcntl.LOCK_EX) and _is_at(file, part) and not whole.exists():
                _build(file, part, whole, size, build)
                return _map(file, reused=False)
        check()
        time.sleep(WAIT)


def cache_folder() -> Path:
    """Where cache files lie, for this user only: they are photos of faces. NoodleError if it can't be made, or is another's."""
    try:
        folder = platformdirs.user_cache_path("noodle-tui") / "pixels"
    except RuntimeError:  # a container's nameless user
        raise NoodleError("no place for decoded photos: this user has no home folder; set HOME or XDG_CACHE_HOME") from None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        close_to_others(folder)
        if not is_own_folder(folder):
            raise NoodleError(f"{folder} is not yours alone, and decoded photos go there: set XDG_CACHE_HOME to another folder")
    except OSError as error:
        raise NoodleError(f"{folder} can't be made ({error.strerror}): set XDG_CACHE_HOME to a folder elsewhere") from None
    return folder


def cache_limit() -> int:
    """Bytes that the cache folder may hold. UsageError if the variable isn't a number."""
    text = os.environ.get(LIMIT_VARIABLE, str(LIMIT_GIB))
    try:
        gib = float(text)
        if not 0 <= gib < float("inf"):
            raise ValueError
    except ValueError:
        raise UsageError(f"{LIMIT_VARIABLE}={text}: give the size of the cache in GiB, e.g. {LIMIT_GIB:g}") from None
    return int(gib * 2**30)


def make_room(folder: Path, size: int) -> None:
    """Remove the least recently used cache files that nobody uses, until `size` more bytes fit limit and disk.

    A file in use stays, also beyond the limit. NoodleError where the disk has no room all the same.
    """
    limit = cache_limit()
    files = sorted(_files(folder))
    total = sum(length for _, length, _ in files)
    for _, length, path in files:
        if total + size <= limit and size <= _free(folder):
            break
        if _remove_if_unused(path):
            total -= length
    if size > _free(folder):
        raise NoodleError(f"the decoded photos need {size / 2**30:.1f} GiB: more than memory has free, and {folder} too "
                          f"({_free(folder) / 2**30:.1f} GiB); use fewer or smaller photos, or set XDG_CACHE_HOME to a "
                          "larger disk")


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When each cache file was last used, its length and its path."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another run removed it
            status = path.stat()
            if path.suffix in (".pixels", ".part"):
                yield status.st_mtime, status.st_size, path


def _free(folder: Path) -> int:
    return int(0.95 * psutil.disk_usage(str(folder)).free)


def _remove_if_unused(path: Path) -> bool:
    try:
        with open(path, "r+b") as file:  # NFS locks for one alone only what may be written
            if _lock(file, fcntl.LOCK_EX) and _is_at(file, path):
                path.unlink()
                return True
    except FileNotFoundError:  # another run was quicker
        return True
    return False


def _lock(file: BinaryIO, kind: int) -> bool:
    """Whether the lock (LOCK_EX or LOCK_SH) could be taken at once."""
    try:
        _flock(file, kind | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def _flock(file: BinaryIO, kind: int) -> None:
    """BlockingIOError where another holds the lock. NoodleError on a disk without locks: some clusters' home folders."""
    try:
        fcntl.flock(file, kind)
    except BlockingIOError:
        raise
    except OSError as error:
        raise NoodleError(f"files can't be locked in {cache_folder()} ({error.strerror}), where decoded photos go that memory "
                          "can't hold: set XDG_CACHE_HOME to a folder on another disk") from None


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether `path` still names the open file: another process may have renamed or removed it before we had the lock."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _build(file: BinaryIO, part: Path, whole: Path, size: int, build: Callable[[Writer], None]) -> None:
    """Fill the locked `part` and give it its name. Nothing stays behind where that fails."""
    try:
        file.truncate(0)  # what a killed builder left
        for left in part.parent.glob("*.part"):  # and what others of other photos did: ours is locked
            _remove_if_unused(left)
        make_room(part.parent, size)
        writer = Writer(file)
        build(writer)
        footer = json.dumps(vars(writer.contents)).encode()
        write_all(file, memoryview(footer + len(footer).to_bytes(8, "little") + hashlib.sha256(footer).digest()))
        os.fsync(file.fileno())
        os.replace(part, whole)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    fcntl.flock(file, fcntl.LOCK_SH)


def _open_whole(path: Path, check: Check) -> CachedPixels | None:
    """The cache file, locked as in use and verified; None where there is none. A damaged one is removed."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        return None
    with file:
        _flock(file, fcntl.LOCK_SH)  # whoever removes it holds it for an instant only
        if not _is_at(file, path):
            return None
        try:
            pixels = _map(file, reused=True)
            _verify(pixels, check)
        except Damaged:
            path.unlink(missing_ok=True)
            return None
        with suppress(OSError):  # a disk that is read-only or takes no times: it is the first to go then, and that is all
            os.utime(path)  # used now
        return pixels


def _map(file: BinaryIO, reused: bool) -> CachedPixels:
    """Read the footer and map the pixels. The map has a descriptor of its own, which keeps the lock when `file` is closed.

    Damaged if the footer or the length is not what it should be.
    """
    contents, n_bytes = _read_footer(file)
    if n_bytes == 0:
        return CachedPixels(torch.empty(0, dtype=torch.uint8), contents, reused)
    # read-only and shared: a private map would count as memory that may be needed
    return CachedPixels(torch.frombuffer(mmap.mmap(file.fileno(), n_bytes, access=mmap.ACCESS_READ), dtype=torch.uint8),
                        contents, reused)


def _read_footer(file: BinaryIO) -> tuple[Contents, int]:
    """The footer, and how many bytes of pixels are before it."""
    length = os.fstat(file.fileno()).st_size
    if length < FOOTER:
        raise Damaged
    file.seek(length - FOOTER)
    ending = file.read(FOOTER)
    n_footer = int.from_bytes(ending[:8], "little")
    if n_footer > length - FOOTER:
        raise Damaged
    file.seek(length - FOOTER - n_footer)
    footer = file.read(n_footer)
    if hashlib.sha256(footer).digest() != ending[8:]:
        raise Damaged
    said = json.loads(footer)
    contents = Contents(said["sizes"], said["checksums"], said["n_train"], [(i, reason) for i, reason in said["skipped"]])
    n_bytes = sum(3 * height * width for height, width in contents.sizes)
    if n_bytes != length - FOOTER - n_footer:
        raise Damaged
    return contents, n_bytes


def _verify(pixels: CachedPixels, check: Check) -> None:
    """Read every image once, as the first epoch would, and compare its checksum. Damaged if one differs."""
    ends = np.cumsum([3 * height * width for height, width in pixels.contents.sizes]).tolist()
    raw = pixels.buffer.numpy()
    spans = zip([0, *ends], ends, pixels.contents.checksums, strict=False)  # there is one start too many
    if not all(in_threads(lambda span: zlib.crc32(raw[span[0] : span[1]].data) == span[2], spans, check)):
        raise Damaged
