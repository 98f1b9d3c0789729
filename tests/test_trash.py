"""Deleting a run: into the trash and back, never a live one, never through a link."""

import os
from pathlib import Path

import pytest
from fake_folders import fake_folder

from noodle_tui.errors import NoodleError
from noodle_tui.run_folder import list_runs, locked
from noodle_tui.trash import move_to_trash, restore


def test_there_and_back(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    place = move_to_trash(tmp_path, folder)
    assert place == tmp_path / ".trash" / folder.name
    assert list_runs(tmp_path) == []
    assert restore(tmp_path, place) == folder
    assert {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "run.lock"} == before


def test_a_name_that_is_taken_in_the_trash(tmp_path: Path) -> None:
    places = [move_to_trash(tmp_path, fake_folder(tmp_path, "run")) for _ in range(3)]
    assert [place.name for place in places] == ["run-20261123-101500", "run-20261123-101500-2", "run-20261123-101500-3"]


def test_a_live_run_stays(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run", "running")
    with locked(folder), pytest.raises(NoodleError, match="already going on"):
        move_to_trash(tmp_path, folder)
    assert (folder / "events.jsonl").is_file()


def test_links_are_never_followed(tmp_path: Path) -> None:
    elsewhere, save_dir = tmp_path / "elsewhere", tmp_path / "weights"
    other = fake_folder(elsewhere, "other")
    save_dir.mkdir()
    (save_dir / "link-20261123-101500").symlink_to(other)
    with pytest.raises(NoodleError, match="link"):
        move_to_trash(save_dir, save_dir / "link-20261123-101500")
    with pytest.raises(NoodleError, match="not a run folder of"):
        move_to_trash(save_dir, other)
    with pytest.raises(NoodleError, match="not a run folder of"):
        move_to_trash(save_dir, save_dir / ".." / "elsewhere" / other.name)

    inside = fake_folder(save_dir, "inside")
    (inside / "photos").symlink_to(elsewhere)
    target = elsewhere / "target"
    (inside / "run.lock").symlink_to(target)
    with pytest.raises(NoodleError, match=r"run\.lock"):
        move_to_trash(save_dir, inside)
    assert not target.exists()
    (inside / "run.lock").unlink()
    (save_dir / ".trash").symlink_to(elsewhere)
    with pytest.raises(NoodleError, match=r"\.trash"):
        move_to_trash(save_dir, inside)
    (save_dir / ".trash").unlink()
    place = move_to_trash(save_dir, inside)
    assert (place / "photos").is_symlink()
    assert sorted(os.listdir(elsewhere)) == [other.name]
    assert (other / "events.jsonl").is_file()


def test_what_is_no_run_stays(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    with pytest.raises(NoodleError, match="neither options nor events"):
        move_to_trash(tmp_path, tmp_path / "thesis")
    folder = fake_folder(tmp_path, "run")
    os.mkfifo(folder / "run.lock")
    with pytest.raises(NoodleError, match=r"run\.lock"):
        move_to_trash(tmp_path, folder)


def test_restoring_never_overwrites(tmp_path: Path) -> None:
    place = move_to_trash(tmp_path, fake_folder(tmp_path, "run"))
    fake_folder(tmp_path, "run", "failed")
    with pytest.raises(NoodleError, match="something of that name"):
        restore(tmp_path, place)
    with pytest.raises(NoodleError, match="not a run in the trash"):
        restore(tmp_path, tmp_path / "run-20261123-101500")
