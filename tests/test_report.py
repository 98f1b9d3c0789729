import csv
import getpass
import json
import os
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from noodle_tui.config import TRAINING, RunConfig, options
from noodle_tui.errors import NoodleError
from noodle_tui.evaluate import Evaluation, Prediction, evaluate
from noodle_tui.events import EpochDone
from noodle_tui.model_card import Origin
from noodle_tui.report import (
    RunFacts,
    closing_lines,
    environment,
    model_card,
    read_predictions,
    read_report,
    set_aside_at_an_epoch,
    verdict,
    write_report,
)
from noodle_tui.report.as_json import report_of
from noodle_tui.report.facts import IMAGENET_MEAN, IMAGENET_STD
from noodle_tui.report.markdown import methods, report_markdown
from noodle_tui.report.predictions import predictions_csv
from noodle_tui.samples import options_as_used
from noodle_tui.text import printable

CLASSES = ["happy", "sad"]
EVIL = ["new\nline", "carriage\rreturn", 'quote"d, comma', "x\udcff\udc80", "😀" * 60, "[red]markup[/]",
        "a|b*c_`d`<b>e</b>", "\x1b[31mred\x1b]0;title\x07", "=cmd()", " spaces ", "1.", "\u202egnp", "`tick`"]


def epoch(number: int, n_epochs: int, val_correct: int | None, is_best: bool = False) -> EpochDone:
    return EpochDone(epoch=number, n_epochs=n_epochs, train_loss=0.1, train_correct=200, train_count=216, val_loss=0.2,
                     val_correct=val_correct, val_count=24, lr=0.001, seconds=0.1, images_per_second=2000.0,
                     is_best=is_best)


def facts_of(**changes: Any) -> RunFacts:
    """The seed's data: 240 photos of 6 people, split by file."""
    people = {"07F", "09F", "25M", "34M", "36M", "40M"}
    epochs = [epoch(i, 40, 23 if i == 31 else 21, i == 31) for i in range(1, 41)]
    facts = RunFacts(
        name="neuro_ml", config=RunConfig().model_dump(mode="json"), classes=CLASSES, epochs=epochs, best_epoch=31,
        train_counts=[108, 108], val_counts=[12, 12], train_people=people, val_people=people, unknown_people=0,
        split_by="file", skipped=[], fingerprint="sha256:0123", weights="imagenet", device="cuda:0",
        device_name="NVIDIA H100", precision="bf16", environment=environment(), started=1.7e9, finished=1.7e9 + 12,
        seconds=12.0,
    )
    return replace(facts, **changes)


def seed_predictions(person: Callable[[int], str | None] = lambda i: ["07F", "09F", "25M"][i % 3]) -> list[Prediction]:
    """23 of 24 right."""
    made = []
    for i in range(24):
        true, predicted = i % 2, (i % 2 if i else 1)
        p = (0.75, 0.25) if predicted == 0 else (0.1, 0.9)
        name = f"val/{CLASSES[true]}/34M_Ne_to_Sa_C{i % 20:02d}.JPG"
        made.append(Prediction(name, person(i), i % 20, true, predicted, p))
    return made


def evaluation_of(predictions: list[Prediction] | None = None) -> Evaluation:
    return evaluate(predictions or seed_predictions(), CLASSES)


# words ----------------------------------------------------------------------------------------------------------------

def test_verdict():
    unknown = evaluation_of(seed_predictions(lambda i: None))
    assert verdict(facts_of(), unknown) == (
        "0.958 of the validation images are right (23/24, 95% interval 0.80 to 0.99), best of 40 epochs (epoch 31).")
    known = verdict(facts_of(), evaluation_of())
    assert re.search(r"0\.80 to 0\.99, with people resampled 0\.\d\d to 1\.00\), best of", known)
    sparse = [epoch(i, 40, 23 if i == 30 else 20 if i % 10 == 0 or i == 1 else None) for i in range(1, 41)]
    assert verdict(facts_of(epochs=sparse, best_epoch=30), unknown).endswith(
        "best of 5 validated epochs (epoch 30 of 40).")
    assert verdict(facts_of(epochs=sparse[:10], best_epoch=1), unknown).endswith("best of 2 validated epochs (epoch 1 of 10).")
    assert verdict(facts_of(epochs=sparse[:1], best_epoch=1), unknown).endswith("after epoch 1.")


