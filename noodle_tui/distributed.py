"""Several processes that train one model together, started by torchrun: torch's DistributedDataParallel.

    torchrun --nproc-per-node N -m noodle_tui run --headless …

The batches are those that one process would take; each rank computes its share of each, and the gradients are averaged over
the images, not over the ranks. Batch norm's statistics are those of each rank's own share, unless --sync-bn is given; rank 0's
running ones are what is validated with and saved. Every rank decodes all photos and keeps them, since each sees each one sooner
or later. Rank 0 alone makes the run folder, says, saves and judges; the others do the same steps in silence.

CPU tensors go over gloo, CUDA tensors over NCCL. Whoever fails leaves a word in torchrun's store before its connections close:
so the others know an error, which is said once, from a stop, and both from a rank that was killed. Then torchrun ends the rest:
SIGTERM, and SIGKILL 30 seconds later.

Without torchrun there is no process group, and nothing here costs anything. torch is imported where it is used.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from noodle_tui.config import RunConfig
from noodle_tui.errors import NoodleError, StopRun, UsageError, one_line
from noodle_tui.terminal import ended_at_interrupt
from noodle_tui.world import ALONE, World

PATIENCE = timedelta(days=1)  # others wait for rank 0's rejig; a rank that dies is noticed by its closed connection, at once
JOINING = timedelta(minutes=1)  # to reach torchrun's store, which is there before any rank
MEETING = 10 * 60  # seconds to find each other; torch's import from a network disk takes its time
LOOK_EVERY = 0.5  # seconds between two looks whether torchrun is still there
GRACE = 25  # seconds from torchrun's SIGTERM; it kills after 30
STOPPED = "stopped"  # the word that a rank leaves when it was asked to stop
NETWORK = ("between nodes all ports must be open, and a node's name must not stand for 127.x in its own /etc/hosts; where it "
           "does, set GLOO_SOCKET_IFNAME on each node to its network interface (`ip -brief address` lists them)")
DIED = ("another process of this run ended without saying why (torchrun says which): what was saved last is in the run "
        "folder; --load-dir picks it up where a checkpoint is there")


def under_torchrun() -> bool:
    """Whether torchrun has started this process as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.environ["WORLD_SIZE"] != "1"


@contextmanager
def joined() -> Iterator[World]:
    """The ranks of this torchrun, connected; ALONE without one. An error in here is said by the rank that met it first:
    NoodleError there, the same exit code in silence elsewhere."""
    if not under_torchrun():
        yield ALONE
        return
    torchrun = os.getppid()
    with ended_at_interrupt(), _not_for_ever(torchrun):
        world = _world_of(torchrun)
    import torch.distributed as dist

    try:
        with ended_at_interrupt(), _not_for_ever(torchrun):
            _connect(world)
        yield world
    except NoodleError as error:
        if world.leave_word(str(error)):
            raise
        raise SystemExit(error.exit_code) from None
    dist.destroy_process_group()  # after an error it could wait for ranks that are gone


def _world_of(torchrun: int) -> World:
    """Which rank this is, of how many, with the store that all share. NoodleError if torchrun's store can't be reached."""
    import torch.distributed as dist
    from torch.distributed import PrefixStore, rendezvous  # type: ignore[attr-defined]

    try:
        store, rank, size = next(rendezvous("env://", timeout=JOINING))
    except dist.DistError as error:
        where, why = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}", one_line(error).rstrip(".")
        raise NoodleError(f"torchrun can't be reached at {where} ({why}): it is gone, or a firewall is between") from None
    store.set_timeout(PATIENCE)  # from here on it is the other ranks that are waited for
    return World(rank, size, int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"]), PrefixStore("noodle", store),
                 torchrun)


def _connect(world: World) -> None:
    """Connect this rank with the others. NoodleError if they are out of reach."""
    import torch
    import torch.distributed as dist
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]

    assert world.store is not None
    if torch.cuda.is_available() and world.local_rank < torch.cuda.device_count():
        torch.cuda.set_device(world.local_rank)  # before NCCL takes the current one
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
                                store=PrefixStore("ddp", world.store), rank=world.rank, world_size=world.size,
                                timeout=PATIENCE)
    except RuntimeError as error:
        if not is_lost_connection(error):
            raise
        raise NoodleError(f"the processes can't reach each other ({one_line(error)}): {NETWORK}") from None


