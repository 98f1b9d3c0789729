"""What comes before the steady state, in fresh processes: `noodle run` to its first epoch, and a whole small job."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from noodle_tui.bench.options import BenchOptions
from noodle_tui.errors import NoodleError
from noodle_tui.events import DataReady, EpochDone, Event, ModelReady, from_json

PATIENCE = 900  # seconds that one process may take


def start_up(data_dir: Path, options: BenchOptions, epochs: int) -> dict[str, float]:
    """Seconds, from the start of `noodle run --headless` in a fresh process, until it said its first word, had all photos
    decoded, had the network, and had done its first epoch; and those of a whole job of `epochs` epochs in another fresh
    process, imports apart. NoodleError if a process fails.
    """
    with tempfile.TemporaryDirectory(prefix="noodle-bench-") as runs:
        flags = [
            "--data-dir", str(data_dir), "--save-dir", runs, "--weights", "none", "--device", options.run.device,
            "--precision", options.run.precision, "--input-size", str(options.run.input_size),
            "--batch-size", str(options.batch_sizes[0]),
        ]
        began = time.time()  # the events' clock
        output = _run(["noodle_tui", "run", "--headless", "--json", "--n-epochs", "1", *flags])
        events = [from_json(line) for line in output.splitlines()]
        job = json.loads(_run(["noodle_tui.bench.job", str(epochs), *flags]))
    return {
        "first_word": events[0].time - began,
        "photos_decoded": _first(events, DataReady).time - began,
        "network_ready": _first(events, ModelReady).time - began,
        "first_epoch_done": _first(events, EpochDone).time - began,
        **job,
    }


def _first(events: list[Event], kind: type[Event]) -> Event:
    return next(event for event in events if isinstance(event, kind))


def _run(arguments: list[str]) -> str:
    done = subprocess.run([sys.executable, "-m", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=PATIENCE)
    if done.returncode != 0:
        raise NoodleError(f"the start-up could not be measured: a run failed (exit code {done.returncode}): "
                          f"{done.stderr.strip()[-500:]}")
    return done.stdout
