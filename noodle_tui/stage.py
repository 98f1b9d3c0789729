"""A stage of a run, as it is told to those who listen."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from noodle_tui.events import Emit, StageDone, StageProgress, StageStarted

PROGRESS_EVERY = 0.2  # seconds between two reports within a stage


@contextmanager
def stage(name: str, text: str, emit: Emit) -> Iterator[Callable[[int, int | None], None]]:
    """Say that a stage begins and ends; gives a function that reports its progress, a few times a second at most."""
    began = last = time.perf_counter()
    emit(StageStarted(stage=name, text=text))

    def progress(done: int, total: int | None) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last >= PROGRESS_EVERY or done == total:
            last = now
            emit(StageProgress(stage=name, done=done, total=total))

    yield progress
    emit(StageDone(stage=name, seconds=time.perf_counter() - began, text=text))
