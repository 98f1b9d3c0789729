"""What a CUDA graph may hold, watched on the CPU: the step and the validation read nothing back and bring nothing along; and
what a rehearsal trains is undone. The graphs themselves are tested where there is a GPU, in test_cuda.py."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from test_fit import CONFIG, CPU, DATA, network, split
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from noodle_tui.batches import DeviceBatches
from noodle_tui.config import RunConfig
from noodle_tui.control import Control
from noodle_tui.device import Device
from noodle_tui.events import Event, Message
from noodle_tui.fit import fit
from noodle_tui.forward import plain_forward
from noodle_tui.graphs import GraphRefused, Graphs, capture, graphs_on, undone
from noodle_tui.pixels import PaddedStore
from noodle_tui.session import Session, new_session
from noodle_tui.step import Step, make_step

BF16 = Device(torch.device("cpu"), "CPU", "bf16")
# Each of these makes a GPU wait for Python or Python for the GPU; CUDA refuses them all while it captures.
FORBIDDEN = ("lift_fresh", "_local_scalar_dense", "nonzero", "masked_select", "_unique", "is_pinned", "_pin_memory", "equal")


class Watch(TorchDispatchMode):
    """Refuses what a graph can't hold: values that come from Python or go there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        by_mask = name.startswith("index") and any(
            isinstance(i, Tensor) and i.dtype == torch.bool for i in tree_leaves(args[1:2]))
        assert name not in FORBIDDEN and not by_mask, f"{name} has no place in a graph"
        return func(*args, **(kwargs or {}))


@contextmanager
def watched() -> Iterator[None]:
    with Watch():
        yield


def step_of(device: Device, momentum: float = 0.9) -> tuple[Step, DeviceBatches, Session]:
    """A step on pixels that lie on the device, as on a GPU; 20 images, batches of 8."""
    data = split(20, 1)
    store = PaddedStore(data.sizes, device.torch_device)
    for image in data.pixels:
        store.keep(image)
    batches = DeviceBatches(store.pixels(), data.labels, 8, 42, 64, device)
    session = new_session(network(), RunConfig(lr=0.05, momentum=momentum), device.torch_device)
    session.model.train()
    batches.start_epoch(1)
    return make_step(session.model, session.optimizer, session.totals, device, full=8), batches, session


