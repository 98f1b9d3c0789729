"""What the smaller commands print."""

import csv
import io
import json
import os
import re
import sys
from pathlib import Path

import pytest
from fake_folders import fake_folder
from terminal import Terminal

from noodle_tui.answers import print_answers, print_runs
from noodle_tui.evaluate import Prediction, evaluate
from noodle_tui.predict import Answer, PredictOutcome

ODD = Path(os.fsdecode(b"\xff\x1b[2J.jpg"))
CLASSES = ["happy", "sad"]
OUTCOME = PredictOutcome([Answer(ODD, "sad", {"happy": 0.25, "sad": 0.75})], [(Path("b.jpg"), "not a file")], classes=CLASSES)


def test_control_codes_in_a_name_do_not_reach_the_terminal_by_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_answers(OUTCOME, "table")
    shown = capsys.readouterr().out
    assert "\\x1b[2J.jpg" in shown and all(line.isprintable() for line in shown.splitlines())


def test_a_name_that_is_not_utf_8_is_written_byte_for_byte(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    print_answers(OUTCOME, "csv")
    assert capsysbinary.readouterr().out == b"path,true,predicted,p_happy,p_sad\n\xff\x1b[2J.jpg,,sad,0.25,0.75\n"


def test_any_name_is_one_field_of_a_csv_and_its_head_is_always_there(capfd: pytest.CaptureFixture[str]) -> None:
    names = ["a\rb.jpg", "c\nd.jpg", 'e",f.jpg', "\r\n"]
    answers = [Answer(Path(name), "sad", {"happy": 0.25, "sad": 0.75}) for name in names]
    print_answers(PredictOutcome(answers, classes=CLASSES), "csv")
    rows = list(csv.reader(io.StringIO(capfd.readouterr().out, newline="")))
    assert [row[0] for row in rows] == ["path", *names] and {len(row) for row in rows} == {5}
    print_answers(PredictOutcome([], OUTCOME.failures, classes=CLASSES), "csv")
    assert capfd.readouterr().out == "path,true,predicted,p_happy,p_sad\n"


def test_json_has_the_failures_too(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    print_answers(OUTCOME, "json")
    said = json.loads(capsysbinary.readouterr().out)
    assert (said["answers"][0]["path"], said["failures"]) == (str(ODD), [{"path": "b.jpg", "reason": "not a file"}])


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_answers_that_are_known_to_be_right_are_counted(form: str, capfd: pytest.CaptureFixture[str]) -> None:
    rows = [(f"{i}.jpg", "sad", "happy" if i == 0 else "sad") for i in range(3)]
    answers = [Answer(Path(path), predicted, {"happy": 0.25, "sad": 0.75}, true) for path, predicted, true in rows]
    predictions = [Prediction(path, path, None, int(true == "sad"), 1, (0.25, 0.75)) for path, _, true in rows]
    score = evaluate(predictions, ["happy", "sad"])
    print_answers(PredictOutcome([*answers, OUTCOME.answers[0]], [], score, CLASSES), form)
    out, err = capfd.readouterr()
    if form == "json":
        found = json.loads(out)["score"]
        assert (found["correct"], found["count"], found["interval"]) == (2, 3, list(score.overall.interval))
        assert found["per_class"] == [{"name": "happy", "correct": 0, "count": 1}, {"name": "sad", "correct": 2, "count": 2}]
        return
    said, rest = (err, out) if form == "csv" else (out, err)
    assert "0.667 are right of the 3 images whose class is told by the name or folder (2/3, 95% interval 0.21 to 0.94" in said
    assert "happy 0/1, sad 2/2." in said and "are right" not in rest
    assert "a test of the model only if these photos, or better these people, had no part in its training or choice" in said
    assert out.split("\n")[0].replace(",", " ").split() == ["path", "true", "predicted", "p_happy", "p_sad"]


@pytest.mark.parametrize(("width", "header"), [
    (110, ["run", "state", "epochs", "best accuracy", "started", "time"]),
    (90, ["run", "state", "epochs", "best accuracy", "started", "time"]),
    (80, ["run", "state", "epochs", "best accuracy", "started"]), (60, ["run", "state", "epochs", "best accuracy"]),
    (44, ["run", "state", "epochs", "best accuracy"]),
])
def test_a_narrow_terminal_shows_fewer_columns_of_the_runs_and_no_number_in_part(
    width: int, header: list[str], tmp_path: Path
) -> None:
    folder = fake_folder(tmp_path, "neuro_ml", n_epochs=150)
    terminal = Terminal([sys.executable, "-m", "noodle_tui", "runs", "--save-dir", "."], tmp_path, width)
    terminal.until("60)")
    assert terminal.ended() == 0
    first, second, *more = [re.split("  +", line) for line in terminal.screen().split("\n") if line]
    assert (first, second[1:4]) == (header, ["done", "150/150", f"1.000 (60/60){' 0.94 to 1.00' if width == 110 else ''}"])
    assert "".join([second[0], *(line for [line] in more)]) == folder.name and bool(more) == (width == 44)


def test_where_the_runs_are_listed_for_a_script_nothing_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_folder(tmp_path, "x" * 100)
    monkeypatch.setenv("COLUMNS", "40")
    print_runs(tmp_path, "table")
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["run", "state", "epochs", "best", "accuracy", "started", "time"] and folder.name in row


def test_of_a_run_that_tells_nothing_the_list_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    print_runs(tmp_path, "table")
    assert capsys.readouterr().out.splitlines()[1].split() == ["broken", "broken", "-", "-", "-", "-"]
