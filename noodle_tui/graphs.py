"""CUDA graphs: work captured once and replayed with one call from Python, where one by one its hundred kernels would keep the
GPU waiting for Python."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from noodle_tui.device import side_stream

WARM_UP = 3  # runs before a capture, as torch's notes on CUDA graphs ask for

Result = TypeVar("Result", Tensor, None)
Work = Callable[[Sequence[Tensor]], Result]
Pool = Any  # torch's own, of a private type


class Captured(Generic[Result]):
    """`work` as CUDA graphs: one for each number of images that comes by, captured when it first does.

    An epoch has two at most, its full batches' and its last one's. What `work` returns is overwritten by the next call.
    """

    def __init__(
        self, work: Work[Result], pool: Pool | None, rehearsal: Callable[[], AbstractContextManager[None]] = nullcontext
    ):
        """`pool` is where the graphs' memory lies, see `graph_pool`. `rehearsal` makes a context which undoes, on the GPU,
        what is computed in it: warming up trains, too."""
        self._work, self._pool, self._rehearsal = work, pool, rehearsal
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, list[Tensor], Result]] = {}

    def __call__(self, inputs: Sequence[Tensor]) -> Result:
        graph, places, result = self._graphs.get(len(inputs[0])) or self._capture(inputs)
        for place, value in zip(places, inputs, strict=True):
            place.copy_(value, non_blocking=True)
        graph.replay()
        return result

    def _capture(self, inputs: Sequence[Tensor]) -> tuple[torch.cuda.CUDAGraph, list[Tensor], Result]:
        places = [value.clone() for value in inputs]
        with self._rehearsal():
            graph, result = capture(lambda: self._work(places), self._pool)
        self._graphs[len(places[0])] = graph, places, result
        return self._graphs[len(places[0])]


def graph_pool(device: torch.device) -> Pool | None:
    """A place for the memory of several graphs that are replayed one after another, so that they take as much as the largest
    of them and not their sum. None off CUDA, where there are no graphs."""
    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None


def capture(work: Callable[[], Result], pool: Pool | None = None) -> tuple[torch.cuda.CUDAGraph, Result]:
    """`work` as a graph on the current CUDA device, and what it returned. It is done a few times before: libraries allocate
    and choose then."""
    device, before = torch.device("cuda", torch.cuda.current_device()), torch.cuda.current_stream()
    side = side_stream(device, "capture")
    assert side is not None
    side.wait_stream(before)
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            work()
    before.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    try:
        # thread_local: the saving thread's and other threads' CUDA calls go on meanwhile
        with torch.cuda.graph(graph, pool=pool, stream=side, capture_error_mode="thread_local"):
            result = work()
    finally:
        torch.cuda.set_stream(before)  # a capture that fails leaves its own stream behind
    return graph, result


@contextmanager
def undone(tensors: Sequence[Tensor], optimizer: torch.optim.SGD) -> Iterator[None]:
    """What is trained in here is undone, also where it fails: `tensors` and the optimizer's momentum are as before, in the same
    memory."""
    before = [value.clone() for value in tensors]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    momentum = [None if (buffer := _momentum(optimizer, p)) is None else buffer.clone() for p in parameters]
    try:
        yield
    finally:
        with torch.no_grad():
            for place, value in zip(tensors, before, strict=True):
                place.copy_(value)
            for p, value in zip(parameters, momentum, strict=True):
                # SGD's first update sets the buffer to the gradient: the same as momentum * 0 + gradient
                if (buffer := _momentum(optimizer, p)) is not None:
                    buffer.copy_(value) if value is not None else buffer.zero_()


def _momentum(optimizer: torch.optim.SGD, parameter: Tensor) -> Tensor | None:
    return optimizer.state[parameter].get("momentum_buffer")
