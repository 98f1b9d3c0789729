"""The order of a GPU's work, for emulated_gpu.py: whoever reads or writes memory must wait for whoever wrote it before, and
whoever writes it for its readers. A real GPU forgives a missing wait nearly always, and then a photo is half another one.

Each stream has a vector clock (Mattern 1988; race detectors work by them): up to which piece of each other stream's work it
knows that it is done. Python has one as well, for all of its threads: the GPU reads pinned memory later than it is told to.
"""

import threading
import weakref
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

LIKE = {"empty_like", "zeros_like", "ones_like", "new_zeros", "new_empty"}  # take a tensor's shape and not its content


class Access(NamedTuple):
    stream: str
    tick: int
    what: str


@dataclass
class History:
    """Of a piece of memory, since it was last written."""

    written: Access
    read: dict[str, Access] = field(default_factory=dict)  # by stream
    recorded: set[str] = field(default_factory=set)  # streams that torch's allocator waits for before it gives it away

    @property
    def all(self) -> list[Access]:
        return [self.written, *self.read.values()]


_streams: list["Stream"] = []


class Stream:
    def __init__(self, device: Any = None, priority: int = 0, name: str = ""):
        self.device, self.cuda_stream = torch.device("cuda", 0), len(_streams)
        self.name = name or f"stream {len(_streams)}"
        self.clock: Counter[str] = Counter()
        _streams.append(self)

    def wait_stream(self, other: "Stream") -> None:
        _learn(self, other)

    def wait_event(self, event: "Event") -> None:
        _learn(self, event)

    def synchronize(self) -> None:
        _learn(PYTHON, self)


class Event:
    def __init__(self, enable_timing: bool = False):
        self.device = torch.device("cuda", 0)
        self.clock: Counter[str] = Counter()

    def record(self, stream: Stream | None = None) -> None:
        _learn(self, stream or current_stream())

    def synchronize(self) -> None:
        _learn(PYTHON, self)


PYTHON, DEFAULT = Stream(name="Python"), Stream(name="default stream")
freed: defaultdict[str, list[Access]] = defaultdict(list)  # accesses of memory that its stream may give away anew
_local = threading.local()
_lock = threading.RLock()


def _learn(who: Stream | Event, of: Stream | Event) -> None:
    with _lock:
        who.clock |= of.clock  # the later of each


def current_stream(device: Any = None) -> Stream:
    return getattr(_local, "stream", DEFAULT)


@contextmanager
def stream(stream: Stream | None) -> Iterator[None]:
    before = current_stream()
    _local.stream = stream or before
    try:
        yield
    finally:
        _local.stream = before


def synchronize(device: Any = None) -> None:
    """Python waits for all streams."""
    for one in _streams:
        _learn(PYTHON, one)


def pin(tensor: Tensor) -> Tensor:
    """From now on Python's work on it is watched, too."""
    _history(tensor, None)
    return tensor


def record_stream(tensor: Tensor, stream: Stream) -> None:
    _history(tensor, current_stream()).recorded.add(stream.name)


def is_watched(tensor: Tensor) -> bool:
    return hasattr(tensor.untyped_storage(), "history")


def note(name: str, taken: Sequence[Tensor], given: Sequence[Tensor], on_gpu: bool, waits: bool = False) -> None:
    """A function of torch took tensors and gave some: RuntimeError if it couldn't know that others were done with them.
    `waits`: Python went on when the GPU had done it."""
    places = {one.untyped_storage().data_ptr() for one in taken}
    made = [one for one in given if one.untyped_storage().data_ptr() not in places]
    written = _written(name, taken)
    if not (made or written or waits):
        return  # a view, a size: memory wasn't touched
    read = [one for one in taken if name not in LIKE and not any(one is other for other in written)]
    by = current_stream() if on_gpu else PYTHON
    with _lock:
        _learn(by, PYTHON)  # what Python knows to be done, was so before it gave this to do
        by.clock[by.name] += 1
        access = Access(by.name, by.clock[by.name], name)
        for one in written:
            _check(by, _history(one, by).all, access)
        for one in read:
            _check(by, _history(one, by).all[:1], access)
        for one in read:
            _history(one, by).read[by.name] = access
        if on_gpu:
            if made:
                _check(by, freed.pop(by.name, []), access)
            for one in (*written, *made):
                history = _history(one, by)
                history.written, history.read = access, {}
        if waits:
            _learn(PYTHON, by)


def _written(name: str, taken: Sequence[Tensor]) -> Sequence[Tensor]:
    if name == "_fused_sgd_":
        return taken
    if name == "batch_norm":  # its running mean and variance
        return taken[1:3]
    in_place = (name.endswith("_") and not name.endswith("__")) or name in ("__setitem__", "__iadd__")
    return taken[:1] if in_place else []


def _check(by: Stream, before: Sequence[Access], access: Access) -> None:
    for one in before:
        if by.clock[one.stream] < one.tick:
            raise RuntimeError(f"race: {access.what} on {by.name} doesn't wait for {one.what} on {one.stream}")


def _history(tensor: Tensor, by: Stream | None) -> History:
    """`by`: who touches it, and made it if that is the first time."""
    storage: Any = tensor.untyped_storage()  # one object as long as the memory lives
    if not hasattr(storage, "history"):
        storage.history = History(Access("Python", 0, "nothing"))
        if by is not None:
            history, home = storage.history, by.name
            weakref.finalize(storage, lambda: freed[home].extend(o for o in history.all if o.stream not in history.recorded))
    return storage.history
