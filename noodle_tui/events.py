"""What a run says, and how that stands in a file: a line of JSON an event.

The trainer emits events; the console, the run folder, Comet, TensorBoard and the app only listen.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Annotated, Any

from pydantic import ConfigDict, Field, Strict, TypeAdapter, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import from_json as parse_json

from noodle_tui.errors import first_problem
from noodle_tui.stats import wilson_interval

# in their order; where photos are sorted, the weights are looked at before and loaded after
STAGES = ("rejig", "decode", "weights", "train", "evaluate")
LAST_TIME = 253_402_300_799 - 86_400 * 2  # seconds since 1970: nearly the end of year 9999, the last that calendars here know

# What a file may hold where a number stands. Whole numbers up to 2**53 are the same in every program that reads JSON, and
# numbers beyond 1e100, far beyond the float32 that losses are computed in, have no scale that could be drawn.
Whole = Annotated[int, Strict(), Field(ge=0, lt=2**53)]
EpochNumber = Annotated[Whole, Field(ge=1)]
Flag = Annotated[bool, Strict()]
Clock = Annotated[float, Strict(), Field(ge=0, le=LAST_TIME)]  # seconds since 1970
Seconds = Annotated[float, Strict(), Field(ge=-LAST_TIME, le=LAST_TIME)]  # below 0 where the clock was set back meanwhile

Number = Annotated[float, Strict(), Field(ge=-1e100, le=1e100)]


def _null_is_nan(value: Any, check: ValidatorFunctionWrapHandler) -> float:
    return math.nan if value is None or value != value else check(value)


NumberOrNaN = Annotated[Number, WrapValidator(_null_is_nan)]


@dataclass(frozen=True, kw_only=True)
class Event:
    __pydantic_config__ = ConfigDict(strict=False)  # a dict may become one, in a checkpoint too

    time: Clock = field(default_factory=time.time)


@dataclass(frozen=True)
class RunStarted(Event):
    name: str
    folder: str
    config: dict[str, Any]  # RunConfig as JSON
    n_epochs: Whole
    pid: Whole
    host: str
    resumed_at: Whole = 0  # epochs that were already done
    cwd: str = ""  # the folder that relative paths start from


@dataclass(frozen=True)
class StageStarted(Event):
    stage: str  # one of STAGES
    text: str


@dataclass(frozen=True)
class StageProgress(Event):
    stage: str
    done: Whole  # images, bytes or, of an epoch, batches
    total: Whole | None = None  # None where nobody knows


@dataclass(frozen=True)
class StageDone(Event):
    stage: str
    seconds: Seconds
    text: str = ""


@dataclass(frozen=True)
class DataReady(Event):
    classes: list[str]  # in the order of the model's outputs
    train_counts: list[Whole]  # images a class
    val_counts: list[Whole]
    people: Whole  # 0 where names tell none
    people_in_both: Whole
    skipped: Whole
    fingerprint: str
    where: str  # where the pixels are kept, in words
    twins: Whole = 0  # validation images whose file is also in training
    val_people: Whole = 0


@dataclass(frozen=True)
class ModelReady(Event):
    architecture: str
    weights: str
    device: str  # e.g. "cuda:0"
    device_name: str
    precision: str  # "fp32" or "bf16"


@dataclass(frozen=True)
class EpochDone(Event):
    epoch: EpochNumber  # 1 is the first
    n_epochs: Whole
    train_loss: NumberOrNaN
    train_correct: Whole
    train_count: Whole
    val_loss: Number | None  # None in an epoch without validation
    val_correct: Whole | None
    val_count: Whole
    lr: Number
    seconds: Seconds
    images_per_second: NumberOrNaN
    is_best: Flag = False  # the best validation accuracy so far; the earlier epoch keeps a tie

    @property
    def measures(self) -> dict[str, float | None]:
        """MEASURES by name; None for what wasn't measured."""
        return {name: getattr(self, name) for name in MEASURES}

    @property
    def train_accuracy(self) -> float:
        return self.train_correct / max(self.train_count, 1)

    @property
    def val_accuracy(self) -> float | None:
        return None if self.val_correct is None else self.val_correct / max(self.val_count, 1)

    @property
    def val_interval(self) -> tuple[float, float] | None:
        return None if self.val_correct is None else wilson_interval(self.val_correct, self.val_count)


