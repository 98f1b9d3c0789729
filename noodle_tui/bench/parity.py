"""Does the fast path learn as well? Several seeds of it against fp32, eager, with torchvision's own transforms on PIL images.

Both arms start from the same weights, take the same hyperparameters, and keep the best epoch by the same rule. Where accuracy
saturates, the last epoch's loss still tells them apart; where it jumps from epoch to epoch, the mean of the last ones does.
"""

import json
import math
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from noodle_tui.bench.options import MAX_SEEDS, ParityOptions
from noodle_tui.bench.plain import Photos, transforms_of
from noodle_tui.config import DEFAULT_PERSON, RunConfig
from noodle_tui.control import Control
from noodle_tui.dataset import Dataset, load_dataset
from noodle_tui.demo import demo_config_values, draw_stimuli
from noodle_tui.device import Device, pick_device, set_up
from noodle_tui.disk import check_temporary_room
from noodle_tui.fit import fit
from noodle_tui.forward import EVAL_BATCH
from noodle_tui.model import build_model
from noodle_tui.rejig import apply_rejig, plan_rejig
from noodle_tui.samples import find_samples
from noodle_tui.session import new_session, sgd

FAST, PLAIN = "this trainer", "plain fp32"
NEVER = 10**9  # epochs between two saves
HELD_OUT = 0.5  # of the drawn people: the interval of a difference needs validation photos more than training ones
PEOPLE_BYTES = 50 * 2**20  # of the drawn people's photos, and of the copies that are sorted
COARSE = 0.03  # half an interval of accuracy: what is less than so many points apart isn't seen
MOST_SHOWN = 12  # epochs of the curve in words
# Student's t, 97.5 % point, for 1 to 30 degrees of freedom
T975 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448,
        2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484,
        2.0452, 2.0423)
assert len(T975) == MAX_SEEDS - 1

Photo = tuple[Image.Image, int]  # and its label


MEASURES = {"best": "best accuracy", "final": "final accuracy", "late": "late accuracy", "loss": "final loss"}  # of a Score


@dataclass(frozen=True)
class Score:
    """What one training came to on the validation images, epoch by epoch."""

    accuracies: list[float]
    losses: list[float]  # mean cross-entropy an image

    @property
    def best(self) -> float:
        return max(self.accuracies)

    @property
    def final(self) -> float:
        return self.accuracies[-1]

    @property
    def late(self) -> float:
        """The mean of the last quarter of the epochs."""
        return statistics.mean(self.accuracies[-math.ceil(len(self.accuracies) / 4) :])

    @property
    def loss(self) -> float:
        return self.losses[-1]

    @property
    def in_words(self) -> str:
        return f"best {self.best:.3f}, final {self.final:.3f}, loss {self.loss:.3f}"

    @property
    def as_json(self) -> dict[str, Any]:
        return {**{measure: getattr(self, measure) for measure in MEASURES}, **asdict(self)}


@dataclass(frozen=True)
class ParityResult:
    """Both arms' scores, one a seed, in the order of `seeds`."""

    data: str
    device_name: str
    precision: str  # of the fast arm
    n_train: int
    n_val: int
    options: dict[str, float | int | str]
    seeds: list[int]
    scores: dict[str, list[Score]]

    def values(self, arm: str, measure: str) -> list[float]:
        return [getattr(score, measure) for score in self.scores[arm]]

    def differences(self, measure: str) -> list[float]:
        """This trainer's value less the plain loop's, seed by seed."""
        return [a - b for a, b in zip(self.values(FAST, measure), self.values(PLAIN, measure), strict=True)]

    def curve(self, arm: str) -> list[float]:
        """The mean accuracy of the seeds, epoch by epoch: has it stopped rising?"""
        return [statistics.mean(epoch) for epoch in zip(*(score.accuracies for score in self.scores[arm]), strict=True)]


