"""What to do about a batch that is too large for the GPU: find the largest one that fits, by trying, and say it."""

import copy
from collections.abc import Callable

import torch
from torch import nn

from noodle_tui.batches import make_batches
from noodle_tui.card import holders_in_words, others_on_card
from noodle_tui.checkpoint import new_session
from noodle_tui.config import RunConfig
from noodle_tui.dataset import Dataset, Split
from noodle_tui.device import Device
from noodle_tui.errors import NoodleError, full_memory, one_line
from noodle_tui.graphs import graphs_on
from noodle_tui.step import make_step

TrainStep = Callable[[int], None]  # of a batch's number in its epoch
Fits = Callable[[int], bool]  # of a batch size


def largest_that_fits(fits: Fits, too_many: int) -> int:
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


def watched(
    train_step: TrainStep, release: Callable[[], None], fits: Fits, n: int, batch_size: int, input_size: int, device: Device
) -> TrainStep:
    """`train_step` of an epoch of `n` images, but where the GPU's memory is full at its first call, or at the first for the
    epoch's last and smaller batch: NoodleError with the largest batch that `fits`, once `release` has let go of its batches.

    A later step that finds the memory full was robbed by somebody else: torch's error is passed on.
    """
    trained = set[int]()  # numbers of images

    def step(number: int) -> None:
        nonlocal train_step
        count = min(batch_size, n - number * batch_size)
        if count in trained:
            return train_step(number)
        try:
            train_step(number)
            trained.add(count)
            return None
        except RuntimeError as error:
            if full_memory(error) != "gpu":
                raise
            said = one_line(error)
            # leaving this block lets go of the error, and so of the tensors in the failed step's frames
        del train_step  # and this of its graphs
        release()
        raise NoodleError(too_large(batch_size, input_size, largest_that_fits(fits, min(batch_size, n)), said, device))

    return step


def too_large(batch_size: int, input_size: int, largest: int, said: str, device: Device) -> str:
    """One line: what doesn't fit, what would, and who else is on the GPU. Where nothing fits, also what torch `said`: a broken
    library begins like one that finds no room."""
    shared = holders_in_words(others_on_card(device.torch_device))
    text = f"--batch-size {batch_size}: a step of training doesn't fit into the memory of {device.name}"
    advice = (f"the largest batch that fits now is {largest}" if largest else
              f"not even a single image of --input-size {input_size} fits ({said}): choose another --device")
    return f"{text}; {advice}" + (f" ({shared})" if shared else "")


def trial(model: nn.Module, data: Dataset, config: RunConfig, device: Device, validate: Callable[[nn.Module], object]) -> Fits:
    """A function that says whether an epoch in batches of that size fits into what is free of the GPU's memory, by doing with a
    copy of `model` the kinds of step that are in it: a full batch, the last one, `validate`.

    That is beside what is there already (the pixels, the session), so its answer holds for the next start.
    """

    def fits(batch_size: int) -> bool:
        torch.cuda.empty_cache()
        try:
            _rehearse(copy.deepcopy(model), data.train, config.model_copy(update={"batch_size": batch_size}), device, validate)
            return True
        except RuntimeError as error:
            if full_memory(error) != "gpu":
                raise
            return False
        finally:
            torch.cuda.empty_cache()

    return fits


def _rehearse(
    model: nn.Module, split: Split, config: RunConfig, device: Device, validate: Callable[[nn.Module], object]
) -> None:
    session = new_session(model.train(), lr=0.0, momentum=0.9, device=device.torch_device)
    batches = make_batches(split, config.batch_size, config.seed, config.input_size, device)
    try:
        step = make_step(model, session.optimizer, session.totals, device, full=config.batch_size,
                         graphs=graphs_on(device.torch_device, lambda event: None))
        batches.start_epoch(1)
        step(batches.inputs(0))
        whole, rest = divmod(len(split.samples), config.batch_size)
        if rest > 1:  # batch norm refuses a single small photo: a run in such batches says so before it begins
            step(batches.inputs(whole))
        validate(model)
        session.totals.cpu()  # when it has been done
    finally:
        batches.release()
