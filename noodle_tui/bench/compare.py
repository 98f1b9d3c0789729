"""The comparison: ceiling, trainer and plain loop take turns in one process, so that a slow minute is everybody's."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torchvision

from noodle_tui.bench.ceiling import ceilings
from noodle_tui.bench.options import BenchOptions
from noodle_tui.bench.photos import DRAWN_BYTES, draw_photos, link_some
from noodle_tui.bench.plain import PlainLoop
from noodle_tui.bench.start_up import start_up
from noodle_tui.bench.trainer import TRAIN, VALIDATED, Trainer
from noodle_tui.config import DEFAULT_PERSON
from noodle_tui.dataset import Dataset, load_dataset
from noodle_tui.device import Device, available_cpus, computes_bf16, pick_device, release_memory, set_up
from noodle_tui.disk import RUN_BYTES, check_temporary_room
from noodle_tui.errors import UsageError
from noodle_tui.samples import Sample, find_samples
from noodle_tui.step import check_compiler

EPOCH_MAY_LAST = 3  # times --seconds; a slow device gets a sample of the photos that can be done in that time
MOST_EPOCHS = 10  # that a round measures
WORKERS = 12  # of the plain loop's loader, where there are as many processors
JOB_PHOTOS, JOB_EPOCHS = 240, 40  # the whole job of start_up, on a GPU
SLOW_JOB_EPOCHS = 2  # elsewhere
CEILING, TRAINER, PLAIN = "ceiling", "trainer", "plain loop"

Say = Callable[[str], None]
Turn = Callable[[], dict[str, float]]  # images a second of whatever one turn measures


@dataclass(frozen=True)
class BatchResult:
    """One batch size: images a second of each contender, a value a round."""

    batch_size: int
    rates: dict[str, dict[str, list[float]]]  # {"ceiling": {"eager": […]}, "trainer": {"train only": […]}, "plain loop": …}

    def median(self, group: str, name: str) -> float:
        return statistics.median(self.rates[group][name])

    @property
    def best_ceiling(self) -> str:
        return max(self.rates[CEILING], key=lambda name: self.median(CEILING, name))

    @property
    def busy(self) -> float:
        """The steady epoch, train only, as a share of the ceiling: how much of its time the device spends on the network."""
        return self._ratio(TRAIN, CEILING, self.best_ceiling)

    def times_plain(self, name: str) -> float:
        """The epoch with validation, as a multiple of one plain loop."""
        return self._ratio(VALIDATED, PLAIN, name)

    def _ratio(self, of_trainer: str, group: str, name: str) -> float:
        """The median of the rounds' ratios: what slows a whole round leaves its ratio as it is."""
        pairs = zip(self.rates[TRAINER][of_trainer], self.rates[group][name], strict=True)
        return statistics.median(mine / other for mine, other in pairs)

    @property
    def unsteadiness(self) -> float:
        """By how much a contender's fastest round was faster than its slowest, at worst."""
        return max(max(rounds) / min(rounds) for members in self.rates.values() for rounds in members.values())


@dataclass(frozen=True)
class BenchResult:
    """All that `noodle bench` found out."""

    torch_version: str
    torchvision_version: str
    device: str
    device_name: str
    precision: str
    input_size: int
    rounds: int
    photos: str  # in words
    where: str  # the pixels are kept, in words
    batches: list[BatchResult]
    decode_rate: float  # images a second
    start_up: dict[str, float]  # seconds
    notes: list[str] = field(default_factory=list)


