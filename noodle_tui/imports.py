"""Large libraries, whose import takes seconds."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import platformdirs

from noodle_tui.disk import is_own_folder

INDUCTOR = "TORCHINDUCTOR_CACHE_DIR"


@contextmanager
def uncollected() -> Iterator[None]:
    """In here Python doesn't look for garbage: an import makes none, and to go over all that torch's brings, again and again,
    is a sixth of its time. For the whole process. Where the collector rests already, it is left so."""
    collecting = gc.isenabled()
    if collecting:
        gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def keep_compiled_code_at_home() -> None:
    """To be called before torch is imported, which makes a folder for compiled code and runs what it finds there: in /tmp, by a
    name that anybody can guess and take beforehand. Ours lies beside our other cache; without one it stays torch's."""
    if INDUCTOR in os.environ:
        return
    with suppress(RuntimeError, OSError):  # a container's nameless user; a home that is full or read-only
        folder = platformdirs.user_cache_path("noodle-tui") / "inductor"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_own_folder(folder):
            os.environ[INDUCTOR] = str(folder)
