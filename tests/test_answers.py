"""What the smaller commands print."""

import json
import os
from pathlib import Path

import pytest

from noodle_tui.answers import print_answers
from noodle_tui.predict import Answer, PredictOutcome

ODD = Path(os.fsdecode(b"\xff\x1b[2J.jpg"))
OUTCOME = PredictOutcome([Answer(ODD, "sad", {"happy": 0.25, "sad": 0.75})], [(Path("b.jpg"), "not a file")])


def test_control_codes_in_a_name_do_not_reach_the_terminal_by_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_answers(OUTCOME, "table")
    shown = capsys.readouterr().out
    assert "\\x1b[2J.jpg" in shown and all(line.isprintable() for line in shown.splitlines())


def test_a_name_that_is_not_utf_8_is_written_byte_for_byte(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    print_answers(OUTCOME, "csv")
    assert capsysbinary.readouterr().out == b"path,predicted,p_happy,p_sad\n\xff\x1b[2J.jpg,sad,0.25,0.75\n"


def test_json_has_the_failures_too(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    print_answers(OUTCOME, "json")
    said = json.loads(capsysbinary.readouterr().out)
    assert (said["answers"][0]["path"], said["failures"]) == (str(ODD), [{"path": "b.jpg", "reason": "not a file"}])
