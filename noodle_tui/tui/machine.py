"""How busy the machine is that a run lives on: the GPU that it uses, else CPU and memory. Called in a thread worker."""

import os
import socket
import threading
from typing import Any

import psutil

from noodle_tui.gpu import GIB, NoAnswer, driver
from noodle_tui.text import printable

FIRST_LOOK = 0.2  # seconds
_asked = threading.local()  # psutil counts the processor's load since the same thread's last call


def read_machine(device: str, host: str, pid: int) -> tuple[str, float | None]:
    """One line, e.g. "GPU 92%  1.8/80 GiB" or "CPU 87%  RAM 3.1/16 GiB", and the load in it, in percent; None: not known.

    For a run on another machine, that one's name.
    device: as in ModelReady ("cuda:0", "cpu"; "" while unknown); host, pid: as in RunStarted.
    """
    if host and host != socket.gethostname():
        return f"on {host}", None
    if device.startswith("cuda"):
        return read_gpu(device, pid)
    memory = psutil.virtual_memory()
    used, total = (memory.total - memory.available) / GIB, memory.total / GIB
    load = psutil.cpu_percent(None if hasattr(_asked, "before") else FIRST_LOOK)
    _asked.before = True
    return f"CPU {load:.0f}%  RAM {used:.1f}/{total:.0f} GiB", load


def read_gpu(device: str, pid: int) -> tuple[str, float | None]:
    """Utilisation and memory of the GPU that process `pid` computes on, through NVIDIA's management library.

    Says what the library says where it can't tell (no driver in this container, a GPU cut in slices).
    """
    try:
        with driver() as nvml:
            gpu = _gpu(nvml, device, pid)
            memory = nvml.nvmlDeviceGetMemoryInfo(gpu)
            text = f"{memory.used / GIB:.1f}/{memory.total / GIB:.0f} GiB"
            try:
                load = int(nvml.nvmlDeviceGetUtilizationRates(gpu).gpu)
            except nvml.NVMLError_NotSupported:  # a slice of a GPU has memory of its own, but no utilisation
                return f"GPU  {text}", None
            return f"GPU {load}%  {text}", load
    except NoAnswer as error:
        return f"GPU ? ({error})", None


def _gpu(nvml: Any, device: str, pid: int) -> Any:
    """The GPU that `pid` computes on; else the one that CUDA counts as `device`. NoAnswer where there is none."""
    gpus = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    for gpu in gpus:
        if any(process.pid == pid for process in nvml.nvmlDeviceGetComputeRunningProcesses(gpu)):
            return gpu
    # In a container process ids differ: count as CUDA does, through CUDA_VISIBLE_DEVICES.
    number = device.partition(":")[2] or "0"
    visible = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part]
    name = visible[int(number)] if number.isdecimal() and int(number) < len(visible) else number
    if not name.isdecimal():
        return nvml.nvmlDeviceGetHandleByUUID(name)
    if int(name) >= len(gpus):
        raise NoAnswer(f"no {printable(device)[:20]} here")
    return gpus[int(name)]
