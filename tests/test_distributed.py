"""Two processes on the CPU: against the same training in one process, written plainly here; stopped; killed.

torchrun starts them where what it does itself counts; elsewhere the test does, and serves the store, for a third less work.
"""

import copy
import csv
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import psutil
import pytest
import torch
import torch.nn.functional as F
from conftest import FinishedRun, MakeConfig
from PIL import Image
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torchvision import transforms
from torchvision.transforms.v2 import functional as tvf

from noodle_tui import distributed
from noodle_tui.augment import IMAGENET_MEAN, IMAGENET_STD, crop_batch, plan_epoch
from noodle_tui.checkpoint import Checkpoint, read_checkpoint
from noodle_tui.config import RunConfig, options
from noodle_tui.control import Control, request_pause
from noodle_tui.device import Device
from noodle_tui.distributed import DIED, check_ranks, joined, under_torchrun
from noodle_tui.errors import NoodleError, StopRun, UsageError
from noodle_tui.events import EpochDone, Event, Paused, RunStarted, RunStopped
from noodle_tui.fit import check_shares
from noodle_tui.loading import check_alike
from noodle_tui.model import build_model
from noodle_tui.run import run
from noodle_tui.run_folder import Follower, list_runs, read_state
from noodle_tui.samples import find_samples
from noodle_tui.session import new_session
from noodle_tui.step import make_shared_step
from noodle_tui.world import SharedControl, World

PATIENCE = 90  # seconds, on a machine that does other things, too
RANKS = 2
CPU = Device(torch.device("cpu"), "CPU", "fp32")


def torchrun(config: RunConfig, *more: str) -> "subprocess.Popen[str]":
    """A run of two processes with the options that `config` was given."""
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={RANKS}", *training(config), *more],
        env=os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(config.save_dir.parent)},  # where it leaves an empty folder
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def training(config: RunConfig) -> list[str]:
    given = [f"--{o.flag}={getattr(config, o.name)}" for o in options() if o.name in config.model_fields_set]
    return ["-m", "noodle_tui", "run", "--headless", *given]


def two(store: Any, *command: str) -> "list[subprocess.Popen[str]]":
    """The two processes that torchrun would start: both run python's `command` and meet at `store`."""
    return [subprocess.Popen([sys.executable, *command], env=rank_of_2(rank, store.port), stderr=subprocess.PIPE, text=True)
            for rank in range(RANKS)]


def ends(ranks: "list[subprocess.Popen[str]]") -> tuple[list[int], str]:
    """Their exit codes, and what both said on stderr."""
    complaints = "".join(rank.communicate(timeout=PATIENCE)[1] for rank in ranks)
    return [rank.returncode for rank in ranks], complaints