def parity(options: ParityOptions, say: Callable[[str], None]) -> ParityResult:
    """Train both arms with each seed; `say` is told what each came to."""
    device = pick_device(options.run.device, options.run.precision)
    set_up(device)
    build_model(options.run.weights, 2, seed=0)  # weights that are missing or don't fit are told before anything is drawn
    with _folder_of_photos(options.data_dir, say) as data_dir:
        data = load_dataset(data_dir, find_samples(data_dir, DEFAULT_PERSON), options.run.input_size, device)
        photos = {split: pil_images(data_dir, split) for split in ("train", "val")}
    scores: dict[str, list[Score]] = {FAST: [], PLAIN: []}
    seeds = list(range(1, options.seeds + 1))
    for seed in seeds:
        config = options.run.model_copy(update={"seed": seed, "save_every": NEVER})
        scores[FAST].append(fast_arm(data, config, device))
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # or float32 loses 13 bits in convolutions
            scores[PLAIN].append(plain_arm(photos, len(data.classes), config, device.torch_device))
        say(f"seed {seed} of {len(seeds)}: " + "; ".join(f"{arm}: {got[-1].in_words}" for arm, got in scores.items()))
    return ParityResult(
        data=str(options.data_dir or "drawn people, split by person"), device_name=device.name, precision=device.precision,
        n_train=len(photos["train"]), n_val=len(photos["val"]),
        options={"epochs": options.run.n_epochs, "batch size": options.run.batch_size, "input size": options.run.input_size,
                 "lr": options.run.lr, "momentum": options.run.momentum, "weights": options.run.weights},
        seeds=seeds, scores=scores,
    )


def fast_arm(data: Dataset, config: RunConfig, device: Device) -> Score:
    """This trainer, by the real `fit`."""
    model = build_model(config.weights, len(data.classes), config.seed).to(device.torch_device)
    session = new_session(model, config, device.torch_device)
    fit(session, data, config, device, emit=lambda event: None, control=Control(), save=lambda session: None)
    epochs = [(epoch.val_accuracy, epoch.val_loss) for epoch in session.history]
    return Score([accuracy for accuracy, _ in epochs if accuracy is not None], [loss for _, loss in epochs if loss is not None])


def plain_arm(photos: dict[str, list[Photo]], n_classes: int, config: RunConfig, device: torch.device) -> Score:
    """The plain loop in fp32 and eager: torchvision's transforms, image by image, and torch's own shuffle."""
    model = build_model(config.weights, n_classes, config.seed).to(device)
    optimizer = sgd(model, config)
    transform = transforms_of(config.input_size)
    torch.manual_seed(config.seed)  # of the shuffle, the crops and the flips
    val = [(transform["val"](image), label) for image, label in photos["val"]]
    score = Score([], [])
    for _ in range(config.n_epochs):
        model.train()
        order = torch.randperm(len(photos["train"])).tolist()
        shuffled = ((transform["train"](photos["train"][i][0]), photos["train"][i][1]) for i in order)
        for images, labels in _batches(shuffled, config.batch_size, device):
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
        loss, correct = _validate(model, val, device)
        score.losses.append(loss / len(val))
        score.accuracies.append(correct / len(val))
    return score


@torch.no_grad()
def _validate(model: nn.Module, val: list[tuple[Tensor, int]], device: torch.device) -> tuple[float, int]:
    """Summed cross-entropy and number of right answers."""
    model.eval()
    loss, correct = 0.0, 0
    for images, labels in _batches(iter(val), EVAL_BATCH, device):
        logits = model(images)
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        correct += int((logits.argmax(1) == labels).sum())
    return loss, correct


def _batches(pairs: Iterator[tuple[Tensor, int]], size: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    images: list[Tensor] = []
    labels: list[int] = []
    for image, label in pairs:
        images.append(image)
        labels.append(label)
        if len(images) == size:
            yield torch.stack(images).to(device), torch.tensor(labels, device=device)
            images, labels = [], []
    if images:
        yield torch.stack(images).to(device), torch.tensor(labels, device=device)


def pil_images(data_dir: Path, split: str) -> list[Photo]:
    """Every image of a split that the trainer takes, as ImageFolder decodes it, turned upright as the trainer does, once, with
    its label."""
    photos = Photos(find_samples(data_dir, DEFAULT_PERSON).samples[split])
    return [(ImageOps.exif_transpose(image), label) for image, label in (photos[i] for i in range(len(photos)))]


@contextmanager
def _folder_of_photos(given: Path | None, say: Callable[[str], None]) -> Iterator[Path]:
    """The folder that was given; without one the demo's people, drawn for now; half of them are held out."""
    if given is not None:
        yield given
        return
    check_temporary_room(PEOPLE_BYTES)
    with tempfile.TemporaryDirectory(prefix="noodle-parity-") as place:
        say("drawing people")
        draw_stimuli(Path(place) / "stimuli")
        demo = RunConfig(**{**demo_config_values(Path(place)), "val_fraction": HELD_OUT})
        apply_rejig(plan_rejig(demo))
        yield demo.data_dir


def interval_of_mean(values: list[float]) -> tuple[float, float]:
    """Student's 95 % interval of the mean of 2 to 31 values."""
    half = T975[len(values) - 2] * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values) - half, statistics.mean(values) + half


