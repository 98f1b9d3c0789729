"""One run, from its options to the saved model: here is the order of things.

    rejig (if asked) -> load: decode, build or pick up the model -> train -> judge: predictions, report

checkpoint.pt and model.pth, the best epoch's weights, are written while it trains, at each save point (saving.py). It says
what it does by events: to the run folder's record and to whoever else listens. torch is imported on the way: a new run on any
device has said its first word before.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from noodle_tui import run_folder
from noodle_tui.config import NAMED_WEIGHTS, RunConfig
from noodle_tui.control import Control, clear_requests
from noodle_tui.disk import RESUME_BYTES, RUN_BYTES, check_room
from noodle_tui.distributed import check_ranks, ended_where_stuck, ending_together, own_device
from noodle_tui.errors import NoodleError, StopRun, one_line
from noodle_tui.events import Emit, Message, RunDone, RunFailed, RunMoved, RunStarted, RunStopped
from noodle_tui.failure import failure_in_words
from noodle_tui.heap import freed_memory_kept
from noodle_tui.imports import uncollected
from noodle_tui.job import Job, Outcome
from noodle_tui.judge import judge, known_facts
from noodle_tui.listeners.fanout import Fanout
from noodle_tui.listeners.record import Recorder
from noodle_tui.loading import Loaded, check_weights, load
from noodle_tui.loggers import check_loggers, loggers
from noodle_tui.paths import working_folder
from noodle_tui.pick_up import folder_to_pick_up, pick_up, sorts_first, weights_to_start_from
from noodle_tui.rejig import real_folders
from noodle_tui.report import set_aside_at_an_epoch
from noodle_tui.samples import check_apart, class_folders, options_told, unread_options
from noodle_tui.stage import stage
from noodle_tui.text import number_of
from noodle_tui.weights import check_file
from noodle_tui.world import ALONE, World, shared

if TYPE_CHECKING:
    from noodle_tui.saving import Saver
    from noodle_tui.session import Session


def run(
    config: RunConfig, listeners: Sequence[Emit] = (), control: Control | None = None, world: World = ALONE
) -> Outcome:
    """Do what `config` says. Blocks until the run is done, or stopped by `control` (then all is saved).

    NoodleError when it can't go on: what was learnt until then is in the run folder, where the run is marked as failed.
    Under torchrun this is rank 0's part, and `accompany` (ranks.py) that of the others.
    """
    control = control or Control()
    folder, is_old = find_folder(config, world)
    with run_folder.locked(folder):
        clear_requests(folder)
        run_folder.clear_leftovers(folder)
        control.folder = folder
        before = pick_up(folder, config) if is_old else None
        config = before.config if before else weights_to_start_from(config)
        check_ranks(config, world)
        job, outcome = Job(config, before, Fanout(listeners), control, world), Outcome(folder)
        # a run that is picked up stays what it was until it is known that it can go on
        recorder = Recorder(folder, job.emit, before.stored.history if before else (), held=before is not None)
        job.emit.add(recorder)
        with (
            closing(recorder),
            loggers(job, outcome) as comet_key,
            saying_how_it_ends(job, folder),
            ending_together(world),
        ):
            world.broadcast((folder, config, before))
            steps(job, outcome, recorder, comet_key)
        return outcome


def steps(job: Job, outcome: Outcome, recorder: Recorder, comet_key: str) -> None:
    """The way of a run, top to bottom."""
    started = announce(job, outcome.folder)
    left_out = None
    if job.config.rejig_data:
        if sorts_first(job.config, job.before is not None):
            check_weights(job)
            left_out = rejig(job)
        job.world.broadcast(None)  # the others have waited for it
    loaded = load(job)
    recorder.release()
    if job.before:
        job.emit.add(set_aside_at_an_epoch(outcome.folder, job.before.stored.epoch))
    loaded.session.comet_key = comet_key
    facts = known_facts(job, loaded, left_out)
    from noodle_tui.saving import Saver  # imports torch

    with (
        Saver(outcome.folder, job.config, facts, job.emit) as saver,
        record_where_saved(job, saver, loaded.session, started, outcome),
    ):
        train(job, loaded, saver)
        facts, outcome.evaluation = judge(job, loaded, facts, saver, outcome.folder)
    outcome.status = "done"
    overall = outcome.evaluation.overall
    job.emit(RunDone(best_epoch=facts.best_epoch, best_correct=overall.correct, best_count=overall.count,
                     seconds=job.seconds))


def find_folder(config: RunConfig, world: World) -> tuple[Path, bool]:
    """The run folder: one to go on in (True), or a new one. NoodleError, before one is made, for what is in the run's way."""
    check_loggers(config)
    old = folder_to_pick_up(config)
    if old is not None:
        check_room(old, RESUME_BYTES, "load-dir")
        return old, True
    check_ranks(config, world)
    check_sources(weights_to_start_from(config))
    check_device(config, world)
    check_room(config.save_dir, RUN_BYTES)
    return run_folder.make_run_folder(config.save_dir, config.namestr), False


