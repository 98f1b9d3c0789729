"""One run, from its options to the saved model: the only place that knows the order of things.

    rejig (if asked) -> decode -> build or pick up the model -> fit -> evaluate -> model.pth, report

It says what it does by events: to the run folder's record and to whoever else listens. torch is imported on the way, after
the first event, so that a screen is painted before.
"""

import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from noodle_tui import run_folder
from noodle_tui.card import holders_in_words, others_on_card
from noodle_tui.config import RunConfig, class_tokens
from noodle_tui.control import Control
from noodle_tui.disk import RESUME_BYTES, RUN_BYTES, check_room
from noodle_tui.distributed import ALONE, World, check_ranks, ending_together, own_device, shared, synchronised
from noodle_tui.errors import NoodleError, StopRun, full_memory, one_line
from noodle_tui.evaluate import Evaluation, Prediction, evaluate
from noodle_tui.events import (
    DataReady,
    Emit,
    Message,
    ModelReady,
    RunDone,
    RunFailed,
    RunStarted,
    RunStopped,
    StageDone,
    StageProgress,
    StageStarted,
)
from noodle_tui.listeners.fanout import Fanout
from noodle_tui.listeners.record import Recorder
from noodle_tui.meanwhile import Meanwhile
from noodle_tui.names import printable
from noodle_tui.pick_up import PickedUp, folder_to_pick_up, pick_up, weights_to_start_from
from noodle_tui.report import RunFacts, environment, write_report
from noodle_tui.samples import find_samples, order_fingerprint
from noodle_tui.settings import load_settings

if TYPE_CHECKING:
    from torch import nn

    from noodle_tui.checkpoint import Session
    from noodle_tui.dataset import Dataset
    from noodle_tui.device import Device
    from noodle_tui.saving import Saver

    Network = tuple[Device, nn.Module]

ERROR_LOG = "error.log"
PROGRESS_EVERY = 0.2  # seconds between two reports within a stage
COMET_PATIENCE = {"done": 60.0, "stopped": 10.0}  # seconds for its upload: batch systems kill soon after they ask


@dataclass
class Outcome:
    """How a run ended."""

    folder: Path
    status: str = "stopped"  # or "done"
    facts: RunFacts | None = None
    evaluation: Evaluation | None = None


def run(
    config: RunConfig, listeners: Sequence[Emit] = (), control: Control | None = None, world: World = ALONE
) -> Outcome:
    """Do what `config` says. Blocks until the run is done, or stopped by `control` (then all is saved).

    NoodleError when it can't go on: what was learnt until then is in the run folder, where the run is marked as failed.
    Under torchrun this is rank 0's part, and `accompany` that of the others.
    """
    control = control or Control()
    if config.comet:
        load_settings()  # what is wrong with the keys is said before anything is made
    old_folder = folder_to_pick_up(config)
    if old_folder is None:
        check_ranks(config, world)
    check_room(old_folder or config.save_dir, RESUME_BYTES if old_folder else RUN_BYTES)
    folder = old_folder or run_folder.make_run_folder(config.save_dir, config.namestr)
    with run_folder.locked(folder):
        run_folder.clear_requests(folder)
        run_folder.clear_leftovers(folder)
        control.folder = folder
        before = pick_up(folder, config) if old_folder else None
        config = before.config if before else weights_to_start_from(config)
        check_ranks(config, world)
        outcome = Outcome(folder)
        emit = Fanout(listeners)
        # a finished run stays one until it is known that it can go on
        done = before is not None and run_folder.read_state(folder).status == "done"
        recorder = Recorder(folder, emit, before.history if before else (), held=done)
        emit.add(recorder)
        began = time.monotonic()  # the system's time may jump
        with loggers(config, before, outcome, emit, control) as comet_key:
            try:
                with ending_together(world):
                    world.from_rank_0((folder, config, before))
                    steps(config, before, comet_key, outcome, emit, recorder, control, began, world)
            except StopRun as stop:
                emit(RunStopped(reason=stop.reason, seconds=time.monotonic() - began))
            except BaseException as error:
                text = failure_in_words(error, folder)
                emit(RunFailed(error=text, seconds=time.monotonic() - began))
                if isinstance(error, NoodleError) or not isinstance(error, Exception):
                    raise
                raise NoodleError(text) from error
        return outcome


