"""Does the fast path learn as well? Several seeds of it against fp32, eager, with torchvision's own transforms on PIL images.

Both arms start from the same weights, take the same hyperparameters, and keep the best epoch by the same rule.
"""

import json
import math
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torchvision import datasets

from noodle_tui.bench.options import MAX_SEEDS, ParityOptions
from noodle_tui.bench.plain import transforms_of
from noodle_tui.checkpoint import new_session
from noodle_tui.config import DEFAULT_PERSON, RunConfig
from noodle_tui.control import Control
from noodle_tui.dataset import Dataset, load_dataset
from noodle_tui.demo import demo_config_values, draw_stimuli
from noodle_tui.device import Device, pick_device
from noodle_tui.fit import fit
from noodle_tui.model import build_model
from noodle_tui.rejig import apply_rejig, plan_rejig

FAST, PLAIN = "this trainer", "plain fp32"
NEVER = 10**9  # epochs between two saves
EVAL_BATCH = 64
# Student's t, 97.5 % point, for 1 to 30 degrees of freedom
T975 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448,
        2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484,
        2.0452, 2.0423)
assert len(T975) == MAX_SEEDS - 1

Photo = tuple[Image.Image, int]  # and its label


@dataclass(frozen=True)
class Score:
    """What one training came to, as accuracies on the validation images."""

    best: float
    final: float


@dataclass(frozen=True)
class ParityResult:
    """Both arms' scores, one a seed, in the order of `seeds`."""

    data: str
    device_name: str
    precision: str  # of the fast arm
    n_train: int
    n_val: int
    options: dict[str, float | int]
    seeds: list[int]
    scores: dict[str, list[Score]]

    def values(self, arm: str, which: str) -> list[float]:
        return [getattr(score, which) for score in self.scores[arm]]

    def differences(self, which: str) -> list[float]:
        """This trainer's accuracy less the plain loop's, seed by seed."""
        return [a - b for a, b in zip(self.values(FAST, which), self.values(PLAIN, which), strict=True)]


def parity(options: ParityOptions, say: Callable[[str], None]) -> ParityResult:
    """Train both arms with each seed; `say` is told what each came to."""
    device = pick_device(options.run.device, options.run.precision)
    with tempfile.TemporaryDirectory(prefix="noodle-parity-") as place:
        data_dir = options.data_dir or _drawn(Path(place), say)
        data = load_dataset(data_dir, DEFAULT_PERSON, options.run.input_size, device)
        photos = {split: pil_images(data_dir / split) for split in ("train", "val")}
    scores: dict[str, list[Score]] = {FAST: [], PLAIN: []}
    seeds = list(range(1, options.seeds + 1))
    for seed in seeds:
        config = options.run.model_copy(update={"seed": seed, "save_every": NEVER})
        scores[FAST].append(fast_arm(data, config, device))
        scores[PLAIN].append(plain_arm(photos, len(data.classes), config, device.torch_device))
        say(f"seed {seed} of {len(seeds)}: " + "; ".join(
            f"{arm}: best {got[-1].best:.3f}, final {got[-1].final:.3f}" for arm, got in scores.items()))
    return ParityResult(
        data=str(options.data_dir or "drawn people, split by person"), device_name=device.name, precision=device.precision,
        n_train=len(photos["train"]), n_val=len(photos["val"]),
        options={"epochs": options.run.n_epochs, "batch size": options.run.batch_size, "input size": options.run.input_size,
                 "lr": options.run.lr, "momentum": options.run.momentum},
        seeds=seeds, scores=scores,
    )


def fast_arm(data: Dataset, config: RunConfig, device: Device) -> Score:
    """This trainer, by the real `fit`."""
    model = build_model("none", len(data.classes), config.seed).to(device.torch_device)
    session = new_session(model, config.lr, config.momentum, device.torch_device)
    fit(session, data, config, device, emit=lambda event: None, control=Control(), save=lambda session: None)
    accuracies = [epoch.val_accuracy for epoch in session.history if epoch.val_accuracy is not None]
    return Score(max(accuracies), accuracies[-1])