def wait_for_event(process: "subprocess.Popen[str]", save_dir: Path, wanted: Callable[[Event], bool]) -> Path:
    """The run folder, once an event is there."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        for folder in list_runs(save_dir):
            if any(wanted(event) for event in Follower(folder).read()):
                return folder
        time.sleep(0.05)
    process.kill()
    raise AssertionError(process.communicate())


@dataclass
class Plain:
    """The training of two ranks in one process: each half batch through a network of its own, so that batch norm sees it
    alone; the gradients are averaged over the images."""

    config: RunConfig
    models: list[nn.Module]
    optimizers: list[torch.optim.SGD]
    totals: Tensor  # of the epoch so far: summed loss, correct answers
    start: Tensor  # the weights before

    def train(self, epoch: int, first: int, last: int | None) -> None:
        """Steps `first` up to `last` (the epoch's end where it is None) of `epoch`."""
        images, labels = pixels(self.config, "train")
        plan = plan_epoch(self.config.seed, epoch, np.array([image.shape[1:] for image in images]))
        size = self.config.batch_size
        for start in range(first * size, len(images) if last is None else last * size, size):
            batch = np.arange(start, min(start + size, len(images)))
            n_first = (len(batch) + 1) // 2
            summed = [torch.zeros_like(p) for p in self.models[0].parameters()]
            for model, half in zip(self.models, (batch[:n_first], batch[n_first:]), strict=True):
                if not len(half):
                    continue
                crops = crop_batch([images[i] for i in plan.order[half]], plan.boxes[half], plan.flips[half],
                                   self.config.input_size)
                right = labels[torch.from_numpy(plan.order[half])]
                logits = model.train()(normalised(crops))
                loss = F.cross_entropy(logits, right, reduction="sum")
                for total, gradient in zip(summed, torch.autograd.grad(loss, list(model.parameters())), strict=True):
                    total += gradient
                self.totals += torch.tensor([loss.item(), int((logits.argmax(1) == right).sum())])
            for model, optimizer in zip(self.models, self.optimizers, strict=True):
                for parameter, gradient in zip(model.parameters(), summed, strict=True):
                    parameter.grad = gradient / len(batch)
                optimizer.step()

    @torch.no_grad()
    def validate(self) -> tuple[float, int]:
        """Mean loss and correct answers of rank 0's network."""
        images, labels = pixels(self.config, "val")
        side = self.config.input_size
        squares = torch.stack([tvf.center_crop(tvf.resize(i, [side], antialias=True), [side, side]) for i in images])
        logits = self.models[0].eval()(normalised(squares))
        return F.cross_entropy(logits, labels).item(), int((logits.argmax(1) == labels).sum())


def plain(config: RunConfig, content: Checkpoint | None = None) -> Plain:
    """Before its first step, or as the checkpoint `content` left it."""
    model = build_model("none", 2, config.seed)
    if content is not None:
        model.load_state_dict(content.model)
    models = [model, copy.deepcopy(model)]
    optimizers = [torch.optim.SGD(m.parameters(), lr=config.lr, momentum=config.momentum) for m in models]
    if content is not None:
        for optimizer in optimizers:
            optimizer.load_state_dict(copy.deepcopy(content.optimizer))
    return Plain(config, models, optimizers, torch.zeros(2, dtype=torch.float64), flat(model.state_dict()))


def pixels(config: RunConfig, split: str) -> tuple[list[Tensor], Tensor]:
    samples = find_samples(config.data_dir, config.person).samples[split]
    images = [torch.from_numpy(np.array(Image.open(sample.path))).permute(2, 0, 1).contiguous() for sample in samples]
    return images, torch.tensor([sample.label for sample in samples])


def normalised(images: Tensor) -> Tensor:
    return transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)(images / 255).contiguous(memory_format=torch.channels_last)


def assert_same_weights(folder: Path, reference: Plain) -> None:
    """As a whole: batch norm of so few images doubles a rounding error with every step, most of all in small biases."""
    found = read_checkpoint(folder)[0].model
    wanted = reference.models[0].state_dict()
    assert found.keys() == wanted.keys()
    error = flat(found) - flat(wanted)
    assert error.norm() < 1e-4 * flat(wanted).norm()
    assert error.norm() < 0.05 * (flat(wanted) - reference.start).norm()  # of what was learnt


def flat(weights: dict[str, Tensor]) -> Tensor:
    """All weights and biases in a row, without batch norm's running statistics."""
    return torch.cat([value.double().flatten() for name, value in weights.items() if name.endswith(("weight", "bias"))])


def assert_as_near_as_rounding(trained: "Trained", reference: Plain) -> None:
    """The two processes are as near the reference as it is to itself, begun with weights that are a rounding error off."""
    other = plain(trained.config)
    with torch.no_grad():
        for model in other.models:
            random = torch.Generator().manual_seed(0)
            for parameter in model.parameters():
                parameter.mul_(1 + 6e-8 * torch.randn(parameter.shape, generator=random))
    for epoch in (1, 2):
        other.train(epoch, 0, None)
    wanted = flat(reference.models[0].state_dict())
    by_rounding = (flat(other.models[0].state_dict()) - wanted).norm()
    assert (flat(read_checkpoint(trained.folder)[0].model) - wanted).norm() < 10 * by_rounding


@dataclass(frozen=True)
class Trained:
    config: RunConfig
    folder: Path
    output: str
    complaints: str


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, config_for: MakeConfig) -> Iterator[Trained]:
    """Two epochs of 23 images and 1: shares of 12 and 11, then of 1 and none."""
    config = config_for(tmp_path_factory.mktemp("together"), n_epochs=2, batch_size=23, input_size=64, lr=1e-4)
    process = torchrun(config)
    output, complaints = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, complaints
    [folder] = list_runs(config.save_dir)  # one
    yield Trained(config, folder, output, complaints)
    shutil.rmtree(config.save_dir, ignore_errors=True)


