"""Whole runs on drawn faces: what they leave, that they repeat, and that stopping them loses nothing (nor does killing them:
test_verify_resume.py)."""

import csv
import hashlib
import json
import os
import resource
import shutil
import threading
import zipfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from conftest import FinishedRun, MakeConfig, draw_face
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_judge import job_and_data
from torchvision.models import resnet18

from noodle_tui import __version__, dataset, loading
from noodle_tui.checkpoint import read_checkpoint, save_session
from noodle_tui.config import RunConfig, make_config
from noodle_tui.control import Control
from noodle_tui.decode import decode_content
from noodle_tui.device import processor
from noodle_tui.errors import NoodleError, UsageError
from noodle_tui.events import (
    DataReady,
    EpochDone,
    Event,
    Message,
    ModelReady,
    RunDone,
    RunFailed,
    RunStarted,
    RunStopped,
    Saved,
    StageDone,
    StageStarted,
    to_json,
)
from noodle_tui.preflight.checks import preflight
from noodle_tui.rejig import apply_rejig, plan_rejig, undo_rejig
from noodle_tui.report import read_predictions, read_report
from noodle_tui.run import find_folder, run, saying_how_it_ends, train
from noodle_tui.run_folder import Follower, list_runs, locked, read_config, read_state
from noodle_tui.run_state import RunState
from noodle_tui.tui.chores import photos_to_move
from noodle_tui.tui.result import read_facts
from noodle_tui.tui.result_text import is_resumable
from noodle_tui.world import ALONE

FILES = {"checkpoint.pt", "config.json", "events.jsonl", "metrics.csv", "model.json", "model.pth", "predictions.csv",
         "report.json", "report.md", "run.lock"}


def metrics(folder: Path) -> list[list[str]]:
    """metrics.csv without the two columns that measure time."""
    with (folder / "metrics.csv").open() as file:
        return [row[:-2] for row in csv.reader(file)]


