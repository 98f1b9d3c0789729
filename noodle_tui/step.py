"""One training step: gather, augment, forward, backward, update, count. Eager, or captured once as a CUDA graph; compiled by
torch.compile where that is asked for."""

import logging
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noodle_tui.batches import Batches
from noodle_tui.device import Device
from noodle_tui.errors import UsageError, one_line

Step = Callable[[Sequence[Tensor]], None]
WARM_UP = 3  # steps before a capture, as torch's notes on CUDA graphs ask for


def make_step(
    model: nn.Module, optimizer: torch.optim.SGD, batches: Batches, totals: Tensor, device: Device, *, full: int,
    compiled: bool = False,
) -> Step:
    """A function that trains on one batch's inputs and adds its summed loss and correct count to `totals` [2].

    `full` is the number of images in each batch but an epoch's last: a graph and compiled code are made for this size alone,
    and a smaller batch takes the plain way. It never waits for the device: whoever reads `totals` does.
    """
    network = compile_network(model) if compiled else model

    def step(inputs: Sequence[Tensor]) -> None:
        images, labels = batches.prepare(*inputs)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.torch_device.type, torch.bfloat16, enabled=device.bf16):
            logits = (network if len(labels) == full else model)(images)
        loss = F.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        totals[0] += loss.detach() * len(labels)
        totals[1] += (logits.argmax(1) == labels).sum()

    if device.torch_device.type == "cuda":
        return CapturedStep(step, model, optimizer, totals, full)
    return step


def compile_network(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """The model as inductor compiles it at its first call: faster steps after a wait of a minute or so.

    The weights stay the model's own. Inductor captures no graph itself: on CUDA its kernels become part of ours.
    """
    torch.compiler.reset()  # what an earlier run of this process (the app's) compiled counts against torch's limit
    return torch.compile(model, dynamic=False)


def check_compiler(device: Device) -> None:
    """Compile a line of arithmetic, which takes seconds. UsageError where it fails: no C++ compiler, or no Triton for a GPU."""
    logging.getLogger("torch").setLevel(logging.ERROR)  # its warnings would tear a screen
    try:
        torch.compile(lambda x: x * 2 + 1, dynamic=False)(torch.ones(8, device=device.torch_device))
    except Exception as error:  # noqa: BLE001 - compilers, linkers, headers and drivers fail in many ways; each means: not here
        raise UsageError(f"--compile: torch.compile doesn't work here ({one_line(error)}): it needs a C++ compiler such as g++ "
                         "and, on a GPU, Triton; install what is missing or leave the option out") from None


class CapturedStep:
    """`step` as a CUDA graph, captured at the first batch of `full` images and replayed for each: one call from Python
    a step. A batch of another size (an epoch's last) runs eagerly."""

    def __init__(self, step: Step, model: nn.Module, optimizer: torch.optim.SGD, totals: Tensor, full: int):
        self._step, self._model, self._optimizer, self._totals, self._full = step, model, optimizer, totals, full
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[Tensor] = []

    def __call__(self, inputs: Sequence[Tensor]) -> None:
        if len(inputs[0]) != self._full:
            self._step(inputs)
            return
        graph = self._graph or self._capture(inputs)
        for place, value in zip(self._inputs, inputs, strict=True):
            place.copy_(value)
        graph.replay()

    def _capture(self, inputs: Sequence[Tensor]) -> torch.cuda.CUDAGraph:
        """Warm up and capture on copies of `inputs`, then undo what the warm-up trained."""
        self._inputs = [value.clone() for value in inputs]
        tensors = [*self._model.state_dict().values(), self._totals]
        before = [value.clone() for value in tensors]
        momentum = [s["momentum_buffer"].clone() if s.get("momentum_buffer") is not None else None
                    for s in (self._optimizer.state[p] for p in self._model.parameters())]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self._step(self._inputs)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step(self._inputs)
        with torch.no_grad():
            for place, value in zip(tensors, before, strict=True):
                place.copy_(value)
            for p, value in zip(self._model.parameters(), momentum, strict=True):
                # SGD's first update sets the buffer to the gradient: the same as momentum * 0 + gradient
                buffer = self._optimizer.state[p].get("momentum_buffer")
                if buffer is not None:
                    buffer.copy_(value) if value is not None else buffer.zero_()
        self._graph = graph
        return graph
