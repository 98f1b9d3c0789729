"""report.json: everything about a run's result, for programs."""

import json
import math
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

from noodle_tui import __version__
from noodle_tui.config import options
from noodle_tui.errors import NoodleError
from noodle_tui.evaluate import Count, Evaluation
from noodle_tui.names import printable
from noodle_tui.report.distrust import what_to_distrust
from noodle_tui.report.facts import FORMAT, RunFacts, verdict
from noodle_tui.report.files import read_plain_file, stay_inside

MAX_REPORT_BYTES = 64 * 2**20

# What read_report promises: {key: shape}, [shape] a list of it, (shape,) it or null. Whole numbers are never negative.
_INTERVAL = {"low": float, "high": float}
_COUNT = {"name": str, "correct": int, "count": int, "accuracy": (float,), **_INTERVAL}
REPORT_SHAPE: dict[str, Any] = {
    "format": int,
    "noodle": str,
    "name": str,
    "verdict": str,
    "distrust": [str],
    "classes": [str],
    "result": {
        "overall": _COUNT,
        "people_interval": (_INTERVAL,),
        "majority": _COUNT,
        "balanced_accuracy": float,
        "log_loss": float,
        "brier": float,
        "roc_auc": (float,),
        "calibration_error": float,
        "confusion": [[int]],
        "per_class": [{**_COUNT, "precision": (float,), "f1": (float,)}],
        "per_person": [_COUNT],
        "per_level": [_COUNT],
        "calibration": [{**_INTERVAL, "count": int, "confidence": (float,), "accuracy": (float,)}],
        "worst": [{"path": str, "person": (str,), "level": (int,),
                   "true": str, "predicted": str, "probability": float}],
    },
    "data": {
        "train_counts": [int],
        "val_counts": [int],
        "train_people": int,
        "val_people": int,
        "people_in_both": int,
        "unknown_people": int,
        "split_by": (str,),
        "fingerprint": str,
        "skipped": [{"file": str, "reason": str}],
    },
    "training": {
        "architecture": str,
        "weights": str,
        "device": str,
        "device_name": str,
        "precision": str,
        "epochs": int,
        "epochs_validated": int,
        "best_epoch": int,
        "resumed": int,
        "started": str,
        "finished": str,
        "seconds": float,
        "options": {},
    },
    "environment": {},
}


def report_json(facts: RunFacts, evaluation: Evaluation) -> dict[str, Any]:
    """The report as plain values, of REPORT_SHAPE. Folders are left out of the options: they may bear a user's name."""
    return {
        "format": FORMAT,
        "noodle": __version__,
        "name": facts.name,
        "verdict": verdict(facts, evaluation),
        "distrust": what_to_distrust(facts, evaluation),
        "classes": facts.classes,
        "result": _result_json(evaluation),
        "data": {
            "train_counts": facts.train_counts,
            "val_counts": facts.val_counts,
            "train_people": len(facts.train_people),
            "val_people": len(facts.val_people),
            "people_in_both": len(facts.train_people & facts.val_people),
            "unknown_people": facts.unknown_people,
            "twins": facts.twins,
            "split_by": facts.split_by,
            "fingerprint": facts.fingerprint,
            "skipped": [{"file": file, "reason": reason} for file, reason in facts.skipped],
            "left_out": facts.left_out,
        },
        "training": {
            "architecture": facts.architecture,
            "weights": PurePath(facts.weights).name,
            "weights_run": facts.origin.run if facts.origin else None,
            "weights_sha256": facts.weights_digest or None,
            "device": facts.device,
            "device_name": facts.device_name,
            "precision": facts.precision,
            "epochs": len(facts.epochs),
            "epochs_validated": len(facts.validated),
            "best_epoch": facts.best_epoch,
            "resumed": facts.resumed,
            "changes": facts.changes,
            "processes": facts.processes,
            "started": utc(facts.started),
            "finished": utc(facts.finished),
            "seconds": facts.seconds,
            "options": options_without_folders(facts.config),
        },
        "environment": facts.environment,
    }


def _result_json(evaluation: Evaluation) -> dict[str, Any]:
    names, people_interval = evaluation.classes, evaluation.people_interval
    return {
        "overall": _count_json(evaluation.overall),
        "people_interval": dict(zip(("low", "high"), people_interval, strict=True)) if people_interval else None,
        "majority": _count_json(evaluation.majority),
        "balanced_accuracy": evaluation.balanced_accuracy,
        "log_loss": evaluation.log_loss,
        "brier": evaluation.brier,
        "roc_auc": evaluation.roc_auc,
        "calibration_error": evaluation.calibration_error,
        "confusion": evaluation.confusion,
        "per_class": [{**_count_json(c.recall), "precision": c.precision, "f1": c.f1} for c in evaluation.per_class],
        "per_person": [_count_json(count) for count in evaluation.per_person],
        "per_level": [_count_json(count) for count in evaluation.per_level],
        "calibration": [asdict(one) for one in evaluation.calibration],
        "worst": [{"path": p.path, "person": p.person, "level": p.level, "true": names[p.true],
                   "predicted": names[p.predicted], "probability": p.confidence} for p in evaluation.worst],
    }


def _count_json(count: Count) -> dict[str, Any]:
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


def read_report(folder: Path) -> dict[str, Any]:
    """The content of a run folder's report.json, checked against REPORT_SHAPE. NoodleError says what is wrong with it.

    Strings are as in the file: pass them through `printable` before they reach a terminal.
    """
    path = folder / "report.json"
    try:
        report = json.loads(read_plain_file(path, MAX_REPORT_BYTES))
        _check(report, REPORT_SHAPE, "it")
        if report["format"] != FORMAT:
            raise ValueError(f"its format is {report['format']}, known is {FORMAT}")
        k = len(report["classes"])
        if [len(row) for row in report["result"]["confusion"]] != [k] * k:
            raise ValueError(f"the confusion matrix is not {k} x {k}")
        for mistake in report["result"]["worst"]:
            stay_inside(mistake["path"])
    except (ValueError, OverflowError, RecursionError) as error:
        raise NoodleError(f"{printable(str(path))} is no report of a run: {printable(str(error))[:200]}") from None
    return report


def _check(value: Any, shape: Any, where: str) -> None:
    """ValueError where `value` hasn't the shape (see REPORT_SHAPE). Keys that the shape lacks are let through."""
    match shape:
        case dict():
            if not isinstance(value, dict):
                raise ValueError(f"{where} is not an object")
            for key, inner in shape.items():
                if key not in value:
                    raise ValueError(f"{where} has no {key!r}")
                _check(value[key], inner, key)
            if {"correct", "count"} <= shape.keys() and value["correct"] > value["count"]:
                raise ValueError(f"{where} has {value['correct']} right answers of {value['count']}")
        case [inner] if isinstance(shape, list):
            if not isinstance(value, list):
                raise ValueError(f"{where} is not a list")
            for item in value:
                _check(item, inner, where)
        case (inner,):
            if value is not None:
                _check(value, inner, where)
        case _:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            right = {
                str: isinstance(value, str),
                int: number and isinstance(value, int) and 0 <= value < 2**53,
                float: number and math.isfinite(value),
            }[shape]
            if not right:
                raise ValueError(f"{where} can't be {str(value)[:50]!r}")
