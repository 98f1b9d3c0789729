"""CUDA graphs: work captured once and replayed with one call from Python, where one by one its hundred kernels would keep the
GPU waiting for Python."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from noodle_tui.device import side_stream
from noodle_tui.errors import full_memory, one_line
from noodle_tui.events import Emit, Message

WARM_UP = 3  # runs before a capture, as torch's notes on CUDA graphs ask for

Result = TypeVar("Result", Tensor, None)
Work = Callable[[Sequence[Tensor]], Result]


@dataclass
class Graphs:
    """What graphs that are replayed one after another share."""

    pool: Any  # torch's own, of a private type: memory, as much as the largest graph takes and not their sum
    emit: Emit  # hears of a GPU that takes none
    refused: bool = False


def graphs_on(device: torch.device, emit: Emit) -> Graphs | None:
    """For graphs on `device`; None off CUDA, where there are none."""
    return Graphs(torch.cuda.graph_pool_handle(), emit) if device.type == "cuda" else None


class GraphRefused(RuntimeError):
    """The GPU, its driver or a library could not capture a graph of work that it had just done without one."""


class Captured(Generic[Result]):
    """`work` as CUDA graphs: one for each number of images that comes by, captured when it first does.

    An epoch has two at most, its full batches' and its last one's. What `work` returns is overwritten by the next call. Where
    no graph can be had that is said, and the same work is done step by step.
    """

    def __init__(
        self, work: Work[Result], graphs: Graphs, rehearsal: Callable[[], AbstractContextManager[None]] = nullcontext
    ):
        """`rehearsal` makes a context which undoes, on the GPU, what is computed in it: warming up trains, too."""
        self._work, self._graphs, self._rehearsal = work, graphs, rehearsal
        self._ways: dict[int, Work[Result]] = {}  # by the number of images

    def __call__(self, inputs: Sequence[Tensor]) -> Result:
        n = len(inputs[0])
        if n not in self._ways:
            self._ways[n] = self._work if self._graphs.refused else self._graph_or_work(inputs)
        return self._ways[n](inputs)

    def _graph_or_work(self, inputs: Sequence[Tensor]) -> Work[Result]:
        try:
            return self._graph(inputs)
        except GraphRefused as refused:
            self._graphs.refused = True
            self._graphs.emit(Message(level="warning", text=f"no CUDA graph can be captured here ({refused}): the GPU is told "
                                      "each kernel one by one, which is slower and comes to the same"))
            return self._work

    def _graph(self, inputs: Sequence[Tensor]) -> Work[Result]:
        places = [value.clone() for value in inputs]
        with self._rehearsal():
            graph, result = capture(lambda: self._work(places), self._graphs.pool)

        def replay(inputs: Sequence[Tensor]) -> Result:
            for place, value in zip(places, inputs, strict=True):
                place.copy_(value, non_blocking=True)
            graph.replay()
            return result

        return replay


def capture(work: Callable[[], Result], pool: Any = None) -> tuple[torch.cuda.CUDAGraph, Result]:
    """`work` as a graph on the current CUDA device, and what it returned.

    `work` runs WARM_UP times first, so that libraries have allocated memory and chosen kernels before the capture.
    torch.OutOfMemoryError where there is no room; GraphRefused if it can't be captured.
    """
    device, before = torch.device("cuda", torch.cuda.current_device()), torch.cuda.current_stream()
    side = side_stream(device, "capture")
    assert side is not None
    side.wait_stream(before)
    torch.cuda.empty_cache()  # so that what is reserved from here on is what `work` takes
    held = torch.cuda.memory_reserved(device)
    torch.cuda.reset_peak_memory_stats(device)
    try:
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                work()
    finally:
        before.wait_stream(side)  # also where it fails: what it has begun there is undone, and its memory taken again, here
    _check_room(device, torch.cuda.max_memory_reserved(device) - held)  # allocated is less: tensors lie in larger segments
    graph = torch.cuda.CUDAGraph()
    try:
        # thread_local: the saving thread's and other threads' CUDA calls go on meanwhile
        with torch.cuda.graph(graph, pool=pool, stream=side, capture_error_mode="thread_local"):
            result = work()
    except RuntimeError as error:
        _broken.append(graph)
        if full_memory(error):
            raise
        raise GraphRefused(one_line(error)) from error
    finally:
        torch.cuda.set_stream(before)  # a capture that fails leaves its own stream behind
    return graph, result


# Graphs whose capture failed. torch's allocator goes on asking them about every allocation (up to 2.11: pytorch#180395), so
# they must not go.
_broken: list[torch.cuda.CUDAGraph] = []


def _check_room(device: torch.device, size: int) -> None:
    """torch.OutOfMemoryError where `size` bytes aren't free: a graph has memory of its own, as much as its work took outside.
    Here that does no harm, but a capture that finds no room may lose the memory that it has taken."""
    torch.cuda.synchronize(device)
    torch.cuda.empty_cache()
    torch.empty(size, dtype=torch.uint8, device=device)


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
