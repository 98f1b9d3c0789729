"""The Result screen on real run folders: verdict, doubts, bars, mistakes, photo, prediction."""

import json
import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_folders import draw_face, fake_folder, summarise
from rich.cells import cell_len
from small_app import SmallApp, burst, until
from textual.content import Content
from textual.events import Paste
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Digits, Static

from noodle_tui.evaluate import Prediction
from noodle_tui.predict import Answer, PredictOutcome
from noodle_tui.progress import Check, Progress
from noodle_tui.report import Score, read_report
from noodle_tui.stats import wilson_interval
from noodle_tui.text import as_argument
from noodle_tui.tui.confusion import confusion_lines
from noodle_tui.tui.messages import CopyOptions, MoreEpochs, PickUp
from noodle_tui.tui.predict_dialog import PredictDialog
from noodle_tui.tui.result import ResultScreen, read_facts
from noodle_tui.tui.result_text import (
    bar_lines,
    big_number,
    mistake_header,
    mistake_row,
    whisker_bar,
)
from noodle_tui.tui.runs_text import account
from noodle_tui.tui.widgets.path_completion import PathCompletion
from noodle_tui.tui.widgets.photo import Photo
from noodle_tui.tui.widgets.pick_list import PickList
from noodle_tui.tui.widgets.plot import Plot
from noodle_tui.tui.widgets.sheet import Sheet, side_by_side
from noodle_tui.tui.words import size


class Back(Message):
    """The screen before was asked for."""


@asynccontextmanager
async def opened(
    folder: Path, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[ResultScreen, Pilot[Any], list[Message]]]:
    """The screen in an app, loaded, and the messages that reach the app."""
    asked: list[Message] = []

    class Around(SmallApp):
        def on_pick_up(self, message: Message) -> None:
            asked.append(message)

        on_copy_options = on_more_epochs = on_pick_up

        def action_back(self) -> None:
            asked.append(Back())

    screen = ResultScreen(folder)
    async with Around(screen).run_test(size=size) as pilot:
        await until(pilot, lambda: not sentence(screen).startswith("reading"))
        yield screen, pilot, asked


def sentence(screen: ResultScreen) -> str:
    return screen.query_one("#result-sentence", Sheet).text


def sheet(screen: ResultScreen, name: str) -> str:
    part = screen.query_one(f"#result-{name}", Sheet)
    return part.text if part.display else ""


@pytest.fixture
def done(tmp_path: Path) -> Path:
    return fake_folder(tmp_path, "neuro_ml", report=True)


async def test_without_a_report_the_curves_have_the_whole_width(tmp_path: Path) -> None:
    async with opened(fake_folder(tmp_path, "cut_short", "interrupted"), (160, 50)) as (screen, pilot, _):
        await until(pilot, lambda: screen.query_one("#result-loss", Plot).size.width > 70)
        assert screen.query_one("#result-loss", Plot).size.height == 24


@pytest.mark.parametrize("classes", [["sad", "happy"], ["A", "B"], ["喜び", "悲しみ"]])
def test_the_mistakes_stand_below_their_headings(classes: list[str]) -> None:
    row = mistake_row(Prediction(f"val/{classes[0]}/a.JPG", "a", 8, 0, 1, (0.03, 0.97)), classes, 60)
    heading, line = mistake_header(classes).plain, f" {row.plain}"  # behind the gutter
    assert f"{classes[0]} → {classes[1]} " in line and "answer " in heading
    assert [cell_len(heading[: heading.index(word)]) for word in ("sure", "true", "file")] == [
        cell_len(line[: line.index(word)]) for word in ("0.97", classes[0], "a.JPG")]


def test_people_with_wide_letters_are_named() -> None:
    lines = bar_lines([Score(name=name, correct=3, count=4, accuracy=0.75, low=0.3, high=0.95) for name in ("田中", "ann")], 60)
    assert [line.plain.split()[0] for line in lines] == ["田中", "ann"] and {line.cell_length for line in lines} == {60}


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (160, 50)])
async def test_the_verdict_is_on_top_with_counts_and_interval(done: Path, size: tuple[int, int]) -> None:
    overall = read_report(done).result.overall
    async with opened(done, size) as (screen, pilot, _):
        assert screen.query_one(Digits).value == f"{overall.accuracy:.2f}"
        flat = " ".join(sentence(screen).split())
        assert f"({overall.correct}/{overall.count}, 95% interval {overall.low:.2f} to" in flat
        assert "✓ done" in flat
        assert screen.query_one(Digits).region.y == 0
        page = screen.query_one("#result-page").region
        assert page.height >= 8
        if size[1] < 34:
            await pilot.press("d")
        assert "6 of 6 people in the validation set are also in training" in " ".join(sheet(screen, "distrust").split())