def check_sources(config: RunConfig) -> None:
    """NoodleError where what is to be read isn't there at all, or holds no weights, or the run would lie among the photos:
    a slip of the pen leaves no run folder."""
    check_apart(config.save_dir, config.data_dir)
    if config.weights not in NAMED_WEIGHTS:
        check_file(Path(config.weights))
    if config.rejig_data:
        real_folders(config.stimuli, config.data_dir)
    else:
        class_folders(config.data_dir)


def check_device(config: RunConfig, world: World) -> None:
    """UsageError where a device was asked for by name and isn't there: for a slip of the pen no photo is moved. It takes torch,
    which without a name is left to load later."""
    if config.device in ("auto", "cpu"):
        return
    with uncollected():
        from noodle_tui.device import pick_device
    pick_device(own_device(config.device, world), config.precision)


@contextmanager
def saying_how_it_ends(job: Job, folder: Path) -> Iterator[None]:
    """A stop ends the run here, and quietly; an error leaves as NoodleError, or as it came where it ends the process."""
    try:
        yield
    except StopRun as stop:
        job.emit(RunStopped(reason=stop.reason, seconds=job.seconds))
    except BaseException as error:
        text = failure_in_words(error, folder)
        job.emit(RunFailed(error=text, seconds=job.seconds))
        if isinstance(error, NoodleError) or not isinstance(error, Exception):
            raise
        raise NoodleError(text) from error


def announce(job: Job, folder: Path) -> RunStarted:
    started = RunStarted(name=job.config.namestr, folder=str(folder), config=options_told(job.config),
                         n_epochs=job.config.n_epochs, pid=os.getpid(), host=os.uname().nodename,
                         resumed_at=job.before.stored.epoch if job.before else 0, cwd=working_folder())
    job.emit(started)
    for warning in job.before.warnings if job.before else warnings_of(job.config):
        job.emit(Message(level="warning", text=warning))
    if job.config.comet and not job.config.logs_to_comet:
        job.emit(Message(level="info", text="Comet stays off with --debug"))
    return started


def warnings_of(config: RunConfig) -> list[str]:
    """Where a new run does something else than its options suggest."""
    found = [unread] if (unread := unread_options(config)) else []
    if config.load_dir is not None and config.load_dir.is_dir():
        found.append(f"{config.load_dir} has no checkpoint to go on from: this is a new run, from its weights and with the "
                     "options given here")
    return found


def rejig(job: Job) -> dict[str, int]:
    """Sort the stimuli into the data folder; nothing to do when they already are. {Reason: how many files took no part}."""
    from noodle_tui.rejig import apply_rejig, left_out_in_words, plan_rejig, rearranged_in_words

    config, check = job.config, job.control.check
    with stage("rejig", f"sorting {config.stimuli} into {config.data_dir}", job.emit) as progress:
        plan = plan_rejig(config, check, progress)
        if (again := rearranged_in_words(plan)) and (plan.new or plan.leaving or plan.switching):
            job.emit(Message(level="warning", text=f"{again}: accuracies of earlier runs on it can't be compared"))
        apply_rejig(plan, progress=progress, check=check)
    for line in left_out_in_words(plan.skipped):
        job.emit(Message(level="warning", text=f"left out: {line}"))
    return dict(Counter(one.reason for one in plan.skipped))


@contextmanager
def record_where_saved(
    job: Job, saver: "Saver", session: "Session", started: RunStarted, outcome: Outcome
) -> Iterator[None]:
    """However the run ends, see that what it came to is saved; where its own folder refuses, in another, with a record."""
    try:
        yield
    finally:
        folder = saver.finish()
        if folder != outcome.folder:
            outcome.folder = folder
            job.emit(RunMoved(folder=str(folder)))
            recorder = Recorder(folder, job.emit, list(session.history))
            recorder(replace(started, folder=str(folder), resumed_at=session.epoch))
            job.emit.add(recorder)


def train(job: Job, loaded: Loaded, saver: "Saver | None") -> None:
    """Fit, saving at each save point, and whatever ends it: at a stop the session, at an error the best model so far. Ranks
    other than 0 save nothing (None); at a stop, what was summed up there of the unfinished epoch goes to rank 0.

    NoodleError where a batch is too large for the GPU, with the largest that isn't, and as `fit` raises it.
    """
    from noodle_tui.batch_size import is_too_large, too_large
    from noodle_tui.fit import fit

    config, session, device = job.config, loaded.session, loaded.device
    first_whole = session.epoch + (session.step > 0)
    if config.compile:
        job.emit(Message(level="info", text="the first step compiles the network, which takes a minute or more (--compile)"))
    words = f"training {number_of(config.n_epochs - session.epoch, 'epoch')}"
    with stage("train", words, job.emit), ended_where_stuck(job.world), freed_memory_kept(device.torch_device):
        try:
            fit(session, loaded.data, config, device, emit=job.emit, control=shared(job.control, job.world, device),
                save=saver.save if saver else lambda session: None, world=job.world)
        except StopRun:
            job.world.reduce_to_rank_0(session.totals)
            if saver:
                saver.save(session)
            raise
        except Exception as error:
            if saver:
                saver.save_model(session)
            if not is_too_large(error, session, first_whole, device, job.world):
                raise
            said = one_line(error)
        else:
            return
        # the error is gone by now, and with it what the failed step held of the GPU's memory
        raise NoodleError(too_large(session, loaded.data, config, device, said))
