"""Training in progress: what `fit` moves forward, and what a checkpoint (checkpoint.py) holds."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from noodle_tui.config import RunConfig
from noodle_tui.events import EpochDone
from noodle_tui.model_card import Origin


@dataclass
class Best:
    """The epoch with the highest validation accuracy so far; the earlier one keeps a tie."""

    epoch: int
    correct: int
    count: int
    loss: float
    weights: dict[str, Tensor]  # a state dict, on the training device


@dataclass
class Session:
    """Training in progress. `fit` moves it forward, batch by batch; it can be saved between any two."""

    model: nn.Module
    optimizer: torch.optim.SGD
    totals: Tensor  # [2], on the device: summed loss and correct count of the unfinished epoch's batches
    fingerprint: str = ""  # of the data it was trained on
    order: str = ""  # fingerprint of their names in order: it decides which photos make up a batch
    weights_digest: str = ""  # SHA-256 of the file that training started from
    origin: Origin | None = None  # the run that this came from, where one is known
    head: str = ""  # the last layer that training started from: "kept" from the weights or "new"; "" where all were, or unknown
    terms: dict[str, str] = field(default_factory=dict)  # what trains it: "device" (name), versions …, see loading.py
    place: str = ""  # on a GPU: of the photos' pixels, which decides how crops are rounded, see Dataset.place
    comet_key: str = ""  # the Comet experiment to go on in
    times: int = 0  # how often it was picked up again
    changes: list[str] = field(default_factory=list)  # with which other options, where they decide what is learnt
    started: float = 0.0  # seconds since 1970
    epoch: int = 0  # whole epochs done
    step: int = 0  # batches of the next epoch that are done, too
    seconds: float = 0.0  # that they took
    lr: float = 0.0  # the learning rate of the last batch
    best: Best | None = None
    history: list[EpochDone] = field(default_factory=list)


def new_session(model: nn.Module, config: RunConfig, device: torch.device) -> Session:
    """A session before its first batch, on `device`."""
    optimizer = sgd(model, config, fused=device.type in ("cpu", "cuda"))
    # sums of thousands of losses want float64, which Apple's GPUs lack
    totals = torch.zeros(2, dtype=torch.float32 if device.type == "mps" else torch.float64, device=device)
    return Session(model, optimizer, totals)


def sgd(model: nn.Module, config: RunConfig, fused: bool | None = None) -> torch.optim.SGD:
    """Plain SGD with the options' hyperparameters. `fused` is torch's."""
    return torch.optim.SGD(model.parameters(), lr=config.lr, momentum=config.momentum, fused=fused)