def accompany(control: Control, world: World) -> None:
    """What a rank other than 0 does: the same steps, but it says, saves and judges nothing. Returns when they are done, or
    when the run was stopped."""
    silence = Fanout()
    folder = Path()
    try:
        with ending_together(world):
            folder, config, before = world.from_rank_0(None)
            if config.rejig_data:
                world.from_rank_0(None)
            with Meanwhile("network", control.check) as network:
                data = load_data(config, before, network, silence, control, world)
                device, session = load_model(config, data, network, before, silence, world)
            from noodle_tui.fit import fit

            try:
                fit(session, data, config, device, emit=silence, control=shared(control, world, device),
                    save=lambda _: None, world=world)
            except StopRun:
                world.collect(session.totals)
                raise
    except StopRun:
        return
    except NoodleError:
        raise
    except Exception as error:
        raise NoodleError(f"process {world.rank}: {failure_in_words(error, folder)}") from error


def steps(
    config: RunConfig, before: PickedUp | None, comet_key: str, outcome: Outcome, emit: Fanout, recorder: Recorder,
    control: Control, began: float, world: World,
) -> None:
    """The way of a run, top to bottom."""
    started = announce(config, before, outcome.folder, emit)
    if config.rejig_data:
        rejig(config, emit, control)
        world.from_rank_0(None)  # the others have waited for it
    with Meanwhile("network", control.check) as network:  # built in a thread while the photos are decoded
        data = load_data(config, before, network, emit, control, world)
        device, session = load_model(config, data, network, before, emit, world)
    recorder.release()
    session.comet_key = comet_key
    facts = known_facts(config, data, device, began, before)
    from noodle_tui.saving import Saver  # imports torch

    with Saver(outcome.folder, config, facts, emit) as saver, record_where_saved(saver, started, session, outcome, emit):
        train(session, data, config, device, saver, emit, control, world)
        outcome.facts, outcome.evaluation = judge(session, data, device, facts, outcome.folder, saver, emit, control)
    outcome.status = "done"
    overall = outcome.evaluation.overall
    emit(RunDone(best_epoch=outcome.facts.best_epoch, best_correct=overall.correct, best_count=overall.count,
                 seconds=time.monotonic() - began))


def announce(config: RunConfig, before: PickedUp | None, folder: Path, emit: Emit) -> RunStarted:
    started = RunStarted(name=config.namestr, folder=str(folder), config=config.model_dump(mode="json"),
                         n_epochs=config.n_epochs, pid=os.getpid(), host=os.uname().nodename,
                         resumed_at=before.epoch if before else 0)
    emit(started)
    for warning in before.warnings if before else []:
        emit(Message(level="warning", text=warning))
    return started


@contextmanager
def record_where_saved(
    saver: "Saver", started: RunStarted, session: "Session", outcome: Outcome, emit: Fanout
) -> Iterator[None]:
    """However the run ends, see that what it came to is saved; where its own folder refuses, in another, with a record."""
    try:
        yield
    finally:
        folder = saver.finish()
        if folder != outcome.folder:
            outcome.folder = folder
            recorder = Recorder(folder, emit, list(session.history))
            recorder(replace(started, folder=str(folder), resumed_at=session.epoch))
            emit.add(recorder)


def rejig(config: RunConfig, emit: Emit, control: Control) -> None:
    """Sort the stimuli into the data folder; nothing to do when they already are."""
    from noodle_tui.rejig import apply_rejig, plan_rejig

    with stage("rejig", f"sorting {config.stimuli} into {config.data_dir}", emit) as progress:
        plan = plan_rejig(config.stimuli, config.data_dir, tokens=class_tokens(config.classes),
                          val_fraction=config.val_fraction, split_by=config.split_by, person=config.person,
                          mode=config.mode, seed=config.seed, check=control.check)
        apply_rejig(plan, progress=progress, check=control.check)
    if plan.skipped:
        emit(Message(level="warning", text=f"{len(plan.skipped)} files of {config.stimuli} are left out; "
                     "`noodle rejig --dry-run` says which and why"))


