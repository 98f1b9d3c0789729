"""What `noodle bench` is asked to do, checked. Without torch, so that a wrong option is told at once."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noodle_tui.config import RunConfig, make_config
from noodle_tui.errors import UsageError

SMALLEST = 24  # photos: below, a split of one in ten and two batches can't be had
MAX_SEEDS = 31  # as many as parity.py's table of Student's t serves
SHARED = ("input_size", "device", "precision", "compile", "lr", "weights")  # options that RunConfig checks
PARITY_DEFAULTS = {"input_size": 64}  # small pictures, as in the demo
FROM_NOTHING = {"lr": 0.002}  # as in the demo; from trained weights it is a run's default


@dataclass(frozen=True)
class BenchOptions:
    """A comparison of speed."""

    data_dir: Path | None  # None: photos are drawn
    width: int  # of a drawn photo, in pixels
    height: int
    count: int  # drawn photos, both splits together
    batch_sizes: tuple[int, ...]
    rounds: int
    seconds: float  # that a measurement lasts, about; epochs are whole, or over a sample of the photos
    workers: int | None  # of the plain loop's loader; None: as many as processors, 12 at most
    run: RunConfig  # device, precision, input size, compile; no weights to start from


@dataclass(frozen=True)
class ParityOptions:
    """A comparison of what is learnt."""

    data_dir: Path | None  # None: the demo's people are drawn
    seeds: int
    run: RunConfig  # both arms' weights to start from, epochs, batch size, learning rate, …


def bench_options(values: dict[str, Any]) -> BenchOptions:
    """BenchOptions from the options that were given. UsageError names a bad one."""
    _refuse(values, ("seeds", "epochs", "lr", "weights"), "goes with --parity")
    if "data_dir" in values:
        _refuse(values, ("size", "count"), "is for drawn photos; leave it out with --data-dir")
    width, height = _size(values.get("size", "562x762"))
    return BenchOptions(
        data_dir=values.get("data_dir"), width=width, height=height, count=_number(values, "count", 2400, SMALLEST),
        batch_sizes=_batch_sizes(values.get("batch_size", ["24"])), rounds=_number(values, "rounds", 3, 1),
        seconds=_seconds(values.get("seconds", 2.0)), workers=_number(values, "workers", 1, 1) if "workers" in values else None,
        run=_run_config(values, {}),
    )


def parity_options(values: dict[str, Any]) -> ParityOptions:
    """ParityOptions from the options that were given. UsageError names a bad one."""
    _refuse(values, ("size", "count", "rounds", "seconds", "workers"), "does not go with --parity")
    batch_size, *others = _batch_sizes(values.get("batch_size", ["32"]))
    if others:
        raise UsageError("--batch-size: --parity takes one")
    seeds = _number(values, "seeds", 5, 2)
    if seeds > MAX_SEEDS:
        raise UsageError(f"--seeds: {seeds} is out of bounds: at most {MAX_SEEDS}")
    own = {"batch_size": batch_size, "n_epochs": _number(values, "epochs", 12, 1)}
    start = FROM_NOTHING if values.get("weights", "none") == "none" else {}
    return ParityOptions(data_dir=values.get("data_dir"), seeds=seeds, run=_run_config(values, PARITY_DEFAULTS | start | own))


def _run_config(values: dict[str, Any], defaults: dict[str, Any]) -> RunConfig:
    return make_config({"weights": "none", **defaults, **{name: values[name] for name in SHARED if name in values}})


def _refuse(values: dict[str, Any], names: tuple[str, ...], why: str) -> None:
    for name in names:
        if name in values:
            raise UsageError(f"--{name} {why}")


def _number(values: dict[str, Any], name: str, default: int, least: int) -> int:
    number = values.get(name, default)
    if number < least:
        raise UsageError(f"--{name}: {number} is out of bounds: at least {least}")
    return number


def _seconds(seconds: float) -> float:
    if not 0 < seconds <= 600:
        raise UsageError(f"--seconds: {seconds:g} is out of bounds: more than 0, at most 600")
    return seconds


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{2,4})[xX](\d{2,4})", text)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if min(width, height) < 32:
        raise UsageError(f"--size: {text!r} is not WIDTHxHEIGHT of 32 to 9999 pixels each, e.g. 562x762")
    return width, height


def _batch_sizes(texts: list[str]) -> tuple[int, ...]:
    """(24, 64) from ["24,64"] or ["24", "64"], each once, in the order given."""
    parts = [part.strip() for text in texts for part in text.split(",")]
    for part in parts:
        if not part.isdecimal() or not 2 <= int(part) <= 65_536:
            raise UsageError(f"--batch-size: {part!r} is not a whole number from 2 to 65536")
    return tuple(dict.fromkeys(int(part) for part in parts))
