"""A stage of a run, as it is told to those who listen."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from noodle_tui.events import Emit, StageDone, StageProgress, StageStarted
from noodle_tui.progress import Progress, at_most_every

PROGRESS_EVERY = 0.2  # seconds between two reports within a stage


@contextmanager
def stage(name: str, text: str, emit: Emit) -> Iterator[Progress]:
    """Say that a stage begins and ends; gives a function that reports its progress, a few times a second at most."""
    began, due = time.perf_counter(), at_most_every(PROGRESS_EVERY)
    emit(StageStarted(stage=name, text=text))

    def progress(done: int, total: int | None) -> None:
        if due() or done == total:
            emit(StageProgress(stage=name, done=done, total=total))

    yield progress
    emit(StageDone(stage=name, seconds=time.perf_counter() - began, text=text))
