"""Comet's keys, from the environment or `settings.json`. They are never printed; `masked(key)` is what may be shown."""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr

from noodle_tui.errors import NoodleError

FIELDS = ("username", "apikey", "restapikey", "project")
ENVIRONMENT = {"username": "COMET_WORKSPACE", "apikey": "COMET_API_KEY", "project": "COMET_PROJECT_NAME"}  # these win
PLACEHOLDERS = ("your-comet-workspace", "your-comet-api-key")  # what settings.example.json holds
MAX_BYTES = 64 * 1024


class Settings(BaseModel):
    """Who logs to Comet, and where. A key's `repr` and `str` are stars; `get_secret_value()` is for Comet alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    username: str | None = None  # Comet's workspace
    apikey: SecretStr | None = None
    restapikey: SecretStr | None = None
    project: str | None = None
    warnings: tuple[str, ...] = ()  # sentences to show: the file is usable, but not as it should be


def load_settings(path: Path = Path("settings.json"), environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the file, overruled by COMET_API_KEY, COMET_WORKSPACE and COMET_PROJECT_NAME where they are set.

    Without a file and without a variable there is no key (`apikey` is None). NoodleError, in one line and without any
    value of the file: it can't be read, is no JSON object of texts, has an unknown field, or is only half filled.
    """
    there = os.path.lexists(path)
    values, warnings = _read(path) if there else ({}, [])
    sources = {name: f"{path}: {name}" for name in FIELDS}
    for name, variable in ENVIRONMENT.items():
        if environ.get(variable, "").strip():
            values[name], sources[name] = environ[variable].strip(), variable
    for name, value in values.items():
        _check(sources[name], name, value)
    if there and "apikey" not in values:
        raise NoodleError(f"{path} holds no apikey: paste yours from https://www.comet.com/account-settings/apiKeys, "
                          "or set COMET_API_KEY")
    return Settings(**values, warnings=tuple(warnings))


def masked(key: SecretStr) -> str:
    """A key as `noodle doctor` may show it, whose words go into bug reports: its length and nothing else."""
    return f"…({len(key.get_secret_value())} characters)"


def _read(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The file's filled fields, and warnings about the file."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise NoodleError(f"{path} is not a file: make it one like settings.example.json")
        if about.st_size > MAX_BYTES:
            raise NoodleError(f"{path} has {about.st_size} bytes, too many for settings: see settings.example.json")
        content = path.read_bytes()
    except OSError as error:
        raise NoodleError(f"{path} can't be read ({error.strerror}): mend it or remove it") from None
    warnings = []
    if about.st_mode & 0o077:
        warnings.append(f"{path} holds your keys and others can read it: run chmod 600 {path}")
    return _fields(path, content), warnings


def _fields(path: Path, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise NoodleError(f"{path} is not JSON ({error.msg}, line {error.lineno}): see settings.example.json") from None
    except (ValueError, RecursionError):
        raise NoodleError(f"{path} is not JSON: see settings.example.json") from None
    if not isinstance(found, dict):
        raise NoodleError(f"{path} is not a JSON object {{…}}: see settings.example.json")
    for name, value in found.items():
        if name not in FIELDS:
            raise NoodleError(f"{path} has an unknown field {name[:20]!r}: it takes {', '.join(FIELDS)}")
        if not isinstance(value, str | None):
            raise NoodleError(f"{path}: {name} must be text in quotes, not {type(value).__name__}")
    return {name: value.strip() for name, value in found.items() if value and value.strip()}


def _check(where: str, name: str, value: str) -> None:
    """Refuse what can't be a Comet name or key, without repeating the value."""
    if value in PLACEHOLDERS:
        raise NoodleError(f"{where} still is the example's placeholder: put your own there")
    if len(value) > 1000 or not value.isprintable():
        raise NoodleError(f"{where} has line breaks, control characters or more than 1000 characters: copy it again")
    if name.endswith("apikey") and not (value.isascii() and " " not in value):
        raise NoodleError(f"{where} has spaces or letters that no key has: copy it again")
