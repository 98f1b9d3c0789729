"""One training step: gather, augment, forward, backward, update, count. Eager, or captured once as a CUDA graph."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noodle_tui.batches import Batches
from noodle_tui.device import Device

Step = Callable[[Sequence[Tensor]], None]
WARM_UP = 3  # steps before a capture, as torch's notes on CUDA graphs ask for


def make_step(model: nn.Module, optimizer: torch.optim.SGD, batches: Batches, totals: Tensor, device: Device) -> Step:
    """A function that trains on one batch's inputs and adds its summed loss and correct count to `totals` [2].

    It never waits for the device: whoever reads `totals` does.
    """

    def step(inputs: Sequence[Tensor]) -> None:
        images, labels = batches.prepare(*inputs)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.torch_device.type, torch.bfloat16, enabled=device.bf16):
            logits = model(images)
        loss = F.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        totals[0] += loss.detach() * len(labels)
        totals[1] += (logits.argmax(1) == labels).sum()

    if device.torch_device.type == "cuda":
        return CapturedStep(step, model, optimizer, totals)
    return step


class CapturedStep:
    """`step` as a CUDA graph, captured at the first batch and replayed for each of the same size: one call from Python
    a step. A batch of another size (an epoch's last) runs eagerly."""

    def __init__(self, step: Step, model: nn.Module, optimizer: torch.optim.SGD, totals: Tensor):
        self._step, self._model, self._optimizer, self._totals = step, model, optimizer, totals
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[Tensor] = []

    def __call__(self, inputs: Sequence[Tensor]) -> None:
        if self._graph is None:
            self._capture(inputs)
        if len(inputs[0]) != len(self._inputs[0]) or self._graph is None:
            self._step(inputs)
            return
        for place, value in zip(self._inputs, inputs, strict=True):
            place.copy_(value)
        self._graph.replay()

    def _capture(self, inputs: Sequence[Tensor]) -> None:
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
