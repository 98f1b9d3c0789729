"""`noodle verify-resume`: is a run that was killed and picked up the same, bit for bit, as one that was not? On this device.

It draws a few invented people, trains on them once whole and once killed (SIGKILL) at several moments and picked up each time,
and compares every weight, every momentum, every metric, the saved model and its answers.
"""

import csv
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from noodle_tui.checkpoint import read_checkpoint
from noodle_tui.demo import draw_stimuli
from noodle_tui.disk import RUN_BYTES, check_temporary_room
from noodle_tui.errors import NoodleError
from noodle_tui.events import EpochDone, Event, RunStarted, Saved
from noodle_tui.report.predictions import PREDICTIONS
from noodle_tui.run_folder import METRICS, MODEL, Follower, list_runs

EPOCHS, GPU_EPOCHS = 7, 200  # a GPU does 7 before anybody can kill it
PEOPLE = 3
TIMES = ("seconds", "images_per_second")  # the columns of metrics.csv that may differ
PATIENCE = 600  # seconds that one process may take


def verify_resume(device: str, precision: str, kills: int, seed: int, say: Callable[[str], None]) -> bool:
    """Run the comparison; True if nothing differs. NoodleError if a run fails for another reason, or is always done before it
    can be killed."""
    check_temporary_room(2 * RUN_BYTES)
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="noodle-verify-") as name:
        place = Path(name)
        draw_stimuli(place / "stimuli", people=PEOPLE, seed=seed)
        epochs = _epochs_for(device)
        options = ["--stimuli", str(place / "stimuli"), "--data-dir", str(place / "data"), "--rejig-data", "--mode", "copy",
                   "--weights", "none", "--input-size", "64", "--batch-size", "16", "--lr", "0.01", "--save-every", "1",
                   "--n-epochs", str(epochs), "--device", device, "--precision", precision, "--seed", str(seed)]
        began = time.monotonic()
        with _running([*options, "--save-dir", str(place / "whole")]) as process:
            whole = _finish(process, place / "whole")
        say(f"undisturbed: {epochs} epochs in {time.monotonic() - began:.0f} s")

        command, training = [*options, "--save-dir", str(place / "killed")], 0
        early = range(1, epochs - 1)  # an epoch is left after each, and what is under way when it is killed
        for epoch in sorted(chance.sample(early, min(kills, len(early)))):
            with _running(command) as process:
                folder = _wait_for_save(process, place / "killed", epoch)
                time.sleep(chance.uniform(0, quickest_epoch(whole, folder)))
                process.kill()
                code, complaint = process.wait(), process.stderr.read() if process.stderr else ""
            if code not in (0, -signal.SIGKILL):
                raise NoodleError(f"a run failed (exit code {code}): {complaint.strip()}")
            was_done = code == 0
            last = max(saved.epoch for saved in _checkpoints(_said(folder)))
            training += not was_done and last < epochs
            say(f"{'done before it was killed' if was_done else f'killed after epoch {last}'}, and picked up")
            command = ["--load-dir", str(folder)]
        if not training:
            raise NoodleError("no run was killed in the midst of its training, which proves nothing: try again, or another "
                              "--seed")
        with _running(command) as process:
            killed = _finish(process, place / "killed")
        differences = list(compare(whole, killed))
        for difference in differences:
            say(f"differs: {difference}")
        return not differences


def compare(one: Path, other: Path) -> Iterator[str]:
    """What differs between two finished runs' weights, momentum, metrics and answers; nothing if they are equal bit for bit."""
    left, right = read_checkpoint(one)[0], read_checkpoint(other)[0]
    assert left.best is not None and right.best is not None, "a finished run has a best epoch"
    yield from _unequal("the last weights", left.model, right.model)
    yield from _unequal("the momentum", *({f"parameter {key}": state["momentum_buffer"] for key, state in states.items()}
                                          for states in (left.optimizer["state"], right.optimizer["state"])))
    if left.best.epoch != right.best.epoch:
        yield f"the best epoch, {left.best.epoch} and {right.best.epoch}"
    yield from _unequal("the best epoch's weights", left.best.weights, right.best.weights)
    yield from _unequal(MODEL, *(torch.load(folder / MODEL, weights_only=True) for folder in (one, other)))
    rows, others = metrics_without_times(one), metrics_without_times(other)
    if rows != others:
        yield f"{METRICS}: {len(rows)} and {len(others)} epochs, or other values in them"
    if (one / PREDICTIONS).read_bytes() != (other / PREDICTIONS).read_bytes():
        yield f"{PREDICTIONS}, the answers on the validation images"


def _unequal(what: str, left: dict[str, Tensor], right: dict[str, Tensor]) -> Iterator[str]:
    """One sentence for all tensors that differ, with the most that any does."""
    by = {name: float((value - right[name]).abs().max()) for name, value in left.items() if not torch.equal(value, right[name])}
    if by:
        most = max(by, key=lambda name: by[name])
        yield f"{what}: {len(by)} of {len(left)} tensors, {most} the most, by up to {by[most]:.3g}"


def metrics_without_times(folder: Path) -> list[dict[str, str]]:
    with (folder / METRICS).open(newline="") as file:
        return [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)]


def quickest_epoch(whole: Path, killed: Path) -> float:
    """Seconds of the quickest epoch of both runs: how far into one may be waited. The first of a process also warms up, for ten
    times as long as the others; a wait for that would see the run done."""
    return min(e.seconds for folder in (whole, killed) for e in _said(folder) if isinstance(e, EpochDone))


@contextmanager
def _running(options: list[str]) -> "Iterator[subprocess.Popen[str]]":
    """A run in a process of its own. It is killed (SIGKILL) on the way out, unless it has ended."""
    with subprocess.Popen([sys.executable, "-m", "noodle_tui", "run", "--headless", *options], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _finish(process: "subprocess.Popen[str]", save_dir: Path) -> Path:
    try:
        _, complaint = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise NoodleError(f"a run is not done after {PATIENCE} seconds: try it where less goes on") from None
    if process.returncode != 0:
        raise NoodleError(f"a run failed (exit code {process.returncode}): {complaint.strip()}")
    return list_runs(save_dir)[0]


def _wait_for_save(process: "subprocess.Popen[str]", save_dir: Path, epoch: int) -> Path:
    """The run folder, once `process` has written a checkpoint of `epoch` or a later one into it, or is done."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        runs = list_runs(save_dir)
        if runs and any(saved.epoch >= epoch for saved in _checkpoints(_since_start(_said(runs[0]), process.pid))):
            return runs[0]
        time.sleep(0.02)
    if process.poll() == 0:
        return list_runs(save_dir)[0]
    process.kill()  # else its stderr has no end
    raise NoodleError(f"epoch {epoch} was not saved: {process.stderr.read().strip() if process.stderr else ''}")


def _checkpoints(events: list[Event]) -> list[Saved]:
    return [event for event in events if isinstance(event, Saved) and event.what == "checkpoint"]


def _since_start(events: list[Event], pid: int) -> list[Event]:
    """Those that process `pid` has written, where it picked up the run of others."""
    starts = [i for i, event in enumerate(events) if isinstance(event, RunStarted) and event.pid == pid]
    return events[starts[-1]:] if starts else []


def _epochs_for(device: str) -> int:
    return GPU_EPOCHS if device != "cpu" and torch.cuda.is_available() else EPOCHS


def _said(folder: Path) -> list[Event]:
    return Follower(folder).read()
