"""Large libraries, whose import takes seconds; and all of this program, before an upgrade replaces it."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pkgutil import walk_packages

import platformdirs

from noodle_tui.disk import is_own_folder

INDUCTOR = "TORCHINDUCTOR_CACHE_DIR"
SPINS = "GOMP_SPINCOUNT"
FEW_SPINS = 10_000  # libgomp's 300,000 are no faster on two free processors; beside two busy processes an epoch (ResNet18,
# batch 24, 224 px, bf16) took 1.3 times as long with them, and a step 1.4 times the processor time


@cache
def import_all(package: str) -> None:
    """Import every module of a package, once. The app stays open for days: of an upgrade meanwhile it would find modules of
    another version, or none. For a thread, it takes a moment; "noodle_tui" as a whole brings torch, if it isn't there yet."""
    # what can't be imported now can't be where it is needed, and there it is said
    with uncollected(), suppress(Exception):
        for found in walk_packages(import_module(package).__path__, f"{package}."):
            import_module(found.name)


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


def prepare_for_torch() -> None:
    """Set what torch reads from the environment when it is imported: to be called before. What the user has set stays."""
    keep_compiled_code_at_home()
    if "OMP_WAIT_POLICY" not in os.environ:
        # threads that compute together on a busy node let others work while they wait for the one that has no processor now
        os.environ.setdefault(SPINS, str(FEW_SPINS))


def keep_compiled_code_at_home() -> None:
    """torch makes a folder for compiled code and runs what it finds there: in /tmp, by a name that anybody can guess and take
    beforehand. Ours lies beside our other cache; without one it stays torch's."""
    if INDUCTOR in os.environ:
        return
    with suppress(RuntimeError, OSError):  # a container's nameless user; a home that is full or read-only
        folder = platformdirs.user_cache_path("noodle-tui") / "inductor"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_own_folder(folder):
            os.environ[INDUCTOR] = str(folder)