# What is measured of each epoch, in the words of metrics.csv, TensorBoard, Comet and the curves: all take what stands here.
MEASURES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr")


@dataclass(frozen=True)
class Saved(Event):
    what: str  # "checkpoint" or "model"
    file: str  # its name in the run folder
    epoch: Whole


@dataclass(frozen=True)
class SaveRefused(Event):
    """The disk didn't take it; training goes on, and it is tried again at the next save point."""

    file: str  # its name in the run folder
    reason: str


@dataclass(frozen=True)
class RunMoved(Event):
    """What the run came to is in another folder: its own took no files."""

    folder: str


@dataclass(frozen=True)
class Message(Event):
    level: str  # "info", "warning" or "error"
    text: str


@dataclass(frozen=True)
class Paused(Event):
    epoch: Whole


@dataclass(frozen=True)
class Resumed(Event):
    """Of a pause that ended. A run that is picked up says RunStarted, with `resumed_at`."""

    epoch: Whole


@dataclass(frozen=True)
class RunDone(Event):
    best_epoch: Whole
    best_correct: Whole
    best_count: Whole
    seconds: Seconds


@dataclass(frozen=True)
class RunStopped(Event):
    reason: str
    seconds: Seconds

    @property
    def in_words(self) -> str:
        """'stopped by SIGTERM', 'stopped: asked to stop'"""
        return self.reason if self.reason.startswith("stopped") else f"stopped: {self.reason}"


@dataclass(frozen=True)
class RunFailed(Event):
    error: str  # one line: what is wrong and what to do
    seconds: Seconds


Emit = Callable[[Event], None]
KINDS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (RunStarted, StageStarted, StageProgress, StageDone, DataReady, ModelReady, EpochDone, Saved, SaveRefused,
                 RunMoved, Message, Paused, Resumed, RunDone, RunStopped, RunFailed)
}
ENDINGS = (RunDone, RunStopped, RunFailed)


def to_json(event: Event) -> str:
    """One line of JSON, "event" first. Numbers that JSON lacks (NaN, infinity) become null."""
    values = {key: _finite(value) for key, value in asdict(event).items()}
    return json.dumps({"event": type(event).__name__, **values}, allow_nan=False)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_json(line: str | bytes) -> Event:
    """The event of one line. ValueError if it is none: broken JSON, an unknown kind, a missing or mistyped value."""
    try:
        try:
            values = parse_json(line)
        except ValueError:  # json is slower, and takes names that aren't UTF-8
            values = json.loads(line)
        event = _reader(values.pop("event")).validate_python(values)
    except ValidationError as error:
        raise ValueError(f"not an event: {error.title}: {first_problem(error)}") from None
    except (KeyError, TypeError, AttributeError, RecursionError, ValueError) as error:
        raise ValueError(f"not an event: {str(error)[:100]}") from None
    if not _makes_sense(event):
        raise ValueError(f"not an event: the counts of {type(event).__name__} contradict each other")
    return event


@cache
def _reader(kind: str) -> TypeAdapter[Event]:
    return TypeAdapter(KINDS[kind])  # made when it is needed: that takes a while


def _makes_sense(event: Event) -> bool:
    """Whether what shows a run can take it: more right answers than images have no interval."""
    match event:
        case EpochDone():
            return event.train_correct <= event.train_count and (event.val_correct or 0) <= event.val_count
        case RunDone():
            return event.best_correct <= event.best_count
        case DataReady():
            return len(event.classes) == len(event.train_counts) == len(event.val_counts)
    return True
