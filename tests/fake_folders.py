"""Made-up run folders for the screens' tests, written by the same code that writes a real run's."""

import json
import random
from dataclasses import replace
from pathlib import Path

from fake_runs import fake_events
from PIL import Image, ImageDraw

from noodle_tui.config import RunConfig
from noodle_tui.evaluate import Prediction, evaluate
from noodle_tui.events import EpochDone, Event, RunStarted, Saved
from noodle_tui.listeners.record import Recorder
from noodle_tui.report import RunFacts, environment, model_card, write_report
from noodle_tui.run_folder import CHECKPOINT
from noodle_tui.summaries import RunSummary, Summaries

PEOPLE = ("07F", "09F", "25M", "34M", "36M", "40M")
CLASSES = ["sad", "happy"]


def fake_folder(save_dir: Path, name: str, state: str = "done", *, stamp: str = "20261123-101500", n_epochs: int = 40,
                seed: int = 0, later: float = 0.0, report: bool = False, **options: object) -> Path:
    """A run folder as a run of `n_epochs` in `state` leaves it. later: seconds by which it started after others.

    report: with model.json, report.json, report.md, predictions.csv and the validation photos (state "done" only).
    """
    folder = save_dir / f"{name}-{stamp}"
    folder.mkdir(parents=True)
    options = {"namestr": name, "n_epochs": n_epochs, "data_dir": save_dir / "data", **options}
    config = RunConfig(**options).model_dump(mode="json")  # type: ignore[arg-type]
    (folder / "config.json").write_text(json.dumps(config))
    recorder = Recorder(folder, lambda event: None)
    events = _events(folder, name, config, state, n_epochs, seed, later)
    for event in events:
        recorder(event)
    if any(isinstance(e, Saved) and e.what == "checkpoint" for e in events):
        with open(folder / CHECKPOINT, "wb") as file:
            file.truncate(22_400_000)  # as large as one is, and nothing in it
    if report:
        _write_report(folder, name, config, [e for e in events if isinstance(e, EpochDone)], seed)
    return folder


def summarise(folder: Path) -> RunSummary:
    """A run folder as a list of runs shows it."""
    return Summaries().summarise(folder)


def _events(folder: Path, name: str, config: dict, state: str, n_epochs: int, seed: int, later: float) -> list[Event]:
    events = [replace(e, time=e.time + later) for e in fake_events(n_epochs, state, seed, n_val=60)]
    return [replace(e, name=name, folder=str(folder), config=config) if isinstance(e, RunStarted) else e for e in events]


def _write_report(folder: Path, name: str, config: dict, epochs: list[EpochDone], seed: int) -> None:
    best = max((e for e in epochs if e.is_best), key=lambda e: e.epoch)
    assert best.val_correct is not None
    predictions = _predictions(best.val_correct, best.val_count, seed)
    evaluation = evaluate(predictions, CLASSES)
    facts = RunFacts(
        name=name, config=config, classes=CLASSES, epochs=epochs, best_epoch=best.epoch, train_counts=[108, 108],
        val_counts=[30, 30], train_people=set(PEOPLE), val_people=set(PEOPLE), unknown_people=0, split_by="file", skipped=[],
        fingerprint="sha256:0123", weights="imagenet", device="cuda:0", device_name="NVIDIA H100", precision="bf16",
        environment=environment(), started=1.76e9, finished=1.76e9 + 40, seconds=40.0,
    )  # fmt: skip
    write_report(folder, facts, evaluation, predictions)
    (folder / "model.json").write_text(model_card(facts, evaluation.overall).model_dump_json())
    (folder / "model.pth").write_bytes(b"\0" * 4_480_000)
    for i, prediction in enumerate(predictions):
        draw_face(Path(config["data_dir"]) / prediction.path, i)


def _predictions(correct: int, count: int, seed: int) -> list[Prediction]:
    rng = random.Random(seed)
    wrong = set(rng.sample(range(count), count - correct))
    found = []
    for i in range(count):
        person, level, true = PEOPLE[i % 6], (i * 7) % 20, i % 2
        answer = 1 - true if i in wrong else true
        sure = 0.5 + rng.random() / 2
        path = f"val/{CLASSES[true]}/{person}_Ne_to_{'Ha' if true else 'Sa'}_C{level:02}.JPG"
        found.append(Prediction(path, person, level, true, answer, (sure, 1 - sure) if answer == 0 else (1 - sure, sure)))
    return found


def draw_face(path: Path, seed: int) -> None:
    """A small head on a plain ground."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (50, 65), (90, 100, 120 + seed % 30))
    draw = ImageDraw.Draw(image)
    draw.ellipse((8, 8, 42, 58), fill=(220, 180 - seed % 40, 150))
    for x in (18, 30):
        draw.ellipse((x, 26, x + 4, 30), fill=(20, 20, 20))
    draw.arc((17, 36, 33, 50), 0, 180, fill=(150, 30, 30), width=2)
    image.save(path, "JPEG")
