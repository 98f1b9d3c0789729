"""What the smaller commands print: predictions, the list of runs, a run that is followed."""

import csv
import io
import json
import sys
import time
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from noodle_tui.errors import EXIT_STOPPED, NoodleError
from noodle_tui.events import RunDone, RunFailed, RunState, RunStopped
from noodle_tui.listeners.console import ConsoleListener
from noodle_tui.names import number_of, printable
from noodle_tui.predict import PredictOutcome
from noodle_tui.report import closing_lines
from noodle_tui.run_folder import EVENTS, Follower, has_checkpoint, how_to_pick_up, is_alive
from noodle_tui.stats import interval_in_words
from noodle_tui.summaries import RunSummary, Summaries, as_json

FOLLOW_EVERY = 0.5  # seconds


def print_answers(outcome: PredictOutcome, format: str) -> None:
    """Class and probabilities of each image, as table, csv or json."""
    rows = [{"path": str(a.path), "predicted": a.predicted, **{f"p_{k}": v for k, v in a.probabilities.items()}}
            for a in outcome.answers]
    if format == "json":
        failures = [{"path": str(path), "reason": reason} for path, reason in outcome.failures]
        write(json.dumps({"answers": rows, "failures": failures}, indent=1) + "\n")
    elif format == "csv" and rows:
        out = io.StringIO()
        writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write(out.getvalue())
    elif rows:
        print_table(list(rows[0]), [[f"{v:.4f}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows])


def print_runs(save_dir: Path, format: str) -> None:
    """All runs in `save_dir`, newest first."""
    summaries = Summaries().read(save_dir)
    if format == "json":
        write(json.dumps([as_json(s) for s in summaries], indent=1) + "\n")
        return
    if not summaries:
        print(f"no runs in {save_dir}")
        return
    print_table(["run", "state", "epochs", "best accuracy", "started", "time"], [run_as_row(s) for s in summaries])


def run_as_row(s: RunSummary) -> list[str]:
    best = "-"
    if s.interval and s.best_accuracy is not None:
        best = f"{s.best_accuracy:.3f} ({s.best_correct}/{s.best_count}) {interval_in_words(s.interval)}"
    started = "-" if s.started is None else datetime.fromtimestamp(s.started).strftime("%Y-%m-%d %H:%M")
    return [printable(s.folder.name), s.status, f"{s.epoch}/{s.n_epochs}", best, started, clock(s.seconds)]


def clock(seconds: float) -> str:
    """'1 min 39 s'"""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    hours, rest = divmod(whole, 3600)
    minutes, secs = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {secs} s"


def print_table(columns: list[str], rows: list[list[str]]) -> None:
    """A table, never folded where the output is no terminal: scripts cut it by columns."""
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, emoji=False, width=10_000)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number > 0)  # a long name is folded, and no number
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table)


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
        print(f"noodle: left out of {folder / EVENTS}: {number_of(follower.broken_lines, 'line')} that can't be read",
              file=sys.stderr)
    if isinstance(state.ended, RunFailed):
        raise NoodleError(f"the run failed: {state.ended.error}")
    if state.ended is None:
        way_on = how_to_pick_up(folder) if has_checkpoint(folder) else "it had saved no checkpoint yet: start it anew"
        raise NoodleError(f"the run was interrupted: its process is gone; {way_on}")
    return EXIT_STOPPED if isinstance(state.ended, RunStopped) else 0