@contextmanager
def _not_for_ever(torchrun: int) -> Iterator[None]:
    """While a rank looks for the others no Python of its main thread runs, and torch would go on looking for a day. Where
    torchrun was killed meanwhile, or the others don't come, a thread says so, once a node, and ends the process."""
    found = threading.Event()
    last = time.monotonic() + MEETING

    def watch() -> None:
        while not found.wait(LOOK_EVERY):
            if os.getppid() != torchrun:
                why = "torchrun is gone: it was ended before its processes had found each other; start it again"
            elif time.monotonic() > last:
                why = (f"the other processes did not come within {MEETING / 60:g} minutes; look at what they said on their "
                       f"node: {NETWORK}")
            else:
                continue
            if os.environ["LOCAL_RANK"] == "0":
                print(f"noodle: {why}", file=sys.stderr, flush=True)
            os._exit(1)

    threading.Thread(target=watch, name="torchrun", daemon=True).start()
    try:
        yield
    finally:
        found.set()


@contextmanager
def ended_where_stuck(world: World) -> Iterator[None]:
    """For training with others, from the main thread. NCCL waits for a rank that died as for one that is slow, and while it
    waits no Python runs and no signal is handled. So where torchrun asks this rank to end, which else takes no longer than a
    batch, and it still trains after GRACE, a thread says why and ends the process."""
    if world.size == 1:
        yield
        return
    hears, tells = os.pipe()
    os.set_blocking(tells, False)
    before = signal.set_wakeup_fd(tells, warn_on_full_buffer=False)  # signals are told here even while no Python runs
    left = threading.Event()

    def watch() -> None:
        while numbers := os.read(hears, 64):
            if signal.SIGTERM in numbers and not left.wait(GRACE):
                if world.leave_word(DIED):
                    print(f"noodle: {DIED}", file=sys.stderr, flush=True)
                os._exit(1)

    thread = threading.Thread(target=watch, name="stuck", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        signal.set_wakeup_fd(before)
        os.close(tells)
        thread.join()
        os.close(hears)


@contextmanager
def ending_together(world: World) -> Iterator[None]:
    """A connection that breaks in here becomes what ended the rank at its other end: NoodleError, or StopRun."""
    try:
        yield
    except StopRun:
        # when a rank fails, torchrun asks the others to stop
        if (word := world.last_word()) not in ("", STOPPED):
            raise NoodleError(word) from None
        world.leave_word(STOPPED)
        raise
    except RuntimeError as error:
        if world.size == 1 or not is_lost_connection(error):
            raise
        word = world.last_word()
        if word == STOPPED:
            raise StopRun("another process of this run was asked to stop") from None
        raise NoodleError(word or DIED) from None


def is_lost_connection(error: RuntimeError) -> bool:
    """Whether gloo or NCCL says that a rank is gone."""
    import torch.distributed as dist

    return isinstance(error, dist.DistError) or "gloo" in str(error).lower()


def check_ranks(config: RunConfig, world: World) -> None:
    """UsageError for options that don't suit the ranks."""
    if config.batch_size < world.size:
        raise UsageError(f"--batch-size {config.batch_size}: it is shared out among {world.size} processes, and each needs an "
                         f"image; give at least {world.size}")
    if world.size > 1 and config.device not in ("auto", "cuda", "cpu"):
        raise UsageError(f"--device {config.device}: torchrun gives each process a GPU of its own; use --device cuda (or cpu)")
    if world.size > 1 and config.compile:
        raise UsageError("--compile: not under torchrun; leave it out, or train in one process")
    if config.sync_bn:
        from noodle_tui.device import pick_device

        if pick_device(own_device(config.device, world), config.precision).torch_device.type != "cuda":
            raise UsageError("--sync-bn: torch can do this on CUDA GPUs only; leave it out, or train on GPUs")


def own_device(wanted: str, world: World) -> str:
    """--device for this rank: under torchrun the CUDA GPU of its own number on its node, else the CPU. Apple's GPU can't be
    shared out."""
    if world.size == 1 or wanted == "cpu":
        return wanted
    import torch

    return f"cuda:{world.local_rank}" if wanted == "cuda" or torch.cuda.is_available() else "cpu"