def assert_same_bits(one: Any, other: Any) -> None:
    """Two trees of dicts, lists and tensors are equal."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same_bits(one[key], other[key])
    elif isinstance(one, list):
        for a, b in zip(one, other, strict=True):
            assert_same_bits(a, b)
    else:
        assert one == other


def assert_same_result(folder: Path, undisturbed: Path) -> None:
    """Weights and momentum bit for bit, the best weights, the metrics and the predictions."""
    ours, theirs = (read_checkpoint(place)[0].model_dump() for place in (folder, undisturbed))
    for key in ("model", "optimizer", "best", "epoch", "step"):
        assert_same_bits(ours[key], theirs[key])
    models = [torch.load(place / "model.pth", weights_only=True) for place in (folder, undisturbed)]
    assert_same_bits(dict(models[0]), dict(models[1]))
    assert metrics(folder) == metrics(undisturbed)
    assert (folder / "predictions.csv").read_bytes() == (undisturbed / "predictions.csv").read_bytes()


# an undisturbed run -----------------------------------------------------------------------------------------------------


def test_the_run_folder_is_complete(finished: FinishedRun) -> None:
    assert set(os.listdir(finished.folder)) == FILES
    assert RunConfig(**read_config(finished.folder)) == finished.config
    assert finished.outcome.status == "done"
    assert list_runs(finished.config.save_dir) == [finished.folder]


def test_where_the_photos_lay_counts_on_a_gpu_alone(finished: FinishedRun) -> None:
    """Else a run that is picked up on a GPU would keep them off it."""
    assert read_checkpoint(finished.folder)[0].place == ""


def test_what_it_said(finished: FinishedRun) -> None:
    kinds = [type(e) for e in finished.events]
    assert (kinds[0], kinds[-1]) == (RunStarted, RunDone)
    assert [e.stage for e in finished.events if isinstance(e, StageStarted)] == ["decode", "weights", "train", "evaluate"]
    assert [e.stage for e in finished.events if isinstance(e, StageDone)] == ["decode", "weights", "train", "evaluate"]
    assert [e.epoch for e in finished.events if isinstance(e, EpochDone)] == [1, 2, 3]
    assert {(e.what, e.file) for e in finished.events if isinstance(e, Saved)} == {
        ("checkpoint", "checkpoint.pt"), ("model", "model.pth")}
    data = next(e for e in finished.events if isinstance(e, DataReady))
    assert (data.classes, data.train_counts, data.val_counts) == (["happy", "sad"], [12, 12], [4, 4])
    assert (data.people, data.people_in_both, data.skipped) == (4, 4, 0)


def test_the_folder_tells_the_same_as_the_events(finished: FinishedRun) -> None:
    heard, stored = RunState.fold(finished.events), read_state(finished.folder)
    assert (stored.status, stored.epochs, stored.best, stored.ended) == ("done", heard.epochs, heard.best, heard.ended)


def test_torchvision_loads_the_best_weights_strictly(finished: FinishedRun) -> None:
    state = torch.load(finished.folder / "model.pth", weights_only=True)
    resnet18(num_classes=2).load_state_dict(state, strict=True)
    best = read_checkpoint(finished.folder)[0].best
    assert best is not None
    assert_same_bits(dict(state), best.weights)
    card = json.loads((finished.folder / "model.json").read_text())
    epochs = [e for e in finished.events if isinstance(e, EpochDone)]
    best = max(epochs, key=lambda e: (e.val_correct or 0, -e.epoch))
    assert (card["best_epoch"], card["correct"], card["count"]) == (best.epoch, best.val_correct, 8)
    assert card["classes"] == ["happy", "sad"]


def test_predictions_and_report_agree_with_the_best_epoch(finished: FinishedRun) -> None:
    _, predictions = read_predictions(finished.folder)
    report = read_report(finished.folder)
    done = finished.events[-1]
    assert isinstance(done, RunDone)
    assert sum(p.true == p.predicted for p in predictions) == done.best_correct
    assert report.result.overall.correct == done.best_correct
    assert report.training.best_epoch == done.best_epoch
    assert (report.training.epochs, report.training.resumed) == (3, 0)


# stopped, killed, picked up ---------------------------------------------------------------------------------------------


class StopAfterBatches(Control):
    """Asks for a stop once training has looked `looks` times: 3 batches, the validation and its one chunk make an epoch."""

    def __init__(self, looks: int):
        super().__init__()
        self.looks, self.training = looks, False

    def listen(self, event: Event) -> None:
        self.training = self.training or (isinstance(event, StageStarted) and event.stage == "train")

    def check(self) -> None:
        if self.training:
            self.looks -= 1
            if self.looks < 0:
                self.stop("the test asks")
        super().check()


def test_a_run_stopped_within_an_epoch_and_picked_up(finished: FinishedRun, config_for: MakeConfig, runs_dir: Path) -> None:
    control = StopAfterBatches(5 + 2)
    stopped = run(config_for(runs_dir), [control.listen], control)
    assert stopped.status == "stopped"
    state = read_state(stopped.folder)
    assert (state.status, state.epoch) == ("stopped", 1)
    assert isinstance(state.ended, RunStopped)
    assert read_checkpoint(stopped.folder)[0].step == 2
    assert "predictions.csv" not in os.listdir(stopped.folder)

    (stopped.folder / "stop").touch()  # a request to the earlier process
    (stopped.folder / ".0123456789abcdef.tmp").write_bytes(b"half a file")  # of one that was killed
    resumed = run(RunConfig(load_dir=stopped.folder))
    assert (resumed.status, resumed.folder) == ("done", stopped.folder)
    assert_same_result(stopped.folder, finished.folder)
    assert set(os.listdir(stopped.folder)) == FILES | {"checkpoint.prev.pt"}
    assert read_report(stopped.folder).training.resumed == 1
    again = [e for e in Follower(stopped.folder).read() if isinstance(e, RunStarted)]
    assert [e.resumed_at for e in again] == [0, 1]


def test_a_run_that_has_diverged_goes_on_from_its_last_checkpoint_with_a_lower_learning_rate(copy_of_finished: Path) -> None:
    """An epoch's last step may be the one that breaks the weights: of its loss nothing is seen."""
    with pytest.raises(NoodleError, match=r"training diverged; lower --lr \(it is 100\).*--load-dir"):
        run(RunConfig(load_dir=copy_of_finished, n_epochs=30, lr=100, momentum=0.99, test_every=40, save_every=1))
    assert read_state(copy_of_finished).status == "failed"
    epoch = read_checkpoint(copy_of_finished)[0].epoch + 1
    assert run(make_config({"load_dir": copy_of_finished, "n_epochs": epoch, "lr": 1e-5, "momentum": 0})).status == "done"


def test_what_a_run_started_from_is_known_after_it_changed(
    finished: FinishedRun, copy_of_finished: Path, config_for: MakeConfig, runs_dir: Path, tmp_path: Path
) -> None:
    """The other run may have gone on since, and trained another model."""
    weights = copy_of_finished / "model.pth"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    control = Control()
    config = config_for(runs_dir / "child", load_dir=weights, n_epochs=2, save_every=1)
    stopped = run(config, [lambda event: control.stop() if isinstance(event, EpochDone) else None], control)
    weights.unlink()  # the copy's files are links
    weights.write_bytes(b"another")
    (copy_of_finished / "model.json").unlink()
    content = read_checkpoint(stopped.folder)[0].model_dump()
    save_session(stopped.folder, {**content, "start": {**content["start"], "input_size": 64, "weights": "x.pth"}})
    events: list[Event] = []
    report = read_report(run(RunConfig(load_dir=stopped.folder), [events.append]).folder)
    training = report.training
    assert not any("trained at --input-size" in m.text for m in events if isinstance(m, Message)), "it was said at the start"
    assert (training.weights_sha256, training.weights_run) == (digest, copy_of_finished.name)
    assert any(f"{copy_of_finished.name} itself started from the weights of a file" in one for one in report.distrust)


@pytest.fixture
def copy_of_finished(finished: FinishedRun, runs_dir: Path) -> Path:
    """A copy of the finished run that the test may change; the large files, which are replaced and never changed, are links."""
    def link_or_copy(source: str, target: str) -> None:
        (os.link if source.endswith((".pt", ".pth")) else shutil.copy)(source, target)

    return Path(shutil.copytree(finished.folder, runs_dir / finished.folder.name, copy_function=link_or_copy))


