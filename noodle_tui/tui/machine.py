"""How busy the machine is that a run lives on: the GPU that it uses, else CPU and memory. Called in a thread worker."""

import os
import socket
import threading
from typing import Any

import psutil

from noodle_tui.card import GIB, NoAnswer, driver
from noodle_tui.names import printable

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
    """Utilisation and memory of the card that process `pid` computes on, through NVIDIA's management library.

    Says what the library says where it can't tell (no driver in this container, a card cut in slices).
    """
    try:
        with driver() as nvml:
            card = _card(nvml, device, pid)
            memory = nvml.nvmlDeviceGetMemoryInfo(card)
            text = f"{memory.used / GIB:.1f}/{memory.total / GIB:.0f} GiB"
            try:
                load = int(nvml.nvmlDeviceGetUtilizationRates(card).gpu)
            except nvml.NVMLError_NotSupported:  # a slice of a card has memory of its own, but no utilisation
                return f"GPU  {text}", None
            return f"GPU {load}%  {text}", load
    except NoAnswer as error:
        return f"GPU ? ({error})", None


def _card(nvml: Any, device: str, pid: int) -> Any:
    """The card that `pid` computes on; else the one that CUDA counts as `device`. NoAnswer where there is none."""
    cards = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    for card in cards:
        if any(process.pid == pid for process in nvml.nvmlDeviceGetComputeRunningProcesses(card)):
            return card
    # In a container process ids differ: count as CUDA does, through CUDA_VISIBLE_DEVICES.
    number = device.partition(":")[2] or "0"
    visible = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part]
    name = visible[int(number)] if number.isdecimal() and int(number) < len(visible) else number
    if not name.isdecimal():
        return nvml.nvmlDeviceGetHandleByUUID(name)
    if int(name) >= len(cards):
        raise NoAnswer(f"no {printable(device)[:20]} here")
    return cards[int(name)]