def bench(options: BenchOptions, say: Say) -> BenchResult:
    """Measure everything; `say` is told what is under way. UsageError where the photos are fewer than a batch."""
    drawn = 0 if options.data_dir else options.count * options.width * options.height * DRAWN_BYTES
    check_temporary_room(int(drawn) + 2 * RUN_BYTES)  # the start-up's two runs come last: all before would be lost
    threads = torch.get_num_threads()  # torch's own choice
    device = pick_device(options.run.device, options.run.precision)
    set_up(device)
    if options.run.compile:
        check_compiler(device)
    say(f"{device.name}, {device.precision}")
    with tempfile.TemporaryDirectory(prefix="noodle-bench-") as name:
        place = Path(name)
        data_dir = options.data_dir or _drawn(place / "drawn", options, say)
        classes, samples, *_ = find_samples(data_dir, DEFAULT_PERSON)
        check_batches(options, len(samples["train"]))
        photos = _photos_in_words(options, samples)
        notes: list[str] = []

        # what this trainer gets: all photos, or on a slow device as many as it trains on in a few seconds
        least = min(2 * max(options.batch_sizes), len(samples["train"]))
        link_some(samples, classes, least, place / "few")
        say("a first look at this trainer's speed")
        rate = _first_look(place / "few", options, device)
        n_train = _sample_size(rate * options.seconds, len(samples["train"]), max(options.batch_sizes))
        some_dir, n_val = data_dir, len(samples["val"])
        if n_train < len(samples["train"]):
            some_dir = place / "some"
            n_train, n_val = link_some(samples, classes, n_train, some_dir)
            notes.append(f"this trainer's epochs, the decoding and the start-up are over a sample: {n_train} of "
                         f"{len(samples['train'])} training and {n_val} of {len(samples['val'])} validation photos")
        say(f"decoding {n_train + n_val} photos")
        began = time.perf_counter()
        data = _load(some_dir, options, device)
        decode_rate = (n_train + n_val) / (time.perf_counter() - began)

        batches = []
        epochs = min(MOST_EPOCHS, max(1, round(options.seconds * rate / n_train)))
        for number, batch_size in enumerate(options.batch_sizes):
            say(f"batch {batch_size}: warming up")
            with Trainer(data, options.run.model_copy(update={"batch_size": batch_size}), device) as trainer:
                trainer.turn(1)  # compiles and captures
                contenders: dict[str, list[Turn]] = {
                    CEILING: _ceilings(batch_size, len(data.classes), options, device),
                    TRAINER: [lambda trainer=trainer: trainer.turn(epochs)],
                }
                if number == 0:  # the plain loop's speed hardly depends on the batch
                    contenders[PLAIN] = _plain_loops(data_dir, batch_size, options, device, threads, notes)
                batches.append(BatchResult(batch_size, take_turns(contenders, options.rounds, batch_size, say)))
            del contenders, trainer
            release_memory()
        if len(options.batch_sizes) > 1:
            notes.append(f"the plain loop is measured at batch {options.batch_sizes[0]} only")

        say("starting up in fresh processes")
        seconds = _start_up(samples, classes, n_train, place / "job", options, device)
    return BenchResult(
        torch_version=torch.__version__, torchvision_version=torchvision.__version__, device=str(device.torch_device),
        device_name=device.name, precision=device.precision, input_size=options.run.input_size, rounds=options.rounds,
        photos=photos, where=data.where, batches=batches, decode_rate=decode_rate,
        start_up=seconds, notes=notes,
    )


def check_batches(options: BenchOptions, n_train: int) -> None:
    """UsageError where a batch is larger than the training split."""
    largest = max(options.batch_sizes)
    if largest > n_train:
        more = "name a smaller one" if options.data_dir else "name a smaller one, or draw more with --count"
        raise UsageError(f"--batch-size: {largest} is more than the {n_train} training photos; {more}")


def take_turns(contenders: dict[str, list[Turn]], rounds: int, batch_size: int, say: Say) -> dict[str, dict[str, list[float]]]:
    """Every contender once a round: images a second, a value a round."""
    rates: dict[str, dict[str, list[float]]] = {group: {} for group in contenders}
    for number in range(1, rounds + 1):
        for group, turns in contenders.items():
            for turn in turns:
                for name, rate in turn().items():
                    rates[group].setdefault(name, []).append(rate)
                    say(f"batch {batch_size}, round {number} of {rounds}: {group}, {name}: {rate:,.1f} images/s")
    return rates


def _ceilings(batch_size: int, n_classes: int, options: BenchOptions, device: Device) -> list[Turn]:
    measures = ceilings(batch_size, n_classes, options.run, device, options.seconds)
    return [lambda name=name, measure=measure: {name: measure()} for name, measure in measures.items()]


