"""The ceiling: forward, backward and step on one batch that lies on the device already, as fast as the device can."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F

from noodle_tui.config import RunConfig
from noodle_tui.device import Device
from noodle_tui.graphs import capture
from noodle_tui.heap import freed_memory_kept
from noodle_tui.model import build_model
from noodle_tui.session import new_session

WARM_UP = 3  # steps before a measurement
FEWEST = 3  # steps of a measurement, at least

Step = Callable[[], None]


def ceilings(
    batch_size: int, n_classes: int, config: RunConfig, device: Device, seconds: float
) -> dict[str, Callable[[], float]]:
    """{technique: a function that measures it for about `seconds`, in images a second}, warmed up: eager, on CUDA as a
    graph, and with --compile by inductor (on CUDA within a graph). Another graph has the kernels that this trainer takes,
    which give the same bits each time: what that costs, no trainer can make good."""

    def new_step(compiled: bool = False) -> Step:
        return _eager_step(batch_size, n_classes, config, device, compiled)

    techniques = {"eager": new_step()}
    cuda = device.torch_device.type == "cuda"
    pool = torch.cuda.graph_pool_handle() if cuda else None
    if cuda:
        techniques["CUDA graph, deterministic"] = captured(new_step(), pool)
    with fastest_kernels():
        if cuda:
            techniques["CUDA graph"] = captured(new_step(), pool)
        if config.compile:
            techniques["inductor"] = captured(new_step(compiled=True), pool) if cuda else new_step(compiled=True)
        return {name: _measure(step, _steps(step, device, seconds), batch_size, device) for name, step in techniques.items()}


def _steps(step: Step, device: Device, seconds: float) -> int:
    """How many steps last `seconds`, after a warm-up."""
    for _ in range(WARM_UP):
        step()
    wait_for(device)
    began = time.perf_counter()
    for _ in range(FEWEST):
        step()
    wait_for(device)
    return max(FEWEST, round(seconds * FEWEST / (time.perf_counter() - began)))


def _eager_step(batch_size: int, n_classes: int, config: RunConfig, device: Device, compiled: bool) -> Step:
    place, input_size = device.torch_device, config.input_size
    network = build_model("none", n_classes, seed=0).to(place)
    optimizer = new_session(network, config, place).optimizer
    network.train()
    model = torch.compile(network) if compiled else network
    images = torch.randn(batch_size, 3, input_size, input_size, device=place).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, n_classes, (batch_size,), device=place)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(place.type, torch.bfloat16, enabled=device.bf16):
            logits = model(images)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return step


def captured(step: Step, pool: Any) -> Step:
    """`step` as a CUDA graph, its memory in `pool`; what it returns replays it. The graph keeps the step's tensors alive."""
    graph, _ = capture(step, pool)

    def replay(owner: Step = step) -> None:  # the model and the batch belong to `step`
        graph.replay()

    return replay


def _measure(step: Step, steps: int, batch_size: int, device: Device) -> Callable[[], float]:
    def measure() -> float:
        with fastest_kernels(), freed_memory_kept(device.torch_device):
            step()  # its kernels and its memory are at hand again, after the others' turns
            wait_for(device)
            began = time.perf_counter()
            for _ in range(steps):
                step()
            wait_for(device)
            return steps * batch_size / (time.perf_counter() - began)

    return measure


@contextmanager
def fastest_kernels() -> Iterator[None]:
    """cuDNN picks its fastest convolutions by trial, deterministic or not, within the block."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic
    cudnn.benchmark, cudnn.deterministic = True, False
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = before


def wait_for(device: Device) -> None:
    """Until the device has done all that it was asked to."""
    if device.torch_device.type == "cuda":
        torch.cuda.synchronize(device.torch_device)
    elif device.torch_device.type == "mps":
        torch.mps.synchronize()
