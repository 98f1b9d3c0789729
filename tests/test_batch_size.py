"""A batch that doesn't fit: the largest one that does is found and said. The memory here is a number; no GPU is needed."""

import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MakeConfig
from test_fit import CONFIG, DATA, network
from torch import nn

from noodle_tui import batch_size
from noodle_tui.batch_size import is_too_large, largest_that_fits, trial
from noodle_tui.batches import HostBatches
from noodle_tui.control import Control
from noodle_tui.device import Device
from noodle_tui.errors import NoodleError, full_memory
from noodle_tui.gpu import holders_in_words, others_of, others_on_gpu
from noodle_tui.job import Job
from noodle_tui.listeners.fanout import Fanout
from noodle_tui.loading import Loaded
from noodle_tui.run import train
from noodle_tui.session import Session, new_session
from noodle_tui.world import ALONE, World

CPU = Device(torch.device("cpu"), "a card of the test", "fp32")


@pytest.mark.parametrize("too_many", [1, 2, 3, 24, 64])
def test_the_largest_that_fits_is_found_wherever_it_lies(too_many: int) -> None:
    for room in range(too_many):
        assert largest_that_fits(lambda n, room=room: n <= room, too_many) == room


def test_few_questions_are_asked_and_none_that_is_answered_already() -> None:
    asked: list[int] = []

    def fits(n: int) -> bool:
        asked.append(n)
        return n <= 300

    assert largest_that_fits(fits, 65_536) == 300
    assert len(asked) <= 2 * 16
    assert len(set(asked)) == len(asked)
    assert max(asked) < 65_536


def full_in_a_capture() -> RuntimeError:
    """A broken capture raises one of its own over what broke it."""
    try:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        finally:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(("error", "epoch", "size", "where", "answer"), [
    (torch.OutOfMemoryError("CUDA out of memory"), 4, 1, "cuda:0", True), (full_in_a_capture(), 4, 1, "cuda:0", True),
    (torch.OutOfMemoryError("CUDA out of memory"), 5, 1, "cuda:0", False),  # somebody else has taken the memory since
    (torch.OutOfMemoryError("CUDA out of memory"), 4, 2, "cuda:0", False), (MemoryError(), 4, 1, "cpu", False),
    (RuntimeError("shapes differ"), 4, 1, "cuda:0", False), (RuntimeError("integer out of range"), 4, 1, "cuda:0", True),
    (torch.OutOfMemoryError("CUDA out of memory"), 3, 1, "cuda:0", True),  # in the rest of an epoch that was begun before
])
def test_what_is_tried_out_is_a_full_gpu_in_the_first_epoch(
    error: BaseException, epoch: int, size: int, where: str, answer: bool
) -> None:
    session = new_session(network(), CONFIG, CPU.torch_device)
    session.epoch = epoch
    card = Device(torch.device(where), "a card of the test", "fp32")
    assert is_too_large(error, session, first_whole=4, device=card, world=World(0, size)) == answer


def test_who_holds_how_much_of_a_card() -> None:
    gib = 2**30
    assert holders_in_words([]) == ""
    assert holders_in_words([(7, 61 * gib), (9, None)]) == "shared: process 7 holds 61.0 GiB, process 9 holds an unknown amount"
    assert holders_in_words([(n, gib) for n in range(6)]).endswith("process 3 holds 1.0 GiB, 2 more 2.0 GiB")
    assert others_on_gpu("cpu") == []


def test_the_others_on_a_card_are_told_from_ourselves() -> None:
    found = [(3, 1), (7, 5), (9, None), (11, 8)]
    assert others_of(found, own=7, computing=True) == [(11, 8), (3, 1), (9, None)]
    assert others_of(found, own=8, computing=False) == [(11, 8), (7, 5), (3, 1), (9, None)]
    assert others_of(found, own=8, computing=True) == []  # other numbers than ours: one of them may be us