def test_weights_and_numbers_are_those_of_one_process_that_averages_gradients(trained: Trained) -> None:
    reference = plain(trained.config)
    with (trained.folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for epoch, row in enumerate(rows, start=1):
        reference.totals.zero_()
        reference.train(epoch, 0, None)
        loss, correct = (reference.totals / 24).tolist()
        val_loss, val_correct = reference.validate()
        assert float(row["train_loss"]) == pytest.approx(loss, rel=1e-4)
        assert float(row["train_accuracy"]) == correct
        assert float(row["val_loss"]) == pytest.approx(val_loss, rel=1e-4)
        assert float(row["val_accuracy"]) == val_correct / 8
    assert len(rows) == 2
    assert_same_weights(trained.folder, reference)
    assert_as_near_as_rounding(trained, reference)


def test_one_process_alone_speaks(trained: Trained) -> None:
    lines = trained.output.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("epoch")] == ["1/2", "2/2"]
    assert sum(line.startswith("reading the photos") for line in lines) == 1
    assert "noodle_tui" not in trained.complaints
    assert read_state(trained.folder).status == "done"
    assert len([e for e in Follower(trained.folder).read() if isinstance(e, RunStarted)]) == 1


def test_a_pause_and_a_stop_are_for_all_and_everything_is_saved(runs_dir: Path, config_for: MakeConfig) -> None:
    config = config_for(runs_dir, n_epochs=1000, batch_size=9, input_size=64, lr=1e-5)
    process = torchrun(config)
    folder = wait_for_event(process, runs_dir, lambda event: isinstance(event, EpochDone))
    request_pause(folder)
    wait_for_event(process, runs_dir, lambda event: isinstance(event, Paused))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode != 0  # torchrun's own
    state = read_state(folder)
    assert isinstance(state.ended, RunStopped)
    assert "SIGTERM" in state.ended.reason

    content = read_checkpoint(folder)[0]
    reference = plain(config)
    for epoch in range(1, content.epoch + 1):
        reference.train(epoch, 0, None)
    reference.totals.zero_()
    reference.train(content.epoch + 1, 0, content.step)
    assert content.totals.tolist() == pytest.approx(reference.totals.tolist(), rel=1e-3)
    assert_same_weights(folder, reference)

    outcome = run(RunConfig(load_dir=folder, n_epochs=content.epoch + 1))  # one process goes on
    assert outcome.status == "done"
    assert [e.epoch for e in read_state(folder).epochs] == list(range(1, content.epoch + 2))


def test_a_run_of_one_process_is_picked_up_by_two(runs_dir: Path, finished: FinishedRun, store: Any) -> None:
    folder = runs_dir / "copy"
    shutil.copytree(finished.folder, folder)
    content = read_checkpoint(folder)[0]
    codes, complaints = ends(two(store, *training(RunConfig(load_dir=folder, n_epochs=4, lr=1e-5))))
    assert codes == [0, 0], complaints
    assert [e.epoch for e in read_state(folder).epochs] == [1, 2, 3, 4]
    reference = plain(finished.config, content)  # its momentum, too
    for optimizer in reference.optimizers:
        optimizer.param_groups[0]["lr"] = 1e-5
    reference.train(4, 0, None)
    assert_same_weights(folder, reference)


def test_a_killed_process_ends_the_others(runs_dir: Path, config_for: MakeConfig) -> None:
    process = torchrun(config_for(runs_dir, n_epochs=1000, batch_size=8))
    folder = wait_for_event(process, runs_dir, lambda event: isinstance(event, EpochDone))
    ranks = {rank.environ()["RANK"]: rank for rank in psutil.Process(process.pid).children() if "RANK" in rank.environ()}
    assert set(ranks) == {"0", "1"}
    ranks["1"].kill()
    _, complaints = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert complaints.count(DIED) == 1
    assert not any(rank.is_running() for rank in ranks.values())
    assert read_state(folder).status == "failed"


STUCK = """
import os, signal, torch
from noodle_tui import distributed
from noodle_tui.control import Control, stop_on_signals
distributed.GRACE = 1
with stop_on_signals(Control(), hangup=True), distributed.joined() as world, distributed.ended_where_stuck(world):
    if world.rank == 1:
        world.store.get("trains")
        os.kill(os.getpid(), signal.SIGKILL)
    world.store.set("trains", "")
    while True:
        torch.linalg.svd(torch.randn(6000, 6000))  # minutes without Python, as a wait within NCCL
"""


def test_a_process_that_waits_for_a_dead_one_says_so_and_ends(store: Any) -> None:
    ranks = two(store, "-c", STUCK)
    assert ranks[1].wait(timeout=PATIENCE) == -signal.SIGKILL
    ranks[0].terminate()  # as torchrun does then
    codes, complaints = ends(ranks)
    assert codes == [1, -signal.SIGKILL]
    assert complaints.count(f"noodle: {DIED}") == 1


