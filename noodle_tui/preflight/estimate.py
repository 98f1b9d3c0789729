"""Rough answers before a run: how long, how much memory. Each is said with "about"."""

import csv
import json
import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import median

from noodle_tui.config import RunConfig
from noodle_tui.disk import MODEL_BYTES
from noodle_tui.errors import NoodleError
from noodle_tui.run_folder import EVENTS, MAX_LINE, METRICS, list_runs, open_plain, read_config, read_plain

MIB, GIB = 2**20, 2**30
ACTIVATION_BYTES = 22 * MIB  # of one 224 x 224 image in fp32, kept for the backward pass: 5.8 million numbers
START_SECONDS = 6.0  # importing torch, building the network
DECODED_PER_SECOND = 500 * 3 * 562 * 762  # bytes of pixels by one processor: 500 photos of 562 x 762, 18 of 12 megapixels
MEASURED_RUNS = 5  # how many past runs are asked for their speed
MOST_METRICS = 64 * MIB  # bytes
HEADERS = 32  # photos whose size is looked up, of all

# Images a second in training, at 224 pixels a side, as this trainer was measured.
H100_RATE = 5700.0
H100_PROCESSORS = 132  # streaming multiprocessors; other cards are scaled by theirs
MPS_RATE = 250.0
CPU_RATE = {"fp32": 6.0, "bf16": 16.0}  # per processor
CPU_EACH = 0.004  # seconds of a processor that an image takes, however small


@dataclass(frozen=True)
class Machine:
    """What the run would be computed on."""

    device: str  # as in ModelReady: "cuda:0", "mps", "cpu"
    name: str
    precision: str  # "fp32" or "bf16"
    processors: int  # streaming multiprocessors of a CUDA card, else the CPU's processors


@dataclass(frozen=True)
class Cost:
    """Rough: say "about"."""

    seconds: float
    measured: bool  # the speed is a past run's on this device, else a table's
    photo_bytes: int  # decoded photos
    training_bytes: int  # weights, momentum, gradients, activations of one batch


@dataclass(frozen=True)
class Speed:
    images_per_second: float  # in training; where measured, over whole epochs, validation and its images included
    measured: bool  # by a past run on this device; else from a table


def cost_of(config: RunConfig, machine: Machine, epochs: int, train: int, val: int, bytes_each: float) -> Cost:
    """Of a run of `epochs` epochs over `train` and `val` images; a decoded photo takes `bytes_each`. Imports torch."""
    from noodle_tui.device import available_cpus

    speed = speed_of(config, machine)
    validations = ceil(epochs / config.test_every)
    # validation has no backward pass: a third of the work, which a measured rate has in it
    work = epochs * train + validations * val * (1 if speed.measured else 1 / 3)
    decoding = (train + val) * bytes_each / (DECODED_PER_SECOND * available_cpus())
    pixels = train * bytes_each + val * 3 * config.input_size**2  # photos as they are, validation images at the input size
    scale = (config.input_size / 224) ** 2 * (0.5 if machine.precision == "bf16" else 1.0)
    training = 4 * MODEL_BYTES + min(config.batch_size, train) * ACTIVATION_BYTES * scale
    return Cost(START_SECONDS + decoding + work / speed.images_per_second, speed.measured, int(pixels), int(training))


def speed_of(config: RunConfig, machine: Machine) -> Speed:
    """How quickly the machine trains. Asks the last runs in save_dir; without one on the same device the table above, scaled by
    pixels and processors, has to do."""
    if rates := _measured(config, machine):
        return Speed(median(rates), True)
    pixels, processors = (224 / config.input_size) ** 2, machine.processors
    if machine.device.startswith("cuda"):
        return Speed(H100_RATE * processors / H100_PROCESSORS * pixels * (1.0 if machine.precision == "bf16" else 0.6), False)
    if machine.device.startswith("mps"):
        return Speed(MPS_RATE * pixels, False)
    return Speed(processors / (CPU_EACH + 1 / (CPU_RATE[machine.precision] * pixels)), False)


def photo_bytes(paths: Sequence[Path]) -> float:
    """Bytes of a decoded photo (3 a pixel), the mean of a few of `paths`; 0 if none can be read."""
    from noodle_tui.images import BadImage, open_photo

    sizes: list[int] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of very large photos on stderr, which would tear a screen
        for path in random.Random(0).sample(paths, min(HEADERS, len(paths))):
            try:
                with open_photo(path) as image:
                    sizes.append(3 * image.width * image.height)
            except (BadImage, MemoryError):
                continue  # named, with its reason, where the photos are looked at
    return sum(sizes) / len(sizes) if sizes else 0.0


def _measured(config: RunConfig, machine: Machine) -> list[float]:
    """Images a second of the last runs in save_dir that were computed on this at this input size, with half to twice the batch
    size."""
    try:
        runs = list_runs(config.save_dir)[:MEASURED_RUNS]
    except NoodleError:
        return []  # save_dir can't be listed: said where the disk is looked at
    rates = []
    for folder in runs:
        try:
            options = read_config(folder)
            alike = (options["input_size"] == config.input_size
                     and 0.5 <= options["batch_size"] / config.batch_size <= 2)
            if alike and _device_of(folder) == (machine.name, machine.precision):
                table = read_plain(folder / METRICS, MOST_METRICS).decode().splitlines()
                epochs = [float(row["images_per_second"]) for row in csv.DictReader(table)]
                rates.append(median(epochs[1:] or epochs))  # the first epoch warms up
        except (NoodleError, OSError, ValueError, KeyError, TypeError, ArithmeticError):
            continue  # a run folder that is unfinished or broken has nothing to say about speed
    return [rate for rate in rates if rate > 0]


def _device_of(folder: Path) -> tuple[str, str]:
    """Device name and precision of a run, from its ModelReady event. ValueError if it never got that far."""
    with open_plain(folder / EVENTS) as file:
        beginning = file.read(MAX_LINE)
    for line in beginning.splitlines():
        if b'"device_name"' in line:
            event = json.loads(line)
            return str(event["device_name"]), str(event["precision"])
    raise ValueError("no ModelReady")
