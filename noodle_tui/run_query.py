"""The filter of a list of runs: `sweep cfg.lr>=1e-3 status:done -acc<0.9`.

Terms are separated by spaces and must all hold; a leading `-` turns one round. A plain word is looked for in the run's
name and folder. `key:value` looks for a text (equals, for a number), `= != < <= > >=` compare. Keys: KEYS, and any option
as `cfg.NAME` or NAME. Quotes keep spaces together: `status:done "my run"`. Values are compared as the list shows them:
an accuracy with its three digits, a time of start as far as it is given (`started<=2026-11-23` has that day in it).
"""

import operator
import re
import shlex
from collections.abc import Callable
from datetime import datetime
from typing import Any

from noodle_tui.config import RunConfig
from noodle_tui.errors import UsageError
from noodle_tui.stats import share_in_words
from noodle_tui.summaries import RunSummary

Test = Callable[[RunSummary], bool]


def _accuracy(run: RunSummary) -> float | None:
    """As the list shows it: who asks for 0.917 has seen that, and not 22/24."""
    return None if run.best_accuracy is None else float(share_in_words(run.best_accuracy))


KEYS: dict[str, Callable[[RunSummary], Any]] = {
    "name": lambda run: run.name,
    "folder": lambda run: run.folder.name,
    "state": lambda run: run.status,
    "status": lambda run: run.status,
    "acc": _accuracy,
    "best": _accuracy,
    "best_epoch": lambda run: run.best and run.best.epoch,
    "epoch": lambda run: run.epoch if run.n_epochs else None,
    "epochs": lambda run: run.n_epochs or None,
    "seconds": lambda run: run.seconds if run.started else None,
    "started": lambda run: datetime.fromtimestamp(run.started).isoformat(" ", "minutes") if run.started else None,
    "error": lambda run: run.error or None,
    "pinned": lambda run: run.pinned,
}
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ":": operator.eq, "=": operator.eq, "!=": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}
NUMBERS = ("acc", "best", "best_epoch", "epoch", "epochs", "seconds")  # among KEYS
_TERM = re.compile(r"(?P<key>[A-Za-z_][A-Za-z_.-]*)(?P<sign>>=|<=|!=|[:=<>])(?P<value>.*)", re.DOTALL)


def parse_query(text: str) -> Test:
    """A function that says whether a run fits the query. UsageError names the term that can't be understood."""
    try:
        terms = shlex.split(text)
    except ValueError:
        raise UsageError(f"{text[:100]}: a quote is open") from None
    tests = [_test(term) for term in terms]
    return lambda run: all(test(run) for test in tests)


def _test(term: str) -> Test:
    if term.startswith("-") and len(term) > 1:
        test = _test(term[1:])
        return lambda run: not test(run)
    found = _TERM.fullmatch(term)
    if found is None:
        word = term.casefold()
        return lambda run: word in run.name.casefold() or word in run.folder.name.casefold()
    key, sign, value = found["key"], found["sign"], found["value"]
    read = _reader(key)
    if not value:
        raise UsageError(f"{term[:100]}: a value is missing")
    if key in NUMBERS and _number(value) is None:
        raise UsageError(f"{term[:100]}: {key} is a number")
    if key == "started" and sign != ":":
        return lambda run: _holds((known := read(run)) and known[: len(value)], sign, value)
    return lambda run: _holds(read(run), sign, value)


def _reader(key: str) -> Callable[[RunSummary], Any]:
    if key in KEYS:
        return KEYS[key]
    option = key.removeprefix("cfg.").replace("-", "_")
    if option not in RunConfig.model_fields:
        raise UsageError(f"{key[:100]}: no such key; there are {', '.join(KEYS)} and options, e.g. cfg.lr")
    return lambda run: run.config.get(option)


def _holds(known: Any, sign: str, value: str) -> bool:
    """Whether a run's value stands in this relation to the one asked for. What a run lacks holds in none but `!=`."""
    if known is None:
        return sign == "!="
    number = _number(value)
    if isinstance(known, bool):
        equal = value.casefold() in (("true", "yes", "1", "on") if known else ("false", "no", "0", "off"))
        return {":": equal, "=": equal, "!=": not equal}.get(sign, False)
    if isinstance(known, int | float):
        return sign == "!=" if number is None else COMPARE[sign](known, number)
    if isinstance(known, list | tuple):
        known = ", ".join(map(str, known))
    text, wanted = str(known).casefold(), value.casefold()
    return wanted in text if sign == ":" else COMPARE[sign](text, wanted)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
