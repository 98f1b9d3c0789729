"""What to do about a batch that is too large for the GPU: find the largest one that fits, by trying, and say it."""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from noodle_tui.batches import Batches
from noodle_tui.card import holders_in_words, others_on_card
from noodle_tui.device import Device
from noodle_tui.errors import NoodleError, full_memory
from noodle_tui.step import Step, make_step


def largest_that_fits(fits: Callable[[int], bool], too_many: int) -> int:
    """The largest n from 1 to `too_many` - 1 for which `fits(n)` says True; 0 if none. What fits, fits with fewer, too.

    Halves until one fits, then bisects: about 2 log2(too_many) questions, the costly large ones first and few.
    """
    largest = too_many // 2
    while largest and not fits(largest):
        too_many, largest = largest, largest // 2
    while too_many - largest > 1:
        middle = (largest + too_many) // 2
        if fits(middle):
            largest = middle
        else:
            too_many = middle
    return largest


def watch_first_step(
    train_step: Step, batch_size: int, input_size: int, device: Device, fits: Callable[[int], bool] | None = None
) -> Step:
    """`train_step`, but where the GPU's memory is full at its first call: NoodleError with the largest batch that fits.

    `fits` is for tests; without it a network of the same kind is trained for a moment, beside what is on the GPU already (the
    pixels, the session), so the answer holds for the next start. The session isn't touched. A later step that finds the
    memory full was robbed by somebody else: torch's error is passed on.
    """
    if fits is None and device.torch_device.type != "cuda":
        return train_step  # main memory is shared with everything else, and trying may cost the process its life
    fits = fits or (lambda n: step_fits(n, input_size, device))
    tried = False

    def step(inputs: Sequence[Tensor]) -> None:
        nonlocal tried
        if tried:
            return train_step(inputs)
        try:
            train_step(inputs)
            tried = True
            return None
        except RuntimeError as error:
            if full_memory(error) != "gpu":
                raise
            # leaving this block lets go of the error, and so of the tensors in the failed step's frames
        largest = largest_that_fits(fits, min(batch_size, len(inputs[0])))
        raise NoodleError(too_large(batch_size, input_size, largest, device))

    return step


def too_large(batch_size: int, input_size: int, largest: int, device: Device) -> str:
    """One line: what doesn't fit, what would, and who else is on the GPU."""
    shared = holders_in_words(others_on_card(device.torch_device))
    text = f"--batch-size {batch_size}: a step of training doesn't fit into the memory of {device.name}"
    advice = (f"the largest batch that fits now is {largest}" if largest else
              f"not even a single image of --input-size {input_size} fits: choose another --device")
    return f"{text}; {advice}" + (f" ({shared})" if shared else "")


class BlankBatches:
    """Stands for the data: normalised pixels that are all zero."""

    @staticmethod
    def prepare(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return images, labels


def step_fits(n: int, input_size: int, device: Device) -> bool:
    """Whether two steps of training on n images fit into what is free of the GPU's memory. Leaves nothing there."""
    torch.cuda.empty_cache()
    try:
        _train_a_moment(n, input_size, device)
        return True
    except RuntimeError as error:
        if full_memory(error) != "gpu":
            raise
        return False
    finally:
        torch.cuda.empty_cache()


def _train_a_moment(n: int, input_size: int, device: Device) -> None:
    where = device.torch_device
    model: nn.Module = resnet18(num_classes=2).to(where).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9, fused=True)
    blank = cast(Batches, BlankBatches())
    step = make_step(model, optimizer, blank, torch.zeros(2, dtype=torch.float64, device=where), device, full=n)
    inputs = torch.zeros(n, 3, input_size, input_size, device=where), torch.zeros(n, dtype=torch.long, device=where)
    for _ in range(2):
        step(inputs)
    torch.cuda.synchronize(where)
