"""report.json: everything about a run's result, for programs."""

import json
import math
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError, model_validator

from noodle_tui import __version__
from noodle_tui.config import options
from noodle_tui.errors import NoodleError, first_problem
from noodle_tui.evaluate import Count, Evaluation
from noodle_tui.report.distrust import what_to_distrust
from noodle_tui.report.facts import FORMAT, RunFacts, verdict
from noodle_tui.report.files import read_plain_file, stay_inside
from noodle_tui.text import printable

MAX_REPORT_BYTES = 64 * 2**20


class _Part(BaseModel):
    # a file may come from anybody; what a later version adds is let through
    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class Interval(_Part):
    low: float
    high: float


class Score(_Part):
    """Right answers of the images of a class, a person or a level, with Wilson's 95% interval of their share."""

    name: str
    correct: NonNegativeInt
    count: NonNegativeInt
    accuracy: float | None  # None: no images
    low: float
    high: float

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.correct > self.count:
            raise ValueError(f"{self.correct} right answers of {self.count}")
        return self


class ClassScore(Score):
    precision: float | None  # None where undefined, 0/0
    f1: float | None


class Bin(Interval):
    """The images whose confidence lies in (low, high]."""

    count: NonNegativeInt
    confidence: float | None  # None: no images
    accuracy: float | None


class Mistake(_Part):
    path: str  # posix, relative to the data folder
    person: str | None
    level: int | None
    true: str
    predicted: str
    probability: float  # of the predicted class


class Result(_Part):
    overall: Score
    people_interval: Interval | None
    majority: Score
    balanced_accuracy: float
    log_loss: float
    brier: float
    roc_auc: float | None
    calibration_error: float
    confusion: list[list[NonNegativeInt]]  # rows: true class, columns: predicted class
    per_class: list[ClassScore]
    per_person: list[Score]
    per_level: list[Score]
    levels_by_class: dict[str, list[Score]] = {}
    calibration: list[Bin]
    worst: list[Mistake]


class Skipped(_Part):
    file: str
    reason: str


class Data(_Part):
    train_counts: list[NonNegativeInt]  # images a class
    val_counts: list[NonNegativeInt]
    train_people: NonNegativeInt
    val_people: NonNegativeInt
    people_in_both: NonNegativeInt
    unknown_people: NonNegativeInt
    twins: NonNegativeInt = 0
    two_classes: NonNegativeInt = 0
    by_hand: NonNegativeInt = 0
    split_by: str | None
    fingerprint: str
    skipped: list[Skipped]
    left_out: dict[str, NonNegativeInt] = {}


class Training(_Part):
    architecture: str
    weights: str
    weights_run: str | None = None
    weights_sha256: str | None = None
    device: str
    device_name: str
    precision: str
    epochs: NonNegativeInt
    epochs_validated: NonNegativeInt
    best_epoch: NonNegativeInt
    resumed: NonNegativeInt
    changes: list[str] = []
    processes: NonNegativeInt = 1
    started: str  # ISO 8601, UTC
    finished: str
    seconds: float
    options: dict[str, Any]  # without folders: they may bear a user's name


class Report(_Part):
    """What report.json holds. Strings of a file that was read may hold anything: `printable` before they reach a terminal."""

    format: int
    noodle: str  # the version that wrote it
    name: str
    verdict: str
    distrust: list[str]
    classes: list[str]
    result: Result
    data: Data
    training: Training
    environment: dict[str, Any]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.format != FORMAT:
            raise ValueError(f"its format is {self.format}, known is {FORMAT}")
        k = len(self.classes)
        if [len(row) for row in self.result.confusion] != [k] * k:
            raise ValueError(f"the confusion matrix is not {k} x {k}")
        for mistake in self.result.worst:
            stay_inside(mistake.path)
        return self


def report_of(facts: RunFacts, evaluation: Evaluation) -> Report:
    """The report of a run."""
    return Report(
        format=FORMAT,
        noodle=__version__,
        name=facts.name,
        verdict=verdict(facts, evaluation),
        distrust=what_to_distrust(facts, evaluation),
        classes=facts.classes,
        result=_result(evaluation),
        data=Data(
            train_counts=facts.train_counts,
            val_counts=facts.val_counts,
            train_people=len(facts.train_people),
            val_people=len(facts.val_people),
            people_in_both=len(facts.train_people & facts.val_people),
            unknown_people=facts.unknown_people,
            twins=facts.twins,
            two_classes=facts.two_classes,
            by_hand=facts.by_hand,
            split_by=facts.split_by,
            fingerprint=facts.fingerprint,
            skipped=[Skipped(file=file, reason=reason) for file, reason in facts.skipped],
            left_out=facts.left_out,
        ),
        training=Training(
            architecture=facts.architecture,
            weights=PurePath(facts.weights).name,
            weights_run=facts.origin.run if facts.origin else None,
            weights_sha256=facts.weights_digest or None,
            device=facts.device,
            device_name=facts.trained_on,
            precision=facts.trained_in,
            epochs=len(facts.epochs),
            epochs_validated=len(facts.validated),
            best_epoch=facts.best_epoch,
            resumed=facts.resumed,
            changes=facts.changes,
            processes=facts.processes,
            started=utc(facts.started),
            finished=utc(facts.finished),
            seconds=facts.seconds,
            options=options_without_folders(facts.config),
        ),
        environment=facts.environment,
    )


def _result(evaluation: Evaluation) -> Result:
    names, people = evaluation.classes, evaluation.people_interval
    return Result(
        overall=Score(**_values(evaluation.overall)),
        people_interval=Interval(low=people[0], high=people[1]) if people else None,
        majority=Score(**_values(evaluation.majority)),
        balanced_accuracy=evaluation.balanced_accuracy,
        log_loss=evaluation.log_loss,
        brier=evaluation.brier,
        roc_auc=evaluation.roc_auc,
        calibration_error=evaluation.calibration_error,
        confusion=evaluation.confusion,
        per_class=[ClassScore(**_values(c.recall), precision=c.precision, f1=c.f1) for c in evaluation.per_class],
        per_person=[Score(**_values(count)) for count in evaluation.per_person],
        per_level=[Score(**_values(count)) for count in evaluation.per_level],
        levels_by_class={str(level): [Score(**_values(count)) for count in by_class]
                         for level, by_class in evaluation.levels_by_class.items()},
        calibration=[Bin(**asdict(one)) for one in evaluation.calibration],
        worst=[Mistake(path=p.path, person=p.person, level=p.level, true=names[p.true], predicted=names[p.predicted],
                       probability=p.confidence) for p in evaluation.worst],
    )


def _values(count: Count) -> dict[str, Any]:
    low, high = count.interval
    accuracy = None if math.isnan(count.accuracy) else count.accuracy
    return {"name": count.name, "correct": count.correct, "count": count.count,
            "accuracy": accuracy, "low": low, "high": high}


def utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def options_without_folders(config: dict[str, Any]) -> dict[str, Any]:
    """The options; of a path only its last part."""
    paths = {option.name for option in options() if option.kind == "path"} | {"weights"}
    return {name: PurePath(value).name if name in paths and value else value for name, value in config.items()}


def read_report(folder: Path) -> Report:
    """A run folder's report.json. NoodleError says what is wrong with it."""
    path = folder / "report.json"
    try:
        return Report.model_validate(json.loads(read_plain_file(path, MAX_REPORT_BYTES)))
    except ValidationError as error:
        reason = first_problem(error)
    except (ValueError, RecursionError) as error:
        reason = str(error)
    raise NoodleError(f"{printable(str(path))} is no report of a run: {printable(reason)[:200]}")