def test_closing_lines_say_result_place_and_doubts(tmp_path: Path):
    folder = tmp_path / "neuro\x1b_ml"
    folder.mkdir()
    write_report(folder, facts_of(), evaluation_of(), seed_predictions())
    lines = closing_lines(folder)
    assert lines[0] == verdict(facts_of(), evaluation_of())
    assert lines[1] == f"model {tmp_path}/neuro\\x1b_ml/model.pth, report {tmp_path}/neuro\\x1b_ml/report.md"
    doubts = "\n".join(lines[2:])
    assert "6 of 6 people in the validation set are also in training" in doubts
    assert "the best of 40 tried" in doubts
    assert "24 validation images: the 95% interval is wide (0.80 to 0.99)" in doubts
    assert all(line.startswith("distrust: ") for line in lines[2:])
    assert all(line.isprintable() for line in lines)


def test_model_card_agrees_with_the_evaluation_and_is_json():
    card = json.loads(json.dumps(model_card(facts_of(), evaluation_of().overall).model_dump(), allow_nan=False))
    assert (card["correct"], card["count"], card["best_epoch"]) == (23, 24, 31)
    assert card["accuracy"] == 23 / 24
    assert (card["low"], card["high"]) == pytest.approx((0.7976, 0.9926), abs=1e-4)
    assert card["classes"] == CLASSES
    assert (card["architecture"], card["input_size"]) == ("resnet18", 224)
    assert (card["precision"], card["device"]) == ("bf16", "cuda")
    assert (card["split_by"], card["fingerprint"]) == ("file", "sha256:0123")
    assert card["weights"] == "imagenet"
    assert model_card(facts_of(weights="/home/jane.doe/w/model.pth"), evaluation_of().overall).weights == "model.pth"
    for classes, tokens in ((["sad=_Sa_", "happy=Ha/"], {"sad": "_Sa_", "happy": "Ha/"}), (["anything"], {})):
        facts = facts_of(config={**facts_of().config, "classes": classes})
        assert model_card(facts, evaluation_of().overall).tokens == tokens


def test_what_neither_interval_is_about_and_how_a_gpu_computed_are_told() -> None:
    report = report_markdown(facts_of(), evaluation_of())
    assert "6 of these people are in training, too: neither interval is about new people alone." in report
    assert ", by deterministic algorithms and without TensorFloat-32; training took" in report
    apart = report_markdown(facts_of(train_people={"other"}, device="cpu"), evaluation_of())
    assert "neither interval" not in apart and "deterministic" not in apart


def test_normalisation_is_the_one_that_is_trained_with():
    from noodle_tui import augment

    card = model_card(facts_of(), evaluation_of().overall)
    assert tuple(card.mean) == IMAGENET_MEAN == augment.IMAGENET_MEAN
    assert tuple(card.std) == IMAGENET_STD == augment.IMAGENET_STD


def test_environment_names_versions_but_neither_machine_nor_user():
    import numpy as np
    import PIL

    env = environment()
    assert env["numpy"] == np.__version__
    assert env["pillow"] == PIL.__version__
    assert int(env["cpus"]) >= 1
    text = " ".join(env.values())
    assert socket.gethostname() not in text
    assert not re.search(rf"\b{re.escape(getpass.getuser())}\b", text)


