"""What a finished run leaves for its reader: report.md, report.json, predictions.csv, model.json, the last words.

The files stay on this machine: they hold the names of photos and of the people that these names tell.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from noodle_tui.atomic import write_atomic
from noodle_tui.evaluate import Evaluation, Prediction
from noodle_tui.report.as_json import read_report, report_json
from noodle_tui.report.facts import RunFacts, closing_lines, environment, model_card, verdict
from noodle_tui.report.markdown import report_markdown
from noodle_tui.report.predictions import predictions_csv, read_predictions

__all__ = ["RunFacts", "closing_lines", "environment", "model_card", "read_predictions", "read_report", "verdict",
           "write_report"]


def write_report(folder: Path, facts: RunFacts, evaluation: Evaluation, predictions: Sequence[Prediction]) -> None:
    """Write predictions.csv, report.json and report.md, each whole or not at all. OSError when the disk refuses."""
    files = {
        "predictions.csv": predictions_csv(facts.classes, predictions),
        "report.json": json.dumps(report_json(facts, evaluation), indent=1, allow_nan=False) + "\n",
        "report.md": report_markdown(facts, evaluation),
    }
    for name, content in files.items():
        write_atomic(folder / name, content)
