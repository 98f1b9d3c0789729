"""What to do about a batch that is too large for the GPU: find the largest one that fits, by trying, and say it."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from noodle_tui.batches import Batches
from noodle_tui.card import holders_in_words, others_on_card
from noodle_tui.checkpoint import new_session
from noodle_tui.device import Device
from noodle_tui.errors import NoodleError, full_memory, one_line
from noodle_tui.graphs import graph_pool
from noodle_tui.step import Step, make_step

Fits = Callable[[Sequence[Tensor]], bool]  # of a batch's inputs


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


def watch_first_step(train_step: Step, fits: Fits, batch_size: int, input_size: int, device: Device) -> Step:
    """`train_step`, but where the GPU's memory is full at its first call, or at the first with fewer images, an epoch's last:
    NoodleError with the largest batch that `fits`.

    A later step that finds the memory full was robbed by somebody else: torch's error is passed on.
    """
    tried = set[int]()
    full: Sequence[Tensor] = []

    def step(inputs: Sequence[Tensor]) -> None:
        nonlocal full
        count = len(inputs[0])
        if count in tried:
            return train_step(inputs)
        if not full or count > len(full[0]):
            full = [value.clone() for value in inputs]
        try:
            train_step(inputs)
            tried.add(count)
            return None
        except RuntimeError as error:
            if full_memory(error) != "gpu":
                raise
            said = one_line(error)
            # leaving this block lets go of the error, and so of the tensors in the failed step's frames
        largest = largest_that_fits(lambda n: fits([value[:n] for value in full]), len(full[0]))
        raise NoodleError(too_large(batch_size, input_size, largest, said, device))

    return step


def too_large(batch_size: int, input_size: int, largest: int, said: str, device: Device) -> str:
    """One line: what doesn't fit, what would, and who else is on the GPU. Where nothing fits, also what torch `said`: a broken
    library begins like one that finds no room."""
    shared = holders_in_words(others_on_card(device.torch_device))
    text = f"--batch-size {batch_size}: a step of training doesn't fit into the memory of {device.name}"
    advice = (f"the largest batch that fits now is {largest}" if largest else
              f"not even a single image of --input-size {input_size} fits ({said}): choose another --device")
    return f"{text}; {advice}" + (f" ({shared})" if shared else "")


def trial(
    model: nn.Module, batches: Batches, device: Device, n_train: int, validate: Callable[[nn.Module], object]
) -> Fits:
    """A function that says whether an epoch of `n_train` images in batches of that size fits into what is free of the GPU's
    memory, by doing the kinds of step that are in it with a copy of `model`: a full batch, the last one, `validate`.

    That is beside what is there already (the pixels, the session), so its answer holds for the next start.
    """

    def fits(inputs: Sequence[Tensor]) -> bool:
        torch.cuda.empty_cache()
        try:
            _rehearse(copy.deepcopy(model), inputs, batches, device, n_train, validate)
            return True
        except RuntimeError as error:
            if full_memory(error) != "gpu":
                raise
            return False
        finally:
            torch.cuda.empty_cache()

    return fits


def _rehearse(
    model: nn.Module, inputs: Sequence[Tensor], batches: Batches, device: Device, n_train: int,
    validate: Callable[[nn.Module], object],
) -> None:
    full = len(inputs[0])
    session = new_session(model.train(), lr=0.0, momentum=0.9, device=device.torch_device)
    step = make_step(model, session.optimizer, batches, session.totals, device, full=full,
                     pool=graph_pool(device.torch_device))
    step(inputs)
    if last := n_train % full:
        step([value[:last] for value in inputs])
    validate(model)
    session.totals.cpu()  # when it has been done
