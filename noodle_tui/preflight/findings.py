"""What a look at something found, as one sentence for people."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """An error keeps a run from starting, a warning is to be weighed, an info is to be known."""

    level: Level
    option: str | None  # the field of RunConfig that it is about
    text: str