def test_a_finished_run_picked_up_is_judged_anew_and_unchanged(copy_of_finished: Path, finished: FinishedRun) -> None:
    outcome = run(RunConfig(load_dir=copy_of_finished))
    assert outcome.status == "done"
    assert_same_result(copy_of_finished, finished.folder)
    assert read_state(copy_of_finished).status == "done"


@pytest.mark.parametrize(("place", "warned"), [("gpu", True), ("host", False)])
def test_pixels_that_lay_in_gpu_memory_before_are_missed(place: str, warned: bool, copy_of_finished: Path) -> None:
    content = read_checkpoint(copy_of_finished)[0].model_dump()
    save_session(copy_of_finished, {**content, "place": place})
    events: list[Event] = []
    run(RunConfig(load_dir=copy_of_finished), [events.append])
    assert any("the photos lay in GPU memory before" in m.text for m in events if isinstance(m, Message)) == warned


def test_a_finished_run_goes_on_to_more_epochs(copy_of_finished: Path, finished: FinishedRun) -> None:
    save_session(copy_of_finished, read_checkpoint(copy_of_finished)[0].model_dump() | {"comet_key": "k" * 32})
    events: list[Event] = []
    run(RunConfig(load_dir=copy_of_finished, n_epochs=4, lr=0.005), [events.append])
    assert [(e.epoch, e.lr) for e in events if isinstance(e, EpochDone)] == [(4, 0.005)]
    assert [m.text for m in events if isinstance(m, Message)] == [
        "picked up with another n_epochs: 3 before, 4 now", "picked up with another lr: 0.01 before, 0.005 now"]
    assert metrics(copy_of_finished)[:4] == metrics(finished.folder)
    assert [row[0] for row in metrics(copy_of_finished)[1:]] == ["1", "2", "3", "4"]
    training = read_report(copy_of_finished).training
    assert training.epochs == 4 and training.changes == ["lr 0.01 up to epoch 3, then 0.005"]
    assert "learning rate 0.01 in epochs 1 to 3, 0.005 in epoch 4" in (copy_of_finished / "report.md").read_text()
    assert training.started == read_report(finished.folder).training.started
    run(RunConfig(load_dir=copy_of_finished, n_epochs=5, comet=True, debug=True))
    assert read_report(copy_of_finished).training.changes == ["lr 0.01 up to epoch 3, then 0.005"]
    assert read_checkpoint(copy_of_finished)[0].comet_key == "k" * 32, "without Comet, too, a run keeps its experiment"


def test_a_finished_run_that_trains_on_has_no_report_until_it_is_judged_anew(copy_of_finished: Path) -> None:
    """The old one would be of other weights than model.pth. It stays under another name."""
    old = {name: (copy_of_finished / name).read_bytes() for name in ("predictions.csv", "report.json", "report.md")}
    control, there = Control(), dict[str, bool]()

    def stop_at_the_first_epoch(event: Event) -> None:
        there[type(event).__name__] = (copy_of_finished / "report.md").exists()
        if isinstance(event, EpochDone):
            control.stop("the test asks")

    run(RunConfig(load_dir=copy_of_finished, n_epochs=5, save_every=1), [stop_at_the_first_epoch], control)
    assert there["ModelReady"] and not there["Saved"]
    facts = read_facts(copy_of_finished)
    assert facts.report is None and not facts.mistakes and is_resumable(facts)
    assert {name: (copy_of_finished / name.replace(".", "-epoch-3.")).read_bytes() for name in old} == old
    run(RunConfig(load_dir=copy_of_finished))
    assert read_report(copy_of_finished).training.epochs == 5
    assert (copy_of_finished / "report-epoch-3.md").read_bytes() == old["report.md"]


def test_a_model_has_the_count_that_it_was_judged_by(copy_of_finished: Path) -> None:
    """As `noodle predict` will have it. Another precision may answer an image on the edge otherwise than its epoch did."""
    before = read_checkpoint(copy_of_finished)[0].model_dump()
    counted = (before["best"]["correct"] + 1) % 8
    terms, best = {**before["terms"], "precision": "bf16"}, {**before["best"], "correct": counted}
    save_session(copy_of_finished, {**before, "terms": terms, "best": best})
    card = json.loads((copy_of_finished / "model.json").read_text())
    (copy_of_finished / "model.json").write_text(json.dumps({**card, "correct": counted}))
    events: list[Event] = []
    run(RunConfig(load_dir=copy_of_finished), [events.append])
    assert [(e.level, e.text) for e in events if isinstance(e, Message)] == [
        ("warning", f"the best weights answer {before['best']['correct']} images right now and {counted} in epoch "
         f"{best['epoch']}: judged with precision fp32, counted with precision bf16, which rounds otherwise")]
    card, overall = json.loads((copy_of_finished / "model.json").read_text()), read_report(copy_of_finished).result.overall
    assert (card["correct"], card["low"], card["precision"]) == (overall.correct, overall.low, "fp32")
    assert overall.correct != counted


