"""Sources that were spoiled since they were copied: the copy is then the last good one, and must stay."""

import filecmp
import os
from collections.abc import Collection
from pathlib import Path

from noodle_tui.errors import NoodleError
from noodle_tui.progress import Check, Progress, nothing
from noodle_tui.rejig.disk import same_photo
from noodle_tui.rejig.manifest import Manifest
from noodle_tui.rejig.scan import unreadable
from noodle_tui.text import number_of, printable

# nanoseconds: to what file systems round times: ext4; SMB and NTFS; some network disks; exFAT; HFS+; FAT
ROUNDED_TO = (1, 100, 10**3, 10**6, 10**7, 10**9, 2 * 10**9)


def refuse_spoiled_sources(data_dir: Path, made: Manifest, check: Check = nothing, progress: Progress = nothing, *,
                           removed: Collection[str] = ()) -> None:
    """NoodleError if a copy holds what nothing else does: it was edited since, or its source has changed and can't be read any
    more. `removed`: the sources whose copies will be removed; of those the whole is compared, though sizes and times are the
    same."""
    if made.mode != "copy":
        return
    copies = {made.relative(file): file.target for file in made.files}
    changed = []
    for done, (path, copy) in enumerate(copies.items(), start=1):
        check()
        source = f"{made.stimuli}/{path}"
        if _has_changed(source, f"{data_dir}/{copy}", source in removed):
            changed.append(path)
        if removed and done % 100 == 0:
            progress(done, len(copies))
    spoiled = unreadable(made.stimuli, changed, check, progress, whole=True)
    no_better = unreadable(str(data_dir), [copies[path] for path in spoiled], check, progress, whole=True)
    lost = [path for path in spoiled if copies[path] not in no_better]
    if lost:
        copy = printable(f"{data_dir}/{copies[lost[0]]}")
        raise NoodleError(f"{number_of(len(lost), 'photo')} can't be read any more ({printable(lost[0])}: {spoiled[lost[0]]}), "
                          f"but their copies can ({copy}): put those back in their place, or remove what is broken")
    edited = [path for path in changed if _is_newer(f"{data_dir}/{copies[path]}", made.stamp[2])]
    replaced = [path for path in changed if _is_untouched(f"{made.stimuli}/{path}", made.stamp[2]) and path not in edited]
    broken = unreadable(str(data_dir), [copies[path] for path in replaced], check, progress, whole=True)
    edited += [path for path in replaced if copies[path] not in broken]
    if edited:
        copy = printable(f"{data_dir}/{copies[edited[0]]}")
        were, them = ("was", "it") if len(edited) == 1 else ("were", "them")
        raise NoodleError(f"{number_of(len(edited), 'copy')} {were} changed since rejig made {them} ({copy}), and would be "
                          f"lost: move {them} out of the data folder, or to the place of the original")


def _has_changed(source: str, copy: str, whole: bool) -> bool:
    """Whether the source holds something else than its copy; a new time alone doesn't say so. `whole`: nor does the same one
    say that it doesn't, after a disk's fault."""
    if not whole and is_fresh(copy, source):  # first: on a network disk each look at a file takes its time
        return False
    if not os.path.isfile(copy) or os.path.islink(copy) or not os.path.lexists(source):
        return False  # no longer what rejig made, or all that there is
    try:
        return not filecmp.cmp(source, copy, shallow=False)
    except OSError:
        return True


def _is_newer(copy: str, made: int) -> bool:
    """Whether a copy was written after the arrangement was `made` (nanoseconds): a copy keeps the time of its source."""
    try:
        return os.stat(copy).st_mtime_ns > made
    except OSError:
        return False


def _is_untouched(source: str, made: int) -> bool:
    """Whether nothing was done to a source since the arrangement was `made` (nanoseconds). If they differ then, the copy has
    changed: another photo was put in its place, maybe with a time of its own, as mv and archives keep it."""
    try:
        now = os.stat(source)
    except OSError:
        return False
    return max(now.st_mtime_ns, now.st_ctime_ns) <= made


def is_fresh(copy: str, source: str) -> bool:
    """Whether the source is still as it was when it was copied, as far as both are there. Copies keep its time."""
    try:
        now, then = os.stat(source), os.stat(copy)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # links that go round in a circle
        return False
    return then.st_size == now.st_size and _is_the_time_of(then.st_mtime_ns, now.st_mtime_ns)


def will_do(copy: str, source: str) -> bool:
    """Whether a copy needn't be made anew: it is fresh, or later than its source, as where the disk takes no times, and of the
    same bytes."""
    if is_fresh(copy, source):
        return True
    try:
        return os.stat(copy).st_mtime_ns > os.stat(source).st_mtime_ns and same_photo(source, copy)
    except OSError:  # links that go round in a circle
        return False


def _is_the_time_of(copy: int, source: int) -> bool:
    """Whether a copy's time is its source's, by the rounding of the disk that it is on."""
    return any(copy % unit == 0 and abs(copy - source) < unit for unit in ROUNDED_TO)
