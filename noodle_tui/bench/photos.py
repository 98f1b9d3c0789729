"""JPEGs to measure with: as large on disk and as slow to decode as a photo of a face, drawn fast."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from noodle_tui.device import available_cpus
from noodle_tui.samples import Sample

CLASSES = ("happy", "sad")
VAL_EVERY = 10  # one photo in so many is for validation
QUALITY = 90
DRAWN_BYTES = 0.3  # a pixel, in a file, or a little less
GRAIN = 6.0  # standard deviation of the sensor's noise, in grey levels: it decides the file's size


def draw_photos(folder: Path, count: int, width: int, height: int) -> None:
    """Draw `count` JPEGs of width x height into `folder`/{train,val}/{happy,sad}: soft gradients and a sensor's grain.

    One in ten is for validation; the classes are equally large. A 562 x 762 photo takes about 110 KB.
    """
    grain = np.random.default_rng(0).normal(0, GRAIN, (2 * height, 2 * width, 3)).astype(np.float32)

    def draw(number: int) -> None:
        split = "val" if number // len(CLASSES) % VAL_EVERY == 0 else "train"
        path = folder / split / CLASSES[number % len(CLASSES)] / f"p{number // 20:05d}_{number:06d}.jpg"
        _photo(np.random.default_rng([1, number]), width, height, grain).save(path, "JPEG", quality=QUALITY)

    for split in ("train", "val"):
        for name in CLASSES:
            (folder / split / name).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(available_cpus()) as pool:
        list(pool.map(draw, range(count)))  # raises what a thread has raised


def _photo(random: np.random.Generator, width: int, height: int, grain: np.ndarray) -> Image.Image:
    """A few large soft spots of colour under a window of the grain."""
    spots = Image.fromarray(random.integers(40, 216, (8, 6, 3), dtype=np.uint8))
    soft = np.asarray(spots.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
    top, left = random.integers(0, height + 1), random.integers(0, width + 1)
    noisy = soft + grain[top : top + height, left : left + width]
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def link_some(samples: dict[str, list[Sample]], classes: list[str], n_train: int, folder: Path) -> tuple[int, int]:
    """A data folder of links to `n_train` of the training photos and as large a share of the validation photos.

    They are spread evenly over the classes, and of each there is one at least. Returns how many of each split there are.
    """
    share = n_train / len(samples["train"])
    counts = {"train": n_train, "val": max(len(classes), round(share * len(samples["val"])))}
    for split, all_of_split in samples.items():
        wanted = min(counts[split], len(all_of_split))
        first = {sample.label: number for number, sample in reversed(list(enumerate(all_of_split)))}
        numbers = set(np.linspace(0, len(all_of_split) - 1, wanted).round().astype(int).tolist())
        there = {all_of_split[number].label for number in numbers}
        numbers |= {number for label, number in first.items() if label not in there}
        counts[split] = len(numbers)
        for number in sorted(numbers):
            sample = all_of_split[number]
            place = folder / split / classes[sample.label] / f"{number:06d}{sample.path.suffix}"
            place.parent.mkdir(parents=True, exist_ok=True)
            os.symlink(sample.path.resolve(), place)
    return counts["train"], counts["val"]