def test_environment_names_what_computes_on_an_nvidia_gpu(monkeypatch: pytest.MonkeyPatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "cuda" not in environment()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    env = environment()
    assert (env["cuda"], env["cudnn"]) == ("12.8", "91002")
    assert "| cuda | 12.8 |" in report_markdown(facts_of(environment=env), evaluation_of())


# predictions.csv ------------------------------------------------------------------------------------------------------

def test_a_small_loss_is_no_zero():
    sure = [Prediction(f"val/{i}.jpg", None, None, i % 2, i % 2, (1 - i % 2, i % 2)) for i in range(8)]
    assert "| log loss (natural logarithm) | 0.000 |" in report_markdown(facts_of(), evaluation_of(sure))
    nearly = [replace(p, probabilities=(0.9999, 0.0001) if p.true == 0 else (0.0001, 0.9999)) for p in sure]
    assert "| log loss (natural logarithm) | 1.0e-04 |" in report_markdown(facts_of(), evaluation_of(nearly))


def evil_predictions() -> list[Prediction]:
    return [Prediction(f"val/sad/{name}.JPG", name, i if i % 2 else None, i % 2, 0, (2 / 3, 1 / 3))
            for i, name in enumerate(EVIL)]


def test_predictions_come_back_as_they_were(tmp_path: Path):
    predictions = evil_predictions()
    write_report(tmp_path, facts_of(), evaluation_of(predictions), predictions)
    assert read_predictions(tmp_path) == (CLASSES, predictions)
    assert b"x\xff\x80.JPG" in (tmp_path / "predictions.csv").read_bytes()  # the file name's own bytes
    with (tmp_path / "predictions.csv").open(newline="", errors="surrogateescape") as file:  # any CSV reader will do
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "person", "level", "true", "predicted", "p_happy", "p_sad"]
    assert [row["person"] for row in rows] == EVIL
    assert (rows[1]["level"], rows[1]["true"], rows[1]["predicted"]) == ("1", "sad", "happy")
    assert rows[1]["p_sad"] == str(1 / 3)


def test_the_evaluation_can_be_had_again_from_predictions(tmp_path: Path):
    write_report(tmp_path, facts_of(), evaluation_of(), seed_predictions())
    classes, predictions = read_predictions(tmp_path)
    assert evaluate(predictions, classes) == evaluation_of()


HEADER = "path,person,level,true,predicted,p_happy,p_sad\n"


@pytest.mark.parametrize(("content", "word"), [
    ("", "columns"),
    ("a,b\n1,2\n", "columns"),
    (HEADER.replace("p_sad", "p_happy"), "columns"),
    (HEADER + "val/a,,1,happy,sad,0.5\n", "line 2: 6 columns"),
    (HEADER + "val/a,,1,happy,sad,0.5,0.5\nval/a,,1,happy,angry,0.5,0.5\n", "line 3"),
    (HEADER + "val/a,,x,happy,sad,0.5,0.5\n", "line 2"),
    (HEADER + "val/a,,1,happy,sad,0.5,nan\n", "within 0 to 1"),
    (HEADER + "val/a,,1,happy,sad,0.5,1e300\n", "within 0 to 1"),
    (HEADER + "../../etc/passwd,,1,happy,sad,0.5,0.5\n", "leaves the data folder"),
    (HEADER + "/etc/passwd,,1,happy,sad,0.5,0.5\n", "leaves the data folder"),
    (HEADER + '"val/a\n', "line 2"),
    (HEADER + "val/" + "a" * 200_000 + ",,1,happy,sad,0.5,0.5\n", "line 2"),
])
def test_broken_predictions_are_refused_in_a_line(tmp_path: Path, content: str, word: str):
    (tmp_path / "predictions.csv").write_text(content)
    with pytest.raises(NoodleError, match=word) as caught:
        read_predictions(tmp_path)
    assert str(caught.value).isprintable()


# report.json ----------------------------------------------------------------------------------------------------------

def test_report_of_holds_the_numbers(tmp_path: Path):
    evaluation = evaluation_of()
    write_report(tmp_path, facts_of(skipped=[("bad\udcff.JPG", "the file is empty")]), evaluation, seed_predictions())
    report = json.loads((tmp_path / "report.json").read_text())
    assert read_report(tmp_path).model_dump() == report
    result = report["result"]
    assert report["verdict"] == verdict(facts_of(), evaluation)
    assert any("6 of 6 people" in sentence for sentence in report["distrust"])
    assert result["confusion"] == evaluation.confusion == [[11, 1], [0, 12]]
    assert (result["overall"]["correct"], result["overall"]["count"]) == (23, 24)
    assert (result["overall"]["low"], result["overall"]["high"]) == evaluation.overall.interval
    assert [(c["name"], c["correct"], c["count"]) for c in result["per_person"]] == [
        ("07F", 7, 8), ("09F", 8, 8), ("25M", 8, 8)]
    assert [(c["name"], c["count"]) for c in result["per_level"]][:5] == [(str(i), 2 if i < 4 else 1) for i in range(5)]
    assert [(c["name"], c["correct"], c["count"]) for c in result["levels_by_class"]["0"]] == [("happy", 1, 2), ("sad", 0, 0)]
    text = (tmp_path / "report.md").read_text()
    assert "| level | right | accuracy | 95% interval (Wilson) | right of `happy` | right of `sad` |" in text
    assert re.search(r"\| `0` \| 1/2 \| .* \| 1/2 \| 0/0 \|", text)
    assert result["worst"] == [{"path": "val/happy/34M_Ne_to_Sa_C00.JPG", "person": "07F", "level": 0, "true": "happy",
                                "predicted": "sad", "probability": 0.9}]
    assert report["data"]["people_in_both"] == 6
    assert report["data"]["skipped"] == [{"file": "bad\udcff.JPG", "reason": "the file is empty"}]
    assert report["training"]["epochs_validated"] == 40
    assert report["training"]["finished"] == "2023-11-14T22:13:32+00:00"
    assert report["training"]["options"]["lr"] == 0.001
    assert report["environment"] == environment()


