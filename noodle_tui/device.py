"""Which device trains, in which precision, with how many threads."""

import gc
import os
import platform
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import psutil
import torch

from noodle_tui import cgroup
from noodle_tui.errors import UsageError
from noodle_tui.text import number_of


@dataclass(frozen=True)
class Device:
    torch_device: torch.device
    name: str  # for people, e.g. "NVIDIA H100 80GB HBM3"
    precision: str  # "fp32" or "bf16"

    @property
    def bf16(self) -> bool:
        return self.precision == "bf16"


def pick_device(wanted: str, precision: str) -> Device:
    """The device for --device and --precision. UsageError if it isn't there. Changes nothing: see `set_up`."""
    device = torch.device(_best() if wanted == "auto" else wanted)
    if device.type == "cuda":
        device = _check_cuda(device)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device mps: this machine has no Apple GPU that torch can use; try --device auto")
    bf16 = precision == "bf16" or (precision == "auto" and computes_bf16(device))
    return Device(device, _name(device), "bf16" if bf16 else "fp32")


def set_up(device: Device) -> None:
    """Set threads and numeric flags for `device` in this process, and make it this thread's current CUDA device.

    For each thread that computes: a new one starts on cuda:0, where a graph of work on cuda:1 would come out empty.
    """
    if "OMP_NUM_THREADS" not in os.environ:  # who sets it (batch systems do) knows better
        torch.set_num_threads(_threads(device.torch_device))
    if device.torch_device.type == "cuda":
        torch.cuda.set_device(device.torch_device)
        _set_up_cuda()


def _threads(device: torch.device) -> int:
    """Of torch, on the CPU. Where a GPU trains, photos are decoded and cropped by threads of our own, one a processor, and
    torch would give each of them a team as large again."""
    return 1 if device.type == "cuda" else available_cpus()


@cache
def side_stream(device: torch.device, purpose: Literal["crops", "capture"]) -> torch.cuda.Stream | None:
    """A CUDA stream beside the one that trains, the same one each time for a purpose; None off CUDA.

    For each stream torch gives cuBLAS tens of MiB to work in: hence no new ones. What a graph captured on one works in that
    stream's, wherever it is replayed: hence one of their own for crops, which are made while graphs run. And newer versions of
    torch take it away when any graph of that stream goes: hence no graph goes while another of its process is still replayed.
    """
    return torch.cuda.Stream(device) if device.type == "cuda" else None


def release_memory() -> None:
    """Give the GPU's memory that this process no longer uses back to others: torch would keep it for itself."""
    if torch.cuda.is_initialized():
        gc.collect()  # a session and what its graphs refer to hold each other
        torch.cuda.empty_cache()


def _best() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _check_cuda(device: torch.device) -> torch.device:
    if not torch.cuda.is_available():
        raise UsageError(f"--device {device}: torch finds no CUDA GPU here; try --device cpu, or see `noodle doctor`")
    index = torch.cuda.current_device() if device.index is None else device.index
    if index >= torch.cuda.device_count():
        raise UsageError(f"--device {device}: this machine has {torch.cuda.device_count()} GPU(s), counted from cuda:0")
    return torch.device("cuda", index)


def _set_up_cuda() -> None:
    """How GPUs compute, for the whole process."""
    # the same weights from the same run, also after it was picked up: no algorithm that adds up in any order, and none that
    # is chosen by a race, which another process may decide otherwise
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    # TensorFloat-32 drops 13 bits of float32. torch has it on for convolutions by default. Those in bf16 never take it, and
    # matrix products crop the photos
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch 2.9 warns of newer names, which not all of its parts obey yet
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    threads = torch.get_num_threads() if "OMP_NUM_THREADS" in os.environ else available_cpus()
    return f"CPU, {number_of(threads, 'thread')}"


def computes_bf16(device: torch.device) -> bool:
    """Whether the device computes bfloat16 in hardware: only then is it faster than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return bool({"avx512_bf16", "amx_bf16", "bf16"} & _cpu_flags())
    return False


def _cpu_flags() -> set[str]:
    """The processor's feature flags; elsewhere than on Linux none are known."""
    return set(_cpu_info("flags", "Features").split())


def processor() -> str:
    """The processor's model, which decides by what code torch computes on it, and so how sums are rounded."""
    return _cpu_info("model name") or platform.machine()


def _cpu_info(*names: str) -> str:
    """What /proc/cpuinfo (Linux) says first under one of these names; "" where it says nothing."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return ""
    return next((line.partition(":")[2].strip() for line in path.read_text().splitlines() if line.startswith(names)), "")


def available_cpus() -> int:
    """Processors this process may really use: its affinity, cut by its control groups' quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, round(min(allowed, cgroup.cpu_quota())))


def available_memory() -> int:
    """Bytes of main memory this process may still take: what is free, cut by its control groups' limit."""
    return int(min(psutil.virtual_memory().available, cgroup.memory_left()))
