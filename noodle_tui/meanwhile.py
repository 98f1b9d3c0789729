"""Work in a thread beside the run's own. It says nothing: its progress, its error and its result wait until the run asks."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

from noodle_tui.errors import StopRun
from noodle_tui.progress import Check, Progress

T = TypeVar("T")
LOOK_EVERY = 0.1  # seconds between two looks at how far the work is


class Meanwhile(Generic[T]):
    """One piece of work, to be started once. As a context it ends when the thread has; what nobody asked for is dropped."""

    def __init__(self, name: str, check: Check):
        """`check` raises when the run is to stop; it is called in both threads."""
        self._name, self._check = name, check
        self._thread: threading.Thread | None = None
        self._future: Future[T] = Future()
        self._progress: tuple[int, int | None] | None = None
        self._given_up = False

    def __enter__(self) -> "Meanwhile[T]":
        return self

    def __exit__(self, *_: object) -> None:
        self._given_up = True
        if self._thread is not None:
            self._thread.join()

    def start(self, work: Callable[[Progress, Check], T]) -> None:
        """Have the thread do `work`, which notes its progress and calls its check now and then."""
        self._thread = threading.Thread(target=self._do, args=(work,), name=self._name)
        self._thread.start()

    def result(self, progress: Progress) -> T:
        """What the work came to; waits for it, passing its progress on. Raises what it raised."""
        while not self._future.done():
            wait([self._future], LOOK_EVERY)
            self._check()
            if self._progress is not None:
                progress(*self._progress)
        return self._future.result()

    def _do(self, work: Callable[[Progress, Check], T]) -> None:
        try:
            self._future.set_result(work(self._note, self._check_both))
        except BaseException as error:  # noqa: BLE001 - `result` raises it, in the run's thread
            self._future.set_exception(error)

    def _note(self, done: int, total: int | None) -> None:
        self._progress = (done, total)

    def _check_both(self) -> None:
        self._check()
        if self._given_up:
            raise StopRun("nobody waits for it")