async def test_all_parts_of_the_report_are_there(done: Path) -> None:
    result = read_report(done).result
    async with opened(done, (160, 50)) as (screen, _, _):
        confusion = sheet(screen, "confusion")
        assert all(str(n) in confusion for row in result.confusion for n in row)
        assert "always answering the most frequent class 0." in " ".join(confusion.split())
        assert f"balanced accuracy {result.balanced_accuracy:.3f}" in confusion
        for name, scores in (("classes", result.per_class), ("people", result.per_person), ("levels", result.per_level)):
            text = sheet(screen, name)
            assert all(f"{score.correct}/{score.count}" in text for score in scores)
            assert "├" in text
        assert "model.pth" in sheet(screen, "files")
        assert "4 MiB" in sheet(screen, "files")
        accuracy = screen.query_one("#result-accuracy", Plot)
        assert accuracy.cells is not None
        assert "★" in accuracy.cells.char


async def test_the_photo_is_in_sight_as_a_whole_in_80_x_24(done: Path) -> None:
    async with opened(done, (80, 24)) as (screen, pilot, _):
        assert screen.facts is not None
        screen.facts = replace(screen.facts, mistakes=screen.facts.mistakes * 2)
        screen._fill_mistakes(screen.facts)
        screen.query_one("#result-head").styles.height = 5  # as below a verdict of three lines
        photo, page = screen.query_one(Photo), screen.query_one("#result-page")
        await pilot.press("space")
        await until(pilot, lambda: bool(photo._pixels))
        await pilot.pause()
        assert page.region.contains_region(photo.region)


async def test_the_photo_is_off_until_asked_for(done: Path) -> None:
    async with opened(done, (160, 50)) as (screen, pilot, _):
        photo, mistakes = screen.query_one(Photo), screen.query_one(PickList)
        assert screen.facts is not None
        first = screen.facts.mistakes[0]
        assert first.path.split("/")[-1] in mistakes.render_line(0).text
        assert not photo.display
        assert photo.path is None
        await pilot.press("space")
        await until(pilot, lambda: bool(photo._pixels))
        assert photo.display
        assert photo.path == done.parent / "data" / first.path
        assert mistakes.has_focus
        await pilot.press("enter")
        assert not photo.display
        assert photo.path is None


async def test_one_epoch_is_not_epochs_and_a_killed_run_says_so(tmp_path: Path) -> None:
    async with opened(fake_folder(tmp_path, "short", n_epochs=1)) as (screen, _, _):
        assert "1 epoch in" in sentence(screen)
    folder = fake_folder(tmp_path, "killed", "interrupted")
    assert "1 epoch  " in account(summarise(tmp_path / "short-20261123-101500"), 60)[0].plain
    async with opened(folder) as (screen, _, _):
        assert "its process was killed" in " ".join(sentence(screen).split())


async def test_a_run_that_saved_nothing_is_not_resumed(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "lr_high", "failed")
    (folder / "checkpoint.pt").unlink()
    async with opened(folder) as (screen, pilot, asked):
        assert "No checkpoint was saved, only the model of epoch 19: copy its options to Setup (c)" in sentence(screen)
        await pilot.press("r")
        await pilot.pause()
        assert asked == []
        assert any("saved nothing" in toast.message for toast in pilot.app._notifications)


async def test_a_model_of_an_earlier_epoch_is_said_to_be_one(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "cut_short", "interrupted")
    lines = [line for line in (folder / "events.jsonl").read_text().splitlines(keepends=True)
             if '"what": "model"' not in line or '"epoch": 1}' in line]
    (folder / "events.jsonl").write_text("".join(lines))
    for name in ("model.pth", "model.json"):
        (folder / name).touch()
    async with opened(folder) as (screen, pilot, _):
        text = " ".join(sentence(screen).split())
        assert re.search(r"! model\.pth holds an earlier one: epoch 1: 0\.\d+ \(\d+/\d+\)\.", text), text
        assert "To have this one judged as it is: in Setup, load dir" in " ".join(sheet(screen, "distrust").split())
        await pilot.press("p")
        await until(pilot, lambda: isinstance(pilot.app.screen, PredictDialog))
        title = pilot.app.screen.query_one("#predict-box").border_title
        assert title is not None and "predict with cut_short, epoch 1: 0." in title


