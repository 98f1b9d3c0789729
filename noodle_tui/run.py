"""One run, from its options to the saved model: the only place that knows the order of things.

    rejig (if asked) -> decode -> build or pick up the model -> fit -> evaluate -> model.pth, report

It says what it does by events: to the run folder's record and to whoever else listens. torch is imported on the way, after
the first event, so that a screen is painted before.
"""

import json
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from noodle_tui import run_folder
from noodle_tui.atomic import write_atomic
from noodle_tui.config import RunConfig, class_tokens
from noodle_tui.control import Control
from noodle_tui.errors import NoodleError, StopRun, one_line
from noodle_tui.evaluate import Count, Evaluation, Prediction, evaluate
from noodle_tui.events import (
    DataReady,
    Emit,
    Message,
    ModelReady,
    RunDone,
    RunFailed,
    RunStarted,
    RunStopped,
    Saved,
    StageDone,
    StageProgress,
    StageStarted,
)
from noodle_tui.listeners.fanout import Fanout
from noodle_tui.listeners.record import Recorder
from noodle_tui.names import printable
from noodle_tui.pick_up import PickedUp, folder_to_pick_up, pick_up, weights_to_start_from
from noodle_tui.report import RunFacts, environment, model_card, write_report
from noodle_tui.samples import find_samples
from noodle_tui.settings import load_settings

if TYPE_CHECKING:
    from noodle_tui.checkpoint import Session
    from noodle_tui.dataset import Dataset
    from noodle_tui.device import Device

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


def run(config: RunConfig, listeners: Sequence[Emit] = (), control: Control | None = None) -> Outcome:
    """Do what `config` says. Blocks until the run is done, or stopped by `control` (then all is saved).

    NoodleError when it can't go on: what was learnt until then is in the run folder, where the run is marked as failed.
    """
    control = control or Control()
    if config.comet:
        load_settings()  # what is wrong with the keys is said before anything is made
    old_folder = folder_to_pick_up(config)
    folder = old_folder or run_folder.make_run_folder(config.save_dir, config.namestr)
    with run_folder.locked(folder):
        run_folder.clear_requests(folder)
        run_folder.clear_leftovers(folder)
        control.folder = folder
        before = pick_up(folder, config) if old_folder else None
        config = before.config if before else weights_to_start_from(config)
        outcome = Outcome(folder)
        emit = Fanout(listeners)
        emit.add(Recorder(folder, emit))
        began = time.time()
        with loggers(config, before, outcome, emit) as comet_key:
            try:
                steps(config, before, comet_key, outcome, emit, control, began)
            except StopRun as stop:
                emit(RunStopped(reason=stop.reason, seconds=time.time() - began))
            except BaseException as error:
                text = failure_in_words(error, folder)
                emit(RunFailed(error=text, seconds=time.time() - began))
                if isinstance(error, NoodleError) or not isinstance(error, Exception):
                    raise
                raise NoodleError(text) from error
        return outcome


def steps(
    config: RunConfig, before: PickedUp | None, comet_key: str, outcome: Outcome, emit: Emit, control: Control, began: float
) -> None:
    """The way of a run, top to bottom."""
    announce(config, before, outcome.folder, emit)
    if config.rejig_data:
        rejig(config, emit, control)
    data = load_data(config, emit, control)
    device, session = load_model(config, data, before, emit, control)
    session.comet_key = comet_key
    facts = known_facts(config, data, device, began, before)
    train(session, data, config, device, facts, outcome.folder, emit, control)
    outcome.facts, outcome.evaluation = judge(session, data, device, facts, outcome.folder, emit, control)
    outcome.status = "done"
    overall = outcome.evaluation.overall
    emit(RunDone(best_epoch=outcome.facts.best_epoch, best_correct=overall.correct, best_count=overall.count,
                 seconds=time.time() - began))


def announce(config: RunConfig, before: PickedUp | None, folder: Path, emit: Emit) -> None:
    options = config.model_dump(mode="json")
    write_atomic(folder / run_folder.CONFIG, json.dumps(options, indent=1) + "\n")
    emit(RunStarted(name=config.namestr, folder=str(folder), config=options, n_epochs=config.n_epochs, pid=os.getpid(),
                    host=os.uname().nodename, resumed_at=before.epoch if before else 0))
    for warning in before.warnings if before else []:
        emit(Message(level="warning", text=warning))


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


