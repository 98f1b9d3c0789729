"""What a finished run leaves for its reader: report.md, report.json, predictions.csv, model.json, the last words.

The files stay on this machine: they hold the names of photos and of the people that these names tell.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from noodle_tui.atomic import write_atomic
from noodle_tui.errors import NoodleError
from noodle_tui.evaluate import Evaluation, Prediction
from noodle_tui.events import Emit, EpochDone, Event
from noodle_tui.report.as_json import Report, Result, Score, read_report, report_of
from noodle_tui.report.facts import RunFacts, environment, facts_now, model_card, verdict
from noodle_tui.report.markdown import report_markdown
from noodle_tui.report.predictions import PREDICTIONS, predictions_csv, read_predictions
from noodle_tui.run_folder import MODEL
from noodle_tui.text import printable

__all__ = ["Report", "Result", "RunFacts", "Score", "closing_lines", "environment", "facts_now", "model_card",
           "read_predictions", "read_report", "set_aside_at_an_epoch", "verdict", "write_report"]

FILES = (PREDICTIONS, "report.json", "report.md")


def write_report(folder: Path, facts: RunFacts, evaluation: Evaluation, predictions: Sequence[Prediction]) -> None:
    """Write predictions.csv, report.json and report.md, each whole or not at all. OSError when the disk refuses."""
    contents = (
        predictions_csv(facts.classes, predictions),
        json.dumps(report_of(facts, evaluation).model_dump(), indent=1) + "\n",
        report_markdown(facts, evaluation),
    )
    for name, content in zip(FILES, contents, strict=True):
        write_atomic(folder / name, content)


def set_aside_at_an_epoch(folder: Path, epoch: int) -> Emit:
    """A listener for a run that is picked up after `epoch`: once it has trained on, the report of its weights until then is
    called report-epoch-3.md and so on. The names without a number are those of a report of the weights that lie beside it."""
    def old_report(event: Event) -> None:
        if not isinstance(event, EpochDone):
            return
        for file in map(Path, FILES):
            with suppress(OSError):  # there is none; or the disk refuses, and the next epoch tries again
                (folder / file).replace(folder / f"{file.stem}-epoch-{epoch}{file.suffix}")

    return old_report


def closing_lines(folder: Path) -> list[str]:
    """The console's last words of a run that is done: the verdict, where the files are, what to distrust, or why its report
    can't be read. Plain text, one line each."""
    try:
        report = read_report(folder)
    except NoodleError as error:
        return [str(error)]
    files = f"model {folder / MODEL}, report {folder / 'report.md'}"
    return [printable(line) for line in (report.verdict, files, *(f"distrust: {one}" for one in report.distrust))]