def test_each_number_of_the_report_has_its_name():
    facts = facts_of(train_counts=[7, 8], val_counts=[3, 4], train_people={"a"}, val_people={"a", "b"}, unknown_people=1,
                     twins=2, two_classes=3, by_hand=4, resumed=5, left_out={"x": 6}, weights_digest="9a")
    evaluation = evaluation_of(seed_predictions()[:23])  # no longer as many of either class
    report = report_of(facts, evaluation)
    for part, whole, names in (
        (report.data, facts, "train_counts val_counts unknown_people twins two_classes by_hand split_by left_out"),
        (report.training, facts, "architecture device best_epoch resumed changes processes seconds"),
        (report.result, evaluation, "balanced_accuracy log_loss brier roc_auc calibration_error confusion"),
        (report.result.overall, evaluation.overall, "name correct count accuracy"),
        (report.result.majority, evaluation.majority, "name correct count accuracy"),
    ):
        assert {name: getattr(part, name) for name in names.split()} == {name: getattr(whole, name) for name in names.split()}
    assert (report.data.train_people, report.data.val_people, report.data.people_in_both) == (1, 2, 1)
    assert (report.training.epochs, report.training.weights_sha256) == (40, "9a")
    assert report_of(facts_of(), evaluation).training.weights_sha256 is None
    assert [(c.name, c.accuracy, c.precision, c.f1) for c in report.result.per_class] == [
        (c.recall.name, c.recall.accuracy, c.precision, c.f1) for c in evaluation.per_class]


def test_no_folder_of_the_user_gets_into_the_report(tmp_path: Path):
    home = Path("/home/jane.doe/faces")
    config = RunConfig(stimuli=home / "st", data_dir=home / "cl", save_dir=home / "w", load_dir=home / "r",
                       weights=str(home / "mine.pth")).model_dump(mode="json")
    write_report(tmp_path, facts_of(config=config, weights=config["weights"]), evaluation_of(), seed_predictions())
    training = read_report(tmp_path).training
    assert training.weights == training.options["weights"] == "mine.pth"
    assert "started from the weights `mine.pth`" in (tmp_path / "report.md").read_text()
    for name in ("report.json", "report.md", "predictions.csv"):
        assert "jane" not in (tmp_path / name).read_text()


def test_a_giant_report_is_not_read(tmp_path: Path):
    (tmp_path / "report.json").touch()
    os.truncate(tmp_path / "report.json", 65 * 2**20)
    with pytest.raises(NoodleError, match=r"report\.json is too large"):
        read_report(tmp_path)