def load_data(config: RunConfig, emit: Emit, control: Control) -> "Dataset":
    """Find and decode every image."""
    with stage("decode", f"reading the photos in {config.data_dir}", emit) as progress:
        find_samples(config.data_dir, config.person)  # what is wrong with the folders is said before torch is imported
        from noodle_tui.dataset import load_dataset

        data = load_dataset(config.data_dir, config.person, config.input_size, skip_bad_images=config.skip_bad_images,
                            progress=progress, check=control.check)
    emit(DataReady(
        classes=data.classes, train_counts=data.train.counts(len(data.classes)),
        val_counts=data.val.counts(len(data.classes)), people=len(data.train.people | data.val.people),
        people_in_both=len(data.train.people & data.val.people), skipped=len(data.skipped), fingerprint=data.fingerprint,
        where=data.where,
    ))
    for name, reason in data.skipped:
        emit(Message(level="warning", text=f"left out: {printable(name)} ({reason})"))
    return data


def load_model(
    config: RunConfig, data: "Dataset", before: PickedUp | None, emit: Emit, control: Control
) -> "tuple[Device, Session]":
    """The network on its device, fresh or as the checkpoint left it. NoodleError if the checkpoint saw other photos."""
    from noodle_tui.checkpoint import new_session, restore
    from noodle_tui.device import pick_device
    from noodle_tui.model import ARCHITECTURE, build_model

    device = pick_device(config.device, config.precision)
    weights = "none" if before else config.weights
    with stage("weights", "loading the network", emit) as progress:
        model = build_model(weights, len(data.classes), config.seed, progress, control.check)
        session = new_session(model.to(device.torch_device), config.lr, config.momentum, device.torch_device)
        session.fingerprint = data.fingerprint
        if before:
            before.check_data(data.fingerprint)
            restore(session, before.content)
            for group in session.optimizer.param_groups:
                group.update(lr=config.lr, momentum=config.momentum)
    emit(ModelReady(architecture=ARCHITECTURE, weights="checkpoint" if before else weights, device=str(device.torch_device),
                    device_name=device.name, precision=device.precision))
    return device, session


def train(
    session: "Session", data: "Dataset", config: RunConfig, device: "Device", facts: RunFacts, folder: Path, emit: Emit,
    control: Control,
) -> None:
    """Fit, saving at each save point, and whatever ends it: at a stop the session, at an error the best model so far."""
    from noodle_tui.fit import fit

    def save(_: "Session") -> None:
        save_all(session, config, facts, folder, emit)

    began = time.perf_counter()
    emit(StageStarted(stage="train", text=f"training {config.n_epochs - session.epoch} epochs", total=config.n_epochs))
    try:
        fit(session, data, config, device, emit=emit, control=control, save=save)
    except StopRun:
        save_all(session, config, facts, folder, emit)
        raise
    except Exception:
        save_model(session, facts, folder, emit)
        raise
    emit(StageDone(stage="train", seconds=time.perf_counter() - began))


def save_all(session: "Session", config: RunConfig, facts: RunFacts, folder: Path, emit: Emit) -> None:
    """The checkpoint and the best model. A disk that refuses is said, and tried again at the next save point."""
    from noodle_tui.checkpoint import FILE, save_session

    try:
        save_session(folder, session, config.model_dump(mode="json"))
        emit(Saved(what="checkpoint", file=FILE, epoch=session.epoch))
    except OSError as error:
        emit(Message(level="error", text=f"{folder / FILE} could not be saved ({error.strerror}): training goes on, and the "
                     "next save point tries again; make room or rights there"))
    save_model(session, facts, folder, emit)


