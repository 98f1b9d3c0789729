"""model.json, the card beside a model.pth: what using the weights needs, what they are worth, and which run they come from."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from noodle_tui.config import NAMED_WEIGHTS
from noodle_tui.errors import NoodleError, first_problem
from noodle_tui.run_folder import CARD, MODEL
from noodle_tui.text import printable

ARCHITECTURE = "resnet18"  # what model.py builds
MOST_BYTES = 1_000_000


class ModelCard(BaseModel):
    """What model.json holds. In a card from somebody else only what using the weights needs must be there."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False, defer_build=True)

    format: Literal[1] = 1
    noodle: str = ""  # the version that wrote it
    architecture: str = ARCHITECTURE
    classes: list[str] = Field(min_length=2)  # in the order of the model's outputs
    input_size: int = Field(ge=32, le=1024)  # pixels a side
    mean: list[float] = []  # that red, green and blue (0 to 1) were normalised with
    std: list[float] = []
    precision: Literal["fp32", "bf16"]
    device: str = ""  # "cuda", "mps" or "cpu"
    best_epoch: int = 0
    correct: int = 0  # of the validation images
    count: int = 0
    accuracy: float = 0.0
    low: float = 0.0  # 95% Wilson interval
    high: float = 1.0
    split_by: str | None = None
    fingerprint: str = ""  # of the photos and their split
    weights: str = ""  # what training started from: "imagenet", "none" or the name of a file; "" in a card that doesn't tell
    tokens: dict[str, str] = {}  # by which rejig told the classes, see names.classes_in; {} where they were folders


def read_card(file: Path) -> ModelCard:
    """A model.json. NoodleError if it is missing or can't be used."""
    try:
        if file.exists() and not file.is_file():  # a pipe would be waited for
            raise ValueError("it is not a file")
        if file.stat().st_size > MOST_BYTES:
            raise ValueError("it is too large")
        return ModelCard.model_validate(json.loads(file.read_bytes()))
    except ValidationError as error:
        reason = first_problem(error)
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    raise NoodleError(f"{file}: not a model card that can be used ({reason[:100]})")


@dataclass(frozen=True)
class Origin:
    """The run that a weights file comes from, as the card beside it says."""

    run: str  # the name of its folder
    input_size: int  # pixels
    fingerprint: str  # of the photos and their split
    classes: tuple[str, ...] = ()  # in the order of its outputs; () where that isn't known
    weights: str = ""  # what it started from itself; "" where that isn't known

    def tells(self, classes: Sequence[str]) -> bool:
        """Whether its last layer tells just these classes, as far as is known."""
        return self.classes in ((), tuple(classes))


def origin_of(weights: str) -> Origin | None:
    """Where a run's weights come from; None for the names "imagenet" and "none", and for a file that no run is known of."""
    if weights in NAMED_WEIGHTS:
        return None
    file = Path(os.path.realpath(weights))  # a link may be named otherwise, and lie elsewhere
    if file.name != MODEL:
        return None
    try:
        card = read_card(file.with_name(CARD))
    except NoodleError:
        return None  # it is no run's folder, or none that can be understood: nothing is known
    if not card.fingerprint:
        return None
    return Origin(file.parent.name, card.input_size, card.fingerprint, tuple(card.classes), card.weights)


def other_size(origin: Origin, input_size: int) -> str:
    """What to say where weights are trained on at another input size."""
    return (f"the weights of {origin.run} were trained at --input-size {origin.input_size}, and this run has {input_size}: "
            "give the same, unless that is what you want to try")


def other_classes(origin: Origin, classes: Sequence[str]) -> str:
    """What to say where weights are trained to tell other classes apart."""
    return (f"the weights of {origin.run} tell {', '.join(map(printable, origin.classes))} apart and this run "
            f"{', '.join(map(printable, classes))}: the last layer starts anew")
