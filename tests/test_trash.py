"""Deleting a run: into the trash and back, never a live one, never through a link."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from fake_folders import fake_folder

from noodle_tui import trash
from noodle_tui.errors import NoodleError
from noodle_tui.run_folder import is_alive, list_runs, locked
from noodle_tui.trash import deletions, empty_trash, move_to_trash, restore_last, runs_in, size_of


def test_there_and_back(tmp_path: Path) -> None:
    folder = fake_folder(tmp_path, "run")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    place = move_to_trash(tmp_path, [folder])
    assert place.parent == tmp_path / ".trash" and runs_in(place) == [place / folder.name]
    assert list_runs(tmp_path) == []
    assert restore_last(tmp_path) == [folder]
    assert {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "run.lock"} == before
    assert not (tmp_path / ".trash").exists() and restore_last(tmp_path) == []


def test_what_can_not_be_removed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(place: Path) -> None:
        raise PermissionError(13, "Permission denied", f"{place}/hers")

    move_to_trash(tmp_path, [fake_folder(tmp_path, "run")])
    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(NoodleError, match=r"/hers: can't be removed \(Permission denied\)$"):
        empty_trash(tmp_path, deletions(tmp_path))


def test_the_last_deletion_comes_back_whole_and_then_the_one_before(tmp_path: Path) -> None:
    one, two, three = (fake_folder(tmp_path, name) for name in ("one", "two", "three"))
    move_to_trash(tmp_path, [two])
    move_to_trash(tmp_path, [three, one])
    assert [len(runs_in(deletion)) for deletion in deletions(tmp_path)] == [1, 2]
    assert restore_last(tmp_path) == [one, three]
    assert restore_last(tmp_path) == [two]
    assert restore_last(tmp_path) == []


def test_emptying_removes_what_was_looked_at_and_no_more(tmp_path: Path) -> None:
    elsewhere, save_dir = tmp_path / "elsewhere", tmp_path / "weights"
    other = fake_folder(elsewhere, "other")
    run, later, kept = (fake_folder(save_dir, name) for name in ("run", "later", "kept"))
    (run / "photos").symlink_to(elsewhere)
    (run / "deep").mkdir()
    (run / "deep" / "file").write_bytes(b"x" * 1000)
    before = size_of(run)
    assert 22_400_000 + 1000 < before < 22_500_000
    move_to_trash(save_dir, [run])
    (save_dir / ".trash" / "thesis").mkdir()
    (save_dir / ".trash" / "20200101-000000").symlink_to(elsewhere)
    gone = deletions(save_dir)
    assert sum(map(size_of, gone)) >= before  # and the lock
    move_to_trash(save_dir, [later])
    with pytest.raises(NoodleError, match="not in the trash"):
        empty_trash(save_dir, [kept])
    empty_trash(save_dir, gone)
    assert [runs_in(deletion)[0].name for deletion in deletions(save_dir)] == [later.name]
    empty_trash(save_dir, deletions(save_dir))
    assert sorted(os.listdir(save_dir / ".trash")) == ["20200101-000000", "thesis"]
    assert (other / "events.jsonl").is_file() and kept.is_dir()


def test_a_run_that_was_picked_up_in_the_trash_stays_there(tmp_path: Path) -> None:
    one, two = (fake_folder(tmp_path, name) for name in ("one", "two"))
    move_to_trash(tmp_path, [one])
    alive = move_to_trash(tmp_path, [two]) / two.name
    gone = deletions(tmp_path)
    with locked(alive), pytest.raises(NoodleError, match="a run is going on in it; nothing was removed"):
        empty_trash(tmp_path, gone)
    assert deletions(tmp_path) == gone
    empty_trash(tmp_path, gone)
    assert deletions(tmp_path) == []


def test_runs_that_cannot_move_say_how_many_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (fake_folder(tmp_path, name) for name in ("one", "two"))
    rename = os.rename

    def refuse(source: Path, target: Path) -> None:
        if source == two:
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(NoodleError, match=r"two.*No space left.*nothing was deleted"):
        move_to_trash(tmp_path, [two, one])
    assert not (tmp_path / ".trash").exists()
    with pytest.raises(NoodleError, match=r"two.*1 of 2 runs are in it"):
        move_to_trash(tmp_path, [one, two])
    assert restore_last(tmp_path) == [one]


def test_a_live_run_stays(tmp_path: Path) -> None:
    folder, other = fake_folder(tmp_path, "run", "running"), fake_folder(tmp_path, "other")
    with locked(folder), pytest.raises(NoodleError, match="already going on"):
        move_to_trash(tmp_path, [other, folder])
    assert (folder / "events.jsonl").is_file() and other.is_dir()


def test_links_are_never_followed(tmp_path: Path) -> None:
    elsewhere, save_dir = tmp_path / "elsewhere", tmp_path / "weights"
    other = fake_folder(elsewhere, "other")
    save_dir.mkdir()
    (save_dir / "link-20261123-101500").symlink_to(other)
    with pytest.raises(NoodleError, match="link"):
        move_to_trash(save_dir, [save_dir / "link-20261123-101500"])
    with pytest.raises(NoodleError, match="not a run folder of"):
        move_to_trash(save_dir, [other])
    with pytest.raises(NoodleError, match="not a run folder of"):
        move_to_trash(save_dir, [save_dir / ".." / "elsewhere" / other.name])

    inside = fake_folder(save_dir, "inside")
    (inside / "photos").symlink_to(elsewhere)
    target = elsewhere / "target"
    (inside / "run.lock").symlink_to(target)
    with pytest.raises(NoodleError, match=r"run\.lock"):
        move_to_trash(save_dir, [inside])
    assert not target.exists()
    (inside / "run.lock").unlink()
    (save_dir / ".trash").symlink_to(elsewhere)
    with pytest.raises(NoodleError, match=r"\.trash"):
        move_to_trash(save_dir, [inside])
    (save_dir / ".trash").unlink()
    place = move_to_trash(save_dir, [inside])
    assert (place / inside.name / "photos").is_symlink()
    assert sorted(os.listdir(elsewhere)) == [other.name]
    assert (other / "events.jsonl").is_file()


def test_what_is_no_run_stays(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    with pytest.raises(NoodleError, match="neither options nor events"):
        move_to_trash(tmp_path, [tmp_path / "thesis"])
    folder = fake_folder(tmp_path, "run")
    os.mkfifo(folder / "run.lock")
    with pytest.raises(NoodleError, match=r"run\.lock"):
        move_to_trash(tmp_path, [folder])


def test_restoring_never_overwrites(tmp_path: Path) -> None:
    place = move_to_trash(tmp_path, [fake_folder(tmp_path, "other"), fake_folder(tmp_path, "run")])
    fake_folder(tmp_path, "run", "failed")
    with pytest.raises(NoodleError, match="something of that name"):
        restore_last(tmp_path)
    assert len(runs_in(place)) == 2


def test_what_somebody_else_deleted_is_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o2770)
    move_to_trash(tmp_path, [fake_folder(tmp_path, "theirs")])
    assert (tmp_path / ".trash").stat().st_mode & 0o7777 == 0o2770, "who may delete in the save folder may do it here"
    monkeypatch.setattr(trash, "_owner_of_ours", lambda folder: os.getuid() + 1)
    assert deletions(tmp_path) == [] == restore_last(tmp_path)
    monkeypatch.undo()
    assert len(deletions(tmp_path)) == 1


def test_what_one_deleted_is_found_on_a_disk_that_gives_all_files_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fake_folder(tmp_path, "mine")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    move_to_trash(tmp_path, [run])
    assert restore_last(tmp_path) == [run]


def test_a_disk_that_moves_no_folder_with_an_open_file_in_it_gets_the_lock_back_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a share of Windows does."""
    folder, rename = fake_folder(tmp_path, "run"), os.rename

    def move(old: Path, new: Path) -> None:
        if is_alive(folder):
            raise PermissionError(errno.EACCES, "Permission denied")
        rename(old, new)

    monkeypatch.setattr(os, "rename", move)
    assert runs_in(move_to_trash(tmp_path, [folder]))
    assert restore_last(tmp_path) == [folder]
