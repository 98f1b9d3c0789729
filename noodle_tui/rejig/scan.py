"""Finding the photos below the stimuli, and telling whether PIL can read them."""

import os
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from noodle_tui.progress import Check, Progress

# folders that systems keep beside or among photos: trash, thumbnails, what a Mac adds to an archive
SYSTEM_FOLDERS = {"@eaDir", "#recycle", "$RECYCLE.BIN", "__MACOSX", "lost+found"}
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

    The headers are read in threads, which hides the latency of a network filesystem.
    """
    image_endings()  # PIL's readers are loaded once, before there are threads
    chunks = [paths[start:start + 256] for start in range(0, len(paths), 256)]
    found, done = dict[str, str](), 0
    with warnings.catch_warnings(), ThreadPoolExecutor(8) as pool:
        warnings.simplefilter("ignore")  # PIL warns of odd metadata on stderr, which would tear a screen
        try:
            for chunk, reasons in zip(chunks, pool.map(lambda c: [_trouble(f"{stimuli}/{p}", whole) for p in c], chunks),
                                      strict=True):
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