@pytest.mark.parametrize("device", [CPU, BF16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("number", [0, 2], ids=["full batch", "last batch"])
def test_a_step_brings_nothing_from_python_and_reads_nothing_back(device: Device, number: int) -> None:
    step, batches, session = step_of(device)
    inputs = batches.inputs(number)
    step(inputs)  # warmed up, as before a capture
    with watched():
        step(inputs)
    assert session.totals[0] > 0


@pytest.mark.parametrize("device", [CPU, BF16], ids=["fp32", "bf16"])
def test_crops_within_an_epoch_are_made_without_python_waiting(device: Device) -> None:
    _, batches, _ = step_of(device)
    batches.inputs(0)
    with watched():
        images, labels = batches.inputs(1)
    assert images.std() > 0 and labels.tolist() != [0] * 8


@pytest.mark.parametrize("device", [CPU, BF16], ids=["fp32", "bf16"])
def test_a_validation_brings_nothing_from_python_and_reads_nothing_back(device: Device) -> None:
    forward = plain_forward(network().eval(), device)
    images = [torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)]
    with torch.no_grad():
        wanted = forward(images)
        with watched():
            found = forward(images)
    assert torch.equal(found, wanted) and found.dtype == torch.float32


def test_the_watch_sees_what_would_break_a_graph() -> None:
    value = torch.ones(3)
    for culprit in (lambda: torch.tensor([1.0]), lambda: value[0].item(), lambda: value[value > 0], lambda: bool(value[0])):
        with pytest.raises(AssertionError, match="has no place in a graph"), watched():
            culprit()


def state_of(session: Session) -> list[Tensor]:
    momentum = [session.optimizer.state[p].get("momentum_buffer") for p in session.model.parameters()]
    return [value.clone() for value in (*session.model.state_dict().values(), session.totals,
                                        *(torch.zeros(1) if m is None else m for m in momentum))]


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_a_rehearsal_is_undone_and_what_follows_is_as_without_it(momentum: float) -> None:
    plain, plain_batches, plain_session = step_of(CPU, momentum)
    step, batches, session = step_of(CPU, momentum)
    for number in (0, 1, 2):  # before the first step there is no momentum, afterwards there is
        inputs = batches.inputs(number)
        places = [value.data_ptr() for value in session.model.state_dict().values()]
        with undone([*session.model.state_dict().values(), session.totals], session.optimizer):
            for _ in range(3):
                step(inputs)
        step(inputs)
        plain(plain_batches.inputs(number))
        assert all(torch.equal(a, b) for a, b in zip(state_of(session), state_of(plain_session), strict=True))
        assert places == [value.data_ptr() for value in session.model.state_dict().values()]


def test_a_rehearsal_that_fails_is_undone_too() -> None:
    step, batches, session = step_of(CPU)
    step(batches.inputs(0))
    before = state_of(session)

    def fail() -> None:
        with undone([*session.model.state_dict().values(), session.totals], session.optimizer):
            step(batches.inputs(1))
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        fail()
    assert all(torch.equal(a, b) for a, b in zip(state_of(session), before, strict=True))


class FakeStream:
    """A CUDA stream that notes what it has to wait for."""

    def __init__(self) -> None:
        self.waits: list[object] = []

    def wait_stream(self, other: object) -> None:
        self.waits.append(other)


def fake_cuda(monkeypatch: pytest.MonkeyPatch, side: FakeStream, training: FakeStream) -> None:
    """Enough of torch.cuda for what comes before a capture."""
    monkeypatch.setattr("noodle_tui.graphs.side_stream", lambda device, purpose: side)
    for name, value in {"current_device": 0, "current_stream": training, "stream": nullcontext(), "empty_cache": None,
                        "reset_peak_memory_stats": None, "memory_reserved": 200, "max_memory_reserved": 500}.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)


def test_training_waits_for_a_warm_up_that_fails_before_it_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    side, training = FakeStream(), FakeStream()
    waits: list[list[object]] = []
    fake_cuda(monkeypatch, side, training)

    def fail() -> None:
        waits.append([*training.waits])
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        capture(fail)
    assert side.waits == [training] and waits == [[]] and training.waits == [side]


def test_before_a_capture_there_must_be_as_much_room_as_the_warm_up_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cuda(monkeypatch, FakeStream(), FakeStream())
    asked: list[int] = []

    def full(device: torch.device, size: int) -> None:
        asked.append(size)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("noodle_tui.graphs._check_room", full)
    with pytest.raises(torch.OutOfMemoryError):
        capture(lambda: None)
    assert asked == [500 - 200]


def test_a_gpu_that_takes_no_graph_says_so_once_and_comes_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(work: Callable[[], object], pool: object) -> None:
        for _ in range(3):
            work()  # warming up
        raise GraphRefused("CUDA error: operation not permitted")

    def fitted() -> tuple[Session, list[str]]:
        said: list[Event] = []
        session = new_session(network(), CONFIG, CPU.torch_device)
        fit(session, DATA, CONFIG, CPU, emit=said.append, control=Control(), save=lambda session: None)
        return session, [event.text for event in said if isinstance(event, Message)]

    plain, nothing = fitted()
    monkeypatch.setattr("noodle_tui.graphs.capture", refuse)
    monkeypatch.setattr("noodle_tui.fit.graphs_on", lambda device, emit: Graphs("a GPU's", emit))
    slow, warnings = fitted()
    assert nothing == []
    assert len(warnings) == 1 and warnings[0].startswith("no CUDA graph can be captured here (CUDA error: operation not per")
    assert all(torch.equal(a, b) for a, b in zip(state_of(slow), state_of(plain), strict=True))


def test_off_cuda_there_are_no_graphs() -> None:
    assert graphs_on(torch.device("cpu"), lambda event: None) is None