def hostile(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        report = json.loads(file.read_text())
        change(report)
        file.write_text(json.dumps(report))
    return damage


@pytest.mark.parametrize("damage", [
    lambda file: file.unlink(),
    lambda file: file.write_text(""),
    lambda file: file.write_text(file.read_text()[:-30]),
    lambda file: file.write_bytes(b"\xff\xfe\xfd\x1b[31m"),
    lambda file: file.write_text("[" * 100_000),
    lambda file: file.write_text("[]"),
    lambda file: file.write_text(file.read_text().replace('"count": 24', '"count": ' + "9" * 5000, 1)),
    lambda file: (file.unlink(), file.mkdir()),
    lambda file: (file.unlink(), os.mkfifo(file)),
    lambda file: (file.unlink(), file.symlink_to("/dev/zero")),
    lambda file: (file.rename(file.with_name("else")), file.symlink_to(file.with_name("else"))),
    hostile(lambda r: r.pop("verdict")),
    hostile(lambda r: r.update(format=99)),
    hostile(lambda r: r["result"].update(confusion=[[1, 2, 3], [4, 5, 6]])),
    hostile(lambda r: r["result"]["overall"].update(correct="23")),
    hostile(lambda r: r["result"]["overall"].update(correct=True)),
    hostile(lambda r: r["result"]["overall"].update(correct=-1)),
    hostile(lambda r: r["result"]["per_person"][0].update(correct=r["result"]["per_person"][0]["count"] + 1)),
    hostile(lambda r: r["result"].update(brier=float("nan"))),
    hostile(lambda r: r["result"]["worst"][0].update(path="../../../etc/passwd")),
    hostile(lambda r: r["result"]["worst"][0].update(path="val/happy/a\0b.JPG")),
    hostile(lambda r: r.update(classes=["happy", None])),
    hostile(lambda r: r.update(verdict={"\x1b[2J": 1})),
])
def test_a_broken_report_is_refused_in_a_line(tmp_path: Path, damage: Callable[[Path], Any]):
    write_report(tmp_path, facts_of(), evaluation_of(), seed_predictions())
    damage(tmp_path / "report.json")
    with pytest.raises(NoodleError) as caught:
        read_report(tmp_path)
    assert str(caught.value).isprintable() and ": : " not in str(caught.value)
    assert "report.json" in str(caught.value)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3))


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("run")
    write_report(folder, facts_of(), evaluation_of(), seed_predictions())
    return folder, (folder / "report.json").read_text()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_report_with_any_value_swapped_is_read_or_refused(finished_run: tuple[Path, str], data: st.DataObject):
    folder, text = finished_run
    report = json.loads(text)
    place = report
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(JSON)
    (folder / "report.json").write_text(json.dumps(report))
    refused = ""
    try:
        read_report(folder)
    except NoodleError as error:
        refused = str(error)
    assert refused.isprintable()


def test_a_folder_that_takes_no_files_is_an_oserror_by_which_the_run_finds_another(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        write_report(tmp_path / "gone", facts_of(), evaluation_of(), seed_predictions())


# report.md ------------------------------------------------------------------------------------------------------------

def cells_and_kinds(markdown: str) -> tuple[list[list[str]], set[str]]:
    """The tables' rows as a renderer shows them, and the kinds of all inline tokens."""
    rows: list[list[str]] = []
    kinds: set[str] = set()
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline":
            kinds |= {child.type for child in token.children or []}
            rows[-1:] = [[*row, "".join(child.content for child in token.children or [])] for row in rows[-1:]]
        if token.type == "table_close":
            rows.append([])
        if token.type.startswith("html"):
            kinds.add(token.type)
    return rows, kinds


def test_names_stand_in_the_report_as_they_are():
    predictions = evil_predictions()
    facts = facts_of(name="a*b_<i>|c", skipped=[(name, "not <an> *image*") for name in EVIL])
    markdown = report_markdown(facts, evaluation_of(predictions))
    markdown.encode()  # no half characters
    rows, kinds = cells_and_kinds(markdown)
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "em_open", "strong_open"}
    shown = {row[0] for row in rows if row}
    for name in EVIL:
        assert printable(name).strip() in {cell.strip() for cell in shown}
    people = [row for row in rows if len(row) == 4 and row[0].strip() in {printable(n).strip() for n in EVIL}]
    assert len(people) >= len(EVIL)
    left_out = [row for row in rows if len(row) == 2 and row[1] == "not <an> *image*"]
    assert len(left_out) == len(EVIL)


