"""Picking the device, the precision and the number of threads."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from noodle_tui import device as module
from noodle_tui.device import available_cpus, computes_bf16, pick_device, set_up
from noodle_tui.errors import UsageError

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA GPU")
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
CPU = torch.device("cpu")


def test_cpu() -> None:
    device = pick_device("cpu", "fp32")
    assert device.torch_device == CPU
    assert device.name.startswith("CPU, ")
    assert not device.bf16


@no_gpu
def test_auto_without_a_gpu() -> None:
    wanted = "mps" if torch.backends.mps.is_available() else "cpu"
    assert pick_device("auto", "auto").torch_device.type == wanted


@no_gpu
@pytest.mark.parametrize("wanted", ["cuda", "cuda:1"])
def test_a_gpu_that_is_not_there(wanted: str) -> None:
    with pytest.raises(UsageError, match=f"--device {wanted}: .*--device cpu"):
        pick_device(wanted, "auto")


@gpu
def test_a_gpu_beyond_the_last() -> None:
    with pytest.raises(UsageError, match="--device cuda:99"):
        pick_device("cuda:99", "auto")


@gpu
def test_cuda_has_an_index() -> None:
    assert pick_device("cuda", "fp32").torch_device == torch.device("cuda", torch.cuda.current_device())


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has an Apple GPU")
def test_an_apple_gpu_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="--device mps"):
        pick_device("mps", "auto")


@pytest.mark.parametrize(("flags", "wanted"), [
    ("flags\t\t: fpu avx512_bf16 sse", "bf16"), ("Features\t: fp bf16", "bf16"), ("flags : fpu avx512f", "fp32"),
])
def test_auto_precision_follows_the_processor(flags: str, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}\n")
    monkeypatch.setattr(module, "Path", lambda name: tmp_path / "cpuinfo" if name == "/proc/cpuinfo" else Path(name))
    assert computes_bf16(CPU) == (wanted == "bf16")
    assert pick_device("cpu", "auto").precision == wanted


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_precision_that_was_asked_for_is_taken(precision: str) -> None:
    assert pick_device("cpu", precision).precision == precision


def test_threads_are_the_processors_unless_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr(module, "available_cpus", lambda: 3)
    try:
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        set_up(pick_device("cpu", "fp32"))
        assert torch.get_num_threads() == before
        monkeypatch.delenv("OMP_NUM_THREADS")
        device = pick_device("cpu", "fp32")
        assert torch.get_num_threads() == before, "a look changes nothing"
        set_up(device)
        assert torch.get_num_threads() == 3 and device.name == "CPU, 3 threads"
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_affinity_counts() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert available_cpus() == 1
    finally:
        os.sched_setaffinity(0, before)


# what can be seen of a GPU without one ----------------------------------------------------------------------------------


@pytest.fixture
def drawn_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A CUDA GPU as far as `pick_device` and `set_up` ask; the flags come back after the test."""
    for name, answer in {"is_available": True, "current_device": 0, "device_count": 1, "get_device_name": "a GPU",
                         "get_device_capability": (9, 0), "set_device": None}.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)
    # wrong on purpose, as a container or an earlier run may have left them
    for flags, name, value in ((torch.backends.cudnn, "deterministic", False), (torch.backends.cudnn, "benchmark", True),
                               (torch.backends.cudnn, "allow_tf32", True), (torch.backends.cuda.matmul, "allow_tf32", True)):
        monkeypatch.setattr(flags, name, value)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("drawn_gpu")
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_a_gpu_computes_the_same_thing_twice_and_with_all_of_float32(precision: str) -> None:
    device = pick_device("cuda", precision)
    assert torch.backends.cudnn.benchmark, "a look changes nothing: a run may be going on"
    set_up(device)
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.usefixtures("drawn_gpu")
def test_threads_that_crop_for_a_gpu_have_no_teams_of_their_own() -> None:
    assert pick_device("cuda", "auto").precision == "bf16"
    set_up(pick_device("cuda", "auto"))
    assert torch.get_num_threads() == 1
