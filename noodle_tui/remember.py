"""The form's last values: one file a working folder, in the user's state folder. Options hold no keys, so no key gets there.
And the app's colours."""

import hashlib
import json
from pathlib import Path
from typing import Any

from noodle_tui.atomic import write_atomic
from noodle_tui.config import Option, options
from noodle_tui.disk import state_folder
from noodle_tui.run_folder import read_plain

VERSION = 1
MAX_BYTES = 64 * 1024
# Which run to pick up is asked anew each time: else the app, opened again, would go on in an old run instead of a new one.
NOT_REMEMBERED = {"load_dir"}


def remembered_file(folder: Path) -> Path:
    """Where the values for the working folder `folder` are kept: named by a hash, so that any path will do. FileNotFoundError
    as in `state_folder`."""
    name = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return state_folder() / "forms" / f"{name}.json"


def remember(values: dict[str, Any], folder: Path) -> None:
    """Keep `values` ({option: what was typed}) for the working folder. Nobody ever sees half a file. OSError if it can't."""
    file = remembered_file(folder)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # paths may hold names of people
    kept = {name: _as_json(value) for name, value in values.items() if name not in NOT_REMEMBERED}
    write_atomic(file, json.dumps({"version": VERSION, "values": kept}, indent=1) + "\n")


def recall(folder: Path) -> tuple[dict[str, Any], str]:
    """The values kept for the working folder, and a note ("" if all is well): a broken file is left out, and is said to be."""
    try:
        content = json.loads(read_plain(remembered_file(folder), MAX_BYTES))
        if not isinstance(content, dict) or content.get("version") != VERSION or not isinstance(content.get("values"), dict):
            raise ValueError("not of this version")
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).split("\n")[0][:80]
        return {}, f"the last values could not be read ({reason}); these are the defaults"
    known = {option.name: option for option in options() if option.name not in NOT_REMEMBERED}
    good = {name: value for name, value in content["values"].items() if name in known and _fits(known[name], value)}
    left_out = len(content["values"]) - len(good)
    return good, f"{left_out} of the last values don't fit any more and were left out" if left_out else ""


def remember_theme(name: str) -> None:
    """Keep the app's colours for the next time. OSError if that can't be."""
    file = _theme_file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(file, name + "\n")


def recall_theme() -> str:
    """The name that was kept; "" where there is none, or it can't be read."""
    try:
        return read_plain(_theme_file(), MAX_BYTES).decode(errors="replace").strip()
    except (OSError, ValueError):  # ValueError: a link, or too large
        return ""


def _theme_file() -> Path:
    return state_folder() / "theme"


def _as_json(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    return [str(part) for part in value] if isinstance(value, list | tuple) else str(value)


def _fits(option: Option, value: Any) -> bool:
    """Whether a value is of the form in which `remember` writes the option's."""
    match option.kind:
        case "bool":
            return isinstance(value, bool)
        case "list":
            return isinstance(value, list) and all(isinstance(part, str) for part in value)
        case "choice":
            return value in option.choices
    return isinstance(value, str)