async def test_a_run_that_failed_shows_what_there_is(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "lr_high", "failed")
    async with opened(folder, (100, 30)) as (screen, pilot, asked):
        text = " ".join(sentence(screen).split())
        assert "in the best epoch so far" in text
        assert "✗ failed after epoch 24 of 40: the loss is NaN in epoch 12: lower --lr" in text
        assert "Saved up to epoch 20; r resumes it" in text
        assert "when a run is done" in sheet(screen, "distrust")
        assert sheet(screen, "confusion") == ""
        assert not screen.query_one(PickList).display
        await pilot.press("r", "c")
        await until(pilot, lambda: len(asked) == 2)
        await pilot.press("escape", "p", "space")
        await pilot.pause()
        resume, options, back = asked
        assert isinstance(resume, PickUp)
        assert resume.folder == folder
        assert isinstance(options, CopyOptions)
        assert options.config["namestr"] == "lr_high"
        assert isinstance(back, Back)
        assert pilot.app.screen is screen


async def test_a_run_that_is_done_is_given_more_epochs_in_setup(done: Path) -> None:
    async with opened(done) as (_, pilot, asked):
        await pilot.press("r")
        await until(pilot, lambda: bool(asked))
        [more] = asked
        assert isinstance(more, MoreEpochs) and more.folder == done
        assert not pilot.app._notifications


async def test_a_run_without_any_epoch(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "early", "interrupted")
    events = (folder / "events.jsonl").read_text().splitlines(keepends=True)
    (folder / "events.jsonl").write_text("".join(events[:5]))
    (folder / "checkpoint.pt").unlink()
    async with opened(folder) as (screen, _, _):
        assert "No epoch was validated" in sentence(screen)
        assert "Nothing was saved yet" in sentence(screen)
        assert not screen.query_one(Digits).display


@pytest.mark.parametrize("harm", ["report", "predictions", "folder"])
async def test_what_is_broken_is_said_and_the_rest_shown(done: Path, harm: str) -> None:
    if harm == "report":
        (done / "report.json").write_text("{}")
    elif harm == "predictions":
        (done / "predictions.csv").write_text("nonsense")
    folder = done if harm != "folder" else done.parent / "gone"
    async with opened(folder, (120, 40)) as (screen, _, _):
        if harm == "report":
            assert "report.json is no report" in " ".join(sheet(screen, "distrust").split())
            assert "in the best epoch so far" in sentence(screen)
        elif harm == "predictions":
            assert "predictions.csv is broken" in sheet(screen, "mistakes-title")
            assert sheet(screen, "confusion")
        else:
            assert "No such file" in sentence(screen)


async def test_predicts_from_here_with_the_real_model(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[bool] = []
    monkeypatch.setattr("noodle_tui.tui.predict_dialog.leave_gpu", lambda: left.append(True))
    import torch
    from torchvision.models import resnet18

    torch.manual_seed(0)
    torch.save(resnet18(num_classes=2).state_dict(), done / "model.pth")
    card = json.loads((done / "model.json").read_text())
    (done / "model.json").write_text(json.dumps({**card, "input_size": 32, "precision": "fp32"}))
    photos = tmp_path / "new photos"
    draw_face(photos / "anna.jpg", 1)
    draw_face(photos / "[b]en.jpg", 2)
    draw_face(photos / "happy" / "carla.jpg", 3)
    (photos / "broken.jpg").write_bytes(b"no image")
    async with opened(done, (120, 40)) as (_, pilot, _):
        await pilot.press("p")
        dialog = pilot.app.screen
        assert isinstance(dialog, PredictDialog)
        dialog.query_one("#predict-path").value = str(photos)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: bool(dialog.answers))
        await pilot.pause(0.1)
        answers = dialog.query_one(PickList)
        text = answers.render_line(1).text + answers.render_line(2).text
        assert "anna.jpg" in text
        assert "[b]en.jpg" in text
        note = dialog.query_one("#predict-note", Static).content
        assert isinstance(note, Content)
        assert "broken.jpg" in note.plain
        assert " of the 1 image whose class is told" in note.plain and "had no part in its training" in note.plain
        await until(pilot, lambda: bool(left))  # the GPU's memory is others' again
        command = f"noodle predict --load-dir {as_argument(done)} --format csv '{photos}' > answers.csv"
        keep = dialog.query_one("#predict-keep", Static)
        assert keep.display and command in keep.content.plain  # type: ignore[union-attr]
        await pilot.press("y")
        assert pilot.app.clipboard == "", "a letter of a path"
        answers.focus()
        await pilot.press("y")
        assert pilot.app.clipboard == command
        dialog.query_one("#predict-path").value = str(tmp_path / "nowhere")  # type: ignore[attr-defined]
        dialog.query_one("#predict-path").focus()
        await pilot.press("enter")
        await until(pilot, lambda: "nowhere" in str(dialog.query_one("#predict-note", Static).content))
        assert dialog.answers == [] and answers.count == 0 and not keep.display, "none of another path"
        dialog.query_one("#predict-path").value = "x" * 300  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: "file name too long" in str(dialog.query_one("#predict-note", Static).content))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, ResultScreen))


