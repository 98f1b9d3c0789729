"""This trainer's steady epoch, by the real `fit`: what a long run does between its first and its last epoch."""

import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from queue import SimpleQueue
from types import TracebackType

from noodle_tui.config import RunConfig
from noodle_tui.control import Control
from noodle_tui.dataset import Dataset
from noodle_tui.device import Device, set_up
from noodle_tui.errors import StopRun
from noodle_tui.events import EpochDone, Event
from noodle_tui.fit import fit
from noodle_tui.heap import freed_memory_kept, share_one_heap
from noodle_tui.model import build_model
from noodle_tui.session import new_session

TRAIN, VALIDATED = "train only", "with validation"
NEVER = 10**9  # epochs to run, and epochs between two saves


@dataclass(frozen=True)
class Done:
    """An epoch of the fit."""

    at: float  # in seconds
    validated: bool


class Trainer:
    """One long `fit` in a thread of its own, which stands still between its turns: so what it compiled, or captured as a
    graph, lasts for all of them. Use it in a `with`, whose end stops it.

    Either the fit runs or whoever measures does, never both: each waits until the other hands over.
    """

    def __init__(self, data: Dataset, config: RunConfig, device: Device):
        self._data, self._device = data, device
        # epochs with and without validation alternate, so that one fit measures both
        self._config = config.model_copy(update={"n_epochs": NEVER, "test_every": 2, "save_every": NEVER})
        self._control = Control()
        self._asked: SimpleQueue[int] = SimpleQueue()  # handed to the fit: for how many epochs it may run
        self._answers: SimpleQueue[list[Done] | BaseException] = SimpleQueue()  # handed back: these epochs, or what ended it
        self._left = 0  # epochs of the turn; like the next one the fit's own
        self._epochs: list[Done] = []
        self._thread = threading.Thread(target=self._run, name="fit")

    def __enter__(self) -> "Trainer":
        share_one_heap()  # the fit's thread is as well off as the main one, in which `noodle run` trains
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._control.stop()
        self._asked.put(1)  # it may wait for its turn; it stops before the first batch
        self._thread.join()

    def turn(self, epochs: int) -> dict[str, float]:
        """Images a second over `epochs` epochs without validation and as many with it. What ends the fit is raised here.

        An epoch more, the first, is left out: it warms up after the others' turns. In the first turn it compiles and captures.
        """
        with freed_memory_kept(self._device.torch_device):  # as in a run; the others' turns are not to gain from it
            self._asked.put(1 + 2 * epochs)
            answer = self._answers.get()
        if isinstance(answer, BaseException):
            raise answer
        spans = [(done.validated, done.at - before.at) for before, done in pairwise(answer)]
        train, both = len(self._data.train.samples), len(self._data.train.samples) + len(self._data.val.samples)
        return {
            TRAIN: epochs * train / sum(seconds for validated, seconds in spans if not validated),
            VALIDATED: epochs * both / sum(seconds for validated, seconds in spans if validated),
        }

    def _run(self) -> None:
        """The thread: the whole fit, from its first turn on."""
        try:
            set_up(self._device)
            self._left = self._asked.get()
            model = build_model("none", len(self._data.classes), self._config.seed).to(self._device.torch_device)
            session = new_session(model, self._config, self._device.torch_device)
            fit(session, self._data, self._config, self._device, emit=self._note, control=self._control,
                save=lambda session: None)
        except StopRun:
            pass  # the bench is over
        except BaseException as error:  # noqa: BLE001 - whatever it is, `turn` waits for an answer and raises it
            self._answers.put(error)

    def _note(self, event: Event) -> None:
        """Hears of each epoch; at the end of a turn the fit stands still in here."""
        if not isinstance(event, EpochDone):
            return
        self._epochs.append(Done(time.perf_counter(), event.val_loss is not None))
        if len(self._epochs) == self._left:
            self._answers.put(self._epochs)
            self._left, self._epochs = self._asked.get(), []
