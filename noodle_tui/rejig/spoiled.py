"""Sources that were spoiled since they were copied: the copy is then the last good one, and must stay."""

import filecmp
import os
from pathlib import Path

from noodle_tui.errors import NoodleError
from noodle_tui.names import number_of, printable
from noodle_tui.progress import Check, Progress, nothing
from noodle_tui.rejig.manifest import Manifest
from noodle_tui.rejig.scan import unreadable


def refuse_spoiled_sources(data_dir: Path, made: Manifest, check: Check = nothing, progress: Progress = nothing) -> None:
    """NoodleError if the source of a copy has changed and can't be read any more, while the copy can."""
    if made.mode != "copy":
        return
    copies = {made.relative(file): file.target for file in made.files}
    changed = [path for path, copy in copies.items() if _has_changed(f"{made.stimuli}/{path}", f"{data_dir}/{copy}")]
    spoiled = unreadable(made.stimuli, changed, check, progress, whole=True)
    no_better = unreadable(str(data_dir), [copies[path] for path in spoiled], check, progress, whole=True)
    lost = [path for path in spoiled if copies[path] not in no_better]
    if lost:
        copy = printable(f"{data_dir}/{copies[lost[0]]}")
        raise NoodleError(f"{number_of(len(lost), 'photo')} can't be read any more ({printable(lost[0])}: {spoiled[lost[0]]}), "
                          f"but their copies can ({copy}): put those back in their place, or remove what is broken")


def _has_changed(source: str, copy: str) -> bool:
    """Whether the source holds something else than its copy; a new time alone doesn't say so."""
    if is_fresh(copy, source):
        return False
    try:
        return not filecmp.cmp(source, copy, shallow=False)
    except OSError:
        return True


def is_fresh(copy: str, source: str) -> bool:
    """Whether the source is still as it was when it was copied, as far as both are there. Copies keep its time."""
    try:
        now, then = os.stat(source), os.stat(copy)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # links that go round in a circle
        return False
    return (then.st_size, then.st_mtime_ns) == (now.st_size, now.st_mtime_ns)
