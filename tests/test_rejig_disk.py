"""Rejig on the disks that labs have: network shares, sticks, a group's folder. What they refuse is refused as they say it."""

import errno
import fcntl
import os
import shutil
from pathlib import Path

import pytest
from fake_stimuli import draw, error_of, make_plan, rejig, tree

from noodle_tui.rejig import apply_rejig, undo_rejig


def refuse(monkeypatch: pytest.MonkeyPatch, module: object, name: str, number: int, where: str = "") -> None:
    """Have a call raise OSError where a path in its arguments ends in `where`."""
    real = getattr(module, name)

    def call(*args, **kwargs):
        if any(str(arg).endswith(where) for arg in args):
            raise OSError(number, os.strerror(number))
        return real(*args, **kwargs)

    monkeypatch.setattr(module, name, call)


@pytest.mark.parametrize("unit", [100, 10**9, 2 * 10**9])
def test_copies_on_a_disk_that_rounds_times_are_not_made_anew_each_time(stimuli, data, unit):
    """As SMB and NTFS, HFS+, and FAT."""
    for number, photo in enumerate(sorted(stimuli.rglob("*.JPG"))):
        os.utime(photo, ns=(1, 1_700_000_000_123_456_789 + 777_777_777 * number))
    for file in rejig(stimuli, data, mode="copy").files:
        time = os.stat(file.source).st_mtime_ns
        os.utime(data / file.target, ns=(time, time // unit * unit))
    assert make_plan(stimuli, data, mode="copy").already_done
    os.utime(draw(Path(file.source)), ns=(1, time + 2 * unit))
    assert not make_plan(stimuli, data, mode="copy").already_done


def test_a_disk_that_takes_no_times_is_no_obstacle_and_its_copies_are_not_made_anew(stimuli, data, monkeypatch):
    """One that is mounted as another user's."""
    before = tree(stimuli)
    os.chmod(stimuli / "34/34M_Ne_to_Sa_C03.JPG", 0o600)
    refuse(monkeypatch, os, "utime", errno.EPERM)
    files = rejig(stimuli, data, mode="copy").files
    assert make_plan(stimuli, data, mode="copy").already_done
    private = next(file for file in files if file.source.endswith("34M_Ne_to_Sa_C03.JPG"))
    assert (data / private.target).stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EACCES, "Permission denied")))
    rejig(stimuli, data, mode="move")
    assert undo_rejig(data) == (60, ())
    assert tree(stimuli) == before


def test_a_disk_that_removes_no_open_file_keeps_an_empty_lock_that_is_in_nobodys_way(stimuli, data, monkeypatch):
    refuse(monkeypatch, Path, "unlink", errno.EBUSY, "rejig-lock")
    rejig(stimuli, data)
    assert undo_rejig(data) == (60, ())


def test_a_disk_without_locks_is_named_with_a_way_out(stimuli, data, monkeypatch):
    refuse(monkeypatch, fcntl, "flock", errno.ENOLCK)
    said = error_of(rejig, stimuli, data)
    assert f"files can't be locked in {data.parent} (No locks available)" in said and "--data-dir" in said


@pytest.mark.parametrize(("classes", "number", "said"), [
    (("sad:x=_Sa_", "happy=_Ha_"), errno.EINVAL, "takes no 'sad:x' (Invalid argument): give the class another name"),
    (("sad=_Sa_", "happy=_Ha_"), errno.ENAMETOOLONG, "C03.JPG' (File name too long): give the photo another name"),
])
def test_a_name_that_the_disk_does_not_take_is_told(stimuli, data, monkeypatch, classes, number, said):
    before = tree(stimuli)
    refuse(monkeypatch, os, "makedirs", number, "sad:x")
    refuse(monkeypatch, shutil, "copyfile", number, "C03.JPG")
    assert said in error_of(rejig, stimuli, data, classes=classes, mode="copy")
    assert tree(stimuli) == before and os.listdir(data.parent) == ["stimuli"]


def test_an_arrangement_that_can_not_be_published_leaves_no_second_one(stimuli, data, monkeypatch):
    """A network disk moves no folder in which a file is open; a container none that is in its image."""
    rejig(stimuli, data, mode="copy")
    before, there = tree(data), sorted(os.listdir(data.parent))
    with monkeypatch.context() as patch:
        refuse(patch, os, "rename", errno.EACCES, "rejig-new")
        assert "can't be replaced (Permission denied): " in error_of(rejig, stimuli, data, mode="copy", val_fraction=0.5)
    assert tree(data) == before and sorted(os.listdir(data.parent)) == there


def test_anothers_folder_among_those_that_only_owners_remove_is_told_before_anything_is_copied(stimuli, data, monkeypatch):
    rejig(stimuli, data, mode="copy")
    os.chmod(data.parent, 0o1777)
    before = tree(data)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    said = error_of(rejig, stimuli, data, mode="copy", val_fraction=0.5)
    assert "can't be replaced: it belongs to " in said and "choose another --data-dir" in said
    assert tree(data) == before
    refuse(monkeypatch, Path, "rmdir", errno.EPERM, str(data))
    assert undo_rejig(data) == (60, ())  # its folder stays, empty


def test_an_undo_in_anothers_folders_is_told_before_anything_is_moved(stimuli, data, monkeypatch):
    rejig(stimuli, data)
    before, real = tree(data), os.access
    monkeypatch.setattr(os, "access", lambda path, mode: real(path, mode) and not str(path).endswith("val/sad"))
    for dry_run in (True, False):
        assert "who alone can undo its rejig" in error_of(undo_rejig, data, dry_run=dry_run)
    assert tree(data) == before and not tree(stimuli)


def test_anothers_lock_is_told_as_such(stimuli, data, monkeypatch):
    plan, lock = make_plan(stimuli, data), data.parent / f".{data.name}.rejig-lock"
    refuse(monkeypatch, os, "open", errno.EACCES, lock.name)
    assert "Permission denied" in error_of(apply_rejig, plan)  # it is the folder that refuses
    lock.write_text("")
    said = error_of(apply_rejig, plan)
    assert "a noodle rejig of " in said and f"or was killed: wait until it is done, or have {lock} removed" in said
