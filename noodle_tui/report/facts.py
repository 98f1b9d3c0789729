"""What a report needs to know of a run, and the sentences that follow from it and the evaluation."""

import os
import platform
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from noodle_tui import __version__
from noodle_tui.config import class_tokens
from noodle_tui.evaluate import Count, Evaluation
from noodle_tui.events import EpochDone
from noodle_tui.model_card import ARCHITECTURE, ModelCard, Origin
from noodle_tui.stats import interval_in_words, share_in_words
from noodle_tui.weights import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    from noodle_tui.session import Session

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What a report needs besides the evaluation. Everything is known from the run's config, data and session."""

    name: str
    config: dict[str, Any]  # RunConfig.model_dump(mode="json"), without what took no part, see `options_as_used`
    classes: list[str]  # in the order of the model's outputs
    epochs: list[EpochDone]  # all that were run, those before a resume too
    best_epoch: int
    train_counts: list[int]  # images a class
    val_counts: list[int]
    train_people: set[str]
    val_people: set[str]
    unknown_people: int  # images of both sides whose name tells no person
    split_by: str | None  # "file" or "person" as rejig split the data; None where nobody knows
    split_seed: int | None = None  # that it was split with
    skipped: list[tuple[str, str]]  # (file, why) of the data folder
    left_out: dict[str, int] = field(default_factory=dict)  # of the stimuli, by rejig: reason and how many files
    fingerprint: str  # of the data
    weights: str  # what training started from: "imagenet", "none" or a file, of which the report tells the name only
    device: str  # e.g. "cuda:0"
    device_name: str
    precision: str  # "fp32" or "bf16"
    environment: dict[str, str]  # environment()
    started: float  # seconds since 1970
    finished: float
    seconds: float  # of work, interruptions not counted
    resumed: int = 0  # how often the run was picked up again
    changes: list[str] = field(default_factory=list)  # options that it was picked up with and that decide what is learnt
    terms: dict[str, str] = field(default_factory=dict)  # what trained it last: see Session.terms
    twins: int = 0  # validation images whose file is also in training
    two_classes: int = 0  # images of both sides whose file is also in another class
    by_hand: int = 0  # images that came into the folders beside rejig, which divided the others
    origin: Origin | None = None  # the run that a weights file comes from, where one is known
    weights_digest: str = ""  # SHA-256 of a weights file
    head: str = ""  # the last layer that training started from, see Session.head
    architecture: str = ARCHITECTURE

    @property
    def trained_on(self) -> str:
        """The device, in words; it may be judged on another."""
        return self.terms.get("device", self.device_name)

    @property
    def trained_in(self) -> str:
        """The precision, "fp32" or "bf16"; it may be judged in the other."""
        return self.terms.get("precision", self.precision)

    @property
    def processes(self) -> int:
        """That trained together (torchrun)."""
        return int(self.terms.get("processes", 1))

    @property
    def new_head(self) -> bool | None:
        """Whether training started from weights with a new last layer; None where that isn't known, or without weights."""
        if self.head:
            return self.head == "new"
        if self.weights == "imagenet":  # of a run whose checkpoint an earlier version wrote, as below
            return True
        return not self.origin.tells(self.classes) if self.origin and self.origin.classes else None

    @property
    def validated(self) -> list[tuple[int, int]]:
        """(epoch, right answers) of each epoch with validation."""
        return [(e.epoch, e.val_correct) for e in self.epochs if e.val_correct is not None]

    @property
    def best(self) -> EpochDone | None:
        """The epoch whose weights were kept."""
        return next((e for e in self.epochs if e.epoch == self.best_epoch), None)


def facts_now(facts: RunFacts, session: "Session") -> RunFacts:
    """`facts` with what the session has come to."""
    finished = session.history[-1].time if session.history else facts.started
    return replace(facts, epochs=list(session.history), best_epoch=session.best.epoch if session.best else 0,
                   finished=finished, seconds=session.seconds + sum(epoch.seconds for epoch in session.history))


def environment() -> dict[str, str]:
    """Versions and machine, as far as results depend on them; neither the machine's name nor the user's."""
    packages = {name: _version(name) for name in ("torch", "torchvision", "numpy", "pillow")}
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"noodle-tui": __version__, "python": platform.python_version(), **packages, **_cuda(),
            "platform": f"{platform.system()} {platform.release()} {platform.machine()}", "cpus": str(cpus)}


def _cuda() -> dict[str, str]:
    """Versions of the libraries that compute on an NVIDIA GPU, where there is one."""
    import torch

    if not torch.cuda.is_available():
        return {}
    return {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def verdict(facts: RunFacts, evaluation: Evaluation) -> str:
    """'0.958 of the validation images are right (23/24, 95% interval 0.80 to 0.99), best of 40 epochs (epoch 31).'"""
    overall, n_validated, n_epochs = evaluation.overall, len(facts.validated), len(facts.epochs)
    numbers = f"{overall.correct}/{overall.count}, 95% interval {interval_in_words(overall.interval)}"
    if evaluation.people_interval:
        numbers += f", with people resampled {interval_in_words(evaluation.people_interval)}"
    if n_validated < 2:
        when = f"after epoch {facts.best_epoch}"
    elif n_validated == n_epochs:
        when = f"best of {n_epochs} epochs (epoch {facts.best_epoch})"
    else:
        when = f"best of {n_validated} validated epochs (epoch {facts.best_epoch} of {n_epochs})"
    return f"{share_in_words(overall.accuracy)} of the validation images are right ({numbers}), {when}."


def model_card(facts: RunFacts, overall: Count) -> ModelCard:
    """The content of model.json: all that is needed to use model.pth, and what it is worth."""
    low, high = overall.interval
    return ModelCard(
        format=FORMAT,
        noodle=__version__,
        architecture=facts.architecture,
        classes=facts.classes,
        input_size=facts.config["input_size"],
        mean=list(IMAGENET_MEAN),
        std=list(IMAGENET_STD),
        precision=facts.precision,  # type: ignore[arg-type]
        device=facts.device.split(":")[0],
        best_epoch=facts.best_epoch,
        correct=overall.correct,
        count=overall.count,
        accuracy=overall.accuracy,
        low=low,
        high=high,
        split_by=facts.split_by,
        fingerprint=facts.fingerprint,
        weights=PurePath(facts.weights).name,
        tokens=_tokens(facts),
    )


def _tokens(facts: RunFacts) -> dict[str, str]:
    """By which the photos were sorted into classes; {} where that isn't recorded, or not so that it can be used."""
    with suppress(ValueError):
        return class_tokens(tuple(facts.config.get("classes", ())))
    return {}