def test_the_report_tells_results_methods_and_doubts():
    markdown = report_markdown(facts_of(), evaluation_of())
    rows, _ = cells_and_kinds(markdown)
    for row in (
        ["accuracy", "0.958 (23/24)"], ["95% interval (Wilson 1927; takes images for independent)", "0.80 to 0.99"],
        ["happy", "11", "1"], ["sad", "0", "12"], ["07F", "7/8", "0.875", "0.529 to 0.978"],
        ["0", "1/2", "0.500", "0.095 to 0.905", "1/2", "0/0"], ["val/happy/34M_Ne_to_Sa_C00.JPG", "happy", "sad", "0.900"],
        ["happy", "108", "12"], ["people", "6", "6"], ["momentum", "0.9"], ["numpy", environment()["numpy"]],
    ):
        assert row in rows, row
    bins = [row[0] for row in rows if row and re.fullmatch(r"0\.\d to \d\.\d", row[0])]
    assert bins == ["0.7 to 0.8", "0.8 to 0.9"], "those of the calibration that hold an image"
    assert ["Brier score (Brier 1950; 0 to 1)"] in [row[:1] for row in rows]
    text = " ".join(markdown.split())
    for words in (
        "- 6 of 6 people in the validation set are also in training",
        "started from ImageNet weights", "trained on 216 images of 6 people for 40 epochs in batches of 24",
                  "answered the 24 validation images of 6 people",
        "learning rate 0.001, momentum 0.9", "resized to 224 x 224 pixels", "Single images were held out",
        "epoch 31; the earliest of equals", "bfloat16 mixed precision on NVIDIA H100", "seed 42",
        f"PyTorch {environment()['torch']}", "Fingerprint of the data: `sha256:0123`", "stay on this machine",
    ):
        assert words in text, words


def test_what_a_run_started_from_can_be_traced():
    facts = facts_of(weights="weights/neuro_ml-20261126-061001/model.pth", origin=Origin("neuro_ml-20261126-061001", 224, "x"),
                     weights_digest="0123456789abcdef")
    assert ("started from the weights `model.pth` of the run `neuro_ml-20261126-061001` (SHA-256 0123456789ab…)"
            in report_markdown(facts, evaluation_of()))
    training = report_of(facts, evaluation_of()).training
    assert training.weights_run == "neuro_ml-20261126-061001" and training.weights_sha256 == "0123456789abcdef"


def test_of_photos_that_were_sorted_before_the_options_are_rejigs():
    made = {"classes": ["a=-a", "b=-b", "c=-c"], "val_fraction": 0.2, "split_by": "person", "mode": "link", "seed": 5}
    options = options_as_used(RunConfig(), made)
    assert (options["split_by"], options["val_fraction"], options["mode"]) == ("person", 0.2, "link")
    assert options["seed"] == 42 and options["classes"] == made["classes"] and "stimuli" not in options
    assert "split_by" not in options_as_used(RunConfig(), None)  # nobody knows
    by_folder = {**made, "person": "^([^/]+)/"}
    assert options_as_used(RunConfig(), by_folder)["person"] == "^([^/]+)/"
    assert options_as_used(RunConfig(person="mine"), by_folder)["person"] == "mine"
    sorted_here = options_as_used(RunConfig(rejig_data=True), made)
    assert sorted_here == RunConfig(rejig_data=True).model_dump(mode="json")
    sorted_before = facts_of(config=options, split_by="person", split_seed=5)
    text = report_markdown(sorted_before, evaluation_of())
    assert "as nearly as whole people allow (seed 5)" in text and "follow from the seed 42" in text and "by hand" not in text
    added = replace(sorted_before, by_hand=2)
    assert "(seed 5); 2 images came to training or validation by hand" in report_markdown(added, evaluation_of())
    assert report_of(added, evaluation_of()).data.by_hand == 2


def test_methods_follow_the_options():
    config = RunConfig(batch_size=8, input_size=128, seed=7).model_dump(mode="json")
    epochs = [replace(one, lr=0.05) for one in facts_of().epochs]  # it is the epochs' own that counts
    facts = facts_of(config=config, epochs=epochs, split_by="person", weights="none", precision="fp32", resumed=2)
    by_person = report_markdown(facts, evaluation_of())
    for words in ("random weights", "batches of 8", "learning rate 0.05", "resized to 128 x 128", "seed 7",
                  "Whole people were held", "32-bit floating point", "took, in 3 parts, 12 seconds", "no weight decay"):
        assert words in by_person, words
    assert "After each epoch the network answered" in by_person
    assert "came already divided" in report_markdown(facts_of(split_by=None), evaluation_of())
    sparse = [epoch(i, 40, 21 if i % 10 == 0 else None) for i in range(1, 41)]
    assert "After each of 4 epochs the network" in report_markdown(facts_of(epochs=sparse, best_epoch=10), evaluation_of())


