"""predictions.csv: the model's answer on each validation image."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from noodle_tui.errors import NoodleError
from noodle_tui.evaluate import Prediction
from noodle_tui.report.files import read_plain_file, stay_inside
from noodle_tui.text import printable

PREDICTIONS = "predictions.csv"
MAX_PREDICTIONS_BYTES = 512 * 2**20
COLUMNS = ["path", "person", "level", "true", "predicted"]  # then p_<class> for each class


def predictions_csv(classes: Sequence[str], predictions: Iterable[Prediction]) -> bytes:
    """A row an image. Texts are quoted; names that are not UTF-8 keep their bytes; probabilities keep every digit."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(COLUMNS + [f"p_{name}" for name in classes])
    for p in predictions:
        writer.writerow([p.path, p.person or "", "" if p.level is None else p.level,
                         classes[p.true], classes[p.predicted], *p.probabilities])
    return out.getvalue().encode("utf-8", "surrogateescape")


def read_predictions(folder: Path) -> tuple[list[str], list[Prediction]]:
    """(classes, predictions) from a run folder's predictions.csv. NoodleError names the first line that is wrong."""
    path = folder / PREDICTIONS
    text = read_plain_file(path, MAX_PREDICTIONS_BYTES).decode("utf-8", "surrogateescape")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        classes = [column.removeprefix("p_") for column in header[len(COLUMNS):]]
        wanted = COLUMNS + [f"p_{name}" for name in classes]
        if header != wanted or len(classes) < 2 or len(set(classes)) != len(classes):
            raise ValueError("the columns are not those of predictions")
        return classes, [_prediction(row, classes) for row in reader]
    except (ValueError, csv.Error) as error:
        raise NoodleError(f"{printable(str(path))} is broken at line {reader.line_num}: {error}; "
                          "get it back from a copy, or train again") from None


def _prediction(row: list[str], classes: list[str]) -> Prediction:
    if len(row) != len(COLUMNS) + len(classes):
        raise ValueError(f"{len(row)} columns instead of {len(COLUMNS) + len(classes)}")
    path, person, level, true, predicted = row[: len(COLUMNS)]
    probabilities = tuple(float(text) for text in row[len(COLUMNS):])
    if not all(0 <= probability <= 1.000001 for probability in probabilities):
        raise ValueError("a probability is not within 0 to 1")
    stay_inside(path)
    return Prediction(path, person or None, int(level) if level else None,
                      classes.index(true), classes.index(predicted), probabilities)
