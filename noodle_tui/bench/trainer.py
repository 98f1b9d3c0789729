"""This trainer's steady epoch, by the real `fit`: what a long run does between its first and its last epoch."""

import time

from noodle_tui.checkpoint import Session, new_session
from noodle_tui.config import RunConfig
from noodle_tui.control import Control
from noodle_tui.dataset import Dataset
from noodle_tui.device import Device
from noodle_tui.events import EpochDone, Event
from noodle_tui.fit import fit
from noodle_tui.model import build_model

NEVER = 10**9  # epochs between two saves, or two validations


class Trainer:
    """One session that is trained on, round by round. Each round's first epoch is left out: it warms up (and captures)."""

    def __init__(self, data: Dataset, config: RunConfig, device: Device):
        self._data, self._config, self._device = data, config, device
        model = build_model("none", len(data.classes), config.seed).to(device.torch_device)
        self._session: Session = new_session(model, config.lr, config.momentum, device.torch_device)

    def train_only(self, epochs: int) -> float:
        """Training images a second over `epochs` epochs without validation."""
        # one epoch more at the end: a run's last is always validated
        ends = self._ends_of_epochs(epochs + 2, test_every=NEVER)
        return epochs * len(self._data.train.samples) / (ends[epochs] - ends[0])

    def with_validation(self, epochs: int) -> float:
        """Training and validation images a second over `epochs` epochs, each of them validated."""
        ends = self._ends_of_epochs(epochs + 1, test_every=1)
        images = len(self._data.train.samples) + len(self._data.val.samples)
        return epochs * images / (ends[epochs] - ends[0])

    def _ends_of_epochs(self, epochs: int, test_every: int) -> list[float]:
        """Train so many more epochs; when each was done, in seconds."""
        ends: list[float] = []

        def note(event: Event) -> None:
            if isinstance(event, EpochDone):
                ends.append(time.perf_counter())

        changes = {"n_epochs": self._session.epoch + epochs, "test_every": test_every, "save_every": NEVER}
        fit(self._session, self._data, self._config.model_copy(update=changes), self._device, emit=note, control=Control(),
            save=lambda session: None)
        return ends
