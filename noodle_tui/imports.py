"""Large libraries, whose import takes seconds."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """In here Python doesn't look for garbage: an import makes none, and to go over all that torch's brings, again and again,
    is a sixth of its time. For the whole process. Where the collector rests already, it is left so."""
    collecting = gc.isenabled()
    if collecting:
        gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
