"""Finding the photos below the stimuli, and telling whether PIL can read them."""

import os
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from noodle_tui.progress import Check, Progress

# folders that systems keep beside or among photos: trash, thumbnails, what a Mac adds to an archive
SYSTEM_FOLDERS = {"@eaDir", "#recycle", "$RECYCLE.BIN", "__MACOSX", "lost+found"}
FIRST_LOOK, CHUNK = 16, 256  # headers that are read between two checks whether to go on; the first tell how fast the disk is
UNREADABLE = "unreadable"  # how the reasons begin that are a file's own fault


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file below the stimuli that takes no part, and why."""

    path: str  # posix, relative to the stimuli
    reason: str


def scan(stimuli: str, check: Check, progress: Progress) -> tuple[list[str], list[SkippedFile]]:
    """The images below a folder by their endings, at any depth, as sorted relative paths; and what is none.

    Links are not followed, whether to files or to folders: what they lead to is not in the stimuli.
    """
    images, skipped, folders = list[str](), list[SkippedFile](), [""]
    while folders:
        below = folders.pop()
        try:
            entries = list(os.scandir(stimuli + "/" + below))
        except OSError as error:
            if not below:
                raise
            skipped.append(SkippedFile(below[:-1], f"{UNREADABLE} folder ({(error.strerror or str(error)).lower()})"))
            continue
        for entry in entries:
            check()
            name = entry.name
            path = below + name
            if has_photo_name(name) and entry.is_file(follow_symlinks=False):
                images.append(path)
            elif is_system_file(name):
                skipped.append(SkippedFile(path, "not a photo but a system's note on one"))
            elif entry.is_symlink():
                skipped.append(SkippedFile(path, "a link (links are not followed)"))
            elif entry.is_dir():
                if is_system_folder(name):
                    skipped.append(SkippedFile(path, "a hidden folder, or a system's own"))
                else:
                    folders.append(path + "/")
            else:
                skipped.append(SkippedFile(path, "not an image"))
        progress(len(images), None)
    images.sort()
    return images, skipped


def has_photo_name(name: str) -> bool:
    """Whether a file of this name is taken for a photo: by its ending; not what macOS keeps beside one, `._anna.jpg`."""
    return os.path.splitext(name)[1].lower() in image_endings() and not is_system_file(name)


def is_system_file(name: str) -> bool:
    """Whether a file isn't the user's own but a system's note on one."""
    return name.startswith("._")


def is_system_folder(name: str) -> bool:
    """Whether what is in a folder of this name isn't the user's photos: trash, thumbnails, an editor's copies."""
    return name.startswith(".") or name in SYSTEM_FOLDERS


@cache
def image_endings() -> frozenset[str]:
    """The endings, in lower case and with their dot, of the image types that PIL reads here."""
    from PIL import Image

    from noodle_tui.images import image_formats

    readable = {*image_formats(), "MPO"}  # a stereo JPEG, opened by the JPEG reader
    endings = Image.registered_extensions()
    return frozenset(ending for ending, kind in endings.items() if kind in readable)


def unreadable(
    stimuli: str, paths: list[str], check: Check, progress: Progress, whole: bool = False
) -> dict[str, str]:
    """{relative path: reason} of the images whose header PIL can't identify, or with `whole` whose pixels it can't decode.

    Headers are read one by one as long as they come at once: threads that take turns at Python's lock for each would take three
    times as long. On a disk that is waited for, the rest is read in threads, and whatever is decoded.
    """
    image_endings()  # PIL's readers are loaded once, before there are threads
    chunks = [paths[:FIRST_LOOK], *(paths[start:start + CHUNK] for start in range(FIRST_LOOK, len(paths), CHUNK))]
    found, done = dict[str, str](), 0

    def look(chunk: list[str]) -> list[str | None]:
        return [_trouble(f"{stimuli}/{path}", whole) for path in chunk]

    def looks() -> Iterator[list[str | None]]:
        left = deque(chunks)
        waits = whole
        while left and not waits:
            began, worked = time.perf_counter(), time.thread_time()
            reasons = look(left.popleft())
            waits = time.perf_counter() - began > 2 * (time.thread_time() - worked)
            yield reasons
        yield from pool.map(look, left)

    with warnings.catch_warnings(), ThreadPoolExecutor(8) as pool:
        warnings.simplefilter("ignore")  # PIL warns of odd metadata on stderr, which would tear a screen
        try:
            for chunk, reasons in zip(chunks, looks(), strict=True):
                check()
                found.update((path, reason) for path, reason in zip(chunk, reasons, strict=True) if reason)
                done += len(chunk)
                progress(done, len(paths))
        finally:
            pool.shutdown(cancel_futures=True)
    return found


def by_reason(left_out: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """{reason: files} from (reason, file), the most frequent reason first."""
    files: dict[str, list[str]] = {}
    for reason, file in left_out:
        files.setdefault(reason, []).append(file)
    return dict(sorted(files.items(), key=lambda item: -len(item[1])))


def _trouble(path: str, whole: bool) -> str | None:
    """Why a file is no photo that PIL can identify (with `whole`: decode); None if it is."""
    from noodle_tui.images import BadImage, NoPhoto, open_photo

    try:
        with open_photo(Path(path)) as image:
            if whole:
                image.load()
            return None
    except NoPhoto as other:
        return str(other)
    except BadImage as bad:
        return f"{UNREADABLE} ({bad})"
    except MemoryError:
        return f"{UNREADABLE} (larger than this machine's memory)"
