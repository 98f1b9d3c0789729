"""The Runs screen's words: columns, rows and the account of one run. Pure functions of summaries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.cells import cell_len
from textual.content import Content

from noodle_tui.config import options
from noodle_tui.stats import wilson_interval
from noodle_tui.summaries import LIVE, RunSummary
from noodle_tui.text import number_of, printable
from noodle_tui.tui import words
from noodle_tui.tui.curves import View
from noodle_tui.tui.status import MARKS
from noodle_tui.tui.widgets import braille
from noodle_tui.tui.widgets.drawing import VALIDATION, Band, Curve, Picture
from noodle_tui.tui.widgets.sheet import paragraph, side_by_side

LETTERS = "abcdefgh"  # of the marked runs, here and in the overlay
LONG_AGO = timedelta(days=300)  # a day and a month alone could be of last year
WHOLE_NAME = 30  # cells that a name gets before other columns grow: a longer one is cut in its middle
NONE_FITS = "no run fits this filter; esc takes it away"
GUTTER = 3  # cells before the first column: the mark's letter, the pin, a space


@dataclass(frozen=True)
class Column:
    name: str
    widths: tuple[int, ...]  # from the narrowest, at which it is always shown (0: it isn't), to the widest
    text: Callable[[RunSummary, int], Content]  # (run, width)
    key: Callable[[RunSummary], Any] | None  # what sorting by it compares; None can't be sorted by
    right: bool = False
    descending: bool = False  # the order that is useful first


def _state(run: RunSummary, width: int) -> Content:
    mark, colour = MARKS[run.status]
    return Content.styled(f"{mark} {run.status}" if width > 2 else mark, colour)


def _accuracy(run: RunSummary, _: int) -> Content:
    return Content.styled(words.accuracy(run.best_accuracy), "bold" if run.best_accuracy is not None else "$quiet")


def _counts(run: RunSummary) -> str:
    return "" if run.best is None else f"{run.best.val_correct}/{run.best.val_count}"


def _interval(run: RunSummary) -> str:
    return "" if run.best is None else words.interval(run.best.val_interval)


def _spark(run: RunSummary, width: int) -> Content:
    return Content(" ") + Content.styled(braille_line(run.val_accuracy, width - 1), "$validation")


def braille_line(values: Sequence[float], width: int) -> str:
    """A curve in one line of dots: lighter to the eye than blocks where rows of it stand close together."""
    y = np.asarray(values, dtype=np.float64)
    if len(y) == 0:
        return ""
    low, high = y.min(), y.max()
    level = (y - low) / (high - low) if high > low else np.full(len(y), 0.5)
    columns = np.rint(np.linspace(0, width * 2 - 1, len(y))).astype(np.int64)
    means = np.bincount(columns, level) / np.maximum(np.bincount(columns), 1)  # of what shares a column
    columns = np.unique(columns)
    rows = np.rint((1 - means[columns]) * 3).astype(np.int64)
    dots = braille.trace(columns, rows, np.zeros(len(columns), dtype=np.int64))
    patterns = braille.cells(braille.dots(*dots, width, 1))[0]
    return "".join(chr(braille.BLANK + int(pattern)) for pattern in patterns)


def _epochs(run: RunSummary) -> str:
    return f"{run.epoch}/{run.n_epochs}" if run.n_epochs else "–"


def _duration(run: RunSummary) -> str:
    return words.duration(run.seconds) if run.started else "–"


Lengths = tuple[tuple[str, int], ...]

# Columns of numbers that grow with the data: they are made as wide as their longest text, for a number is never cut.
GROWING: dict[str, Callable[[RunSummary], str]] = {
    "epochs": _epochs, "correct": _counts, "95%": _interval, "time": _duration,
}


def _grown(name: str, style: str = "") -> Callable[[RunSummary, int], Content]:
    return lambda run, _: Content.styled(GROWING[name](run), style)


def longest_texts(runs: Sequence[RunSummary]) -> Lengths:
    """(column, cells) of the longest text in the columns that are measured."""
    names = max((cell_len(printable(run.name)) for run in runs), default=0)
    return (("name", names), *((name, max((len(text(run)) for run in runs), default=0)) for name, text in GROWING.items()))


def _started(run: RunSummary, width: int) -> Content:
    return Content.styled(when(run.started) if width >= 16 else when_in_short(run.started), "$quiet")


def when(seconds: float | None) -> str:
    """2026-11-23 10:15, local time."""
    return "–" if seconds is None else datetime.fromtimestamp(seconds).isoformat(" ", "minutes")


def when_in_short(seconds: float | None) -> str:
    """The same in 11 cells: 10:15 if it was today, 11-23 10:15, 2025-11-23 if it is long ago."""
    if seconds is None:
        return "–"
    then, today = datetime.fromtimestamp(seconds), now()
    if then.date() == today.date():
        return f"{then:%H:%M}"
    return f"{then:%m-%d %H:%M}" if abs(today - then) < LONG_AGO else f"{then:%Y-%m-%d}"


def now() -> datetime:
    return datetime.now()


COLUMNS = (
    Column("state", (2, 14), _state, lambda run: list(MARKS).index(run.status)),
    Column("name", (0,), lambda run, width: Content(words.shortened(printable(run.name), width + 1)),
           lambda run: run.name.casefold()),
    Column("started", (13, 18), _started, lambda run: run.started, right=True, descending=True),
    Column("epochs", (10,), _grown("epochs"), lambda run: run.epoch if run.n_epochs else None, right=True, descending=True),
    Column("best", (7,), _accuracy, lambda run: run.best_accuracy, right=True, descending=True),
    Column("correct", (0, 9), _grown("correct"), None, right=True),
    Column("95%", (0, 11), _grown("95%", "$quiet"), lambda run: run.best and run.best.val_interval, right=True,
           descending=True),
    Column(" curve", (0, 10, 16), _spark, None),
    Column("time", (0, 9), _grown("time", "$quiet"), lambda run: run.seconds if run.started else None, right=True,
           descending=True),
)
GROWTH = ("95%", "correct", "state", " curve", "time", "started", " curve")  # who gets its next width first
SORTABLE = [column for column in COLUMNS if column.key is not None]
NEWEST = next(column for column in SORTABLE if column.name == "started")


@lru_cache(16)
def columns_for(width: int, lengths: Lengths) -> tuple[tuple[Column, int], ...]:
    """The columns that fit, each with its width. Names have precedence. `lengths`: as of `longest_texts`."""
    columns, measured = {column.name: column for column in COLUMNS}, dict(lengths)
    longest = measured["name"]
    steps = {name: tuple(w and max(w, measured[name] + 2) for w in column.widths) if name in GROWING else column.widths
             for name, column in columns.items()}
    widths = {name: of_column[0] for name, of_column in steps.items()}
    for name in GROWTH:
        grown = {**widths, name: next(w for w in steps[name] if w > widths[name])}
        # names that are cut in any case give way: no accuracy without its counts and its interval
        share = 4 if name in ("95%", "correct") and longest + 2 > width // 2 else 2
        if width - GUTTER - sum(grown.values()) >= max(min(longest + 2, width // share, WHOLE_NAME), 8):
            widths = grown
    widths["name"] = max(width - GUTTER - sum(widths.values()), 8)
    return tuple((column, widths[name]) for name, column in columns.items() if widths[name])


def header(width: int, lengths: Lengths, sort: Column, reverse: bool) -> Content:
    """The columns' names; an arrow says which one the rows are sorted by, and which way. `width`: of the whole line."""
    cells = [Content(" " * (GUTTER + 1))]
    for column, room in columns_for(width - 1, lengths):
        title = column.name if room > 2 else ""
        if column is sort:
            name = Content.styled(f"{title} {'▾' if reverse else '▴'}".lstrip(), "$primary bold")
        else:
            name = Content.styled(title, "$quiet")
        cells.append(_cell(name, room, column.right))
    return Content("").join(cells)