def _plain_loops(
    data_dir: Path, batch_size: int, options: BenchOptions, device: Device, threads: int, notes: list[str]
) -> list[Turn]:
    """The plain loop without and with workers, in fp32 and, where the device computes it, in bf16."""
    hardware_bf16 = computes_bf16(device.torch_device)
    if not hardware_bf16:
        notes.append("no plain loop in bf16: this device doesn't compute it in hardware")
    turns: list[Turn] = []
    for workers in (0, options.workers or min(WORKERS, available_cpus())):
        for precision in ("fp32", "bf16") if hardware_bf16 else ("fp32",):
            loop = PlainLoop(data_dir, batch_size, options.run.input_size, device.torch_device, workers, precision == "bf16")
            first = min(loop.n_train, batch_size * (2 + workers))  # a batch for each worker, which it starts here, too
            rate = _plain_epoch(loop, first, threads)
            n = _sample_size(rate * options.seconds, loop.n_train, batch_size)
            name = f"{workers} workers, {precision}"
            if n < loop.n_train:
                notes.append(f"the plain loop's epochs with {name} are over a sample: {n} of {loop.n_train} photos")
            turns.append(lambda name=name, loop=loop, n=n: {name: _plain_epoch(loop, n, threads)})
    return turns


def _plain_epoch(loop: PlainLoop, n_train: int, threads: int) -> float:
    with _as_in_a_plain_process(threads):
        return loop.epoch(n_train)


@contextmanager
def _as_in_a_plain_process(threads: int) -> Iterator[None]:
    """The plain loop's turn: what this program sets for a whole process is as torch has it in a process of its own.

    cuDNN may choose its kernels as it likes, and on the CPU torch takes as many threads as it does by itself. What else comes
    to be set for the process belongs in here, unless only the trainer's turns have it, as trainer.py keeps freed memory. What
    heap.py leaves behind changes nothing here: the loop runs in the main thread, whose heap is the shared one, and the limits
    are those that glibc comes to by itself.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.allow_tf32, torch.get_num_threads()
    cudnn.deterministic, cudnn.allow_tf32 = False, True
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.allow_tf32 = before[:2]
        torch.set_num_threads(before[2])


def _sample_size(images: float, n: int, batch_size: int) -> int:
    """How many of `n` photos an epoch is over, where `images` take --seconds: whole batches, two at least."""
    whole_batches = max(2, round(EPOCH_MAY_LAST * images / batch_size)) * batch_size
    return min(n, whole_batches)


def _first_look(data_dir: Path, options: BenchOptions, device: Device) -> float:
    """Images a second of one epoch over a few photos."""
    config = options.run.model_copy(update={"batch_size": max(options.batch_sizes), "compile": False})
    with Trainer(_load(data_dir, options, device), config, device) as trainer:
        return trainer.turn(1)[VALIDATED]


def _load(data_dir: Path, options: BenchOptions, device: Device) -> Dataset:
    return load_dataset(data_dir, find_samples(data_dir, DEFAULT_PERSON), options.run.input_size, device)


def _drawn(folder: Path, options: BenchOptions, say: Say) -> Path:
    say(f"drawing {options.count} photos of {options.width} x {options.height}")
    draw_photos(folder, options.count, options.width, options.height)
    return folder


def _start_up(
    samples: dict[str, list[Sample]], classes: list[str], n_train: int, folder: Path, options: BenchOptions, device: Device
) -> dict[str, float]:
    """start_up() on JOB_PHOTOS photos, or fewer on a slow device; 40 epochs on a GPU, 2 elsewhere."""
    share = len(samples["train"]) / (len(samples["train"]) + len(samples["val"]))
    wanted = min(n_train, max(options.batch_sizes[0], round(JOB_PHOTOS * share)))
    train, val = link_some(samples, classes, wanted, folder)
    epochs = JOB_EPOCHS if device.torch_device.type == "cuda" else SLOW_JOB_EPOCHS
    return {"photos": train + val, **start_up(folder, options, epochs)}


def _photos_in_words(options: BenchOptions, samples: dict[str, list[Sample]]) -> str:
    everything = samples["train"] + samples["val"]
    return (f"{len(samples['train'])} + {len(samples['val'])} " +
            (f"photos of {options.data_dir}" if options.data_dir else f"drawn JPEGs of {options.width} x {options.height}") +
            f", {statistics.mean(s.path.stat().st_size for s in everything) / 1000:.0f} KB each")
