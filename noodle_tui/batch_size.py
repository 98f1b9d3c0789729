"""What to do about a batch that is too large for the GPU: find the largest one that fits, by trying, and say it."""

import copy
from collections.abc import Callable

import torch
from torch import nn

from noodle_tui.batches import make_batches
from noodle_tui.checkpoint import session_content
from noodle_tui.config import RunConfig
from noodle_tui.dataset import Dataset
from noodle_tui.device import Device, release_memory
from noodle_tui.errors import full_memory
from noodle_tui.fit import snapshot
from noodle_tui.forward import EVAL_BATCH, predict_logits, repeated_forward
from noodle_tui.gpu import holders_in_words, others_on_gpu
from noodle_tui.graphs import graphs_on
from noodle_tui.pixels import to_device_where_it_fits
from noodle_tui.session import Session, new_session
from noodle_tui.step import make_step
from noodle_tui.world import World

Fits = Callable[[int], bool]  # of a batch size

# torch's kernels that count in 32 bits: at 1024 pixels a batch of 128 has 2^31 elements in a layer
TOO_MANY = ("integer out of range", "invalid configuration argument")


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


def is_too_large(error: BaseException, session: Session, first_whole: int, device: Device, world: World) -> bool:
    """Whether what ended a `fit` is that the GPU has no room for its batches: until its first whole epoch is over, which has
    every kind of step (`first_whole` epochs are done when it begins). A later one that finds the memory full was robbed by
    somebody else. What doesn't fit into main memory isn't tried out, it may cost a life; nor what several processes share."""
    return (world.size == 1 and device.torch_device.type == "cuda" and session.epoch <= first_whole
            and says_too_large(error))


def says_too_large(error: BaseException) -> bool:
    """Whether an error on a GPU says that its memory is full, or that a kernel can't count so many elements."""
    return full_memory(error) == "gpu" or any(word in str(error) for word in TOO_MANY)


def too_large(session: Session, data: Dataset, config: RunConfig, device: Device, said: str) -> str:
    """One line: what doesn't fit, the largest batch that does (found by trying), and who else is on the GPU. Where nothing
    fits, also what torch `said`: a broken library begins like one that finds no room."""
    session.optimizer.zero_grad()
    release_memory()
    fits = trial(session.model, data, config, device)
    largest = largest_that_fits(fits, min(config.batch_size, len(data.train.samples)))
    shared = holders_in_words(others_on_gpu(device.torch_device))
    text = f"--batch-size {config.batch_size}: a step of training is too large for {device.name}"
    advice = (f"the largest batch that fits now is {largest}" if largest else
              f"not even a single image of --input-size {config.input_size} fits ({said}): choose another --device")
    return f"{text}; {advice}" + (f" ({shared})" if shared else "")


def trial(model: nn.Module, data: Dataset, config: RunConfig, device: Device) -> Fits:
    """A function that says whether an epoch in batches of that size fits into what is free of the GPU's memory, by doing with a
    copy of `model` the kinds of step that are in it: a full batch, the last one, validation, the copies that are saved.

    That is beside what is there already (the pixels, the session), so its answer holds for the next start.
    """

    def fits(batch_size: int) -> bool:
        torch.cuda.empty_cache()
        try:
            _rehearse(copy.deepcopy(model), data, config.model_copy(update={"batch_size": batch_size}), device)
            return True
        except RuntimeError as error:
            if not says_too_large(error):
                raise
            return False
        finally:
            torch.cuda.empty_cache()

    return fits


def _rehearse(model: nn.Module, data: Dataset, config: RunConfig, device: Device) -> None:
    split, where = data.train, device.torch_device
    session = new_session(model.train(), config, where)
    batches = make_batches(split, config.batch_size, config.seed, config.input_size, device)
    try:
        val_pixels = to_device_where_it_fits(data.val.pixels.stacked(), where)
        graphs = graphs_on(where, lambda event: None)
        step = make_step(model, session.optimizer, session.totals, device, full=config.batch_size, graphs=graphs)
        batches.start_epoch(1)
        step(batches.inputs(0))
        whole, rest = divmod(len(split.samples), config.batch_size)
        if rest > 1:  # batch norm refuses a single small photo: a run in such batches says so before it begins
            step(batches.inputs(whole))
        forward = repeated_forward(model, device, graphs)
        for images in {len(part): part for part in val_pixels.split(EVAL_BATCH)}.values():  # one batch of each size
            predict_logits(model, images, device, forward=forward)
        kept = snapshot(model), session_content(session, {})  # the best weights, and what is on its way to the disk
        session.totals.cpu()  # when it has been done
        del kept
    finally:
        batches.release()
