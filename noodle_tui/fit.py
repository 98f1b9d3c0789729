"""The training loop: the plain one, made fast. It reads top to bottom, and knows nothing of screens, files or Comet."""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from noodle_tui.batches import make_batches
from noodle_tui.config import NAMED_WEIGHTS, RunConfig
from noodle_tui.control import Control
from noodle_tui.dataset import Dataset
from noodle_tui.device import Device
from noodle_tui.errors import NoodleError
from noodle_tui.events import Emit, EpochDone, Paused, Resumed, StageProgress
from noodle_tui.forward import loss_and_correct, predict_logits, repeated_forward
from noodle_tui.graphs import Graphs, graphs_on
from noodle_tui.pixels import to_device_where_it_fits
from noodle_tui.progress import at_most_every, is_due
from noodle_tui.session import Best, Session
from noodle_tui.stage import PROGRESS_EVERY
from noodle_tui.step import Step, make_shared_step, make_step
from noodle_tui.world import ALONE, SharedControl, World


def fit(
    session: Session,
    data: Dataset,
    config: RunConfig,
    device: Device,
    *,
    emit: Emit,
    control: Control | SharedControl,
    save: Callable[[Session], None],
    world: World = ALONE,
) -> None:
    """Train `session` from where it stands to config.n_epochs, keeping the weights with the best validation accuracy.

    Each epoch emits an EpochDone; `save` is called at every save point. StopRun between two batches when somebody asked
    for it (the session can be saved as it then is); NoodleError if a loss is zero or not a number, or a batch too small.
    Under torchrun every rank of `world` calls this alike; all come to the same numbers and the same weights.
    """
    model, n = session.model, len(data.train.samples)
    n_steps = math.ceil(n / config.batch_size)
    check_start(session, n, config, world)
    batches = make_batches(data.train, config.batch_size, config.seed, config.input_size, device, world)
    val_pixels = to_device_where_it_fits(data.val.pixels.stacked(), device.torch_device)
    val_labels = data.val.labels.to(device.torch_device)
    graphs = graphs_on(device.torch_device, emit) if world.size == 1 else None
    train_step = make_epoch_step(session, config, device, world, n, graphs)
    forward = repeated_forward(model, device, graphs)
    progress_is_due = at_most_every(PROGRESS_EVERY)

    for epoch in range(session.epoch + 1, config.n_epochs + 1):
        began = time.perf_counter() - session.seconds

        # train
        model.train()
        batches.start_epoch(epoch)
        for step in range(session.step, n_steps):
            began += wait_between_batches(session.epoch, control, emit)
            train_step(batches.inputs(step))
            session.step, session.lr, session.seconds = step + 1, config.lr, time.perf_counter() - began
            if progress_is_due():
                emit(StageProgress(stage="train", done=session.step, total=n_steps))

        # validate
        validates = is_due(epoch, config.test_every, config.n_epochs)
        totals = [world.all_reduce(session.totals)]
        if validates:
            began += wait_between_batches(session.epoch, control, emit)
            world.broadcast_buffers(model)
            logits = predict_logits(model, val_pixels, device, control, world, forward)
            totals.append(loss_and_correct(logits, val_labels).to(session.totals.dtype))

        # read the numbers: only here an epoch's end waits for the device
        read = torch.stack(totals).cpu()
        new = epoch == 1 and config.weights in NAMED_WEIGHTS
        train_loss, train_correct = check_loss("training", epoch, read[0], n, config.lr, new)

        # remember the best
        val_loss, val_correct, val_count, is_best = None, None, 0, False
        if validates:
            val_count = len(val_labels)
            val_loss, val_correct = check_loss("validation", epoch, read[1], val_count, config.lr)
            is_best = session.best is None or val_correct > session.best.correct
            if is_best:
                session.best = Best(epoch, val_correct, val_count, val_loss, snapshot(model))

        # say and save
        seconds = time.perf_counter() - began
        done = EpochDone(
            epoch=epoch, n_epochs=config.n_epochs, train_loss=train_loss, train_correct=train_correct, train_count=n,
            val_loss=val_loss, val_correct=val_correct, val_count=val_count,
            lr=session.lr, seconds=seconds, images_per_second=(n + val_count) / seconds,
            is_best=is_best,
        )
        session.epoch, session.step, session.seconds = epoch, 0, 0.0
        session.totals.zero_()
        session.history.append(done)
        emit(done)
        if is_due(epoch, config.save_every, config.n_epochs, first=False):
            save(session)


def check_start(session: Session, n: int, config: RunConfig, world: World) -> None:
    """NoodleError where the session stands beyond its epoch of `n` images, or where batch norm would have a single number a
    channel: of one image of 32 x 32 ResNet18 leaves one pixel."""
    n_steps = math.ceil(n / config.batch_size)
    if session.step > n_steps:
        raise NoodleError(f"the checkpoint stands at batch {session.step} of an epoch of {n_steps}: it was damaged or made up; "
                          "start a new run from its weights")
    if world.size > 1 and config.input_size <= 32:
        check_shares(n, config.batch_size, world)
    elif config.input_size <= 32 and n % config.batch_size == 1 % config.batch_size:
        raise NoodleError(f"--batch-size {config.batch_size}: the last batch of {n} photos is a single one, which can't be "
                          "trained on at --input-size 32; choose another batch size or a larger input size")


def check_shares(n: int, batch_size: int, world: World) -> None:
    """NoodleError where a rank gets a single one of a batch's images. For inputs so small that batch norm can't have that."""
    for count in {min(batch_size, n), n % batch_size}:  # of a last batch of none each gets none
        shares = [World(rank, world.size).share(count) for rank in range(world.size)]
        if any(own.stop - own.start == 1 for own in shares):
            raise NoodleError(f"--batch-size {batch_size}: of a batch of {count} photos one of {world.size} processes gets a "
                              "single one, which can't be trained on at --input-size 32; choose another batch size or a larger "
                              "input size")


def make_epoch_step(session: Session, config: RunConfig, device: Device, world: World, n: int, graphs: Graphs | None) -> Step:
    """The step for epochs of `n` images, of this process alone or as one of several."""
    if world.size > 1:
        return make_shared_step(session, device, world, n, config.batch_size)
    return make_step(session.model, session.optimizer, session.totals, device, full=min(config.batch_size, n),
                     compiled=config.compile, graphs=graphs)


def wait_between_batches(epoch: int, control: Control | SharedControl, emit: Emit) -> float:
    """Where a stop or a pause takes effect: StopRun, or a wait for the end of the pause. The seconds that it lasted."""
    control.check()
    if not control.pause_requested:
        return 0.0
    began = time.perf_counter()
    emit(Paused(epoch=epoch))
    control.wait_while_paused()
    emit(Resumed(epoch=epoch))
    return time.perf_counter() - began


def check_loss(phase: str, epoch: int, totals: Tensor, count: int, lr: float, new: bool = False) -> tuple[float, int]:
    """Mean loss and correct count of a phase. NoodleError if the loss is no number, or zero with wrong answers or (`new`) from
    the start; where all have come to be right, float32 may well round it to zero."""
    loss, correct = totals.tolist()
    if not math.isfinite(loss):
        raise NoodleError(f"the {phase} loss is not a number in epoch {epoch}: training diverged; lower --lr (it is {lr:g}), "
                          "in a new run or with --load-dir from the last checkpoint on")
    if loss == 0 and (correct < count or new):
        raise NoodleError(f"the {phase} loss is exactly zero in epoch {epoch}: nothing can be learnt from these labels; look "
                          "at the class folders")
    return loss / count, int(correct)


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights as they are now."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
