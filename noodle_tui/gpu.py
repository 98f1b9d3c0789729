"""The NVIDIA GPU as its driver knows it: what is free, and which other processes hold how much. Asks NVML, not CUDA: a context
of our own would cost half a GiB.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, TypeVar

Answer = TypeVar("Answer")
GIB = 2**30
NAMED = 4  # processes that are named one by one


class NoAnswer(Exception):
    """The driver can't tell, for the reason that it gives: it isn't there, it hides its GPUs, it has no such GPU."""


@contextmanager
def driver() -> Iterator[Any]:
    """NVML, ready to be asked: pynvml's functions (Any: its types are wrong), imported late. NoAnswer for what it refuses."""
    nvml: Any = import_module("pynvml")
    try:
        nvml.nvmlInit()
        try:
            yield nvml
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        raise NoAnswer(error) from None


def has_gpu() -> bool:
    """Whether there is an NVIDIA GPU that this process may use and its driver can be asked about. Without torch, and in
    milliseconds."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):  # which the driver's library doesn't look at
        return False
    with suppress(NoAnswer), driver() as nvml:
        return nvml.nvmlDeviceGetCount() > 0
    return False


def free_gpu_memory(device: Any) -> int | None:
    """Free bytes of an NVIDIA GPU. None where the driver doesn't say: a slice of a GPU, a container that hides it."""
    return _ask(device, lambda nvml, gpu: int(nvml.nvmlDeviceGetMemoryInfo(gpu).free))


def others_on_gpu(device: Any) -> list[tuple[int, int | None]]:
    """(process id, bytes) of the other processes that compute on an NVIDIA GPU, the largest first.

    Bytes are None where the driver keeps them to itself. Empty where nobody else is there, or it doesn't say.
    """
    import torch

    found = _ask(device, lambda nvml, gpu: [(int(p.pid), p.usedGpuMemory)
                                             for p in nvml.nvmlDeviceGetComputeRunningProcesses(gpu)])
    return others_of(found, os.getpid(), torch.cuda.memory_reserved(device) > 0) if found else []


def others_of(
    found: list[tuple[int, int | None]], own: int, computing: bool
) -> list[tuple[int, int | None]]:
    """The processes beside `own`, the largest first; whether `own` is `computing` there, it knows itself.

    Empty where it is and isn't among them: in a container the driver knows the host's process ids, and we would take ourselves
    for a stranger.
    """
    if computing and own not in (pid for pid, _ in found):
        return []
    others = [(pid, None if used is None else int(used)) for pid, used in found if pid != own]
    return sorted(others, key=lambda other: other[1] or 0, reverse=True)


def holders_in_words(others: list[tuple[int, int | None]]) -> str:
    """Who else is on the GPU and holds how much, e.g. "shared: process 4711 holds 61.2 GiB"; "" where there is nobody."""
    if not others:
        return ""
    named = ", ".join(f"process {pid} holds " + ("an unknown amount" if used is None else f"{used / GIB:.1f} GiB")
                      for pid, used in others[:NAMED])
    rest = others[NAMED:]
    return f"shared: {named}" + (f", {len(rest)} more {sum(u or 0 for _, u in rest) / GIB:.1f} GiB" if rest else "")


def leave_gpu() -> None:
    """Let go of what torch keeps of a GPU's memory for later: an app may stay open for days. Without importing torch."""
    if "torch" in sys.modules:
        from noodle_tui.device import release_memory

        with suppress(RuntimeError):  # a GPU that failed fails again; whoever used it has said so
            release_memory()


def _ask(device: Any, question: Callable[[Any, Any], Answer]) -> Answer | None:
    """NVML's answer about a torch device ("cuda:0"); None where it has none, and for a device that is no NVIDIA GPU."""
    import torch

    if torch.device(device).type != "cuda":
        return None
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
    with suppress(NoAnswer), driver() as nvml:
        return question(nvml, nvml.nvmlDeviceGetHandleByUUID(uuid))
    return None
