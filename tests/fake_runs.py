"""Made-up runs for the screens' tests: the same events each time."""

import random
from collections.abc import Iterable
from math import exp
from pathlib import Path

from noodle_tui.events import (
    DataReady,
    EpochDone,
    Event,
    Message,
    ModelReady,
    Paused,
    RunDone,
    RunFailed,
    RunStarted,
    RunStopped,
    Saved,
    StageDone,
    StageProgress,
    StageStarted,
)

STARTED_AT = 1_760_000_000.0
FOLDER = "weights/neuro_ml-20251009-085320"
STATES = ("running", "paused", "done", "failed", "stopped", "interrupted")
ERROR = "the loss is NaN in epoch 12: lower --lr (it is 0.5), or try --precision fp32"


def fake_events(n_epochs: int = 40, state: str = "running", seed: int = 0, n_val: int = 24, epoch_seconds: float = 1.0,
                test_every: int = 1, host: str = "node07") -> list[Event]:
    """The events of a run of `n_epochs` that trains on 216 images and validates on `n_val`.

    state: one of STATES. "done" has all epochs, the others the first 60% of them; "interrupted" has the events of
    "running": that nobody works on it, its source says.
    """
    assert state in STATES
    rng = random.Random(seed)
    clock = STARTED_AT
    events = _beginning(n_epochs, n_val, host)
    last = n_epochs if state == "done" else max(1, n_epochs * 6 // 10)
    best_correct, best_epoch = -1, 0
    for epoch in range(1, last + 1):
        clock += epoch_seconds
        done = _epoch(rng, epoch, n_epochs, n_val, epoch_seconds, clock, test_every)
        if done.val_correct is not None and done.val_correct > best_correct:
            best_correct, best_epoch = done.val_correct, epoch
            done = EpochDone(**{**vars(done), "is_best": True})
            events.append(Saved("model", "model.pth", epoch, time=clock))
        events.append(done)
        if epoch % 5 == 0:
            events.append(Saved("checkpoint", "checkpoint.pt", epoch, time=clock))
    events += _ending(state, last, best_epoch, best_correct, n_val, clock + 0.1, last * epoch_seconds)
    return events


def _beginning(n_epochs: int, n_val: int, host: str) -> list[Event]:
    t = STARTED_AT
    return [
        RunStarted("neuro_ml", FOLDER, {}, n_epochs, 4242, host, time=t),
        StageStarted("rejig", "sorting 240 photos", time=t),
        StageProgress("rejig", 240, 240, time=t + 0.2),
        StageDone("rejig", 0.3, "216 to train, 24 to val", time=t + 0.3),
        StageStarted("decode", "decoding 240 images", time=t + 0.3),
        StageProgress("decode", 240, 240, time=t + 0.7),
        DataReady(["sad", "happy"], [108, 108], [n_val // 2, n_val - n_val // 2], 6, 6, 0, "9f3c", "GPU, uint8",
                  val_people=6, time=t + 0.7),
        StageDone("decode", 0.2, "0.1 GiB on the GPU", time=t + 0.7),
        StageStarted("weights", "loading the network", time=t + 0.8),
        ModelReady("ResNet18", "imagenet", "cuda:0", "NVIDIA H100 80GB HBM3", "bf16", time=t + 1.0),
        StageDone("weights", 0.2, time=t + 1.0),
        Message("warning", "6 of 6 people are in both train and val: the accuracy measures memory for these faces. "
                "--split-by person holds out whole people.", time=t + 1.0),
        StageStarted("train", "training", time=t + 1.0),
    ]


def _epoch(rng: random.Random, epoch: int, n_epochs: int, n_val: int, seconds: float, clock: float,
           test_every: int) -> EpochDone:
    part = epoch / max(n_epochs, 40)
    train_loss = 0.08 + 0.62 * exp(-5 * part) + rng.gauss(0, 0.015)
    val_loss = 0.16 + 0.52 * exp(-4.5 * part) + 0.12 * part + rng.gauss(0, 0.03)
    chance = 0.5 + 0.45 * (1 - exp(-6 * part))
    tested = epoch % test_every == 0 or epoch in (1, n_epochs)
    train_correct = sum(rng.random() < min(chance + 0.03, 0.99) for _ in range(216))
    val_correct = sum(rng.random() < chance for _ in range(n_val))
    return EpochDone(
        epoch=epoch, n_epochs=n_epochs, train_loss=train_loss, train_correct=train_correct, train_count=216,
        val_loss=val_loss if tested else None, val_correct=val_correct if tested else None, val_count=n_val,
        lr=0.001, seconds=seconds, images_per_second=5600 + rng.gauss(0, 60), time=clock,
    )  # fmt: skip


def _ending(state: str, last: int, best_epoch: int, best_correct: int, n_val: int, t: float,
            seconds: float) -> list[Event]:
    match state:
        case "paused":
            return [Paused(last, time=t)]
        case "done":
            return [StageDone("train", seconds, time=t), StageStarted("evaluate", "judging the best model", time=t),
                    StageDone("evaluate", 0.1, time=t), StageDone("save", 0.1, "report.md", time=t),
                    RunDone(best_epoch, best_correct, n_val, seconds, time=t)]
        case "failed":
            return [Message("error", ERROR, time=t), RunFailed(ERROR, seconds, time=t)]
        case "stopped":
            return [Saved("checkpoint", "checkpoint.pt", last, time=t),
                    RunStopped("asked to stop", seconds, time=t)]
    return []


class ReplaySource:
    """A RunSource of events from a list, all at once or as `add` brings them."""

    def __init__(self, events: Iterable[Event] = (), *, alive: bool = False, folder: Path | None = None):
        self.folder = folder
        self.requests: list[str] = []
        self._unread = list(events)
        self._alive = alive

    def add(self, *events: Event) -> None:
        """Make events available to the next `read`."""
        self._unread += events

    def read(self) -> list[Event]:
        events, self._unread = self._unread, []
        return events

    def alive(self) -> bool:
        return self._alive

    def end(self) -> None:
        """From now on nobody works on the run."""
        self._alive = False

    def stop(self) -> None:
        self.requests.append("stop")

    def pause(self) -> None:
        self.requests.append("pause")

    def go_on(self) -> None:
        self.requests.append("go on")