def column_at(x: int, width: int, lengths: Lengths) -> Column | None:
    """The column of the header at cell x."""
    start = GUTTER + 1
    for column, room in columns_for(width - 1, lengths):
        if start <= x < start + room:
            return column
        start += room
    return None


def row(run: RunSummary, width: int, lengths: Lengths, letter: str) -> Content:
    """One run as a line. `letter`: that of a marked run."""
    gutter = Content.assemble((letter or " ", "$accent bold"), ("◆" if run.pinned else " ", "$accent"), " ")
    cells = [_cell(column.text(run, room - 2 if room > 2 else 2), room, column.right)
             for column, room in columns_for(width, lengths)]
    return Content("").join([gutter, *cells])


def _cell(content: Content, width: int, right: bool) -> Content:
    """Padded to the column; two cells stay free at the side where the neighbour begins."""
    content = content.truncate(max(width - 1, 1), ellipsis=True)
    blank = " " * (width - content.cell_length)
    return Content.assemble(blank, content) if right else Content.assemble(content, blank)


def sorted_runs(runs: Sequence[RunSummary], sort: Column, reverse: bool) -> list[RunSummary]:
    """Pinned ones first; those without the column's value last; equal ones stay newest first, as they come."""
    key = sort.key
    assert key is not None
    if sort is not NEWEST or not reverse:
        known = [run for run in runs if key(run) is not None]
        runs = [*sorted(known, key=key, reverse=reverse), *(run for run in runs if key(run) is None)]
    return sorted(runs, key=lambda run: not run.pinned)


