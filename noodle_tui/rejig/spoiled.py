"""Sources that were spoiled since they were copied: the copy is then the last good one, and must stay."""

import os
from pathlib import Path

from noodle_tui.errors import NoodleError
from noodle_tui.names import number_of, printable
from noodle_tui.progress import Check, Progress, nothing
from noodle_tui.rejig.manifest import Manifest
from noodle_tui.rejig.scan import unreadable


def refuse_spoiled_sources(data_dir: Path, made: Manifest, check: Check = nothing, progress: Progress = nothing) -> None:
    """NoodleError if the source of a copy has changed and can't be read any more."""
    if made.mode != "copy":
        return
    copies = {made.relative(file): f"{data_dir}/{file.target}" for file in made.files}
    changed = [path for path, copy in copies.items() if not is_fresh(copy, f"{made.stimuli}/{path}")]
    if spoiled := unreadable(made.stimuli, changed, check, progress, whole=True):
        first = next(iter(spoiled))
        raise NoodleError(f"{number_of(len(spoiled), 'photo')} can't be read any more ({printable(first)}: {spoiled[first]}), "
                          f"but their copies can ({printable(copies[first])}): put those back in their place, or remove what "
                          "is broken")


def is_fresh(copy: str, source: str) -> bool:
    """Whether the source is still as it was when it was copied, as far as both are there. Copies keep its time."""
    try:
        now, then = os.stat(source), os.stat(copy)
    except FileNotFoundError:
        return True
    return (then.st_size, then.st_mtime_ns) == (now.st_size, now.st_mtime_ns)
