"""How long work tells how far it is, and hears that it is to stop. Without torch."""

import time
from collections.abc import Callable

Progress = Callable[[int, int | None], None]  # so many of so many; None: nobody knows of how many
Check = Callable[[], None]  # called again and again; raises StopRun where somebody asked for that


def nothing(*_: object) -> None:
    """For whoever wants neither."""


def at_most_every(seconds: float) -> Callable[[], bool]:
    """A function that says True at its first call, and again once `seconds` have passed since it last did."""
    last = -float("inf")

    def due() -> bool:
        nonlocal last
        now = time.monotonic()
        if now - last < seconds:
            return False
        last = now
        return True

    return due


def is_due(epoch: int, every: int, last: int, first: bool = True) -> bool:
    """Whether something that happens every `every` epochs happens after this one; always after the last."""
    return epoch % every == 0 or epoch == last or (first and epoch == 1)
