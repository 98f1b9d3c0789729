"""The form's last values: kept for each working folder, and never in the way."""

import json
import os
import pwd
import tempfile
from pathlib import Path

import pytest

from noodle_tui.disk import rescue_places
from noodle_tui.remember import recall, recall_theme, remember, remember_theme, remembered_file


@pytest.fixture(autouse=True)
def _state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_values_come_back_in_their_folder_only(tmp_path: Path) -> None:
    values = {"n_epochs": "5", "comet": True, "classes": ["a=_A_", "b=_B_"], "split_by": "person", "stimuli": "[red]x[/] é"}
    remember(values, tmp_path)
    assert recall(tmp_path) == (values, "")
    assert recall(tmp_path / "elsewhere") == ({}, "")


def test_objects_are_kept_as_they_are_typed(tmp_path: Path) -> None:
    remember({"save_dir": Path("runs"), "n_epochs": 7, "classes": ("a=1", "b=2")}, tmp_path)
    assert recall(tmp_path)[0] == {"save_dir": "runs", "n_epochs": "7", "classes": ["a=1", "b=2"]}


def test_a_run_to_pick_up_is_asked_for_each_time(tmp_path: Path) -> None:
    remember({"load_dir": "weights/old", "n_epochs": "3"}, tmp_path)
    assert recall(tmp_path)[0] == {"n_epochs": "3"}
    assert "old" not in remembered_file(tmp_path).read_text()


def test_only_the_user_can_look_into_the_folder(tmp_path: Path) -> None:
    remember({"n_epochs": "3"}, tmp_path)
    assert remembered_file(tmp_path).parent.stat().st_mode & 0o077 == 0


def test_the_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    remember({"n_epochs": "3"}, tmp_path)
    before = os.stat(remembered_file(tmp_path)).st_ino
    remember({"n_epochs": "4"}, tmp_path)
    assert os.stat(remembered_file(tmp_path)).st_ino != before
    assert [file.name for file in remembered_file(tmp_path).parent.iterdir()] == [remembered_file(tmp_path).name]


@pytest.mark.parametrize("content", [
    b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"version": 2, "values": {}}', b'{"version": 1, "values": []}',
    b"[" * 50_000, b" " * 100_000,
])  # fmt: skip
def test_a_broken_file_is_left_out_with_a_note(tmp_path: Path, content: bytes) -> None:
    remember({"n_epochs": "3"}, tmp_path)
    remembered_file(tmp_path).write_bytes(content)
    values, note = recall(tmp_path)
    assert values == {}
    assert "could not be read" in note
    assert "\n" not in note


def test_values_that_fit_no_option_are_left_out(tmp_path: Path) -> None:
    remember({}, tmp_path)
    strange = {"n_epochs": 3, "comet": "yes", "mode": "burn", "classes": "a=b", "nonsense": "1", "lr": "0.1", "load_dir": "x"}
    remembered_file(tmp_path).write_text(json.dumps({"version": 1, "values": strange}))
    values, note = recall(tmp_path)
    assert values == {"lr": "0.1"}
    assert note.startswith("6 ")


def test_a_user_without_a_home_is_remembered_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user who has a number and no name."""
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(pwd, "getpwuid", lambda number: {}[number])
    assert recall(tmp_path) == ({}, "") and recall_theme() == ""
    for remember_something in (lambda: remember({"lr": "1"}, tmp_path), lambda: remember_theme("noodle-dark")):
        with pytest.raises(FileNotFoundError, match="set HOME"):
            remember_something()
    assert rescue_places() == [Path(tempfile.gettempdir())]


def test_an_unreadable_place_is_said(tmp_path: Path) -> None:
    remembered_file(tmp_path).parent.mkdir(parents=True)
    remembered_file(tmp_path).mkdir()
    assert "could not be read" in recall(tmp_path)[1]
    with pytest.raises(OSError, match="directory"):
        remember({}, tmp_path)