def save_model(session: "Session", facts: RunFacts, folder: Path, emit: Emit) -> None:
    """The best weights so far, as model.pth and model.json, where they changed since the last save."""
    from noodle_tui.checkpoint import weights_file

    best = session.best
    if best is None or best.epoch == session.best_on_disk:
        return
    card = model_card(facts_now(facts, session), Count("all", best.correct, best.count))
    try:
        write_atomic(folder / run_folder.MODEL, weights_file(best.weights))
        write_atomic(folder / run_folder.CARD, json.dumps(card, indent=1) + "\n")
    except OSError as error:
        emit(Message(level="error", text=f"{folder / run_folder.MODEL} could not be saved ({error.strerror}): training goes "
                     "on, and the next save point tries again; make room or rights there"))
        return
    session.best_on_disk = best.epoch
    emit(Saved(what="model", file=run_folder.MODEL, epoch=best.epoch))


def judge(
    session: "Session", data: "Dataset", device: "Device", facts: RunFacts, folder: Path, emit: Emit, control: Control
) -> tuple[RunFacts, Evaluation]:
    """Run the best weights over the validation images once more and write the report."""
    import torch

    from noodle_tui.fit import predict_logits

    best = session.best
    if best is None:
        raise NoodleError("no epoch was validated: there is nothing to report")
    with stage("evaluate", f"judging the best weights (epoch {best.epoch})", emit):
        session.model.load_state_dict(best.weights)
        probabilities = predict_logits(session.model, torch.stack(data.val.pixels), device, control).softmax(1).tolist()
        predictions = [
            Prediction(s.name, s.person, s.level, s.label, max(range(len(p)), key=p.__getitem__), tuple(p))
            for s, p in zip(data.val.samples, probabilities, strict=True)
        ]
        evaluation = evaluate(predictions, data.classes)
        facts = facts_now(facts, session)
        if evaluation.overall.correct != best.correct:
            emit(Message(level="warning", text=f"the best weights answer {evaluation.overall.correct} images right now and "
                         f"{best.correct} in epoch {best.epoch}: this device does not compute the same thing twice"))
        save_model(session, facts, folder, emit)
        write_report(folder, facts, evaluation, predictions)
        if session.best_on_disk != best.epoch:
            raise NoodleError(f"{folder / run_folder.MODEL} could not be saved: make room or rights there, then pick the run "
                              f"up again with --load-dir {folder}")
    return facts, evaluation


def known_facts(config: RunConfig, data: "Dataset", device: "Device", began: float, before: PickedUp | None) -> RunFacts:
    """What the report needs to know besides the results, before the first epoch."""
    n = len(data.classes)
    return RunFacts(
        name=config.namestr, config=config.model_dump(mode="json"), classes=data.classes, epochs=[], best_epoch=0,
        train_counts=data.train.counts(n), val_counts=data.val.counts(n), train_people=data.train.people,
        val_people=data.val.people, unknown_people=sum(s.person is None for s in data.train.samples + data.val.samples),
        split_by=data.split_by, skipped=data.skipped, fingerprint=data.fingerprint, weights=config.weights,
        device=str(device.torch_device), device_name=device.name, precision=device.precision, environment=environment(),
        started=began, finished=began, seconds=0.0, resumed=before.times if before else 0,
    )


def facts_now(facts: RunFacts, session: "Session") -> RunFacts:
    """`facts` with what the session has come to."""
    return replace(facts, epochs=list(session.history), best_epoch=session.best.epoch if session.best else 0,
                   finished=time.time(), seconds=sum(epoch.seconds for epoch in session.history))


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
def loggers(config: RunConfig, before: PickedUp | None, outcome: Outcome, emit: Fanout) -> Iterator[str]:
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
                        evaluation.classes if evaluation else [], COMET_PATIENCE[outcome.status])


def failure_in_words(error: BaseException, folder: Path) -> str:
    """One line for people; the traceback of an unforeseen error goes to error.log in the run folder."""
    if isinstance(error, NoodleError):
        return str(error)
    if type(error).__name__ == "OutOfMemoryError":
        return "the GPU's memory is full: try a smaller --batch-size or --input-size, or see who else uses it (nvidia-smi)"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted at once; what was saved last is in the run folder"
    try:
        (folder / ERROR_LOG).write_text("".join(traceback.format_exception(error)))
        return f"{one_line(error)}; the details are in {folder / ERROR_LOG}"
    except OSError:
        return one_line(error)
