"""The paths among a run's options: as seen from anywhere, and where they lead today."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from noodle_tui.config import NAMED_WEIGHTS, options
from noodle_tui.errors import UsageError


def working_folder() -> str:
    """The folder that relative paths start from; "" where it was removed: a run that is under way doesn't need it."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def check_working_folder() -> None:
    """UsageError where the folder that we are in was removed: torch's libraries would end the process there by a riddle."""
    if not working_folder():
        raise UsageError("the folder that you are in was removed: change to another")


def paths_in(config: Mapping[str, Any]) -> dict[str, str]:
    """{option: path} of a run's options, as JSON has them, that hold one."""
    names = [option.name for option in options() if option.kind == "path"]
    names += [] if config.get("weights") in NAMED_WEIGHTS else ["weights"]
    return {name: value for name in names if isinstance(value := config.get(name), str)}


def with_full_paths(config: Mapping[str, Any], cwd: str) -> dict[str, Any]:
    """A run's options with its paths as seen from anywhere; `cwd`: the folder that it was started in. One folder is one,
    whatever it was called."""
    return {**config, **{name: os.path.normpath(os.path.join(cwd, path)) for name, path in paths_in(config).items()}}


def path_today(path: str, cwd: str, then: str, folder: Path) -> Path:
    """Where a path that a run was given leads now, wherever we are: `path` as seen from `cwd`, the folder that it was started
    in. Where nothing is there and the run's folder, `then` at the time, is `folder` now: what was moved along with it."""
    here = working_folder()
    if not os.path.isabs(cwd) or "\0" in cwd + path + then or not here:  # an older run doesn't say; a file may say anything
        return Path(path)
    given = Path(cwd, path)
    if os.path.exists(given):
        return given
    moved = Path(os.path.normpath(os.path.join(here, folder, os.path.relpath(given, Path(cwd, then)))))
    return moved if os.path.exists(moved) else given


def options_today(config: dict[str, Any], cwd: str, then: str, folder: Path) -> dict[str, Any]:
    """A run's options as they would be given here and now to use the same files; see `path_today`. Short where that is below
    the working folder."""
    here = working_folder()
    today = {name: path_today(path, cwd, then, folder) for name, path in paths_in(config).items()}
    short = {name: str(path.relative_to(here) if here and path.is_relative_to(here) else path) for name, path in today.items()}
    return {**config, **short, "save_dir": str(folder.parent)}
