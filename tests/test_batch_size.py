"""A batch that doesn't fit: the largest one that does is found and said. The memory here is a number; no GPU is needed."""

import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from conftest import MakeConfig
from test_fit import CONFIG, DATA, network
from torch import nn

from noodle_tui.batch_size import largest_that_fits, trial, watched
from noodle_tui.card import holders_in_words, others_of, others_on_card
from noodle_tui.checkpoint import new_session
from noodle_tui.control import Control
from noodle_tui.device import Device
from noodle_tui.errors import NoodleError, full_memory
from noodle_tui.fit import fit, predict_logits
from noodle_tui.graphs import Graphs

CPU = Device(torch.device("cpu"), "a card of the test", "fp32")
N = 137  # two batches of 64 and a last one of 9


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


def test_a_first_step_that_finds_the_memory_full_says_what_fits() -> None:
    def step(_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB\nand more")

    release = Mock()
    train_step = watched(step, release, lambda n: n <= 50, N, 64, 224, CPU)
    with pytest.raises(NoodleError) as raised:
        train_step(0)
    assert release.call_count == 1
    assert str(raised.value) == ("--batch-size 64: a step of training doesn't fit into the memory of a card of the test; the "
                                 "largest batch that fits now is 50")
    with pytest.raises(NoodleError, match=r"not even a single image of --input-size 224 fits \(OutOfMemoryError: CUDA out of "
                                          r"memory. Tried to allocate 20 GiB\): choose another --device"):
        watched(step, Mock(), lambda n: False, N, 64, 224, CPU)(0)


def test_an_epochs_last_batch_is_watched_too() -> None:
    def step(number: int) -> None:
        if number == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    train_step = watched(step, Mock(), lambda n: n <= 50, N, 64, 224, CPU)
    train_step(0)
    train_step(1)
    with pytest.raises(NoodleError, match=r"--batch-size 64: .* the largest batch that fits now is 50$"):
        train_step(2)


def test_a_broken_capture_counts_as_what_broke_it() -> None:
    def step(_: object) -> None:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        finally:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")

    with pytest.raises(NoodleError, match=r"fits now is 1$"):
        watched(step, Mock(), lambda n: n == 1, N, 64, 224, CPU)(0)


def test_other_errors_and_later_steps_are_passed_on() -> None:
    errors = [None, torch.OutOfMemoryError("CUDA out of memory")]

    def step(_: object) -> None:
        if (error := errors.pop(0)) is not None:
            raise error

    train_step = watched(step, Mock(), lambda n: True, N, 64, 224, CPU)
    train_step(0)
    with pytest.raises(torch.OutOfMemoryError):  # somebody else has taken the memory since
        train_step(1)

    def broken(_: object) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        watched(broken, Mock(), lambda n: True, N, 64, 224, CPU)(0)


def test_who_holds_how_much_of_a_card() -> None:
    gib = 2**30
    assert holders_in_words([]) == ""
    assert holders_in_words([(7, 61 * gib), (9, None)]) == "shared: process 7 holds 61.0 GiB, process 9 holds an unknown amount"
    assert holders_in_words([(n, gib) for n in range(6)]).endswith("process 3 holds 1.0 GiB, 2 more 2.0 GiB")
    assert others_on_card("cpu") == []


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
def test_a_machine_whose_memory_is_full_says_so_in_a_line(config_for: MakeConfig, runs_dir: Path) -> None:
    config = config_for(runs_dir, input_size=1024, batch_size=24)
    done = subprocess.run([sys.executable, "-c", STARVED, config.model_dump_json()], capture_output=True, text=True,
                          timeout=120)
    assert done.stdout.startswith("this machine's memory is full: try a smaller --batch-size"), done.stdout + done.stderr
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
    config = CONFIG.model_copy(update={"batch_size": 8})
    fits = trial(model, DATA, config, CPU, lambda copy: predict_logits(copy, DATA.val.pixels.stacked()[:1], CPU))
    assert largest_that_fits(fits, 8) == room
    model.seen.clear()
    if room == 7:
        assert fits(7)
        assert model.seen == [7, 6, -1]  # a full batch of 20 images, the last one, and the validation
        assert fits(5)
        assert model.seen[3:] == [5, -1]  # all batches are full


def test_a_fit_that_finds_no_room_says_what_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way of the training loop, as on a GPU but for the GPU."""
    card = Device(torch.device("cpu"), "a card of the test", "fp32")
    monkeypatch.setattr("noodle_tui.fit.graphs_on", lambda device, emit: Graphs("a GPU's", emit, refused=True))
    session = new_session(Hungry(5), CONFIG.lr, CONFIG.momentum, card.torch_device)
    with pytest.raises(NoodleError, match=r"--batch-size 8: .* of a card of the test; the largest batch that fits now is 5$"):
        fit(session, DATA, CONFIG, card, emit=lambda event: None, control=Control(), save=lambda session: None)
