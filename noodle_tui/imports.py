"""Large libraries, whose import takes seconds."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """In here Python doesn't look for garbage: an import makes none, and the looks at all that it brings are a sixth of the
    time of torch's. For the whole process; who finds it so already leaves it so."""
    collecting = gc.isenabled()
    if collecting:
        gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
