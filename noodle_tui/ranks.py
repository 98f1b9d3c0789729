"""What the ranks other than 0 do of a run that several processes train: the same steps, in silence."""

from pathlib import Path

from noodle_tui.control import Control
from noodle_tui.distributed import ending_together
from noodle_tui.errors import NoodleError, StopRun
from noodle_tui.failure import failure_in_words
from noodle_tui.job import Job
from noodle_tui.listeners.fanout import Fanout
from noodle_tui.loading import load
from noodle_tui.run import train
from noodle_tui.world import World


def accompany(control: Control, world: World) -> None:
    """Train along with rank 0's `run`, saying, saving and judging nothing. Returns when that is done, or was stopped.

    NoodleError when it can't go on.
    """
    folder: Path | None = None  # until rank 0 tells it
    try:
        with ending_together(world):
            folder, config, before = world.broadcast(None)
            if config.rejig_data:
                world.broadcast(None)
            job = Job(config, before, Fanout(), control, world)
            train(job, load(job), saver=None)
    except StopRun:
        return
    except NoodleError:
        raise
    except Exception as error:
        raise NoodleError(f"process {world.rank}: {failure_in_words(error, folder)}") from error