def test_what_nvjpeg_decoded_is_among_the_terms(data_dir: Path, runs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine whose GPU is its processor. Where nvJPEG fails another time, that is said."""
    monkeypatch.setattr(dataset, "choose_place", lambda room, device, ranks: "device")
    monkeypatch.setattr(dataset, "NVJPEG_FROM", 24)
    monkeypatch.setattr(dataset, "nvjpeg", lambda device: lambda files: [decode_content(Path(), file) for file in files])
    folder = run(RunConfig(data_dir=data_dir, save_dir=runs_dir, weights="none", input_size=32, n_epochs=1, precision="bf16",
                           device="cpu")).folder
    assert read_checkpoint(folder)[0].terms["photos by nvJPEG"] == "24"
    monkeypatch.setattr(dataset, "nvjpeg", lambda device: None)
    run(RunConfig(load_dir=folder, n_epochs=2))
    assert read_report(folder).training.changes == ["photos by nvJPEG 24 up to epoch 1, then 0"]


def test_a_run_that_goes_on_in_another_precision_version_or_on_another_processor_says_so(copy_of_finished: Path) -> None:
    before = read_checkpoint(copy_of_finished)[0].model_dump()
    precision = before["terms"]["precision"]
    other = {"fp32": "bf16", "bf16": "fp32"}[precision]
    # as on another machine, where auto meant that
    then = {"precision": other, "noodle-tui": "0.0.1", "torch": "2.0.1", "processor": "abacus"}
    save_session(copy_of_finished, {**before, "terms": {**before["terms"], **then}})
    run(RunConfig(load_dir=copy_of_finished))  # trains no more
    assert "PyTorch 2.0.1," in (copy_of_finished / "report.md").read_text()
    events: list[Event] = []
    run(RunConfig(load_dir=copy_of_finished, n_epochs=4), [events.append])
    changes = [f"precision {other} up to epoch 3, then {precision}", f"noodle-tui 0.0.1 up to epoch 3, then {__version__}",
               f"torch 2.0.1 up to epoch 3, then {version('torch')}", f"processor abacus up to epoch 3, then {processor()}"]
    assert {f"picked up on other terms: {change}" for change in changes} < {m.text for m in events if isinstance(m, Message)}
    assert read_report(copy_of_finished).training.changes == changes
    report = (copy_of_finished / "report.md").read_text()
    assert f"Training was picked up on other terms: {'; '.join(changes)}." in report
    assert f"PyTorch {version('torch')}," in report


def test_a_finished_run_that_is_judged_anew_with_other_options_was_trained_with_its_own(copy_of_finished: Path) -> None:
    stored = read_checkpoint(copy_of_finished)[0].model_dump()
    before = stored["terms"]["precision"]
    save_session(copy_of_finished, {**stored, "terms": {**stored["terms"], "noodle-tui": "0.0.1", "torchvision": "0.1.9"}})
    words = {"bf16": "bfloat16 mixed precision", "fp32": "32-bit floating point"}
    finished_before = read_report(copy_of_finished).training.finished
    run(make_config({"load_dir": copy_of_finished, "lr": 0.5, "precision": {"fp32": "bf16", "bf16": "fp32"}[before]}))
    report = (copy_of_finished / "report.md").read_text()
    assert "constant learning rate 0.01" in report and f"The arithmetic was {words[before]}" in report
    assert "noodle-tui 0.0.1" in report and "torchvision 0.1.9" in report
    training = read_report(copy_of_finished).training
    assert training.changes == [] and training.precision == before
    assert (training.resumed, training.finished) == (0, finished_before)


def test_a_learning_rate_that_changed_within_an_epoch_is_told(copy_of_finished: Path) -> None:
    before = read_checkpoint(copy_of_finished)[0].model_dump()
    save_session(copy_of_finished, {**before, "epoch": 2, "step": 1, "history": before["history"][:2]})
    run(RunConfig(load_dir=copy_of_finished, lr=0.5))
    report = (copy_of_finished / "report.md").read_text()
    assert "picked up on other terms: lr 0.01 up to batch 1 of epoch 3, then 0.5." in report
    assert "learning rate 0.01 in epochs 1 to 2, changed within epoch 3, momentum" in report
    assert [row[5] for row in metrics(copy_of_finished)[1:]] == ["0.01", "0.01", "0.5"]


def test_an_epoch_that_was_trained_whole_has_the_learning_rate_it_was_trained_with(copy_of_finished: Path) -> None:
    """Stopped before its validation, and picked up with another."""
    before = read_checkpoint(copy_of_finished)[0].model_dump()
    totals = torch.tensor([9.0, 20.0], dtype=torch.float64)
    save_session(copy_of_finished, {**before, "epoch": 2, "step": 3, "totals": totals, "history": before["history"][:2]})
    run(RunConfig(load_dir=copy_of_finished, lr=0.5, n_epochs=4))
    assert [row[5] for row in metrics(copy_of_finished)[1:]] == ["0.01", "0.01", "0.01", "0.5"]
    report = (copy_of_finished / "report.md").read_text()
    assert "learning rate 0.01 in epochs 1 to 3, 0.5 in epoch 4, momentum" in report


def draw_one_person(stimuli: Path, levels: int) -> None:
    for emotion in ("Ha", "Sa"):
        for level in range(levels):
            draw_face(stimuli / f"01F_Ne_to_{emotion}_C{level:02}.JPG", "01F", emotion, level)


def test_the_report_counts_the_files_that_this_run_left_out_when_it_sorted(
    config_for: MakeConfig, runs_dir: Path, tmp_path: Path
) -> None:
    draw_one_person(tmp_path / "stimuli", 6)
    config = config_for(runs_dir, stimuli=tmp_path / "stimuli", data_dir=tmp_path / "sorted", rejig_data=True, mode="copy",
                        val_fraction=0.3, n_epochs=1)
    apply_rejig(plan_rejig(config))
    (tmp_path / "stimuli" / "02F_Ha_.JPG").touch()  # came since
    said: list[Event] = []
    assert read_report(run(config, [said.append]).folder).data.left_out == {"unreadable (the file is empty)": 1}
    assert not any(isinstance(event, Message) and "re-arranged" in event.text for event in said)
    run(config.model_copy(update={"val_fraction": 0.5}), [said.append])
    [told] = [event.text for event in said if isinstance(event, Message) and "re-arranged" in event.text]
    assert told.endswith("change between train and val: accuracies of earlier runs on it can't be compared")


def test_a_device_that_is_not_there_is_said_before_a_photo_is_moved(
    config_for: MakeConfig, runs_dir: Path, tmp_path: Path
) -> None:
    draw_one_person(tmp_path / "stimuli", 4)
    with pytest.raises(UsageError, match="--device cuda:9"):
        run(config_for(runs_dir, stimuli=tmp_path / "stimuli", data_dir=tmp_path / "sorted", rejig_data=True, mode="move",
                       val_fraction=0.3, device="cuda:9"))
    assert len(list((tmp_path / "stimuli").iterdir())) == 8 and not list_runs(runs_dir)


def test_loggers_that_are_asked_for_late_know_the_earlier_epochs(
    copy_of_finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where there are no keys
    monkeypatch.delenv("COMET_API_KEY", raising=False)
    with pytest.raises(NoodleError):
        run(RunConfig(load_dir=copy_of_finished, tensorboard=True, comet=True, data_dir=tmp_path))
    assert not {"tensorboard", "comet"} & set(os.listdir(copy_of_finished)), "what can't go on stays as it was"
    run(RunConfig(load_dir=copy_of_finished, n_epochs=4, tensorboard=True, comet=True))
    reader = EventAccumulator(str(copy_of_finished / "tensorboard"))
    reader.Reload()
    assert [point.step for point in reader.Scalars("lr")] == [1, 2, 3, 4]
    key = read_checkpoint(copy_of_finished)[0].comet_key
    with zipfile.ZipFile(copy_of_finished / "comet" / f"{key}.zip") as archive:
        messages = [json.loads(line)["payload"] for line in archive.read("messages.json").splitlines()]
    metrics = [message["metric"] for message in messages if "metric" in message]
    assert [metric["step"] for metric in metrics if metric["metricName"] == "lr"] == [1, 2, 3, 4]


def test_a_run_that_is_picked_up_leaves_photos_alone_that_came_to_the_stimuli(
    config_for: MakeConfig, runs_dir: Path, tmp_path: Path
) -> None:
    stimuli, data = tmp_path / "stimuli", tmp_path / "sorted"
    draw_one_person(stimuli, 6)
    folder = run(config_for(runs_dir, stimuli=stimuli, data_dir=data, rejig_data=True, mode="move", val_fraction=0.3,
                            n_epochs=1)).folder
    sorted_then = {file.relative_to(data) for file in data.rglob("*.JPG")}
    draw_face(stimuli / "02M_Ne_to_Ha_C01.JPG", "02M", "Ha", 1)
    checked = preflight(RunConfig(load_dir=folder, n_epochs=2))
    assert checked.photos is not None and (checked.photos.rejig, sum(checked.photos.train + checked.photos.val)) == ("off", 12)
    assert photos_to_move(folder, lambda: None) is None
    assert run(RunConfig(load_dir=folder, n_epochs=2)).status == "done"
    assert {file.relative_to(data) for file in data.rglob("*.JPG")} == sorted_then
    assert [file.name for file in stimuli.iterdir()] == ["02M_Ne_to_Ha_C01.JPG"]
    (stimuli / "02M_Ne_to_Ha_C01.JPG").unlink()
    apply_rejig(plan_rejig(RunConfig(stimuli=stimuli, data_dir=data, val_fraction=0.5)))
    assert run(RunConfig(load_dir=folder, n_epochs=3)).status == "done", "its own arrangement comes back"
    assert {file.relative_to(data) for file in data.rglob("*.JPG")} == sorted_then
    assert {"torch", "torchvision", "numpy", "pillow"} < read_checkpoint(folder)[0].terms.keys()
    record = (data / "rejig.json").read_text()
    (data / "rejig.json").write_text("nonsense")
    assert "rejig.json is broken" in preflight(RunConfig(load_dir=folder, n_epochs=5)).errors[0].text
    (data / "rejig.json").write_text(record)
    undo_rejig(data)
    assert photos_to_move(folder, lambda: None) is not None, "what was undone is done again"


def test_a_run_does_not_need_the_folder_that_it_was_started_in(
    runs_dir: Path, config_for: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")

    def remove(event: Event) -> None:
        if isinstance(event, EpochDone) and event.epoch == 1:
            (tmp_path / "gone").rmdir()

    outcome = run(config_for(runs_dir, n_epochs=2, save_every=1), [remove])
    assert outcome.status == "done" and read_checkpoint(outcome.folder)[0].epoch == 2
    assert run(RunConfig(load_dir=outcome.folder, n_epochs=3)).status == "done"


def test_a_full_disk_is_said_before_a_run_is_picked_up(copy_of_finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Mock(free=2**20))
    with pytest.raises(NoodleError, match=r"--load-dir .*: 1 MiB are free there, a run needs up to 180"):
        find_folder(RunConfig(load_dir=copy_of_finished), ALONE)


def test_another_batch_size_is_refused_and_nothing_touched(copy_of_finished: Path) -> None:
    before = {f.name: f.stat().st_mtime_ns for f in copy_of_finished.iterdir() if f.name != "run.lock"}
    with pytest.raises(UsageError, match="--batch-size 5"):
        run(RunConfig(load_dir=copy_of_finished, batch_size=5))
    assert {f.name: f.stat().st_mtime_ns for f in copy_of_finished.iterdir() if f.name != "run.lock"} == before


def files_of(folder: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.name != "run.lock"}


@pytest.mark.parametrize("status", ["done", "stopped"])
def test_a_run_that_other_photos_keep_from_going_on_stays_what_it_was_and_untouched(
    status: str, copy_of_finished: Path, own_data_dir: Path
) -> None:
    if status == "stopped":
        with (copy_of_finished / "events.jsonl").open("a") as file:
            file.write(to_json(RunStopped(reason="asked", seconds=1.0)) + "\n")
    before = files_of(copy_of_finished)
    next((own_data_dir / "train" / "sad").iterdir()).unlink()
    events: list[Event] = []
    with pytest.raises(NoodleError, match="are not those that this run was trained on"):
        run(RunConfig(load_dir=copy_of_finished, data_dir=own_data_dir), [events.append])
    assert files_of(copy_of_finished) == before
    assert read_state(copy_of_finished).status == status
    assert isinstance(events[-1], RunFailed)  # who watches is told
    assert not any(isinstance(event, DataReady) for event in events), "these are not the run's photos"


def test_photos_that_were_renamed_are_refused_and_moved_ones_are_not(copy_of_finished: Path, own_data_dir: Path) -> None:
    moved = own_data_dir.rename(own_data_dir.parent / "elsewhere")
    assert run(RunConfig(load_dir=copy_of_finished, data_dir=moved)).status == "done"
    first, *_, last = sorted((moved / "train" / "sad").iterdir())
    first.rename(last.with_name("zz.JPG"))
    with pytest.raises(NoodleError, match=r"the photos in .* have other names") as raised:
        run(RunConfig(load_dir=copy_of_finished, data_dir=moved))
    assert "\n" not in str(raised.value)


def test_metrics_that_were_lost_are_back_after_a_pick_up(copy_of_finished: Path, finished: FinishedRun) -> None:
    (copy_of_finished / "metrics.csv").write_bytes((finished.folder / "metrics.csv").read_bytes()[:100])
    (copy_of_finished / "events.jsonl").unlink()
    run(RunConfig(load_dir=copy_of_finished))
    assert (copy_of_finished / "metrics.csv").read_bytes() == (finished.folder / "metrics.csv").read_bytes()
    assert read_state(copy_of_finished).epochs == read_state(finished.folder).epochs


def test_photos_of_other_classes_are_refused_as_other_photos(copy_of_finished: Path, own_data_dir: Path) -> None:
    for split in ("train", "val"):
        shutil.copytree(own_data_dir / split / "sad", own_data_dir / split / "angry")
    with pytest.raises(NoodleError, match=r"the photos in .* are not those that this run was trained on"):
        run(RunConfig(load_dir=copy_of_finished, data_dir=own_data_dir))


def test_a_new_run_from_a_model_file(finished: FinishedRun, config_for: MakeConfig, runs_dir: Path) -> None:
    events: list[Event] = []
    model = finished.folder / "model.pth"
    config = config_for(runs_dir, load_dir=model, n_epochs=1, lr=1e-9)
    outcome = run(config, [events.append])
    assert outcome.folder.parent == runs_dir
    assert next(e for e in events if isinstance(e, ModelReady)).weights == str(model)
    started_from = torch.load(model, weights_only=True)
    ended_with = torch.load(outcome.folder / "model.pth", weights_only=True)
    for name in ("conv1.weight", "layer4.1.conv2.weight", "fc.weight", "fc.bias"):  # at this rate nothing moves
        torch.testing.assert_close(ended_with[name], started_from[name], atol=1e-6, rtol=1e-5)


def test_a_last_layer_that_tells_other_classes_starts_anew(
    finished: FinishedRun, own_data_dir: Path, config_for: MakeConfig, runs_dir: Path
) -> None:
    for split in ("train", "val"):
        (own_data_dir / split / "sad").rename(own_data_dir / split / "angry")
    model = finished.folder / "model.pth"
    events: list[Event] = []
    outcome = run(config_for(runs_dir, data_dir=own_data_dir, load_dir=model, n_epochs=1, lr=1e-9), [events.append])
    started_from = torch.load(model, weights_only=True)
    ended_with = torch.load(outcome.folder / "model.pth", weights_only=True)
    torch.testing.assert_close(ended_with["conv1.weight"], started_from["conv1.weight"], atol=1e-6, rtol=1e-5)
    assert (ended_with["fc.weight"] - started_from["fc.weight"]).abs().max() > 0.01
    assert any("tell happy, sad apart and this run angry, happy: the last layer starts anew" in e.text
               for e in events if isinstance(e, Message))
    assert "but for a new last layer" in (outcome.folder / "report.md").read_text()


def test_a_last_layer_of_another_size_starts_anew_and_the_report_says_so_after_a_pick_up_too(
    config_for: MakeConfig, runs_dir: Path, tmp_path: Path
) -> None:
    torch.save(resnet18(num_classes=1000).state_dict(), tmp_path / "mine.pth")
    events, control = list[Event](), Control()

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, EpochDone):
            control.stop()

    folder = run(config_for(runs_dir, weights=str(tmp_path / "mine.pth"), n_epochs=2), [listen], control).folder
    assert any("the last layer in mine.pth isn't for 2 classes: it starts anew" in e.text for e in events
               if isinstance(e, Message))
    report = (run(RunConfig(load_dir=folder)).folder / "report.md").read_text()
    assert "but for a new last layer; all" in report and "The new layer's first weights" in report


# what goes wrong --------------------------------------------------------------------------------------------------------


def test_bad_images_fail_the_run_before_training_and_each_is_named(
    own_data_dir: Path, config_for: MakeConfig, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bad.jpg", *(f"worse{i}.jpg" for i in range(7))):
        (own_data_dir / "train" / "sad" / name).write_text("hello")
    monkeypatch.setattr(loading, "MOST_NAMED", 7)
    events: list[Event] = []
    with pytest.raises(NoodleError, match=r"bad\.jpg .*; and 3 more\. "):
        run(config_for(runs_dir, data_dir=own_data_dir), [events.append])
    said = [m.text for m in events if isinstance(m, Message)]
    assert said == ["can't be read: train/sad/bad.jpg (not an image, whatever its ending says)",
                    *(f"can't be read: train/sad/worse{i}.jpg (not an image, whatever its ending says)" for i in range(6)),
                    "can't be read: 1 more images"]
    state = read_state(list_runs(runs_dir)[0])
    assert state.status == "failed"
    assert state.error.startswith("8 images can't be read: train/sad/bad.jpg (not an image")


def test_bad_images_are_left_out_and_reported_and_bf16_runs_through(
    own_data_dir: Path, config_for: MakeConfig, runs_dir: Path
) -> None:
    (own_data_dir / "train" / "sad" / "bad\none.jpg").write_text("hello")
    events: list[Event] = []
    outcome = run(config_for(runs_dir, data_dir=own_data_dir, skip_bad_images=True, n_epochs=1, precision="bf16"),
                  [events.append])
    report = read_report(outcome.folder)
    assert [(one.file, one.reason) for one in report.data.skipped] == [
        ("train/sad/bad\none.jpg", "not an image, whatever its ending says")]
    assert r"bad\none.jpg" in (outcome.folder / "report.md").read_text()
    assert [m.text for m in events if isinstance(m, Message)] == [
        r"left out: train/sad/bad\none.jpg (not an image, whatever its ending says)"]
    assert report.training.precision == "bf16"
    assert torch.load(outcome.folder / "model.pth", weights_only=True)["fc.weight"].dtype == torch.float32


def test_a_diverging_run_fails_in_one_line_and_keeps_what_it_had(config_for: MakeConfig, runs_dir: Path) -> None:
    with pytest.raises(NoodleError, match=r"loss is not a number in epoch \d: training diverged; lower --lr \(it is 100\)"):
        run(config_for(runs_dir, lr=100.0, n_epochs=9))
    folder = list_runs(runs_dir)[0]
    state = read_state(folder)
    assert state.status == "failed"
    assert isinstance(state.ended, RunFailed)
    assert (folder / "model.pth").exists() == bool(state.epochs)


def test_an_unforeseen_error_is_one_line_with_its_traceback_in_the_folder(
    config_for: MakeConfig, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug\nof two lines")

    monkeypatch.setattr("noodle_tui.dataset.load_dataset", broken)
    with pytest.raises(NoodleError, match=r"^ZeroDivisionError: a bug; the details are in .*error\.log$"):
        run(config_for(runs_dir))
    assert "Traceback" in (list_runs(runs_dir)[0] / "error.log").read_text()


def test_a_run_that_is_picked_up_needs_no_other_weights() -> None:
    job, _ = job_and_data()
    config = RunConfig(weights="gone.pth")
    with pytest.raises(NoodleError, match="there is no such weights file"):
        loading.check_weights(replace(job, config=config))
    loading.check_weights(replace(job, config=config, before=Mock()))


def test_an_interrupt_is_told_as_a_failure_and_ends_the_process_as_it_came(tmp_path: Path) -> None:
    job, _ = job_and_data()
    said: list[Event] = []
    job.emit.add(said.append)
    with pytest.raises(KeyboardInterrupt), saying_how_it_ends(job, tmp_path):
        raise KeyboardInterrupt
    assert [type(event) for event in said] == [RunFailed]


def test_that_the_first_step_compiles_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    job, loaded = job_and_data()
    said: list[Event] = []
    job.emit.add(said.append)
    monkeypatch.setattr("noodle_tui.fit.fit", Mock())
    for compiles in (True, False):
        said.clear()
        train(replace(job, config=RunConfig(compile=compiles)), loaded, None)
        assert any(isinstance(event, Message) and "(--compile)" in event.text for event in said) == compiles


def test_a_disk_that_takes_no_model_does_not_stop_training_but_is_no_success(
    config_for: MakeConfig, runs_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    events: list[Event] = []
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, RunStarted):  # earlier the run would refuse to start
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))

    try:
        with pytest.raises(NoodleError, match=r"takes no checkpoint\.pt and model\.pth, nor do .*state/noodle-tui/"
                                              r"rescued \(File too large\) and .*make room"):
            run(config_for(runs_dir, n_epochs=1), [listen])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    texts = [m.text for m in events if isinstance(m, Message) and m.level == "error"]
    assert any("checkpoint.pt could not be saved (File too large): make room or rights there" in text for text in texts)
    assert any("model.pth could not be saved (File too large): make room or rights there" in text for text in texts)
    assert list((tmp_path / "state").rglob("*.pt*")) == []
    assert [e.epoch for e in events if isinstance(e, EpochDone)] == [1]
    folder = list_runs(runs_dir)[0]
    assert read_state(folder).status == "failed"
    assert set(os.listdir(folder)) == {"config.json", "events.jsonl", "metrics.csv", "predictions.csv", "report.json",
                                       "report.md", "run.lock"}  # nothing half


def test_a_record_that_lacks_the_end_is_said_after_it(config_for: MakeConfig, runs_dir: Path) -> None:
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, EpochDone):
            file = list_runs(runs_dir)[0] / "events.jsonl"
            file.unlink()
            file.mkdir()

    assert run(config_for(runs_dir, n_epochs=1), [listen]).status == "done"
    assert isinstance(events[-2], RunDone) and isinstance(events[-1], Message)
    assert events[-1].text.startswith("events.jsonl could not be written to the end (Is a directory): once that is mended, ")


def test_a_logger_that_cant_be_opened_closes_the_other(
    config_for: MakeConfig, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[object] = []

    class Comet:
        def __init__(self, *_: object) -> None: ...

        def __call__(self, event: Event) -> None: ...

        def close(self, *what: object, **_: object) -> None:
            closed.append(what[0])

    monkeypatch.setattr("noodle_tui.listeners.comet.CometLogger", Comet)
    refuse = PermissionError(13, "Permission denied")
    monkeypatch.setattr("noodle_tui.listeners.tensorboard.TensorBoardWriter", Mock(side_effect=refuse))
    with pytest.raises(PermissionError):
        run(config_for(runs_dir, comet=True, tensorboard=True))
    assert closed == [None]  # without a model


def test_a_package_that_is_missing_is_said_before_a_folder_is_made(
    config_for: MakeConfig, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("noodle_tui.listeners.tensorboard.find_spec", lambda name: None)
    with pytest.raises(NoodleError, match="--tensorboard: needs a package"):
        run(config_for(runs_dir, tensorboard=True))
    assert not runs_dir.exists() or list(runs_dir.iterdir()) == []


def test_the_device_is_the_current_one_of_both_threads(
    config_for: MakeConfig, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[str] = set()
    monkeypatch.setattr("noodle_tui.device.set_up", lambda device: threads.add(threading.current_thread().name))
    run(config_for(runs_dir, n_epochs=1))
    assert threads == {threading.current_thread().name, "network"}


def test_a_folder_in_use_is_refused(copy_of_finished: Path) -> None:
    with locked(copy_of_finished), pytest.raises(NoodleError, match=rf"already going on in it \(process {os.getpid()} on "):
        run(RunConfig(load_dir=copy_of_finished))


def test_a_stop_before_training_leaves_a_stopped_run(config_for: MakeConfig, runs_dir: Path) -> None:
    control = Control()
    control.stop("at once")
    outcome = run(config_for(runs_dir), control=control)
    assert outcome.status == "stopped"
    assert read_state(outcome.folder).status == "stopped"


def test_options_that_change_nothing_are_said_to(
    finished: FinishedRun, copy_of_finished: Path, config_for: MakeConfig, runs_dir: Path
) -> None:
    def said(config: RunConfig) -> str:
        events: list[Event] = []
        control = Control()
        control.stop("that is enough")
        run(config, [events.append], control)
        return "\n".join(event.text for event in events if isinstance(event, Message))

    new = said(config_for(runs_dir, split_by="person", mode="link", comet=True, debug=True))
    assert f"--split-by, --mode: not used, since the photos in {finished.config.data_dir} are taken as they are sorted" in new
    assert "Comet stays off with --debug" in new
    picked_up = said(RunConfig(load_dir=copy_of_finished, save_dir=Path("elsewhere"), n_epochs=4))
    assert "--save-dir elsewhere: not used, the run goes on in its own folder" in picked_up
    (copy_of_finished / "checkpoint.pt").unlink()
    from_its_weights = said(config_for(runs_dir, load_dir=copy_of_finished, weights="imagenet"))
    assert f"{copy_of_finished} has no checkpoint to go on from: this is a new run, from its weights" in from_its_weights
