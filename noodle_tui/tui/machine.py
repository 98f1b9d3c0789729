"""How busy the machine is that a run lives on: the GPU that it uses, else CPU and memory. Called in a thread worker."""

import os
import socket
import threading
from importlib import import_module
from typing import Any

import psutil

from noodle_tui.names import printable

GIB = 2**30
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
    pynvml: Any = import_module("pynvml")  # lazily, and as Any: its types are wrong
    try:
        pynvml.nvmlInit()
        try:
            card = _card(pynvml, device, pid)
            memory = pynvml.nvmlDeviceGetMemoryInfo(card)
            text = f"{memory.used / GIB:.1f}/{memory.total / GIB:.0f} GiB"
            try:
                load = int(pynvml.nvmlDeviceGetUtilizationRates(card).gpu)
            except pynvml.NVMLError_NotSupported:  # a slice of a card has memory of its own, but no utilisation
                return f"GPU  {text}", None
            return f"GPU {load}%  {text}", load
        finally:
            pynvml.nvmlShutdown()
    except (pynvml.NVMLError, UnknownCard) as error:
        return f"GPU ? ({error})", None


class UnknownCard(Exception):
    """A run folder names a card that isn't here."""


def _card(pynvml: Any, device: str, pid: int) -> Any:
    """The card that `pid` computes on; else the one that CUDA counts as `device`. UnknownCard where there is none."""
    cards = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    for card in cards:
        if any(process.pid == pid for process in pynvml.nvmlDeviceGetComputeRunningProcesses(card)):
            return card
    # In a container process ids differ: count as CUDA does, through CUDA_VISIBLE_DEVICES.
    number = device.partition(":")[2] or "0"
    visible = [part for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part]
    name = visible[int(number)] if number.isdecimal() and int(number) < len(visible) else number
    if not name.isdecimal():
        return pynvml.nvmlDeviceGetHandleByUUID(name)
    if int(name) >= len(cards):
        raise UnknownCard(f"no {printable(device)[:20]} here")
    return cards[int(name)]
