"""What the network answers: logits in batches of one fixed size, and what is counted in them."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from noodle_tui.augment import normalise
from noodle_tui.control import Control
from noodle_tui.device import Device
from noodle_tui.graphs import Captured, Graphs
from noodle_tui.world import ALONE, SharedControl, World

EVAL_BATCH = 64  # fixed, so that a prediction doesn't depend on --batch-size

Forward = Callable[[Sequence[Tensor]], Tensor]


def plain_forward(model: nn.Module, device: Device) -> Forward:
    """A function from images (one tensor uint8 [n, 3, size, size], on the device) to float32 logits [n, k]."""

    def forward(inputs: Sequence[Tensor]) -> Tensor:
        with torch.autocast(device.torch_device.type, torch.bfloat16, enabled=device.bf16):
            return model(normalise(inputs[0])).float()

    return forward


def repeated_forward(model: nn.Module, device: Device, graphs: Graphs | None) -> Forward:
    """The same for a validation that comes again each epoch: a graph, where there are any. The logits are good until the next
    call."""
    forward = plain_forward(model, device)
    return Captured(forward, graphs) if graphs is not None else forward


@torch.no_grad()
def predict_logits(
    model: nn.Module, pixels: Tensor, device: Device, control: Control | SharedControl | None = None, world: World = ALONE,
    forward: Forward | None = None,
) -> Tensor:
    """float32 logits [n, k] of transformed images (uint8 [n, 3, size, size]), on the device; the model is left in eval mode.

    The ranks of `world` share the images out; each gets all logits. `forward` is this model's `repeated_forward`, where there
    is one.
    """
    model.eval()
    forward = forward or plain_forward(model, device)
    logits = []
    for batch in pixels.split(EVAL_BATCH * world.size):
        if control is not None:
            control.check()
        own = batch[world.share(len(batch))].to(device.torch_device)
        logits.append(world.all_gather(forward([own]).clone(), len(batch)))
    return torch.cat(logits)


def exact_softmax(logits: Tensor) -> list[list[float]]:
    """Probabilities [n, k] of float32 logits [n, k], in float64: in float32, sure answers would all be 1.0, and a rank by them
    (ROC AUC) or the largest of two near ones lost."""
    return logits.cpu().double().softmax(1).tolist()


def loss_and_correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Summed cross-entropy and number of right answers as float32 [2], on the device of `logits` [n, k] and `labels` [n]."""
    return torch.stack([F.cross_entropy(logits, labels, reduction="sum"), (logits.argmax(1) == labels).sum().float()])
