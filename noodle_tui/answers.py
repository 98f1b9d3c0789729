"""What the smaller commands print: predictions, the list of runs, a run that is followed."""

import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from noodle_tui.disk import rescue_places
from noodle_tui.errors import EXIT_STOPPED, NoodleError
from noodle_tui.evaluate import Evaluation
from noodle_tui.events import RunDone, RunFailed, RunStopped
from noodle_tui.listeners.console import ConsoleListener
from noodle_tui.listeners.record import csv_line
from noodle_tui.predict import PredictOutcome, score_in_words
from noodle_tui.report import closing_lines
from noodle_tui.run_folder import EVENTS, Follower, has_checkpoint, how_to_pick_up, is_alive, no_runs
from noodle_tui.run_state import RunState
from noodle_tui.stats import interval_in_words, share_in_words
from noodle_tui.summaries import RunSummary, Summaries, as_json
from noodle_tui.terminal import folded
from noodle_tui.text import number_of, printable

FOLLOW_EVERY = 0.5  # seconds
SHED = ("interval", "time", "started")  # what a list of runs goes without where it has no room, the first first
GAP = 2  # cells between two columns of a table
LEAST_NAME = 10  # cells, in which a name is folded


def print_answers(outcome: PredictOutcome, format: str) -> None:
    """Class and probabilities of each image, as table, csv or json. Where it is known what is right also how many answers are:
    behind a table, in the JSON, and beside a csv on stderr."""
    rows = [{"path": str(a.path), "true": a.true, "predicted": a.predicted, **{f"p_{k}": v for k, v in a.probabilities.items()}}
            for a in outcome.answers]
    if format == "json":
        failures = [{"path": str(path), "reason": reason} for path, reason in outcome.failures]
        write(json.dumps({"answers": rows, "failures": failures, "score": score_as_json(outcome.score)}, indent=1) + "\n")
        return
    if format == "csv":
        names = ["path", "true", "predicted", *(f"p_{name}" for name in outcome.classes)]
        write("".join(map(csv_line, [names, *([row[name] for name in names] for row in rows)])))
    elif rows:
        shown = [{k: v for k, v in row.items() if k != "true" or outcome.score} for row in rows]
        print_table([{k: f"{v:.4f}" if isinstance(v, float) else str(v or "-") for k, v in row.items()} for row in shown])
    stream = sys.stderr if format == "csv" else sys.stdout
    for line in score_in_words(outcome):
        print(folded(printable(line), stream), file=stream)


def score_as_json(score: Evaluation | None) -> dict[str, Any] | None:
    if score is None:
        return None
    overall = score.overall
    return {"correct": overall.correct, "count": overall.count, "accuracy": overall.accuracy, "interval": overall.interval,
            "people_interval": score.people_interval, "balanced_accuracy": score.balanced_accuracy, "roc_auc": score.roc_auc,
            "per_class": [{"name": one.recall.name, "correct": one.recall.correct, "count": one.recall.count}
                          for one in score.per_class]}


def print_runs(save_dir: Path, format: str) -> None:
    """All runs in `save_dir`, newest first."""
    summaries = Summaries().read(save_dir)
    if format == "json":
        write(json.dumps([as_json(s) for s in summaries], indent=1) + "\n")
        return
    if not summaries:
        print(no_runs(save_dir))
        return
    rows = [run_as_row(s) for s in summaries]
    for left_out in range(1, len(SHED) + 1):
        if sum(widths(rows)) > table_room():
            rows = [run_as_row(s, SHED[:left_out]) for s in summaries]
    print_table(rows)


def run_as_row(s: RunSummary, left_out: Sequence[str] = ()) -> dict[str, str]:
    """What the list shows of a run, {column: text}, without what is `left_out`, some of SHED."""
    best = "-"
    if s.best and s.best.val_interval:
        interval = "" if "interval" in left_out else f" {interval_in_words(s.best.val_interval)}"
        best = f"{share_in_words(s.best_accuracy or 0.0)} ({s.best.val_correct}/{s.best.val_count}){interval}"
    started = "-" if s.started is None else datetime.fromtimestamp(s.started).strftime("%Y-%m-%d %H:%M")
    row = {"run": s.folder.name, "state": s.status, "epochs": f"{s.epoch}/{s.n_epochs}" if s.n_epochs else "-",
           "best accuracy": best, "started": started, "time": "-" if s.started is None else clock(s.seconds)}
    return {column: text for column, text in row.items() if column not in left_out}


def clock(seconds: float) -> str:
    """'1 min 39 s'"""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {secs} s"


def print_table(rows: list[dict[str, str]]) -> None:
    """A table of {column: text}. Where a terminal has no room the first column, a name, is folded; of the others nothing is."""
    least = LEAST_NAME + sum(widths(rows)[1:])
    console = Console(markup=False, highlight=False, emoji=False, width=max(table_room(), least))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(rows[0]):
        table.add_column(column, overflow="fold", no_wrap=number > 0)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row.values()))
    console.print(table)


def table_room() -> int:
    """Cells that a line has; without end where the output is no terminal: scripts cut tables by columns."""
    console = Console()
    return console.width if console.is_terminal else 10_000


def widths(rows: list[dict[str, str]]) -> list[int]:
    """The cells that each column of a table takes, with the gap before it."""
    columns = zip(rows[0], *(map(printable, row.values()) for row in rows), strict=True)
    return [max(map(cell_len, column)) + (GAP if number else 0) for number, column in enumerate(columns)]


def write(text: str) -> None:
    """To stdout, names with undecodable bytes included."""
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.flush()


def follow(folder: Path, log_every: int | None, as_json: bool) -> int:
    """Print a run's events from its beginning until its process is gone, or the reader. The run's own exit code, 0 where the
    reader left; NoodleError if it failed or died."""
    console, follower, state = ConsoleListener(as_json, log_every), Follower(folder), RunState()
    try:
        alive = True
        while alive:
            alive = is_alive(folder)  # before reading: what comes after a death isn't missed
            for event in follower.read():
                console(event)
                state.apply(event)
            if alive:
                if console.reader_is_gone:
                    return 0
                time.sleep(FOLLOW_EVERY)
        place = Path(state.started.folder) if state.moved_from and state.started else folder
        if isinstance(state.ended, RunDone) and not as_json:
            for line in closing_lines(place):
                console.say(line)
        elif isinstance(state.ended, RunStopped) and not as_json and has_checkpoint(place):
            console.say(how_to_pick_up(place))
    finally:
        console.close()
    if follower.broken_lines:
        lost = number_of(follower.broken_lines, "line")
        place = printable(str(folder / EVENTS))
        print(folded(f"noodle: left out of {place}: {lost} that can't be read", sys.stderr), file=sys.stderr)
    if isinstance(state.ended, RunFailed):
        raise NoodleError(f"the run failed: {state.ended.error}")
    if state.ended is None:
        way_on = how_to_pick_up(folder) if has_checkpoint(folder) else "it had saved no checkpoint yet: start it anew"
        if state.not_saved:
            places = " or ".join(map(str, rescue_places()))
            way_on = f"its disk took nothing any more ({printable(state.not_saved)}), so look in {places} of its node; {way_on}"
        raise NoodleError(f"the run was interrupted: its process is gone; {way_on}")
    return EXIT_STOPPED if isinstance(state.ended, RunStopped) else 0