# By the epochs, the device or the data that came of them, and not by the option; or they decide nothing that is learnt.
TOLD_OTHERWISE = {"load_dir", "save_dir", "n_epochs", "lr", "weights", "device", "precision", "sync_bn", "compile",
                  "test_every", "save_every"}


def test_methods_tell_each_option_of_training():
    """A new one that nobody thought of there would leave a sentence like "no weight decay" standing."""
    config = RunConfig().model_dump(mode="json")
    for option in options():
        if option.group == TRAINING and option.name not in TOLD_OTHERWISE:
            other = {"bool": not option.default, "int": 77, "float": 0.077}[option.kind]
            assert methods(facts_of(config={**config, option.name: other})) != methods(facts_of(config=config)), option.name


def test_methods_say_what_changed_on_the_way_and_who_took_part():
    epochs = [replace(epoch(i, 5, 20), lr=0.01 if i < 4 else 1e-5) for i in range(1, 6)]
    facts = facts_of(epochs=epochs, best_epoch=1, terms={"processes": "4"}, split_by="person",
                     left_out={"unreadable (truncated)": 6, "no class's token in its name": 40})
    text = report_markdown(facts, evaluation_of())
    for words in ("(learning rate 0.01 in epochs 1 to 3, 1e-05 in epochs 4 to 5, momentum",
                  "in batches of 24, each shared by 4 processes with batch normalisation over each one's share, by stochastic",
                  "but 6 people came to be on both sides", "turned upright as their EXIF data say",
                  "left out when they were sorted: 46 (6: unreadable (truncated); 40: no class's token in its name)"):
        assert words in text, words
    written = report_of(facts, evaluation_of())
    assert written.training.processes == 4 and written.data.left_out["unreadable (truncated)"] == 6
    whole = facts_of(terms={"processes": "2"}, config={**facts.config, "sync_bn": True})
    assert "batch normalisation over the whole batch" in report_markdown(whole, evaluation_of())


def test_methods_tell_other_terms_but_no_learning_rate_that_its_epochs_tell():
    changes = ["lr 0.1 up to epoch 3, then 0.2", "precision bf16 up to epoch 3, then fp32",
               "lr 0.2 up to batch 2 of epoch 5, then 0.1"]
    text = report_markdown(facts_of(changes=changes), evaluation_of())
    assert f"Training was picked up on other terms: {'; '.join(changes[1:])}." in text
    assert "picked up" not in report_markdown(facts_of(), evaluation_of())


def test_people_who_were_held_out_are_on_one_side_alone_where_that_is_so():
    apart = facts_of(split_by="person", train_people={"07F", "09F"}, val_people={"25M"})
    assert "stratified by class as nearly as whole people allow." in report_markdown(apart, evaluation_of())


def test_the_precision_of_a_class_that_is_never_answered_is_undefined():
    never = evaluation_of([replace(p, predicted=0, probabilities=(0.75, 0.25)) for p in seed_predictions()])
    [row] = [line for line in report_markdown(facts_of(), never).splitlines() if line.startswith("| `sad` | 0/")]
    assert "| undefined |" in row


def test_methods_say_whether_the_last_layer_was_kept():
    for classes, words in ((tuple(CLASSES), "the last layer included"), (("angry", "happy"), "but for a new last layer")):
        facts = facts_of(weights="w/model.pth", origin=Origin("first", 224, "x", classes))
        assert words in report_markdown(facts, evaluation_of())
    anew = report_markdown(facts_of(weights="imagenet-1000.pth", head="new"), evaluation_of())
    assert "the weights `imagenet-1000.pth` but for a new last layer; all" in anew
    assert "The new layer's first weights, order and augmentation follow from the seed" in anew
    kept = report_markdown(facts_of(weights="imagenet", head="kept"), evaluation_of())
    assert "(torchvision's IMAGENET1K_V1), the last layer included; all" in kept and " Order and augmentation follow" in kept


def test_methods_claim_no_number_of_people_where_some_are_unknown():
    text = report_markdown(facts_of(unknown_people=7), evaluation_of())
    assert "trained on 216 images of at least 6 people for" in text
    assert "the 24 validation images of at least 6 people;" in " ".join(text.split())


