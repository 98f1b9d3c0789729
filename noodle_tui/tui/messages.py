"""What several screens ask of the app."""

from pathlib import Path
from typing import Any

from textual.message import Message


class Open(Message):
    """The run in `folder`: Live, as while it goes on (`alive`), or its result."""

    def __init__(self, folder: Path, alive: bool):
        super().__init__()
        self.folder, self.alive = folder, alive


class PickUp(Message):
    """Go on with the run in `folder`, where it was stopped or died."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder


class MoreEpochs(Message):
    """The finished run in `folder` into Setup, where it is said how many more."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder


class CopyOptions(Message):
    """A past run's options into Setup, for a new run."""

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.config = config
