"""A filled form as what a batch job needs: the `noodle run --headless` line, and a Slurm script around it."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

from noodle_tui.config import Option, RunConfig, options
from noodle_tui.paths import working_folder


def command_line(config: RunConfig) -> str:
    """The command that does the same run without the app: shell-quoted, only the options that need saying.

    These are the ones that differ from their defaults; when a run is picked up also those that were given although they
    equal the default, because there the stored run decides what isn't given.
    """
    words = ["noodle", "run", "--headless"]
    for option in options():
        value = getattr(config, option.name)
        if value != option.default or (config.load_dir is not None and option.name in config.model_fields_set):
            words += _flags(option, value)
    return shlex.join(words)


def _flags(option: Option, value: Any) -> list[str]:
    if option.kind == "bool":
        return [f"--{option.flag}" if value else f"--no-{option.flag}"]
    if value is None:
        return []  # load_dir: not given is its only other state
    flags: list[str] = []
    for one in value if option.kind == "list" else [value]:
        text = str(one)
        flags += [f"--{option.flag}={text}"] if text.startswith("-") else [f"--{option.flag}", text]
    return flags


def sbatch_script(config: RunConfig, folder: Path | None = None, python: str = sys.executable) -> str:
    """A Slurm script of the run, for `sbatch`.

    folder  the working folder that relative paths count from (the current one)
    python  the interpreter whose `noodle` is meant

    `exec` lets the run take the shell's place: Slurm's SIGTERM (B: sends it to the shell) then reaches the run itself.
    """
    here = str(folder or working_folder() or ".")
    name = re.sub(r"[^\w.-]+", "_", config.namestr)
    gpu = [] if config.device in ("cpu", "mps") else ["#SBATCH --gres=gpu:1"]
    lines = [
        "#!/bin/bash",
        f"#SBATCH --job-name={name}",
        "#SBATCH --output=%x-%j.log",
        "# Fit these to your cluster, and add --partition or --account if it asks for them.",
        *gpu,
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --mem=16G",
        "#SBATCH --time=01:00:00",
        "# Two minutes before the time is up the run is told to save; --load-dir picks it up again.",
        "#SBATCH --signal=B:TERM@120",
        "",
        "set -euo pipefail",
        f"cd {shlex.quote(here)}",
        f"export PATH={shlex.quote(str(Path(python).parent))}:\"$PATH\"",
        f"exec {command_line(config)}",
    ]
    return "\n".join(lines) + "\n"
