"""Every reader on spoiled and hostile input: settings, options, events, manifests, run folders, reports, images, checkpoints,
and the whole command. Not part of pytest; a short one runs in test_fuzz.py.

    python tests/fuzz.py [INPUTS] [SEED] [NUMBER]     NUMBER: only this input, to look at what went wrong

Allowed is a result, or an error of one line. A traceback, a hang, a word on stderr, a gigabyte of memory, foreign code that
runs, or a change anywhere but in the folder of the input is a failure; it is printed with its seed and number.
"""

import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from fuzz_readers import READERS, Box, images, photo, run_files, torch_files
from fuzz_watch import Misbehaviour, Watch

import noodle_tui.run  # noqa: F401 - all that a command imports where it uses it: importing isn't what is watched

MOST_SHOWN = 20  # failures


def fuzz(inputs: int, seed: int, only: int | None = None, say: Callable[[str], None] = print) -> list[str]:
    """Try `inputs` inputs, or only the one of number `only`; the failures."""
    say(f"seed {seed}")
    began, counts, refused, failures = time.monotonic(), Counter[str](), Counter[str](), list[str]()
    with place() as (box, outside):
        watch = Watch(box, outside)
        for number in range(inputs) if only is None else [only]:
            chance = Random(f"{seed}/{number}")
            reader = chance.choices(list(READERS), list(READERS.values()))[0]
            counts[reader.__name__] += 1
            fresh(box)
            try:
                for call in reader(Box(box, outside, chance)):
                    refused[reader.__name__] += bool(watch.call(call.do, call.allowed))
            except Misbehaviour as error:
                failures.append(f"input {number} of seed {seed} ({reader.__name__}): {error}")
                say(failures[-1])
                if len(failures) >= MOST_SHOWN:
                    break
    for name, count in counts.items():
        say(f"{name:12} {count:6} inputs, {refused[name]:6} calls refused in a line")
    seconds = time.monotonic() - began
    tried = counts.total()
    say(f"{tried} inputs, {len(failures)} failures, {seconds:.0f} s ({tried / seconds:.0f} a second)")
    return failures


@contextmanager
def place() -> Iterator[tuple[Path, Path]]:
    """(the box, what lies outside of it): two folders side by side; the process works in the first."""
    for prepare in (run_files, images, photo, torch_files):  # made once, unwatched
        prepare()
    here, environment = Path.cwd(), dict(os.environ)
    with tempfile.TemporaryDirectory() as name:
        base = Path(os.path.realpath(name))
        box, outside = base / "box", base / "outside"
        (outside / "kept").mkdir(parents=True)
        for file in (outside / "kept.txt", outside / "kept" / "photo.jpg", outside / "kept" / "events.jsonl"):
            file.write_text("kept\n")
        box.mkdir()
        os.environ.update(HOME=str(box), XDG_STATE_HOME=str(box / "state"), XDG_CACHE_HOME=str(box / "cache"))
        os.chdir(box)
        tempfile.tempdir = str(box)  # torch makes a folder there
        try:
            yield box, outside
        finally:
            os.chdir(here)
            tempfile.tempdir = None
            os.environ.clear()
            os.environ.update(environment)


def fresh(box: Path) -> None:
    """Empty the box."""
    for entry in list(os.scandir(box)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    inputs, seed = (numbers + [50_000, random.randrange(10**6)][len(numbers):])[:2]
    sys.exit(1 if fuzz(inputs, seed, numbers[2] if len(numbers) > 2 else None) else 0)
