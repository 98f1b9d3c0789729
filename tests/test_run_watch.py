"""How often the list of runs asks the disk."""

from pathlib import Path

import pytest
from fake_folders import fake_folder

from noodle_tui import summaries
from noodle_tui.summaries import Summaries, pin
from noodle_tui.tui import run_watch
from noodle_tui.tui.run_watch import RunWatch


def test_old_runs_that_have_ended_are_not_asked_at_each_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = fake_folder(tmp_path, "old", stamp="20261101-101500")
    new = fake_folder(tmp_path, "new", stamp="20261102-101500")
    monkeypatch.setattr(run_watch, "FIRST", 1)
    asked: list[Path] = []
    real = summaries._read
    monkeypatch.setattr(summaries, "_read", lambda folder, known: asked.append(folder) or real(folder, known))
    watch, known = RunWatch(tmp_path), Summaries()
    assert [run.name for run in watch._look(known, True, None)[0]] == ["new", "old"]
    assert asked == [new, old]
    pin(old, True)
    runs, _ = watch._look(known, False, None)
    assert asked == [new, old, new] and not runs[1].pinned
    newest = fake_folder(tmp_path, "newest", stamp="20261103-101500")
    assert [run.folder for run in watch._look(known, False, None)[0]] == [newest, new, old], "a new one is there at once"
    assert watch._look(known, True, None)[0][2].pinned


def test_an_old_run_that_goes_on_is_asked_at_each_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = fake_folder(tmp_path, "old", "running", stamp="20261101-101500")
    fake_folder(tmp_path, "new", stamp="20261102-101500")
    monkeypatch.setattr(run_watch, "FIRST", 1)
    monkeypatch.setattr(summaries, "is_alive", lambda folder: folder == old)
    watch, known = RunWatch(tmp_path), Summaries()
    assert watch._look(known, True, None)[0][1].alive
    monkeypatch.setattr(summaries, "is_alive", lambda folder: False)
    assert watch._look(known, False, None)[0][1].status == "interrupted"