async def test_a_path_and_enter_that_come_all_at_once_ask_for_the_whole_path(done: Path, tmp_path: Path) -> None:
    (tmp_path / "some" / "photos").mkdir(parents=True)
    async with opened(done, (120, 40)) as (_, pilot, _):
        await pilot.press("p")
        dialog = pilot.app.screen
        asked: list[Path] = []
        dialog._predict = lambda path, _: asked.append(path)  # type: ignore[attr-defined]
        burst(pilot, str(tmp_path / "some" / "photos"), "enter")
        await until(pilot, lambda: bool(asked))
        assert asked == [tmp_path / "some" / "photos"]
        await pilot.pause(0.3)
        assert not dialog.query_one(PathCompletion).display, "nothing covers the answers"
        pilot.app.post_message(Paste("/other"))
        burst(pilot, "/p", "enter")
        await until(pilot, lambda: len(asked) == 2)
        assert asked[1] == tmp_path / "some" / "photos" / "other" / "p"
        await pilot.press("ctrl+u")
        pilot.app.post_message(Paste(r"/my\ photos"))
        burst(pilot, "enter")
        await until(pilot, lambda: len(asked) == 3)
        assert asked[2] == Path("/my photos")
        for typed, path in (("~nosuchuser/x", Path("~nosuchuser/x")), ("~/x", Path.home() / "x")):
            await pilot.press("ctrl+u")
            burst(pilot, typed, "enter")
            await until(pilot, lambda path=path: asked[-1] == path)