def plain_arm(photos: dict[str, list[Photo]], n_classes: int, config: RunConfig, device: torch.device) -> Score:
    """The plain loop in fp32 and eager: torchvision's transforms, image by image, and torch's own shuffle."""
    model = build_model("none", n_classes, config.seed).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=config.lr, momentum=config.momentum)
    transform = transforms_of(config.input_size)
    torch.manual_seed(config.seed)  # of the shuffle, the crops and the flips
    val = [(transform["val"](image), label) for image, label in photos["val"]]
    accuracies = []
    for _ in range(config.n_epochs):
        model.train()
        order = torch.randperm(len(photos["train"])).tolist()
        shuffled = ((transform["train"](photos["train"][i][0]), photos["train"][i][1]) for i in order)
        for images, labels in _batches(shuffled, config.batch_size, device):
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            correct = sum(int((model(images).argmax(1) == labels).sum())
                          for images, labels in _batches(iter(val), EVAL_BATCH, device))
        accuracies.append(correct / len(val))
    return Score(max(accuracies), accuracies[-1])


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


def pil_images(folder: Path) -> list[Photo]:
    """Every image of a class folder tree as ImageFolder finds and decodes it, decoded once, with its label."""
    photos = datasets.ImageFolder(str(folder))
    return [(image, label) for image, label in (photos[i] for i in range(len(photos)))]


def _drawn(place: Path, say: Callable[[str], None]) -> Path:
    """The demo's people, drawn and split by person."""
    say("drawing people")
    draw_stimuli(place / "stimuli")
    demo = RunConfig(**demo_config_values(place))
    tokens = {"happy": "_Ha_", "sad": "_Sa_"}
    plan = plan_rejig(place / "stimuli", place / "classify", tokens=tokens, val_fraction=demo.val_fraction,
                      split_by=demo.split_by, person=demo.person, mode=demo.mode, seed=demo.seed)
    apply_rejig(plan)
    return place / "classify"


def interval_of_mean(values: list[float]) -> tuple[float, float]:
    """Student's 95 % interval of the mean of 2 to 31 values."""
    half = T975[len(values) - 2] * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values) - half, statistics.mean(values) + half


def verdict(result: ParityResult) -> str:
    """One sentence: does the interval of the paired difference of the best accuracy hold zero?"""
    low, high = interval_of_mean(result.differences("best"))
    if low <= 0 <= high:
        return (f"No difference is seen between the two: the best accuracy differs by {low:+.3f} to {high:+.3f} "
                "(95 % interval of the mean difference).")
    better, worse = (FAST, PLAIN) if low > 0 else (PLAIN, FAST)
    return (f"{better} learns better than {worse}: the best accuracy differs by {low:+.3f} to {high:+.3f} (95 % interval of "
            "the mean difference).")


def print_parity(result: ParityResult) -> None:
    """A table of both arms, the paired differences and the verdict, on stdout."""
    console = Console(highlight=False, width=None if Console().is_terminal else 110)
    console.print(f"{result.data}: {result.n_train} + {result.n_val} photos; " +
                  ", ".join(f"{name} {value:g}" for name, value in result.options.items()))
    console.print(f"{result.device_name}; {FAST} in {result.precision}; {PLAIN} is eager, with torchvision's transforms")
    table = Table(title=f"validation accuracy, {len(result.seeds)} seeds", title_justify="left")
    table.add_column("")
    table.add_column("mean", justify="right")
    table.add_column("spread (sd)", justify="right")
    table.add_column("each seed")
    for which in ("best", "final"):
        for arm in (FAST, PLAIN):
            values = result.values(arm, which)
            table.add_row(f"{which}, {arm}", f"{statistics.mean(values):.3f}", f"{statistics.stdev(values):.3f}",
                          " ".join(f"{value:.3f}" for value in values))
        differences = result.differences(which)
        low, high = interval_of_mean(differences)
        table.add_row(f"{which}, difference", f"{statistics.mean(differences):+.3f}", f"{statistics.stdev(differences):.3f}",
                      f"95 % interval of the mean {low:+.3f} to {high:+.3f}", end_section=True)
    console.print(table)
    console.print(verdict(result), style="bold")


def parity_as_json(result: ParityResult) -> str:
    """One JSON object: every score, the paired differences with their intervals, the verdict."""
    differences = {which: {"each": result.differences(which), "mean": statistics.mean(result.differences(which)),
                           "interval": interval_of_mean(result.differences(which))} for which in ("best", "final")}
    return json.dumps({**asdict(result), "differences": differences, "verdict": verdict(result)})
