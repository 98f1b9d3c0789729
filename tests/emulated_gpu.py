"""A CUDA GPU emulated on the CPU: a pytest plugin, `pytest -p emulated_gpu`, with which test_emulated_gpu.py runs test_cuda.py.

Tensors are computed on the CPU and say that they lie on cuda:0. As on a GPU, they can't be mixed with those of main memory, and
what goes over is a copy; captured work is done at each replay, anew; while torch.cuda.set_sync_debug_mode("error") holds,
nothing may wait for the GPU; and no stream may touch what it doesn't know another to be done with (gpu_order.py). What it can't
show is left to tests on a real one: memory, speed, how a GPU rounds, and whether its libraries let a graph be captured at all.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import gpu_order
import pytest
import torch
import torchvision.io
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision.io import decode_jpeg

from noodle_tui import graphs

GPU = torch.device("cuda", 0)
MEMORY = 80 * 2**30
SAID = {Tensor.device.__get__: GPU, Tensor.is_cuda.__get__: True}  # type: ignore[attr-defined] # of a tensor on the GPU
WAIT = {"cpu", "item", "tolist", "nonzero", "__bool__", "__int__", "__float__", "__index__"}  # until the GPU has come so far
TALK = {"device", "_parse_to", "_has_compatible_shallow_copy_type"}  # about tensors and devices, and compute nothing
MIX = {"copy_", "__getitem__", "__setitem__"}  # may read from the other side

sync_debug_mode = "default"


class GpuTensor(Tensor):
    """Lies in main memory, and says that it lies on the GPU."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return call(func, args, kwargs or {})

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) not in memo:
            copy = self.detach().clone()
            memo[id(self)] = nn.Parameter(copy, self.requires_grad) if isinstance(self, nn.Parameter) else copy
        return memo[id(self)]

    def record_stream(self, s: Any) -> None:
        gpu_order.record_stream(self, s)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("what lies on the GPU would be saved so that only a machine with a GPU can load it")


class Emulation(TorchFunctionMode):
    """In here tensors can be made on the GPU. It holds for one thread."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return call(func, args, kwargs or {})


def call(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a function of torch comes to, and on which side."""
    tensors = list(tensors_in((args, kwargs)))
    with torch._C.DisableTorchFunction():
        if func == Tensor.pin_memory:
            return gpu_order.pin(args[0])
        if kwargs.get("pin_memory"):  # which takes a driver
            return gpu_order.pin(func(*args, **{**kwargs, "pin_memory": False}))
        there = any(map(on_gpu, tensors)) or any(map(is_gpu, (*args, *kwargs.values())))
        if there and func in SAID:
            return SAID[func]
        if there and func.__name__ not in TALK:
            return call_gpu(func, args, kwargs, tensors)
        result = func(*args, **kwargs)
        if pinned := [one for one in tensors if gpu_order.is_watched(one) and not there]:
            gpu_order.note(func.__name__, pinned, list(tensors_in(result)), on_gpu=False)
        return result


def call_gpu(func: Any, args: Sequence[Any], kwargs: dict[str, Any], tensors: Sequence[Tensor]) -> Any:
    """The same of a function that has `tensors`, or its result, on the GPU. RuntimeError or TypeError where a GPU would refuse,
    or a real one might do something else."""
    name, to_gpu = func.__name__, goes_to_gpu(func.__name__, args, kwargs, tensors)
    check_sides(name, tensors)
    crosses = name in ("to", "cpu", "copy_") and to_gpu != on_gpu(tensors[-1])
    waits = name in WAIT or (crosses and not to_gpu)
    if waits:
        wait_for_gpu(name)
    result = compute(func, args, kwargs)
    if crosses and name != "copy_":
        result = result.clone()
    result = on_side(to_gpu, result)
    watched = [one for one in tensors if on_gpu(one) or gpu_order.is_watched(one)]
    gpu_order.note(name, watched, [one for one in tensors_in(result) if on_gpu(one)], on_gpu=True, waits=waits)
    return result