def load_data(
    config: RunConfig, before: PickedUp | None, network: "Meanwhile[Network]", emit: Emit, control: Control, world: World
) -> "Dataset":
    """Find and decode every image, with `network` under way meanwhile."""
    with stage("decode", f"reading the photos in {config.data_dir}", emit) as progress:
        # what is wrong with the folders is said before torch is imported
        classes, _ = find_samples(config.data_dir, config.person)
        from noodle_tui.dataset import load_dataset
        from noodle_tui.device import pick_device

        device = pick_device(own_device(config.device, world), config.precision)
        network.start(lambda progress, check: build_network(config, before, len(classes), device, world, progress, check))
        data = load_dataset(config.data_dir, config.person, config.input_size, device,
                            skip_bad_images=config.skip_bad_images, progress=progress, check=control.check)
    emit(DataReady(
        classes=data.classes, train_counts=data.train.counts(len(data.classes)),
        val_counts=data.val.counts(len(data.classes)), people=len(data.train.people | data.val.people),
        people_in_both=len(data.train.people & data.val.people), skipped=len(data.skipped), fingerprint=data.fingerprint,
        where=data.where,
    ))
    for name, reason in data.skipped:
        emit(Message(level="warning", text=f"left out: {printable(name)} ({reason})"))
    return data


def build_network(
    config: RunConfig, before: PickedUp | None, n_classes: int, device: "Device", world: World,
    progress: Callable[[int, int | None], None], check: Callable[[], None],
) -> "Network":
    """The network, on its device. Its weights are rank 0's: the others get them from it before the first step."""
    from noodle_tui.model import build_model
    from noodle_tui.step import check_compiler

    weights = "none" if before or world.rank > 0 else config.weights
    model = build_model(weights, n_classes, config.seed, progress, check)
    if config.sync_bn and world.size > 1:
        model = synchronised(model)
    model = model.to(device.torch_device)
    if config.compile:
        check_compiler(device)
    return device, model


def load_model(
    config: RunConfig, data: "Dataset", network: "Meanwhile[Network]", before: PickedUp | None, emit: Emit, world: World
) -> "tuple[Device, Session]":
    """`network` when it is there, fresh or as the checkpoint left it. NoodleError if it, or rank 0, saw other photos."""
    from noodle_tui.checkpoint import new_session, restore
    from noodle_tui.model import ARCHITECTURE

    with stage("weights", "loading the network", emit) as progress:
        device, model = network.result(progress)
        session = new_session(model, config.lr, config.momentum, device.torch_device)
        session.fingerprint, session.order = data.fingerprint, order_fingerprint(data.train.samples)
        if before:
            before.check_data(session.fingerprint, session.order)
            restore(session, before.content)
            for group in session.optimizer.param_groups:
                group.update(lr=config.lr, momentum=config.momentum)
        if world.rank > 0:
            session.totals.zero_()  # rank 0 has the sum of all
        if world.from_rank_0((session.fingerprint, session.order)) != (session.fingerprint, session.order):
            raise NoodleError(f"process {world.rank} finds other photos in {config.data_dir} than process 0: every node needs "
                              "the same")
    emit(ModelReady(architecture=ARCHITECTURE, weights="checkpoint" if before else config.weights,
                    device=str(device.torch_device), device_name=device.name, precision=device.precision))
    if shared := holders_in_words(others_on_card(device.torch_device)):
        emit(Message(level="info", text=f"{device.name} is {shared}"))
    return device, session


def train(
    session: "Session", data: "Dataset", config: RunConfig, device: "Device", saver: "Saver", emit: Emit, control: Control,
    world: World,
) -> None:
    """Fit, saving at each save point, and whatever ends it: at a stop the session, at an error the best model so far."""
    from noodle_tui.fit import fit

    began = time.perf_counter()
    emit(StageStarted(stage="train", text=f"training {config.n_epochs - session.epoch} epochs", total=config.n_epochs))
    if config.compile:
        emit(Message(level="info", text="the first step compiles the network, which takes a minute or more (--compile)"))
    try:
        fit(session, data, config, device, emit=emit, control=shared(control, world, device), save=saver.save, world=world)
    except StopRun:
        world.collect(session.totals)
        saver.save(session)
        raise
    except Exception:
        saver.save_model(session)
        raise
    emit(StageDone(stage="train", seconds=time.perf_counter() - began))


