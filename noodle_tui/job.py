"""One run as its stages see it: what it is to do, and what it came to."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from noodle_tui.config import RunConfig
from noodle_tui.control import Control
from noodle_tui.evaluate import Evaluation
from noodle_tui.listeners.fanout import Fanout
from noodle_tui.pick_up import PickedUp
from noodle_tui.world import World


@dataclass(frozen=True)
class Job:
    """What a stage has to know: what is asked for, whom to tell, whom to obey, and with whom it trains."""

    config: RunConfig
    before: PickedUp | None  # the run that is picked up
    emit: Fanout
    control: Control
    world: World
    began: float = field(default_factory=time.monotonic)  # the system's time may jump

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began


@dataclass
class Outcome:
    """How a run ended."""

    folder: Path
    status: str = "stopped"  # or "done"
    evaluation: Evaluation | None = None
