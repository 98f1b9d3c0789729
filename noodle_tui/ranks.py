"""What the ranks other than 0 do of a run that several processes train: the same steps, in silence."""

from pathlib import Path

from noodle_tui.control import Control
from noodle_tui.distributed import World, ended_where_stuck, ending_together, shared
from noodle_tui.errors import NoodleError, StopRun
from noodle_tui.failure import failure_in_words
from noodle_tui.heap import freed_memory_kept
from noodle_tui.job import Job
from noodle_tui.listeners.fanout import Fanout
from noodle_tui.loading import load


def accompany(control: Control, world: World) -> None:
    """Train along with rank 0's `run`, saying, saving and judging nothing. Returns when that is done, or was stopped.

    NoodleError when it can't go on.
    """
    folder = Path()
    try:
        with ending_together(world):
            folder, config, before = world.from_rank_0(None)
            if config.rejig_data:
                world.from_rank_0(None)
            train_along(Job(config, before, Fanout(), control, world))
    except StopRun:
        return
    except NoodleError:
        raise
    except Exception as error:
        raise NoodleError(f"process {world.rank}: {failure_in_words(error, folder)}") from error


def train_along(job: Job) -> None:
    """Load and fit. At a stop, what was summed up here of the unfinished epoch goes to rank 0, which saves it."""
    loaded = load(job)
    from noodle_tui.fit import fit

    with ended_where_stuck(job.world), freed_memory_kept(loaded.device.torch_device):
        try:
            fit(loaded.session, loaded.data, job.config, loaded.device, emit=job.emit,
                control=shared(job.control, job.world, loaded.device), save=lambda _: None, world=job.world)
        except StopRun:
            job.world.collect(loaded.session.totals)
            raise