def compute(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The same on the CPU."""
    return func(*("cpu" if is_gpu(value) else value for value in args),
                **{name: "cpu" if is_gpu(value) else value for name, value in kwargs.items()})


def goes_to_gpu(name: str, args: Sequence[Any], kwargs: dict[str, Any], tensors: Sequence[Tensor]) -> bool:
    """Where its result lies: where it is told to, or else with what it takes."""
    told = [value for value in (*args, *kwargs.values()) if names_a_place(value)]
    if name == "cpu" or told:
        return name != "cpu" and is_gpu(told[0])
    return on_gpu(tensors[0]) if name in MIX else any(map(on_gpu, tensors))


def check_sides(name: str, tensors: Sequence[Tensor]) -> None:
    """As on a GPU: a number may come from main memory, but no array; and numpy can't have what lies on the GPU."""
    together = not any(map(on_gpu, tensors)) or all(on_gpu(one) or one.dim() == 0 for one in tensors)
    if not (together or name in MIX) or (name == "__getitem__" and not on_gpu(tensors[0])):
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found at least two devices")
    if name in ("numpy", "__array__"):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


def wait_for_gpu(name: str) -> None:
    if sync_debug_mode == "error":
        raise RuntimeError(f"{name}: called a synchronizing CUDA operation")


def on_gpu(tensor: Tensor) -> bool:
    return isinstance(tensor, GpuTensor)


def names_a_place(value: Any) -> bool:
    return isinstance(value, torch.device | str) and str(value).partition(":")[0] in ("cpu", "cuda")


def is_gpu(value: Any) -> bool:
    return names_a_place(value) and str(value) != "cpu"


def tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from tensors_in(one)
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))


def on_side(gpu: bool, value: Any) -> Any:
    """`value`, all tensors in it taken to lie on the GPU, or in main memory."""
    if isinstance(value, Tensor):
        return value if on_gpu(value) == gpu else value.as_subclass(GpuTensor if gpu else Tensor)
    if type(value) in (list, tuple):
        return type(value)(on_side(gpu, one) for one in value)
    return value


def capture(work: Callable[[], Any], pool: Any = None) -> tuple[Any, Any]:
    """In place of graphs.capture: a graph that does the work again, into the same result."""
    for _ in range(graphs.WARM_UP):
        work()
    result = work()

    def replay() -> None:
        again = work()
        if result is not None:
            with torch.no_grad():
                result.copy_(again)

    return SimpleNamespace(replay=replay), result


def decode_jpeg_there(files: Any, mode: Any, device: Any = "cpu") -> Any:
    with torch._C.DisableTorchFunction():
        return on_side(is_gpu(device), [decode_jpeg(file, mode) for file in files])


def set_sync_debug_mode(mode: str) -> None:
    global sync_debug_mode
    sync_debug_mode = mode


class Autocast(torch.autocast):
    def __init__(self, device_type: str, *args: Any, **kwargs: Any):
        super().__init__("cpu", *args, **kwargs)


def run_in_emulation(run: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    def emulated(thread: threading.Thread) -> None:
        with Emulation():
            run(thread)

    return emulated


def nothing(*_: Any) -> None: ...


def pytest_configure(config: pytest.Config) -> None:
    """For this process, and for good."""
    properties = SimpleNamespace(name="Emulated GPU", total_memory=MEMORY, multi_processor_count=1, uuid="none")
    for name, replacement in {
        "is_available": lambda: True, "is_initialized": lambda: True, "device_count": lambda: 1, "current_device": lambda: 0,
        "get_device_name": lambda device=None: properties.name, "get_device_capability": lambda device=None: (9, 0),
        "get_device_properties": lambda device=None: properties, "mem_get_info": lambda device=None: (MEMORY, MEMORY),
        "memory_reserved": lambda device=None: 0, "set_sync_debug_mode": set_sync_debug_mode,
        "Stream": gpu_order.Stream, "Event": gpu_order.Event, "stream": gpu_order.stream,
        "current_stream": gpu_order.current_stream, "synchronize": gpu_order.synchronize,
        "graph_pool_handle": nothing, "set_device": nothing, "empty_cache": nothing,
    }.items():
        setattr(torch.cuda, name, replacement)
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # `model.to` makes new parameters, of the GPU's type
    torch.autocast = Autocast  # type: ignore[misc]
    torchvision.io.decode_jpeg = decode_jpeg_there
    graphs.capture = capture
    threading.Thread.run = run_in_emulation(threading.Thread.run)  # type: ignore[method-assign]
    Emulation().__enter__()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if item.get_closest_marker("real_gpu")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
