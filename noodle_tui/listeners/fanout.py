"""Passes a run's events to everybody who listens."""

import threading
from collections.abc import Sequence

from noodle_tui.errors import one_line
from noodle_tui.events import Emit, Event, Message


class Fanout:
    """An `emit` that calls each listener in turn. One that fails is said once and left out: training goes on without it.

    The trainer and the thread that saves both emit: listeners get one event at a time, all in the same order.
    """

    def __init__(self, listeners: Sequence[Emit] = ()):
        self._listeners = list(listeners)
        self._lock = threading.RLock()  # one that its holder may take again: a listener may emit, too

    def add(self, listener: Emit) -> None:
        self._listeners.append(listener)

    def __call__(self, event: Event) -> None:
        with self._lock:
            for listener in list(self._listeners):
                if listener not in self._listeners:  # it failed at a word about another one's failure
                    continue
                try:
                    listener(event)
                except Exception as error:  # noqa: BLE001 - whatever a listener's trouble is, it must not end the training
                    self._listeners.remove(listener)
                    name = getattr(listener, "__name__", type(listener).__name__)
                    self(Message(level="warning", text=f"{name} failed and is left out: {one_line(error)}"))