@pytest.mark.parametrize(("error", "whose"), [
    (MemoryError(), "host"), (torch.OutOfMemoryError("x"), "gpu"),
    (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "gpu"),
    (RuntimeError("CUDA driver error: out of memory"), "gpu"),
    (RuntimeError("GET was unable to find an engine to execute this computation"), "gpu"),
    (RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"), "gpu"),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "host"),
    (RuntimeError("shapes differ"), ""), (ValueError("memory"), ""),
])
def test_whose_memory_is_full(error: Exception, whose: str) -> None:
    assert full_memory(error) == whose


STARVED = """
import resource, sys, torch
from pathlib import Path
from noodle_tui.config import RunConfig
from noodle_tui import fit  # all that needs address space to be imported
from noodle_tui.errors import NoodleError
from noodle_tui.run import run
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 1_000_000_000,) * 2)
try:
    run(RunConfig.model_validate_json(sys.argv[1]))
except NoodleError as error:
    print(error)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux says how much is held")
def test_a_process_that_gets_no_more_memory_says_so_in_a_line(config_for: MakeConfig, runs_dir: Path) -> None:
    config = config_for(runs_dir, input_size=1024, batch_size=24)
    done = subprocess.run([sys.executable, "-c", STARVED, config.model_dump_json()], capture_output=True, text=True,
                          timeout=120)
    assert "no more memory, `ulimit -v` is " in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("\n") == 1


class Hungry(nn.Module):
    """The test's network, with a memory that holds the activations of so many images."""

    def __init__(self, room: int):
        super().__init__()
        self.network, self.room = network(), room
        self.seen: list[int] = []

    def __deepcopy__(self, memo: object) -> "Hungry":
        copied = Hungry(self.room)
        copied.seen = self.seen
        return copied

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(images) if self.training else -len(images))
        if self.training and len(images) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        return self.network(images)


@pytest.mark.parametrize("room", [0, 1, 3, 7])
def test_what_fits_is_found_by_doing_the_kinds_of_step_of_an_epoch(room: int) -> None:
    model = Hungry(room)
    fits = trial(model, DATA, CONFIG, CPU)
    assert largest_that_fits(fits, 8) == room
    model.seen.clear()
    if room == 7:
        assert fits(7)
        assert model.seen == [7, 6, -10]  # a full batch of 20 images, the last one, and the validation
        assert fits(5)
        assert model.seen[3:] == [5, -10]  # all batches are full


def test_a_trial_has_each_size_of_validation_batch_and_room_for_what_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Hungry(20)
    monkeypatch.setattr(batch_size, "EVAL_BATCH", 4)
    assert trial(model, DATA, CONFIG, CPU)(5)
    assert model.seen == [5, -4, -2]  # of 10 images

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    for name in ("snapshot", "session_content"):
        with monkeypatch.context() as patch:
            patch.setattr(batch_size, name, full)
            assert not trial(model, DATA, CONFIG, CPU)(5)


@pytest.mark.parametrize("step", [0, 1])
def test_after_a_pick_up_within_an_epoch_the_next_one_is_the_first_whole(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(batch_size, "is_too_large", lambda error, session, first_whole, *_: bool(told.append(first_whole)))
    session = new_session(Hungry(0), CONFIG, CPU.torch_device)
    session.step = step
    with pytest.raises(torch.OutOfMemoryError):
        train(Job(CONFIG, None, Fanout(), Control(), ALONE), Loaded(DATA, CPU, session), None)
    assert told == [step]


@pytest.mark.parametrize(("room", "said"), [
    (5, r"--batch-size 8: a step of training is too large for a card of the test; the largest batch that fits "
        r"now is 5$"),
    (0, r"--batch-size 8: .*; not even a single image of --input-size 64 fits \(OutOfMemoryError: CUDA out of memory. Tried "
        r"to allocate 9 GiB\): choose another --device$"),
])
def test_training_that_finds_no_room_says_what_has_room(room: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way, as on a GPU but for the GPU. What the failed step held is let go of before it is tried out."""
    alive: list[bool] = []
    real = batch_size.too_large

    def watched(session: Session, *others: Any) -> str:
        alive.append(any(isinstance(one, HostBatches) for one in gc.get_objects()))
        return real(session, *others)

    monkeypatch.setattr(batch_size, "is_too_large", lambda error, *_: isinstance(error, torch.OutOfMemoryError))
    monkeypatch.setattr(batch_size, "too_large", watched)
    gc.collect()
    session = new_session(Hungry(room), CONFIG, CPU.torch_device)
    with pytest.raises(NoodleError, match=said):
        train(Job(CONFIG, None, Fanout(), Control(), ALONE), Loaded(DATA, CPU, session), None)
    assert alive == [False]