def test_the_report_says_what_its_intervals_are_of():
    def text(evaluation: Evaluation, **changes: Any) -> str:
        return " ".join(report_markdown(facts_of(**changes), evaluation).split())

    drawn = text(evaluation_of())
    assert "The bounds with people resampled are percentiles of 10,000 draws of 3 people with replacement." in drawn
    assert "they do not allow for another seed or split, nor for the choice of the epoch by these images." in drawn
    assert "Guessing gives a balanced accuracy of 0.500." in drawn
    assert "and the results are of their answers to these same images." in drawn
    assert "seed or split. Guessing" in text(evaluation_of(), epochs=[epoch(1, 1, 23, True)], best_epoch=1)
    one_unknown = evaluation_of(seed_predictions(lambda i: f"p{i}" if i else None))
    assert "are undefined, since the people on some images are unknown." in text(one_unknown)
    assert "are undefined, since there is one person." in text(evaluation_of(seed_predictions(lambda i: "07F")))
    alike = evaluation_of([replace(p, predicted=p.true) for p in seed_predictions()])
    assert "are undefined, since all people have the same accuracy." in text(alike)


def test_references_are_of_what_the_run_used():
    fine_tuned, anew = (report_markdown(facts_of(weights=weights), evaluation_of()) for weights in ("imagenet", "none"))
    assert "O. Russakovsky et al. (2015)" in fine_tuned and "Russakovsky" not in anew
    assert all("A. Paszke et al. (2019), PyTorch" in text and "E. B. Wilson (1927)" in text for text in (fine_tuned, anew))


def test_methods_tell_batches_and_what_was_drawn_as_they_were():
    for changes, words in (
        ({"train_counts": [108, 108]}, "in batches of 24 by"),
        ({"train_counts": [110, 108]}, "in batches of 24 (an epoch's last of 2) by"),
        ({"train_counts": [8, 8]}, "in batches of 16 by"),
        ({}, "(torchvision's IMAGENET1K_V1) but for a new last layer; all"),
        ({}, "The new layer's first weights, order and augmentation follow from the seed 42."),
        ({"weights": "none"}, "The first weights, order and augmentation follow"),
        ({"weights": "mine.pth"}, " Order and augmentation follow"),
        ({"seconds": 0.3}, "took less than a second and finished"),
    ):
        assert words in report_markdown(facts_of(**changes), evaluation_of()), words


def test_long_tables_are_cut_and_counted():
    skipped = [(f"{i}.JPG", "the file is empty") for i in range(450)]
    markdown = report_markdown(facts_of(skipped=skipped), evaluation_of())
    assert "Images left out because they could not be used: 450." in markdown, "an animation can well be read"
    assert "`199.JPG`" in markdown
    assert "`200.JPG`" not in markdown
    assert "250 more are in report.json." in markdown


def test_three_classes_have_a_report(tmp_path: Path):
    predictions = [Prediction(f"val/{i}", None, None, i % 3, i % 3, (0.2, 0.3, 0.5)) for i in range(9)]
    evaluation = evaluate(predictions, ["a", "b", "c"])
    facts = facts_of(classes=["a", "b", "c"], train_counts=[3, 3, 3], val_counts=[3, 3, 3], train_people=set(),
                     val_people=set(), unknown_people=18)
    write_report(tmp_path, facts, evaluation, predictions)
    assert read_report(tmp_path).result.roc_auc is None
    assert read_report(tmp_path).result.people_interval is None
    text = (tmp_path / "report.md").read_text()
    assert "ROC" not in text and "Brier score (Brier 1950; 0 to 2)" in text
    assert predictions_csv(["a", "b", "c"], predictions).startswith(b'"path","person","level","true","predicted","p_a"')


def test_a_file_of_an_old_report_that_cannot_be_set_aside_keeps_no_other(tmp_path: Path) -> None:
    for name in ("predictions.csv", "report.json", "report.md"):
        (tmp_path / name).write_text(name)
    (tmp_path / "report-epoch-2.json").mkdir()  # in its way
    hear = set_aside_at_an_epoch(tmp_path, 2)
    hear(epoch(3, 4, 20))
    assert (tmp_path / "report-epoch-2.md").read_text() == "report.md" and not (tmp_path / "report.md").exists()
    (tmp_path / "report-epoch-2.json").rmdir()
    hear(epoch(4, 4, 20))
    assert (tmp_path / "report-epoch-2.json").read_text() == "report.json"