def test_an_error_is_said_once(runs_dir: Path, config_for: MakeConfig, store: Any) -> None:
    codes, complaints = ends(two(store, *training(config_for(runs_dir, batch_size=1))))
    assert codes == [2, 1]
    assert complaints.count("noodle: ") == 1
    assert "--batch-size 1: it is shared out among 2 processes" in complaints
    assert not runs_dir.exists()


STILL_SAVING = """
import os, signal, sys, time
from noodle_tui import distributed
from noodle_tui.control import Control, stop_on_signals
distributed.GRACE = 0.5
world = distributed.World(0, 2)
control = Control()
with stop_on_signals(control):
    with distributed.ended_where_stuck(world):  # training
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(2)  # saving
    print("saved", control.stop_requested)
"""


def test_a_process_that_has_stopped_training_may_take_its_time() -> None:
    done = subprocess.run([sys.executable, "-c", STILL_SAVING], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "saved True\n", "")


# without processes -------------------------------------------------------------------------------------------------------


def test_gradients_are_grouped_in_a_first_step_as_in_all_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """DDP groups them anew after its first backward pass, and of three ranks' the grouping decides how the sum is rounded: a
    run of three that is picked up would not come to what it would have come to undisturbed. One rank stands for them here."""
    made: list[DistributedDataParallel] = []

    def kept(*arguments: Any, **named: Any) -> DistributedDataParallel:
        made.append(DistributedDataParallel(*arguments, **named))
        return made[-1]

    monkeypatch.setattr("noodle_tui.step.DistributedDataParallel", kept)
    torch.distributed.init_process_group("gloo", store=store_of_one(), rank=0, world_size=1)
    try:
        session = new_session(build_model("none", 2, 1), RunConfig(lr=0.01), CPU.torch_device)
        before = copy.deepcopy(session.model.state_dict())
        take_step = make_shared_step(session, CPU, World(0, 1), 4, 4)
        assert all(torch.equal(value, before[name]) for name, value in session.model.state_dict().items())
        for _ in range(2):
            take_step((torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8), torch.tensor([0, 1, 0, 1])))
        assert made[0]._get_ddp_logging_data()["has_rebuilt_buckets"] == 1, "of the step before the last one"
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_shares_make_up_each_batch_in_order(size: int) -> None:
    for n in range(1, 12):
        for batch_size in range(1, 7):
            worlds = [World(rank, size) for rank in range(size)]
            for step in range(-(-n // batch_size)):
                batch = range(n)[step * batch_size : (step + 1) * batch_size]
                shares = [range(n)[world.batch(step, batch_size, n)] for world in worlds]
                assert [i for share in shares for i in share] == list(batch)
                assert len(shares[0]) == max(map(len, shares)) <= min(map(len, shares)) + 1


@pytest.mark.parametrize(("wrong", "words"), [
    ({"batch_size": 2}, "--batch-size 2: .* among 3 processes"), ({"device": "cuda:1"}, "--device cuda:1: torchrun gives"),
    ({"device": "mps"}, "--device mps"), ({"compile": True}, "--compile: not under torchrun"),
    ({"sync_bn": True, "device": "cpu"}, "--sync-bn: .* CUDA GPUs only"),
])
def test_options_that_do_not_suit(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_ranks(RunConfig(**wrong), World(0, 3))


@pytest.mark.parametrize(("first", "words"), [
    (("on cuda in bf16", ("f", "o")), r"process 1 would compute on cpu in fp32 and process 0 on cuda in bf16.*--precision"),
    (("on cpu in bf16", ("f", "o")), r"process 1 would compute on cpu in fp32 and process 0 on cpu in bf16: give a --device"),
    (("on cpu in fp32", ("f", "p")), r"process 1 finds other photos in sorted than process 0"),
    (("on cpu in fp32", ("f", "o")), ""),
])
def test_ranks_that_would_compute_otherwise_or_see_other_photos_do_not_begin(
    first: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "broadcast", lambda self, value: first)
    with pytest.raises(NoodleError, match=words) if words else nullcontext():
        check_alike(World(1, 2), CPU, Path("sorted"), ("f", "o"))


def test_a_share_of_one_is_too_small_for_tiny_inputs() -> None:
    check_shares(24, 10, World(0, 2))
    with pytest.raises(NoodleError, match="of a batch of 3 photos one of 2 processes gets"):
        check_shares(13, 10, World(0, 2))
    with pytest.raises(NoodleError, match="of a batch of 3 photos one of 2 processes gets"):
        check_shares(24, 3, World(0, 2))  # no batch is smaller


@pytest.mark.parametrize("size", [1, 2])
def test_a_torchrun_of_one_process_is_none(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", str(size))
    assert under_torchrun() == (size > 1)


def test_a_process_whose_torchrun_is_gone_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    control = SharedControl(Control(), World(torchrun=os.getppid()), CPU)
    control.check()
    monkeypatch.setattr(os, "getppid", lambda: 1)
    with pytest.raises(StopRun, match="torchrun is gone"):
        control.check()


@pytest.fixture
def store() -> Any:
    """What torchrun serves its processes."""
    return torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]


def store_of_one() -> Any:
    return torch.distributed.HashStore()  # type: ignore[attr-defined]


def rank_of_2(rank: int, port: int) -> dict[str, str]:
    """The environment that torchrun gives a process."""
    return os.environ | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
                         "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "1",
                         "TORCHELASTIC_USE_AGENT_STORE": "True", "OMP_NUM_THREADS": "1"}


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


LOOKS_FOR_OTHERS = """
import os
from noodle_tui import distributed
look = os.getppid
def look_and_say():
    os.getppid, seen = look, look()
    print("looked", flush=True)
    return seen
os.getppid = look_and_say
with distributed.joined():
    pass
"""


def test_a_process_whose_torchrun_was_killed_before_it_found_the_others_ends(tmp_path: Path) -> None:
    env = rank_of_2(0, a_free_port())
    starts = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {LOOKS_FOR_OTHERS!r}]).returncode)"
    with (tmp_path / "said").open("w") as said, subprocess.Popen(
        [sys.executable, "-c", starts], env=env, stdout=subprocess.PIPE, stderr=said, text=True
    ) as torchrun:
        assert torchrun.stdout is not None and torchrun.stdout.readline() == "looked\n"
        [rank] = psutil.Process(torchrun.pid).children()
        torchrun.kill()
    assert psutil.wait_procs([rank], timeout=30)[1] == []
    assert "noodle: torchrun is gone: it was ended before" in (tmp_path / "said").read_text()