async def test_another_path_ends_the_asking_about_the_one_before(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def predict(folder: Path, paths: list[Path], progress: Progress, check: Check) -> PredictOutcome:
        asked.append(paths[0].name)
        progress(1, 2)
        for _ in range(600 if paths[0].name == "slow" else 0):
            time.sleep(0.05)
            check()
        return PredictOutcome([Answer(paths[0] / "a.jpg", "sad", {"sad": 0.9})])

    monkeypatch.setattr("noodle_tui.predict.predict", predict)
    async with opened(done) as (_, pilot, _):
        await pilot.press("p")
        dialog = pilot.app.screen
        assert isinstance(dialog, PredictDialog)
        note = dialog.query_one("#predict-note", Static)
        burst(pilot, "slow", "enter")
        await until(pilot, lambda: str(note.content) == "1 of 2 photos")
        await pilot.press("ctrl+u")
        burst(pilot, "other", "enter")
        await until(pilot, lambda: bool(dialog.answers))
        assert asked == ["slow", "other"] and str(note.content) == "sad 1  in other"
        burst(pilot, "x")  # what is typed now was not judged
        await pilot.pause()
        assert str(note.content) == "sad 1  in other"


async def test_of_a_run_whose_folder_is_gone_that_is_said(done: Path) -> None:
    async with opened(done) as (_, pilot, _):
        await pilot.press("p")
        shutil.rmtree(done)
        burst(pilot, "photos", "enter")
        note = pilot.app.screen.query_one("#predict-note", Static)
        await until(pilot, lambda: "✗" in str(note.content))
        assert str(note.content) == f"✗ {done} is gone, and with it the model"


async def test_copies_the_path(done: Path) -> None:
    async with opened(done) as (_, pilot, _):
        await pilot.press("y")
        assert pilot.app.clipboard == str(done)


# The words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("correct", "count"), [(23, 24), (0, 5), (5, 5), (1, 2), (4800, 5000)])
def test_a_bar_ends_where_the_accuracy_is_and_its_whiskers_at_the_interval(correct: int, count: int) -> None:
    text = whisker_bar(correct, count, 100).plain
    low, high = wilson_interval(correct, count)
    assert len(text) == 100
    assert text.index("●") == min(int(correct / count * 100), 99)
    if int(low * 100) != text.index("●"):
        assert text.index("├") == int(low * 100)
    if int(min(high, 0.999) * 100) != text.index("●"):
        assert text.index("┤") == int(high * 100)


def score(name: str) -> Score:
    return Score(name=name, correct=1, count=2, accuracy=0.5, low=0.1, high=0.9)


def test_bars_fit_their_width_whatever_the_names() -> None:
    counts = [score(name) for name in ("x" * 90, "[b]y", "a\x1b[2Jb")]
    lines = bar_lines(counts, 60)
    assert all(line.cell_length <= 60 for line in lines)
    assert "[b]y" in lines[1].plain
    assert "\x1b" not in lines[2].plain


def test_of_thousands_of_people_the_least_right_ones_are_shown() -> None:
    people = [Score(name=f"p{n}", correct=n % 10, count=10, accuracy=n % 10 / 10, low=0.0, high=1.0) for n in range(3000)]
    note, *bars = bar_lines(people, 60)
    assert note.plain == "the 200 lowest of 3000; all are in report.json"
    assert len(bars) == 200 and all("0/10" in bar.plain for bar in bars)


async def test_a_third_of_a_low_window_is_for_the_answers(done: Path) -> None:
    async with opened(done) as (_, pilot, __):
        await pilot.press("p")
        await until(pilot, lambda: isinstance(pilot.app.screen, PredictDialog))
        dialog = pilot.app.screen
        assert isinstance(dialog, PredictDialog)
        dialog.command = "noodle predict " * 12
        dialog._show([Answer(Path("a.jpg"), "sad", {"sad": 0.75}, "happy")] * 40)
        await until(pilot, lambda: dialog.query_one("#predict-keep").size.height > 2)
        assert dialog.query_one("#predict-answers").size.height >= 8


def test_a_wrong_answer_is_marked_beside_its_name_below_the_headings() -> None:
    dialog = PredictDialog(Path("weights/run"), "run")
    dialog.answers = [Answer(Path("a.jpg"), "sad", {"happy": 0.25, "sad": 0.75}, "happy")]
    heading, row = dialog._header(60).plain, f" {dialog._row(0, 60).plain}"  # behind the gutter
    assert row.startswith(" ✗ sad ")
    columns = ("answer", "sad"), ("sure", "0.75"), ("file", "a.jpg")
    assert [heading.index(head) for head, _ in columns] == [row.index(cell) for _, cell in columns]


def test_a_score_stands_in_one_line_with_its_name() -> None:
    scores = ["balanced accuracy 0.900", "ROC AUC 0.991", "log loss 0.186"]
    lines = [line.plain for line in side_by_side(scores, 45, "   ")]
    assert lines == ["balanced accuracy 0.900   ROC AUC 0.991", "log loss 0.186"]
    assert [line.plain for line in side_by_side(["longer than that", "a b"], 12, "  ")] == ["longer than", "that", "a b"]


@pytest.mark.parametrize("k", [2, 4, 7, 40, 100])
def test_the_confusion_matrix_fits_and_its_shade_grows_with_the_share(k: int) -> None:
    matrix = [[9 if i == j else i % 2 for j in range(k)] for i in range(k)]
    lines = confusion_lines([f"class {i}" for i in range(k)], matrix, 76)
    assert all(line.cell_length <= 76 for line in lines)
    assert ("more classes" in lines[-1].plain) == (k == 100)
    assert sum(line.plain.count("9") for line in lines if "class" in line.plain and "answer" not in line.plain) >= min(k, 60)
    if k == 2:
        assert "9  100%" in lines[2].plain
        assert "1   10%" in lines[5].plain
        styles = {line.plain[span.start:span.end].strip(): str(span.style) for line in lines for span in line.spans}
        assert "on $train" in styles["9  100%"].split(" bold ")[1:]
        assert "on $train-faded" in styles["1   10%"]
    shades = {str(span.style).partition("on ")[2].strip() for line in lines for span in line.spans} - {""}
    assert shades <= {"$surface", "$band", "$train-faded", "$train-soft", "$train"}  # of the 256-colour palette, in both themes


def confusion(names: list[str], count: int, width: int) -> list[str]:
    matrix = [[count if i == j else (i + j) % 2 for j in range(len(names))] for i in range(len(names))]
    return [line.plain for line in confusion_lines(names, matrix, width)]


def test_wide_letters_stand_below_their_heads() -> None:
    names = ["幸せな顔", "悲しい顔", "怒った顔", "驚いた顔", "普通の顔"]
    for width in (60, 76, 120):
        lines = confusion_lines(names, [[3] * 5] * 5, width)
        assert max(line.cell_length for line in lines) <= width
        assert len({line.cell_length for line in lines}) == 1


def test_many_classes_have_numbers_above_the_columns_and_before_the_rows_and_none_is_missing() -> None:
    lines = confusion([f"person-with-a-long-name{i}" for i in range(1, 31)], 12, 76)
    blocks = "\n".join(lines).split("\n\n")
    heads = [number for block in blocks for number in block.splitlines()[0].partition("answer")[2].split()]
    assert heads == [str(i) for i in range(1, 31)]
    for block in blocks:
        rows = block.splitlines()[1:]
        assert [row.split()[0] for row in rows] == heads
        assert len({row[: len(row) - len(row.lstrip())] + row.split()[1] for row in rows}) == 30


def test_seven_classes_end_below_each_other_under_their_whole_names() -> None:
    lines = confusion(["sad", "happy", "angry", "fear", "disgust", "calm", "none"], 12, 72)
    assert lines[0].split()[-7:] == ["sad", "happy", "angry", "fear", "disgust", "calm", "none"]
    ends = [[match.end() for match in re.finditer(r"\S+", line[14:])] for line in lines]
    assert all(len(row) == 7 for row in ends)
    assert all(row == ends[0] for row in ends)


def test_long_names_of_people_are_told_apart() -> None:
    counts = [score(f"person-with-a-rather-long-name{i}") for i in range(9)]
    assert len({line.plain for line in bar_lines(counts, 60)}) == 9
    classes = [count.name for count in counts]
    row = mistake_row(Prediction("val/x.jpg", "x", None, 3, 7, (0.1,) * 3 + (0.2,) + (0.05,) * 3 + (0.3, 0.05)), classes, 76)
    assert "name3 → " in row.plain
    assert "name7" in row.plain


@pytest.mark.parametrize(("correct", "count", "text"), [
    (52, 60, "0.87"), (60, 60, "1.00"), (0, 60, "0.00"), (99, 100, "0.99"), (199, 200, "0.995"),
    (9999, 10000, "0.999"), (4800, 5000, "0.960")])
def test_the_big_number_is_as_exact_as_its_interval(correct: int, count: int, text: str) -> None:
    assert big_number(correct, count) == text


async def test_in_a_low_window_doubts_are_a_line_each_until_d_opens_them(done: Path) -> None:
    async with opened(done) as (screen, pilot, _):
        n = len(read_report(done).distrust)
        page = screen.query_one("#result-page")
        assert len(sheet(screen, "distrust").splitlines()) == n + 1
        assert screen.query_one("#result-confusion").region.bottom <= page.region.bottom
        await pilot.press("d")
        await pilot.pause()
        assert len(sheet(screen, "distrust").splitlines()) > n + 1
        assert "…" not in sheet(screen, "distrust")
        await pilot.resize_terminal(160, 50)
        await until(pilot, lambda: not screen.check_action("doubts", ()))
        assert "…" not in sheet(screen, "distrust")


def test_mistakes_keep_the_end_of_a_long_path_and_escape_what_is_not_text() -> None:
    wrong = Prediction("val/sad/" + "x" * 90 + "\x1b[2J_C08.JPG", "34M", 8, 0, 1, (0.03, 0.97))
    row = mistake_row(wrong, ["sad", "happy"], 60)
    assert row.cell_length <= 60
    assert row.plain.endswith("_C08.JPG")
    assert "0.970" in row.plain
    assert "sad → happy" in row.plain
    assert "\x1b" not in row.plain


def test_reading_counts_every_mistake(done: Path) -> None:
    facts = read_facts(done)
    overall = read_report(done).result.overall
    assert len(facts.mistakes) == overall.count - overall.correct
    assert facts.mistakes == sorted(facts.mistakes, key=lambda p: -p.confidence)


def test_sizes() -> None:
    assert [size(n) for n in (310, 12_400, 44_800_000, 3 * 2**30)] == ["310 B", "12 KiB", "43 MiB", "3.0 GiB"]
