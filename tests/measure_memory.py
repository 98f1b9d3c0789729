"""The main memory that reading many photos takes beyond their pixels: peak of `load_dataset`, less that of the imports.

    python tests/measure_memory.py [COUNT] [SIZE]

Draws a few JPEGs of SIZE x SIZE pixels (32) and links them under COUNT names (100,000), a tenth of them for validation.
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

DIFFERENT = 50  # photos; a file system allows some ten thousand links to one
MIB = 2**20


def draw(folder: Path, count: int, size: int) -> None:
    random = np.random.default_rng(0)
    originals = []
    for i in range(DIFFERENT):
        originals.append(folder / f"{i}.jpg")
        Image.fromarray(random.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(originals[-1])
    for i in range(count):
        place = folder / "data" / ("val" if i % 10 == 0 else "train") / ("sad" if i % 20 < 10 else "happy")
        if i < 20:
            place.mkdir(parents=True, exist_ok=True)
        os.link(originals[i % DIFFERENT], place / f"{i % 977:03}P_Ne_to_Ha_C{i:06}.jpg")


def measure(data_dir: str, size: int) -> None:
    """In a process of its own: print peak and store in MiB."""
    import torch

    from noodle_tui.config import DEFAULT_PERSON
    from noodle_tui.dataset import load_dataset
    from noodle_tui.device import Device
    from noodle_tui.samples import find_samples

    before = peak()
    data = load_dataset(Path(data_dir), find_samples(Path(data_dir), DEFAULT_PERSON), size,
                        Device(torch.device("cpu"), "CPU", "fp32"))
    store = sum(3 * int(split.sizes.prod(axis=1).sum()) for split in (data.train, data.val))
    n = len(data.train.samples) + len(data.val.samples)
    print(f"{n:,} photos: peak {peak() / MIB:.0f} MiB, {before / MIB:.0f} MiB of it imports, {store / MIB:.0f} MiB pixels; "
          f"beyond these {(peak() - before - store) / MIB:.0f} MiB")


def peak() -> int:
    """Bytes of main memory that this process held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 32
    with tempfile.TemporaryDirectory() as name:
        draw(Path(name), count, size)
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import measure_memory; " \
               f"measure_memory.measure({str(Path(name) / 'data')!r}, {size})"
        subprocess.run([sys.executable, "-c", code], check=True)


if __name__ == "__main__":
    main()