def verdict(result: ParityResult) -> str:
    """A sentence a measure: does the interval of the mean paired difference hold zero? And whether it could tell."""
    sentences = [_in_words(measure, interval_of_mean(result.differences(measure))) for measure in MEASURES]
    half = max((high - low) / 2 for low, high in map(interval_of_mean, map(result.differences, ("best", "late"))))
    if half > COARSE:
        sentences.append(f"This is coarse: {half:.3f} more or less in accuracy would go unseen; more --seeds, or more "
                         f"validation photos than {result.n_val}, see finer.")
    return " ".join(sentences)


def _in_words(measure: str, interval: tuple[float, float]) -> str:
    low, high = interval
    words = MEASURES[measure].capitalize()
    span = f"{low:+.3f} to {high:+.3f}"
    if low <= 0 <= high:
        return f"{words}: no difference is seen ({span})."
    better = FAST if (low > 0) != (measure == "loss") else PLAIN
    return f"{words}: {better} is better ({span})."


def print_parity(result: ParityResult) -> None:
    """A table of both arms, the paired differences, the curves and the verdict, on stdout."""
    console = Console(highlight=False, markup=False, width=None if Console().is_terminal else 110)
    console.print(f"{result.data}: {result.n_train} + {result.n_val} photos; " +
                  ", ".join(f"{name} {value}" for name, value in result.options.items()))
    console.print(f"{result.device_name}; {FAST} in {result.precision}; {PLAIN} is eager, with torchvision's transforms")
    console.print(_table(result))
    console.print(f"differences are {FAST} less {PLAIN}, seed by seed, with the 95 % interval of their mean; late accuracy is "
                  "the mean of the last quarter of the epochs")
    for arm in (FAST, PLAIN):
        console.print(f"mean accuracy by epoch, {arm}: {_curve_in_words(result.curve(arm))}")
    console.print(verdict(result), style="bold")


def _table(result: ParityResult) -> Table:
    table = Table(title=f"on the validation photos, {len(result.seeds)} seeds", title_justify="left")
    table.add_column("", no_wrap=True)
    table.add_column("mean", justify="right", no_wrap=True)
    table.add_column("sd", justify="right", no_wrap=True)
    table.add_column("each seed")
    for measure, words in MEASURES.items():
        for arm in (FAST, PLAIN):
            values = result.values(arm, measure)
            table.add_row(f"{words}, {arm}", f"{statistics.mean(values):.3f}", f"{statistics.stdev(values):.3f}",
                          " ".join(f"{value:.3f}" for value in values))
        differences = result.differences(measure)
        low, high = interval_of_mean(differences)
        table.add_row(f"{words}, difference", f"{statistics.mean(differences):+.3f}", f"{statistics.stdev(differences):.3f}",
                      f"{low:+.3f} to {high:+.3f}", end_section=True)
    return table


def _curve_in_words(curve: list[float]) -> str:
    """The last epoch and up to MOST_SHOWN - 1 before it, evenly spaced: "1: 0.512, 3: 0.733"."""
    step = math.ceil(len(curve) / MOST_SHOWN)
    shown = range(len(curve) - 1, -1, -step)
    return ", ".join(f"{i + 1}: {curve[i]:.3f}" for i in reversed(shown))


def parity_as_json(result: ParityResult) -> str:
    """One JSON object: every score with its curve, the paired differences with their intervals, the verdict."""
    values: dict[str, Any] = asdict(result)
    values["scores"] = {arm: [score.as_json for score in scores] for arm, scores in result.scores.items()}
    differences = {measure: {"each": result.differences(measure), "mean": statistics.mean(result.differences(measure)),
                             "interval": interval_of_mean(result.differences(measure))} for measure in MEASURES}
    return json.dumps({**values, "differences": differences, "verdict": verdict(result)})
