"""How long rejig takes for many photos, beside `find` and `ln` on the same files.

    python tests/measure_rejig.py [COUNT] [ROUNDS]

Links a few small JPEGs under COUNT names (100,000) in folders of 1,000. In each of ROUNDS rounds (3), one after the other:
`find` lists them; `find` and `ln -s` link them into one folder; rejig plans, with a look at each header, and applies with
links. Prints medians and the medians of the rounds' ratios.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from noodle_tui.config import RunConfig
from noodle_tui.rejig import apply_rejig, plan_rejig

DIFFERENT = 50  # photos; a file system allows some ten thousand links to one


def draw(folder: Path, stimuli: Path, count: int) -> None:
    random = np.random.default_rng(0)
    originals = [folder / f"{i}.jpg" for i in range(DIFFERENT)]
    for path in originals:
        Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)
    for i in range(count):
        place = stimuli / f"{i // 1000:03}"
        if i % 1000 == 0:
            place.mkdir(parents=True)
        os.link(originals[i % DIFFERENT], place / f"{i // 40:04}F_Ne_to_{'Ha' if i % 2 else 'Sa'}_C{i:06}.JPG")


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(stimuli: Path, place: Path) -> dict[str, float]:
    links, config = place / "links", RunConfig(stimuli=stimuli, data_dir=place / "data", mode="link")
    links.mkdir()
    find = ["find", str(stimuli), "-type", "f"]
    taken = {
        "find": seconds(lambda: subprocess.run(find, stdout=subprocess.DEVNULL, check=True)),
        "find + ln": seconds(lambda: subprocess.run([*find, "-exec", "ln", "-s", "-t", str(links), "{}", "+"], check=True)),
        "plan": seconds(lambda: plan_rejig(config)),
    }
    plan = plan_rejig(config)
    taken["apply"] = seconds(lambda: apply_rejig(plan))
    shutil.rmtree(links)
    shutil.rmtree(config.data_dir)
    return taken


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        draw(place, place / "stimuli", count)
        taken = [measure(place / "stimuli", place) for _ in range(rounds)]
    for what in taken[0]:
        ratios = "; ".join(f"{statistics.median(one[what] / one[base] for one in taken):.1f} times {base}"
                           for base in ("find", "find + ln"))
        print(f"{what}: {statistics.median(one[what] for one in taken):.2f} s ({ratios})")


if __name__ == "__main__":
    main()
