"""One training step: normalise, forward, backward, update, count. On CUDA captured as a graph; compiled by torch.compile where
that is asked for; or shared with other processes."""

import logging
import warnings
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from noodle_tui.augment import as_input
from noodle_tui.device import Device
from noodle_tui.errors import UsageError, one_line
from noodle_tui.graphs import Captured, Graphs, undone
from noodle_tui.session import Session
from noodle_tui.world import World

Step = Callable[[Sequence[Tensor]], None]


def make_step(
    model: nn.Module, optimizer: torch.optim.SGD, totals: Tensor, device: Device, *, full: int, compiled: bool = False,
    graphs: Graphs | None = None,
) -> Step:
    """A function that trains on a batch, its images and labels, and adds its summed loss and correct count to `totals` [2].

    `full` is the number of images in each batch but an epoch's last: compiled code is made for this size alone. `graphs`:
    the step becomes CUDA graphs there. It never waits for the device: whoever reads `totals` does.
    """
    network = compile_network(model) if compiled else model

    def step(inputs: Sequence[Tensor]) -> None:
        images, labels = as_input(inputs[0]), inputs[1]
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.torch_device.type, torch.bfloat16, enabled=device.bf16):
            logits = (network if len(labels) == full else model)(images)
        loss = F.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        totals[0] += loss.detach() * len(labels)
        totals[1] += (logits.argmax(1) == labels).sum()

    if graphs is not None:
        return Captured(step, graphs, lambda: undone([*model.state_dict().values(), totals], optimizer))
    return step


def make_shared_step(
    session: Session, device: Device, world: World, n: int, batch_size: int
) -> Step:
    """`make_step`'s function for a rank: trains on its share of batch `session.step` and adds to its own totals.

    `n` training images, `batch_size` of them in each batch of all ranks. Eager, on CUDA too: a captured graph with NCCL in it
    has not been proven here.
    """
    own = [device.torch_device] if device.torch_device.type == "cuda" else None
    synchronised = any(isinstance(module, nn.SyncBatchNorm) for module in session.model.modules())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # broadcast_buffers has a new name, which torch 2.9 doesn't know
        # buffers are left to broadcast_buffers: sending them before each step changes nothing that is saved
        network = DistributedDataParallel(session.model, device_ids=own, broadcast_buffers=False, gradient_as_bucket_view=True)
    settle_buckets(network, session, device)

    def step(inputs: Sequence[Tensor]) -> None:
        count = min(batch_size, n - session.step * batch_size)  # of all ranks
        images, labels = as_input(inputs[0]), inputs[1]
        if len(labels) == 0 and not synchronised:
            # A rank may get no image of an epoch's last batch. Batch norm fails without any, so two blank ones go through and
            # their logits are cut off. SyncBatchNorm takes none, and would count blank ones.
            images = images.new_zeros(2, *images.shape[1:]).contiguous(memory_format=torch.channels_last)
        session.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.torch_device.type, torch.bfloat16, enabled=device.bf16):
            logits = network(images)[: len(labels)]
        loss = F.cross_entropy(logits.float(), labels, reduction="sum")
        (loss * world.size / count).backward()  # DDP takes the mean over ranks: of these, that is the one over images
        session.optimizer.step()
        session.totals[0] += loss.detach()
        session.totals[1] += (logits.argmax(1) == labels).sum()

    return step


def settle_buckets(network: DistributedDataParallel, session: Session, device: Device) -> None:
    """Have DDP group the gradients as it does from its second step on, in the order that they come. In which order three and
    more ranks' are summed depends on it, and a run that is picked up would sum those of its first step otherwise than one that
    wasn't. The gradient of a blank image, in validation mode, changes no weight and no statistic."""
    network.eval()
    with torch.autocast(device.torch_device.type, torch.bfloat16, enabled=device.bf16):
        network(torch.zeros(1, 3, 32, 32, device=device.torch_device)).sum().backward()
    session.optimizer.zero_grad(set_to_none=True)
    network.train()


def compile_network(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """The model as inductor compiles it at its first call: faster steps after a wait of a minute or so.

    The weights stay the model's own. Inductor captures no graph itself: on CUDA its kernels become part of ours.
    """
    torch.compiler.reset()  # what an earlier run of this process (the app's) compiled counts against torch's limit
    return torch.compile(model, dynamic=False)


def check_compiler(device: Device) -> None:
    """Compile a line of arithmetic, which takes seconds. UsageError where it fails: no C++ compiler, or no Triton for a GPU."""
    logging.getLogger("torch").setLevel(logging.ERROR)  # its warnings would tear a screen
    try:
        torch.compile(lambda x: x * 2 + 1, dynamic=False)(torch.ones(8, device=device.torch_device))
    except Exception as error:  # noqa: BLE001 - compilers, linkers, headers and drivers fail in many ways; each means: not here
        raise UsageError(f"--compile: torch.compile doesn't work here ({one_line(error)}): it needs a C++ compiler such as g++ "
                         "and, on a GPU, Triton; install what is missing or leave the option out") from None