def account(run: RunSummary, width: int) -> list[Content]:
    """One run in a few lines: how it stands, its best accuracy, what it failed of, options unlike the default."""
    mark, colour = MARKS[run.status]
    state = f"{mark} {run.status}"
    if run.n_epochs:
        state += f" at epoch {run.epoch} of {run.n_epochs}" if run.status != "done" else f", {number_of(run.n_epochs, 'epoch')}"
    lines = [Content.assemble((state, f"{colour} bold"), (f"  {words.duration(run.seconds)}", "$quiet"))]
    lines += best_lines(run)
    if run.error:
        lines += paragraph(printable(run.error), width, f"{mark} ", colour)
    lines.append(Content.styled(f"started {when(run.started)}", "$quiet"))
    lines.append(Content.styled(printable(run.folder.name), "$quiet"))
    if changed := unlike_default(run):
        lines.append(Content(""))
        name_width = max(len(name) for name, _ in changed) + 2
        lines += [Content.assemble((name.ljust(name_width), "$quiet"), printable(value)) for name, value in changed]
    return lines


def detail_lines(run: RunSummary, width: int, height: int) -> list[Content]:
    """The same in `height` lines, two at least, for windows without room for `account`."""
    best = best_lines(run)[0]
    folder = words.shortened(printable(run.folder.name), width - best.cell_length - 3)
    lines = [Content.assemble(best, ("   " + folder, "$quiet"))]
    if run.error:
        lines += paragraph(printable(run.error), width, "✗ ", "$error")
    changed = [printable(f"{name} {value}") for name, value in unlike_default(run)] or ["all options at their defaults"]
    lines += [line.stylize("$quiet") for line in side_by_side(changed, width, "  ")]
    return lines[:height]


def why_not(action: str, run: RunSummary, n_marked: int) -> str:
    """Why an action of the Runs screen can't be done now, and what can."""
    match action:
        case "overlay":
            marked = "Only one run is marked or pinned" if n_marked else "No run is marked"
            return f"{marked}: an overlay needs two or more. space marks a run."
        case "stop":
            return "This run isn't going on: there is nothing to stop."
        case "delete":
            return f"{printable(run.folder.name)} is going on: nothing is deleted. Stop it first (s)."
    return why_not_resumed(run.status)


def why_not_resumed(status: str) -> str:
    """The same of resuming a run that is in this state and has nothing that it could be resumed from."""
    if status == "broken":
        return "This run can't be read."
    if status in LIVE:
        return "This run is going on already: enter shows it."
    return "This run saved nothing that it could go on from. c copies its options to Setup, for a new run."


def empty_text(save_dir: Path, error: str) -> Content:
    """What stands where there are no runs: how to get one, or why the folder can't be read."""
    if error:
        return Content.styled(f"✗ {printable(error)}", "$error")
    return Content.assemble(
        ("No runs here yet", "bold"), (f"\n{printable(str(save_dir))}\n\n", "$quiet"),
        ("n", "$primary bold"), "  set a run up       ", ("ctrl+p", "$primary bold"), "  everything else\n\n",
        ("Runs that other terminals or nodes start in this folder show up here by themselves.", "$quiet"),
    )  # fmt: skip


def best_lines(run: RunSummary) -> list[Content]:
    """★ 0.958  23/24  95% 0.80–0.99  epoch 12"""
    best = run.best
    if best is None:
        return [Content.styled("not validated yet", "$quiet")]
    return [Content.assemble(
        (f"★ {words.accuracy(best.val_accuracy)}", "$star bold"), f"  {best.val_correct}/{best.val_count}",
        (f"  95% {words.interval(best.val_interval)}  epoch {best.epoch}", "$quiet"),
    )]  # fmt: skip


def curve(run: RunSummary) -> Picture:
    """The validation accuracy over the epochs, with its 95% interval and the best epoch."""
    x, y = np.array(run.val_epochs, dtype=np.float64), np.array(run.val_accuracy, dtype=np.float64)
    count = run.best.val_count if run.best else 0  # in each epoch the same
    bounds = [wilson_interval(round(accuracy * count), count) for accuracy in run.val_accuracy]
    low, high = np.array(bounds, dtype=np.float64).reshape(-1, 2).T
    star = None if run.best is None or run.best_accuracy is None else (float(run.best.epoch), run.best_accuracy)
    first, last = View().window(run.epoch, run.n_epochs if run.alive else run.epoch)  # as Live has it
    return Picture((Curve(x, y, VALIDATION),), first, last, Band(x, low, high), star, bounds=(0.0, 1.0))


def unlike_default(run: RunSummary) -> list[tuple[str, str]]:
    """(option, value) of a run's options that are not the default, in RunConfig's order; the name is left out."""
    found = []
    for option in options():
        default = list(option.default) if option.kind == "list" else option.default
        default = str(default) if option.kind == "path" and default is not None else default
        if option.name in run.config and option.name != "namestr" and run.config[option.name] != default:
            found.append((option.name, in_words(run.config[option.name])))
    return found


def in_words(value: Any) -> str:
    """An option's value as a person reads it."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(map(str, value))
        case float():
            return f"{value:g}"
    return str(value)