def test_the_store_is_reached_soon_or_not_at_all_but_ranks_may_be_late(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NCCL asks the store for what rank 0 leaves there when it is done with a rejig."""
    for name, value in rank_of_2(0, store.port).items():
        monkeypatch.setenv(name, value)
    world = distributed._world_of(os.getppid())
    assert world.store.timeout == distributed.PATIENCE > distributed.JOINING  # type: ignore[union-attr]


def test_a_process_does_not_wait_for_ever_for_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    codes: SimpleQueue[int] = SimpleQueue()
    monkeypatch.setattr(os, "_exit", codes.put)
    monkeypatch.setattr(distributed, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(distributed, "MEETING", 0.6)
    monkeypatch.setenv("LOCAL_RANK", "0")
    with distributed._not_for_ever(os.getppid()):
        assert codes.get(timeout=60) == 1
    assert "noodle: the other processes did not come within 0.01 minutes" in capsys.readouterr().err


def test_a_process_that_waits_for_others_can_be_ended(store: Any) -> None:
    with subprocess.Popen([sys.executable, "-m", "noodle_tui", "run", "--headless"], env=rank_of_2(0, store.port)) as process:
        before = store.num_keys()
        while store.num_keys() == before and process.poll() is None:  # its address, for the other
            time.sleep(0.1)
        time.sleep(0.5)
        process.terminate()
        assert process.wait(timeout=10) == -signal.SIGTERM


def test_processes_that_cannot_reach_each_other_say_so_once(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "nowhere")
    for rank, error in enumerate((NoodleError, SystemExit)):
        for name, value in rank_of_2(rank, store.port).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(error) as ended, joined():
            pass
        if rank == 0:
            assert re.match(r"the processes can't reach each other \(.+set GLOO_SOCKET_IFNAME on each node", str(ended.value))
    assert ended.value.code == 1  # type: ignore[union-attr] - and nothing that would be said


def test_a_store_that_is_out_of_reach_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(a_free_port()),
                        "TORCHELASTIC_RUN_ID": "1", "TORCHELASTIC_USE_AGENT_STORE": "True"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(distributed, "JOINING", timedelta(seconds=1))
    with pytest.raises(NoodleError, match=r"torchrun can't be reached at 127\.0\.0\.1:"), joined():
        pass


def test_the_app_is_not_for_torchrun(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from noodle_tui.cli import call

    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with pytest.raises(SystemExit) as ended:
        call(["run"])
    assert ended.value.code == 2
    assert "torchrun goes with --headless" in capsys.readouterr().err
