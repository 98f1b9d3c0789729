"""The loggers that are asked for, Comet and TensorBoard, while a run lasts."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from noodle_tui.config import RunConfig
from noodle_tui.job import Job, Outcome
from noodle_tui.run_folder import MODEL
from noodle_tui.settings import load_settings

if TYPE_CHECKING:
    from noodle_tui.listeners.comet import CometLogger

COMET_PATIENCE = {"done": 60.0, "stopped": 10.0}  # seconds for its upload: batch systems kill soon after they ask


def check_loggers(config: RunConfig) -> None:
    """NoodleError where a logger that is asked for lacks its package, or settings.json can't be read."""
    if config.logs_to_comet:
        load_settings()
    if config.tensorboard:
        from noodle_tui.listeners.tensorboard import check_installed

        check_installed()


@contextmanager
def loggers(job: Job, outcome: Outcome) -> Iterator[str]:
    """Have them listen to the run, and close them after it. Gives the key of its Comet experiment ("" where it has none); one
    that it had keeps where Comet is off for once.

    Comet has a process of its own; training doesn't wait for it. NoodleError if a package is missing.
    """
    stored = job.before.stored if job.before else None
    comet_key, history = (stored.comet_key, stored.history) if stored else ("", [])
    with ExitStack() as at_the_end:
        if job.config.logs_to_comet:
            from noodle_tui.listeners.comet import CometLogger, experiment_key

            comet_key = experiment_key(outcome.folder, comet_key)
            comet = CometLogger(job.config, load_settings(), outcome.folder, comet_key, job.emit, history)
            job.emit.add(comet)
            at_the_end.callback(close_comet, comet, job, outcome)
        if job.config.tensorboard:
            from noodle_tui.listeners.tensorboard import TensorBoardWriter

            writer = TensorBoardWriter(outcome.folder, job.emit, history)
            job.emit.add(writer)
            at_the_end.callback(writer.close)
        yield comet_key


def close_comet(comet: "CometLogger", job: Job, outcome: Outcome) -> None:
    """Send what the run came to. Waits for that, but not long where somebody has asked it to stop."""
    model, evaluation = outcome.folder / MODEL, outcome.evaluation
    comet.close(model if model.exists() else None, evaluation.confusion if evaluation else None,
                evaluation.classes if evaluation else [], COMET_PATIENCE[outcome.status],
                in_a_hurry=lambda: job.control.stop_requested)
