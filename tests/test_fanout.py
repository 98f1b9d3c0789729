"""Events for all listeners, one at a time, whichever thread emits."""

import threading
import time

from noodle_tui.events import Event, Message
from noodle_tui.listeners.fanout import Fanout

EACH = 100


def test_listeners_get_one_event_at_a_time_and_all_in_the_same_order() -> None:
    inside, overlaps = threading.Lock(), 0
    first: list[Event] = []
    second: list[Event] = []

    def slow(event: Event) -> None:
        nonlocal overlaps
        if not inside.acquire(blocking=False):
            overlaps += 1
            return
        time.sleep(0.0005)  # lets the other thread in, if anything does
        first.append(event)
        inside.release()

    emit = Fanout([slow, second.append])
    threads = [threading.Thread(target=lambda name=name: [emit(Message(level=name, text=str(i))) for i in range(EACH)])
               for name in ("training", "saving")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overlaps == 0
    assert len(first) == 2 * EACH
    assert first == second


def test_a_listener_may_emit_and_one_that_fails_is_left_out() -> None:
    heard: list[str] = []

    def answer(event: Event) -> None:
        if isinstance(event, Message) and event.text == "ping":
            emit(Message(level="info", text="pong"))

    def fail(_: Event) -> None:
        raise ZeroDivisionError("a bug")

    emit = Fanout([fail, answer])
    emit.add(lambda event: heard.append(event.text if isinstance(event, Message) else ""))
    emit(Message(level="info", text="ping"))
    emit(Message(level="info", text="on"))
    assert heard == ["fail failed and is left out: ZeroDivisionError: a bug", "pong", "ping", "on"]


def test_one_that_fails_at_the_word_about_another_is_left_out_once() -> None:
    heard: list[str] = []

    def fail(_: Event) -> None:
        raise ZeroDivisionError("a bug")

    def fail_too(_: Event) -> None:
        raise KeyError("another")

    emit = Fanout([fail, fail_too, lambda event: heard.append(event.text if isinstance(event, Message) else "")])
    emit(Message(level="info", text="ping"))
    emit(Message(level="info", text="on"))
    assert heard == ["fail_too failed and is left out: KeyError: 'another'", "fail failed and is left out: "
                     "ZeroDivisionError: a bug", "ping", "on"]