def judge(
    session: "Session", data: "Dataset", device: "Device", facts: RunFacts, folder: Path, saver: "Saver", emit: Emit,
    control: Control,
) -> tuple[RunFacts, Evaluation]:
    """Run the best weights over the validation images once more and write the report, while the last save is written."""
    from noodle_tui.fit import predict_logits
    from noodle_tui.saving import facts_now

    best = session.best
    if best is None:
        raise NoodleError("no epoch was validated: there is nothing to report")
    with stage("evaluate", f"judging the best weights (epoch {best.epoch})", emit):
        session.model.load_state_dict(best.weights)
        probabilities = predict_logits(session.model, data.val.pixels.stacked(), device, control).softmax(1).tolist()
        predictions = [
            Prediction(s.name, s.person, s.level, s.label, max(range(len(p)), key=p.__getitem__), tuple(p))
            for s, p in zip(data.val.samples, probabilities, strict=True)
        ]
        evaluation = evaluate(predictions, data.classes)
        facts = facts_now(facts, session)
        if evaluation.overall.correct != best.correct:
            emit(Message(level="warning", text=f"the best weights answer {evaluation.overall.correct} images right now and "
                         f"{best.correct} in epoch {best.epoch}: this device does not compute the same thing twice"))
        saver.save_model(session)
        try:
            write_report(folder, facts, evaluation, predictions)
            home = saver.finish()
        except OSError:
            home = saver.move()
        if home != folder:
            write_report(home, facts, evaluation, predictions)
    return facts, evaluation


def known_facts(config: RunConfig, data: "Dataset", device: "Device", began: float, before: PickedUp | None) -> RunFacts:
    """What the report needs to know besides the results, before the first epoch."""
    n = len(data.classes)
    started = time.time() - (time.monotonic() - began)
    return RunFacts(
        name=config.namestr, config=config.model_dump(mode="json"), classes=data.classes, epochs=[], best_epoch=0,
        train_counts=data.train.counts(n), val_counts=data.val.counts(n), train_people=data.train.people,
        val_people=data.val.people, unknown_people=sum(s.person is None for s in data.train.samples + data.val.samples),
        split_by=data.split_by, skipped=data.skipped, fingerprint=data.fingerprint, weights=config.weights,
        device=str(device.torch_device), device_name=device.name, precision=device.precision, environment=environment(),
        started=started, finished=started, seconds=0.0, resumed=before.times if before else 0,
    )


@contextmanager
def stage(name: str, text: str, emit: Emit) -> Iterator[Callable[[int, int | None], None]]:
    """Say that a stage begins and ends; gives a function that reports its progress, a few times a second at most."""
    began = last = time.perf_counter()
    emit(StageStarted(stage=name, text=text))

    def progress(done: int, total: int | None) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last >= PROGRESS_EVERY or done == total:
            last = now
            emit(StageProgress(stage=name, done=done, total=total))

    yield progress
    emit(StageDone(stage=name, seconds=time.perf_counter() - began, text=text))


@contextmanager
def loggers(
    config: RunConfig, before: PickedUp | None, outcome: Outcome, emit: Fanout, control: Control
) -> Iterator[str]:
    """Comet and TensorBoard while the run lasts, where they are asked for. Gives the Comet experiment's key ("" without).

    Comet has a process of its own; training doesn't wait for it.
    """
    comet = None
    comet_key = ""
    if config.comet and not config.debug:
        from noodle_tui.listeners.comet import CometLogger, new_experiment_key
        comet_key = (before.comet_key if before else "") or new_experiment_key()
        comet = CometLogger(config, load_settings(), outcome.folder, comet_key, emit)
        emit.add(comet)
    close_tensorboard = lambda: None  # noqa: E731
    if config.tensorboard:
        from noodle_tui.listeners.tensorboard import TensorBoardWriter

        writer = TensorBoardWriter(outcome.folder)
        emit.add(writer)
        close_tensorboard = writer.close
    try:
        yield comet_key
    finally:
        close_tensorboard()
        if comet is not None:
            model = outcome.folder / run_folder.MODEL
            evaluation = outcome.evaluation
            comet.close(model if model.exists() else None, evaluation.confusion if evaluation else None,
                        evaluation.classes if evaluation else [], COMET_PATIENCE[outcome.status],
                        in_a_hurry=lambda: control.stop_requested)


def failure_in_words(error: BaseException, folder: Path) -> str:
    """One line for people; the traceback of an unforeseen error goes to error.log in the run folder."""
    if isinstance(error, NoodleError):
        return str(error)
    if full := full_memory(error):
        whose = {"gpu": "the GPU's memory", "host": "this machine's memory"}[full]
        return f"{whose} is full: try a smaller --batch-size or --input-size, or wait until others leave room"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted at once; what was saved last is in the run folder"
    try:
        (folder / ERROR_LOG).write_text("".join(traceback.format_exception(error)))
        return f"{one_line(error)}; the details are in {folder / ERROR_LOG}"
    except OSError:
        return one_line(error)
