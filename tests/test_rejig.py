"""Rejig: apply and undo on real files. The plan, hostile manifests and kills have test files of their own."""

import csv
import errno
import fcntl
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_stimuli import CLASSES, ODD_NAMES, draw, draw_seed_like, error_of, files_in, make_plan, rejig, stop_after, tree
from PIL import Image

from noodle_tui.errors import NoodleError, StopRun
from noodle_tui.rejig import apply_rejig, plan_in_words, rejig_options, undo_rejig, undone_in_words
from noodle_tui.rejig.disk import errors_in_words, locked, same_photo


def test_move_gives_the_seeds_folders_and_a_manifest(stimuli, data):
    before = tree(stimuli)
    plan = rejig(stimuli, data)
    assert sorted(p.name for p in data.iterdir()) == ["rejig.csv", "rejig.json", "train", "val"]
    assert {(s, c): plan.count(s, c) for s in ("train", "val") for c in plan.classes} == {
        ("train", "happy"): 27, ("train", "sad"): 27, ("val", "happy"): 3, ("val", "sad"): 3}
    assert plan.classes == ("happy", "sad")
    assert not tree(stimuli)
    assert sorted({**tree(data / "train"), **tree(data / "val")}.values()) == sorted(before.values())
    row = next(f for f in files_in(data) if f.source.endswith("34M_Ne_to_Sa_C03.JPG"))
    assert (row.source, row.label, row.person, row.level) == (
        str(stimuli / "34/34M_Ne_to_Sa_C03.JPG"), "sad", "34M", 3)
    assert row.target in (f"{s}/sad/34M_Ne_to_Sa_C03.JPG" for s in ("train", "val"))
    with open(data / "rejig.csv", newline="") as stream:
        assert next(csv.reader(stream)) == ["source", "target", "class", "split", "person", "level"]
    assert not [p for p in data.parent.iterdir() if p.name.startswith(".")]


def test_copy_and_link_leave_the_stimuli(stimuli, tmp_path):
    before = tree(stimuli)
    copied, linked = rejig(stimuli, tmp_path / "copied", mode="copy"), rejig(stimuli, tmp_path / "linked", mode="link")
    assert tree(stimuli) == before
    for file in copied.files:
        assert (tmp_path / "copied" / file.target).read_bytes() == Path(file.source).read_bytes()
        assert (tmp_path / "copied" / file.target).stat().st_ino != os.stat(file.source).st_ino
    for file in linked.files:
        assert os.readlink(tmp_path / "linked" / file.target) == file.source


def test_a_disk_without_symbolic_links_is_said(stimuli, data, monkeypatch):
    def no_links(*_) -> None:
        raise PermissionError(1, "Operation not permitted")  # as on exFAT

    monkeypatch.setattr(os, "symlink", no_links)
    before = tree(stimuli)
    assert "the disk of the data folder has no symbolic links" in error_of(rejig, stimuli, data, mode="link")
    assert tree(stimuli) == before
    assert os.listdir(data.parent) == ["stimuli"]


@pytest.mark.parametrize("mode", ["move", "copy", "link"])
def test_odd_names_go_there_and_back(stimuli, data, mode):
    for name in ODD_NAMES:
        for folder in ("a", "b"):  # each twice: so each gets a suffix, and must stay within 255 bytes
            draw(stimuli / folder / os.fsdecode(name))
    before = tree(stimuli)
    plan = rejig(stimuli, data, mode=mode)
    assert not plan.skipped
    assert files_in(data) == plan.files
    assert len({file.target.lower() for file in plan.files}) == len(plan.files) == 60 + 2 * len(ODD_NAMES)
    assert make_plan(stimuli, data, mode=mode).already_done
    assert undo_rejig(data) == (len(plan.files), ())
    assert tree(stimuli) == before
    assert not data.exists()


def test_the_same_options_again_change_nothing(stimuli, data):
    for mode in ("move", "copy", "link"):
        rejig(stimuli, data, mode=mode)
        before = {p: p.lstat().st_ctime_ns for p in data.parent.rglob("*")}
        again = rejig(stimuli, data, mode=mode)
        assert again.already_done
        assert {p: p.lstat().st_ctime_ns for p in data.parent.rglob("*")} == before
        first, *others = plan_in_words(again)
        verb = {"move": "moved", "copy": "copied", "link": "linked"}[mode]
        assert first.endswith(f"from {stimuli}, {verb} to {data}") and "nothing to do" in "\n".join(others)
        undo_rejig(data)


def test_already_done_although_the_emptied_stimuli_are_gone(stimuli, data):
    rejig(stimuli, data)
    for folder in sorted(stimuli.rglob("*"), reverse=True):
        folder.rmdir()
    stimuli.rmdir()
    assert make_plan(stimuli, data).already_done
    assert undo_rejig(data) == (60, ())
    assert len(tree(stimuli)) == 60


def inodes(data: Path) -> dict[str, int]:
    return {p.name: p.stat().st_ino for split in ("train", "val") for p in (data / split).rglob("*.JPG")}


@pytest.mark.parametrize("mode", ["move", "copy"])
def test_other_options_rearrange_without_a_second_copy(stimuli, data, mode):
    rejig(stimuli, data, mode=mode)
    before, sides = inodes(data), {file.source: file.split for file in files_in(data)}
    plan = rejig(stimuli, data, mode=mode, split_by="person", val_fraction=0.3)
    assert inodes(data) == before
    switched = sum(sides[file.source] != file.split for file in plan.files)
    assert plan.switching == switched > 0
    assert f", {switched} change between train and val" in "\n".join(plan_in_words(plan))
    assert all((data / file.target).stat().st_nlink == 1 for file in plan.files)
    assert not plan.people_in_both
    assert files_in(data) == plan.files
    assert sorted(p.name for p in data.parent.iterdir()) == ["classify", "stimuli"]


@pytest.mark.parametrize(("first", "then"), itertools.permutations(["move", "copy", "link"], 2))
def test_another_mode(stimuli, data, first, then):
    before = tree(stimuli)
    rejig(stimuli, data, mode=first)
    rejig(stimuli, data, mode=then, val_fraction=0.2)
    assert tree(stimuli) == ({} if then == "move" else before)
    assert sorted({**tree(data / "train"), **tree(data / "val")}.values()) == sorted(before.values())
    assert make_plan(stimuli, data, mode=then, val_fraction=0.2).already_done
    undo_rejig(data)
    assert tree(stimuli) == before


def test_new_photos_are_added_and_dropped_classes_go_back(stimuli, data):
    for number in range(4):
        draw(stimuli / f"0{number}_An_.jpg")
    three = (*CLASSES, "angry=_An_")
    rejig(stimuli, data)
    plan = make_plan(stimuli, data, classes=three)
    assert (plan.new, plan.leaving) == (4, 0)
    assert "4 new photos" in "\n".join(plan_in_words(plan))
    apply_rejig(plan)
    assert not tree(stimuli)
    back = rejig(stimuli, data)
    assert (back.new, back.leaving) == (0, 4)
    assert sorted(tree(stimuli)) == [f"0{number}_An_.jpg" for number in range(4)]
    assert sorted(p.name for p in (data / "train").iterdir()) == ["happy", "sad"]


def test_a_changed_source_is_copied_anew_and_the_last_copy_is_never_removed(stimuli, data):
    rejig(stimuli, data, mode="copy")
    changed, gone = stimuli / "34/34M_Ne_to_Sa_C03.JPG", stimuli / "34/34M_Ne_to_Sa_C04.JPG"
    draw(changed)
    old = gone.read_bytes()
    gone.unlink()
    plan = rejig(stimuli, data, mode="copy")
    assert not plan.already_done
    targets = {file.source: data / file.target for file in plan.files}
    assert targets[str(changed)].read_bytes() == changed.read_bytes()
    assert targets[str(gone)].read_bytes() == old
    undo_rejig(data)
    assert gone.read_bytes() == old


@pytest.mark.parametrize("mode", ["copy", "link", "move"])
def test_a_source_that_was_spoiled_does_not_take_the_place_of_its_good_copy(stimuli, data, mode):
    rejig(stimuli, data, mode="copy")
    before, spoiled = tree(data), stimuli / "34/34M_Ne_to_Sa_C03.JPG"
    whole = spoiled.read_bytes()
    spoiled.write_bytes(whole[:-20])  # its header, and most of it, is as it was
    with pytest.raises(NoodleError, match=r"^1 photo can't be read any more \(34/34M_Ne_to_Sa_C03\.JPG: .*their copies can"):
        rejig(stimuli, data, mode=mode)
    assert tree(data) == before
    spoiled.write_bytes(whole)
    rejig(stimuli, data, mode=mode)


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_undo_does_not_remove_the_good_copy_of_a_source_that_was_spoiled(stimuli, data, dry_run):
    rejig(stimuli, data, mode="copy")
    before, spoiled = tree(data), stimuli / "34/34M_Ne_to_Sa_C03.JPG"
    spoiled.write_bytes(b"")
    with pytest.raises(NoodleError, match=r"34/34M_Ne_to_Sa_C03\.JPG: .*their copies can"):
        undo_rejig(data, dry_run=dry_run)
    assert tree(data) == before
    spoiled.unlink()  # what is broken is removed: its copy goes back
    undo_rejig(data)
    assert spoiled.stat().st_size > 0


@pytest.mark.parametrize("change", ["undo", "move", "leave"])
def test_a_disks_fault_that_leaves_size_and_time_as_they_were_is_found_before_the_good_copy_goes(stimuli, data, change):
    classes = (*CLASSES, "angry=_An_")
    for number in range(4):
        draw(stimuli / f"{number}_An_.jpg")
    rejig(stimuli, data, classes=classes, mode="copy")
    before, spoiled = tree(data), stimuli / "2_An_.jpg"
    was = spoiled.stat()
    spoiled.write_bytes(bytes(was.st_size))
    os.utime(spoiled, ns=(was.st_atime_ns, was.st_mtime_ns))
    done = {"undo": lambda: undo_rejig(data), "move": lambda: rejig(stimuli, data, classes=classes, mode="move"),
            "leave": lambda: rejig(stimuli, data, mode="copy")}
    assert "2_An_.jpg: " in (said := error_of(done[change])) and "their copies can" in said
    assert tree(data) == before


@pytest.mark.parametrize("change", ["undo", "rearrange"])
def test_a_copy_that_was_edited_is_not_lost(stimuli, data, change):
    file = rejig(stimuli, data, mode="copy").files[0]
    draw(data / file.target)
    before = tree(data)
    with pytest.raises(NoodleError, match=f"1 copy was changed since rejig made it .*{file.target}.*move it out"):
        undo_rejig(data) if change == "undo" else rejig(stimuli, data, mode="copy", val_fraction=0.5)
    assert tree(data) == before
    os.replace(data / file.target, file.source)  # as the message says
    rejig(stimuli, data, mode="copy", val_fraction=0.5)
    undo_rejig(data)
    assert tree(stimuli)[os.path.relpath(file.source, stimuli)] == before[file.target]


@pytest.mark.parametrize("change", ["undo", "again"])
def test_a_copy_that_was_replaced_by_an_older_photo_is_not_lost(stimuli, data, change):
    """As mv, archives and synchronisers put it there, with its own time."""
    file = rejig(stimuli, data, mode="copy").files[0]
    os.utime(draw(stimuli.parent / "retouched.jpg"), (0, 0))
    os.replace(stimuli.parent / "retouched.jpg", data / file.target)
    before = tree(data)
    with pytest.raises(NoodleError, match=f"1 copy was changed since rejig made it .*{file.target}"):
        undo_rejig(data) if change == "undo" else rejig(stimuli, data, mode="copy")
    assert tree(data) == before
    os.truncate(data / file.target, 10)  # what can't be read is nobody's good copy
    os.utime(data / file.target, (0, 0))
    assert undo_rejig(data) == (60, ())


def test_a_moved_photo_that_was_put_elsewhere_by_hand_goes_back_too(stimuli, data):
    before = tree(stimuli)
    files = rejig(stimuli, data).files
    os.rename(data / "train/sad", data / "train/sadness")  # a class gets another name
    other = next(file for file in files if file.target.startswith("val/happy/"))
    os.rename(data / other.target, data / "train/happy" / Path(other.target).name)
    assert undo_rejig(data, dry_run=True) == undo_rejig(data) == (60, ())
    assert tree(stimuli) == before and not data.exists()


def test_an_undo_keeps_the_record_of_moved_photos_that_it_does_not_find(stimuli, data, tmp_path):
    before = tree(stimuli)
    lost = rejig(stimuli, data).files[7]
    os.rename(data / lost.target, tmp_path / "elsewhere.jpg")
    assert undo_rejig(data, dry_run=True) == (59, (lost,))
    undone = undo_rejig(data)
    assert undone == (59, (lost,))
    words = undone_in_words(undone, data, dry_run=False)
    assert words[1] == (f"! 1 moved photo is neither there nor at the old place (e.g. {lost.target}): rejig.csv stays, for an "
                        "undo once it stands there again; if gone for good, remove rejig.csv and rejig.json")
    (data / lost.target).parent.mkdir(parents=True)
    os.rename(tmp_path / "elsewhere.jpg", data / lost.target)
    assert undo_rejig(data) == (1, ())
    assert tree(stimuli) == before and not data.exists()


def test_a_label_that_was_put_right_by_hand_stays_and_is_still_known_to_an_undo(stimuli, data):
    before = tree(stimuli)
    moved = next(file for file in rejig(stimuli, data).files if file.target.startswith("train/sad/"))
    name = Path(moved.target).name
    os.rename(data / moved.target, data / "train/happy" / name)
    draw(stimuli / name)  # a new photo of the same name, elsewhere in the stimuli
    before[name] = (stimuli / name).read_bytes()
    for fraction in (0.1, 0.3):
        plan = rejig(stimuli, data, val_fraction=fraction)
        assert (plan.by_hand, len(plan.files)) == ({moved: f"train/happy/{name}"}, 60)
        assert f"1 photo is in another place than rejig's by hand, and stays there: train/happy/{name}" in plan_in_words(plan)
    assert make_plan(stimuli, data, val_fraction=0.3).already_done
    assert "by hand" in error_of(rejig, stimuli, data, mode="copy")
    assert undo_rejig(data) == (61, ())
    assert tree(stimuli) == before and not data.exists()


def test_other_options_that_come_to_the_same_arrangement_are_put_on_record(stimuli, data):
    rejig(stimuli, data, val_fraction=0.1)
    before = tree(data)
    plan = rejig(stimuli, data, val_fraction=0.11)
    made = rejig_options(data)
    assert plan.already_done and made is not None and made["val_fraction"] == 0.11
    assert {name: content for name, content in tree(data).items() if name != "rejig.json"} == {
        name: content for name, content in before.items() if name != "rejig.json"}
    assert make_plan(stimuli, data, val_fraction=0.11).recorded
    before = tree(data)
    with locked(data):
        rejig(stimuli, data, val_fraction=0.1)  # another is at work: nothing is to be done, so nothing is refused
    assert tree(data) == before


def test_a_mark_of_an_undo_that_was_killed_takes_nothing_from_an_arrangement_that_came_back(stimuli, data):
    rejig(stimuli, data)
    (data / ".rejig-undone.json").write_text("{}")
    make_plan(stimuli, data)
    assert not (data / ".rejig-undone.json").exists(), "it would take rejig.csv along where rejig.json is away for a while"
    assert undo_rejig(data) == (60, ())


def test_a_file_of_a_lost_photos_name_elsewhere_in_the_data_folder_is_not_taken_for_it(stimuli, data):
    lost = rejig(stimuli, data).files[7]
    (data / lost.target).unlink()
    mine = data / "mine" / Path(lost.target).name
    mine.parent.mkdir()
    mine.write_text("mine")
    assert undo_rejig(data) == (59, (lost,))
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("what", ["a link", "twice"])
def test_what_may_not_be_the_lost_photo_is_not_taken_for_it(stimuli, data, tmp_path, what):
    lost = rejig(stimuli, data).files[7]
    photo, places = data / lost.target, [data / split / "sadness" / Path(lost.target).name for split in ("train", "val")]
    for place in places:
        place.parent.mkdir(exist_ok=True)
    if what == "twice":
        shutil.copy(photo, places[0])
        photo.rename(places[1])
    else:
        photo.rename(tmp_path / "elsewhere.jpg")
        places[0].symlink_to(tmp_path / "elsewhere.jpg")
    before = tree(data / "train" / "sadness")
    assert undo_rejig(data) == (59, (lost,))
    assert tree(data / "train" / "sadness") == before


def test_a_copy_that_was_put_elsewhere_by_hand_is_none_of_rejigs_any_more(stimuli, data):
    file = rejig(stimuli, data, mode="copy").files[7]
    Path(file.source).unlink()
    mine = data / "train" / "mine" / Path(file.target).name
    mine.parent.mkdir()
    (data / file.target).rename(mine)
    plan = make_plan(stimuli, data, mode="copy")
    assert not plan.by_hand and [one.reason for one in plan.skipped] == ["removed since the last rejig"]
    assert undo_rejig(data) == (59, ()) and mine.exists()


def test_a_manifest_of_which_one_file_is_away_for_a_while_is_left_alone(stimuli, data, tmp_path):
    rejig(stimuli, data)
    for name in ("rejig.csv", "rejig.json"):
        before = tree(data)
        os.rename(data / name, tmp_path / name)
        assert name in error_of(make_plan, stimuli, data)
        os.rename(tmp_path / name, data / name)
        assert tree(data) == before
    assert undo_rejig(data) == (60, ())


def test_a_source_that_was_replaced_by_an_older_photo_counts(stimuli, data):
    """As from an archive, which keeps times."""
    file = rejig(stimuli, data, mode="copy").files[0]
    draw(Path(file.source))
    os.utime(file.source, (0, 0))
    rejig(stimuli, data, mode="copy", val_fraction=0.5)
    assert tree(stimuli)[os.path.relpath(file.source, stimuli)] in tree(data).values()
    undo_rejig(data)


def test_who_stands_in_the_data_folder_keeps_it(stimuli, data, monkeypatch):
    (data / "below").mkdir(parents=True)
    for here in (data, data / "below"):
        monkeypatch.chdir(here)
        assert "you are in it" in error_of(rejig, stimuli, data)
    assert len(tree(stimuli)) == 60 and os.listdir(data) == ["below"]
    monkeypatch.chdir(data.parent)
    rejig(stimuli, data, mode="copy")
    monkeypatch.chdir(data)
    assert rejig(stimuli, data, mode="copy").already_done, "nothing is replaced"
    assert "you are in it" in error_of(undo_rejig, data)
    assert undo_rejig(data, dry_run=True) == (60, ())


def test_a_dry_undo_counts_what_is_there(stimuli, data):
    files = rejig(stimuli, data, mode="copy").files
    (data / files[0].target).unlink()
    assert undo_rejig(data, dry_run=True) == undo_rejig(data) == (len(files) - 1, ())


def test_a_file_that_is_all_ending_is_no_image(stimuli, data):
    """No run would find it."""
    draw(stimuli / "1_Ha_.jpg").rename(stimuli / ".jpg")
    assert ".jpg" in {one.path for one in make_plan(stimuli, data).skipped}


def test_a_copy_that_is_no_better_than_its_source_and_a_source_of_another_time_only_keep_nobody_from_an_undo(stimuli, data):
    cut = stimuli / "34/34M_Ne_to_Sa_C03.JPG"
    cut.write_bytes(cut.read_bytes()[:-5])  # its header is whole: it is sorted
    plan = rejig(stimuli, data, mode="copy")
    assert str(cut) in {file.source for file in plan.files}
    cut.write_bytes(cut.read_bytes() + b" ")
    os.utime(stimuli / "34/34M_Ne_to_Sa_C04.JPG")
    assert undo_rejig(data) == (len(plan.files), ())


def test_a_photo_whose_source_was_spoiled_does_not_leave(stimuli, data):
    for number in range(4):
        draw(stimuli / f"{number}_An_.jpg")
    rejig(stimuli, data, classes=(*CLASSES, "angry=_An_"), mode="copy")
    before = tree(data)
    (stimuli / "0_An_.jpg").write_bytes(b"")
    with pytest.raises(NoodleError, match=r"0_An_\.jpg: .*their copies can"):
        rejig(stimuli, data, mode="copy")
    assert tree(data) == before


def test_another_photo_at_a_moved_photos_place(stimuli, data):
    rejig(stimuli, data)
    place = stimuli / "34/34M_Ne_to_Sa_C03.JPG"
    new = draw(place).read_bytes()
    plan = make_plan(stimuli, data)
    assert [one.path for one in plan.skipped] == ["34/34M_Ne_to_Sa_C03.JPG"]
    assert plan.already_done
    assert "34M_Ne_to_Sa_C03.JPG" in error_of(make_plan, stimuli, data, mode="copy")
    before = tree(data)
    assert "34M_Ne_to_Sa_C03.JPG" in error_of(undo_rejig, data)
    assert tree(data) == before
    rejig(stimuli, data, val_fraction=0.4)
    assert place.read_bytes() == new
    assert len(tree(data / "train")) + len(tree(data / "val")) == 60


def test_what_others_put_into_the_data_folder_stays(stimuli, data):
    (data / "cache").mkdir(parents=True)
    (data / "README.md").write_text("mine")
    (data / "cache" / "x.bin").write_text("mine too")
    rejig(stimuli, data)
    (data / "train" / "sad" / ".DS_Store").write_text("litter")
    (data / "train" / "extra").mkdir()
    (data / "train" / "extra" / "y").write_text("y")
    rejig(stimuli, data, val_fraction=0.4)
    undo_rejig(data)
    assert tree(data) == {"README.md": b"mine", "cache/x.bin": b"mine too", "train/sad/.DS_Store": b"litter",
                          "train/extra/y": b"y"}
    assert len(tree(stimuli)) == 60


def test_a_project_that_was_moved_keeps_working(stimuli, data, tmp_path):
    rejig(stimuli, data)
    (tmp_path / "new").mkdir()
    for folder in (stimuli, data):
        folder.rename(tmp_path / "new" / folder.name)
    stimuli, data = tmp_path / "new" / "stimuli", tmp_path / "new" / "classify"
    assert make_plan(stimuli, data).already_done
    undo_rejig(data, stimuli=stimuli)
    assert len(tree(stimuli)) == 60
    assert not (tmp_path / "stimuli").exists()


def test_two_at_once_one_waits_its_turn(stimuli, data):
    """Two real processes, started together: one wins, the other says so; no photo is lost."""
    before = sorted(tree(stimuli).values())
    code = ("import sys, time\nfrom pathlib import Path\nfrom noodle_tui.rejig import *\n"
            "from noodle_tui.config import RunConfig\nfrom noodle_tui.errors import NoodleError\n"
            "s, d = Path(sys.argv[1]), Path(sys.argv[2])\n"
            "p = plan_rejig(RunConfig(stimuli=s, data_dir=d))\n"
            "print('planned', flush=True); sys.stdin.readline()\n"
            "try: apply_rejig(p, check=lambda: time.sleep(.002)); print('done')\n"
            "except NoodleError as e: print(e)\n")
    both = [subprocess.Popen([sys.executable, "-c", code, stimuli, data], stdin=subprocess.PIPE, text=True,
                             stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]) for _ in range(2)]
    for one in both:
        assert one.stdout is not None
        assert one.stdout.readline() == "planned\n"
    for one in both:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    answers = sorted(one.communicate()[0].strip() for one in both)
    assert sum(answer == "done" for answer in answers) == 1
    assert "another noodle rejig" in answers[0] or "has changed since this plan" in "".join(answers)
    assert not tree(stimuli)
    assert sorted({**tree(data / "train"), **tree(data / "val")}.values()) == before


def test_a_lock_that_is_held_is_said_and_a_stale_one_doesnt_block(stimuli, data):
    plan = make_plan(stimuli, data)
    lock = data.parent / ".classify.rejig-lock"
    with open(lock, "w") as holder:
        holder.write("process 123 on node7\n")
        holder.flush()
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert "another noodle rejig (process 123 on node7) is at work" in error_of(apply_rejig, plan)
    assert not data.exists()
    apply_rejig(plan)
    assert not lock.exists()


def test_a_plan_does_not_clear_up_what_another_is_at_work_on(stimuli, data):
    staging = data.parent / ".classify.rejig-new"
    staging.mkdir()
    with locked(data):
        assert "another noodle rejig" in error_of(make_plan, stimuli, data)
    assert staging.exists()
    make_plan(stimuli, data)
    assert not staging.exists()


def test_a_plan_that_was_overtaken_is_refused(stimuli, data):
    old = make_plan(stimuli, data)
    rejig(stimuli, data)
    assert "has changed since this plan was made" in error_of(apply_rejig, old)


def test_a_photo_that_vanishes_after_the_plan_rolls_back(stimuli, data):
    plan = make_plan(stimuli, data)
    (stimuli / "34/34M_Ne_to_Sa_C03.JPG").unlink()
    before = tree(data.parent)
    assert "34M_Ne_to_Sa_C03.JPG was there when the plan was made" in error_of(apply_rejig, plan)
    assert tree(data.parent) == before


@pytest.mark.parametrize("count", [0, 10, 59, 60, 90, 119])
def test_a_stop_request_leaves_things_whole_and_resumable(stimuli, data, count):
    before = sorted(tree(stimuli).values())
    plan = make_plan(stimuli, data)
    with pytest.raises(StopRun):
        apply_rejig(plan, check=stop_after(count))
    assert data.exists() == (count >= 60)
    rejig(stimuli, data)
    assert not tree(stimuli)
    assert sorted({**tree(data / "train"), **tree(data / "val")}.values()) == before
    with pytest.raises(StopRun):
        undo_rejig(data, check=stop_after(count % 60))
    undo_rejig(data)
    assert sorted(tree(stimuli).values()) == before


def test_progress_is_told(stimuli, data):
    told: list[tuple[int, int | None]] = []
    plan = make_plan(stimuli, data, progress=lambda done, total: told.append((done, total)))
    assert (60, None) in told
    assert told[-1] == (60, 60)
    told.clear()
    apply_rejig(plan, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (60, 60)


def test_a_full_disk_is_said_before_anything_is_copied(stimuli, data, monkeypatch):
    plan = make_plan(stimuli, data, mode="copy")
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100))
    assert "no room for" in error_of(apply_rejig, plan)
    assert not data.exists()


def test_photos_that_change_from_moved_to_copied_need_room_and_copies_that_are_arranged_anew_do_not(stimuli, data, monkeypatch):
    def refusal(**options) -> str:
        plan = make_plan(stimuli, data, mode="copy", **options)
        with monkeypatch.context() as full:
            full.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100))
            try:
                apply_rejig(plan)
            except NoodleError as error:
                return str(error)
        return ""

    rejig(stimuli, data)
    assert "no room for" in refusal()
    rejig(stimuli, data, mode="copy")
    assert refusal(val_fraction=0.4) == ""


def test_a_disk_that_fills_up_leaves_nothing_half_done(stimuli, data):
    """A real limit on the size of files: copying fails in the middle."""
    with open(stimuli / "zz_Sa_.jpg", "wb") as big:
        Image.effect_noise((300, 300), 90).save(big, "JPEG")
    code = ("import resource, signal, sys\nfrom pathlib import Path\nfrom noodle_tui.rejig import *\n"
            "from noodle_tui.config import RunConfig\nfrom noodle_tui.errors import NoodleError\n"
            "p = plan_rejig(RunConfig(stimuli=sys.argv[1], data_dir=sys.argv[2], mode='copy'))\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
            "try: apply_rejig(p)\nexcept NoodleError as e: print(e)\n")
    answer = subprocess.run([sys.executable, "-c", code, stimuli, data], capture_output=True, text=True,
                            cwd=Path(__file__).parents[1])
    assert "File too large" in answer.stdout, answer.stderr
    assert answer.stdout.count("\n") == 1
    assert sorted(p.name for p in data.parent.iterdir()) == ["stimuli"]


@pytest.mark.parametrize(("error", "says"), [
    (OSError(28, "No space left on device", "a\nb"), r"can't rejig x: No space left on device: a\nb"),
    (OSError(28, "No space left on device"), "can't rejig x: No space left on device"), (OSError("odd"), "can't rejig x: odd"),
])
def test_what_a_disk_refuses_is_one_line_with_the_file_where_it_is_known(error, says):
    with pytest.raises(NoodleError) as raised, errors_in_words("rejig x"):
        raise error
    assert str(raised.value) == says


def test_how_a_data_folder_was_made_is_known_afterwards(stimuli, data):
    assert rejig_options(data) is None
    (stimuli / "34" / "34M_Sa_.jpg").touch()
    rejig(stimuli, data, mode="copy", split_by="person", val_fraction=0.3)
    made = rejig_options(data)
    assert made is not None
    assert (made["mode"], made["split_by"], made["val_fraction"], made["seed"]) == ("copy", "person", 0.3, 42)
    assert made["left_out"] == {"unreadable (the file is empty)": 1}
    assert sorted(made["classes"]) == ["happy=_Ha_", "sad=_Sa_"]
    file = data / "rejig.json"
    file.write_text(file.read_text().replace('"split_by": "person"', '"split_by": "moon"').replace('"seed": 42', '"seed": "x"'))
    assert not {"split_by", "seed"} & (rejig_options(data) or made).keys()
    odd = {"true": True, "less than none": -1, "many": "many", "two": 2}
    file.write_text(json.dumps({**json.loads(file.read_text()), "left_out": odd}))
    assert (rejig_options(data) or made)["left_out"] == {"two": 2}


def its_photo(data: Path) -> tuple[Path, Path]:
    """The first photo in the data folder, and its source."""
    file = files_in(data)[0]
    return data / file.target, Path(file.source)


@pytest.mark.parametrize(("mode", "other"), [
    ("link", "a file"), ("move", "a folder"), ("copy", "a folder"), ("link", "a folder"), ("move", "a link"),
    ("copy", "a link"),
])
def test_an_undo_leaves_what_is_no_longer_what_rejig_made(stimuli, data, mode, other):
    rejig(stimuli, data, mode=mode)
    photo, _ = its_photo(data)
    photo.unlink()
    if other == "a file":
        photo.write_bytes(b"mine")
    elif other == "a folder":
        photo.mkdir()
    else:
        photo.symlink_to("mine")
    undo_rejig(data)
    assert os.path.lexists(photo)


def test_an_undo_keeps_the_only_copy_where_its_source_became_a_link_to_it(stimuli, data):
    rejig(stimuli, data, mode="copy")
    photo, source = its_photo(data)
    content = photo.read_bytes()
    source.unlink()
    source.symlink_to(photo)
    assert undo_rejig(data) == (59, ())
    assert photo.read_bytes() == content


def test_a_file_that_comes_to_a_photos_old_place_while_it_is_undone_keeps_photo_and_manifest(stimuli, data):
    rejig(stimuli, data)
    photo, source = its_photo(data)

    def another_comes() -> None:
        if not source.exists():
            source.write_bytes(b"other")

    assert "another file stands at" in error_of(undo_rejig, data, check=another_comes)
    assert source.read_bytes() == b"other" and photo.exists() and its_photo(data) == (photo, source)


def test_an_arrangement_that_was_set_aside_comes_back_where_an_empty_folder_stands(stimuli, data):
    rejig(stimuli, data)
    data.rename(data.parent / ".classify.rejig-old")
    data.mkdir()
    assert make_plan(stimuli, data).already_done


def test_files_of_the_same_name_are_numbered_where_two_arrangements_become_one(stimuli, data):
    rejig(stimuli, data)
    aside = data.parent / ".classify.rejig-old"
    shutil.copytree(data, aside, copy_function=os.link)  # as a kill leaves it once the new one is published
    (aside / "README.md").write_text("old")
    for name in ("README.md", "1-README.md"):
        (data / name).write_text(name)
    assert make_plan(stimuli, data).already_done
    assert {p.name: p.read_text() for p in data.glob("*.md")} == {
        "README.md": "README.md", "1-README.md": "1-README.md", "2-README.md": "old"}
    assert not aside.exists()


def test_a_plan_is_applied_after_a_later_rejig_was_killed(stimuli, data):
    plan = make_plan(stimuli, data)
    (data.parent / ".classify.rejig-new" / "train" / "sad").mkdir(parents=True)
    apply_rejig(plan)
    assert make_plan(stimuli, data).already_done


def test_a_lock_that_is_a_link_is_not_followed(stimuli, data, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("kept")
    (tmp_path / ".classify.rejig-lock").symlink_to(outside)
    assert "can't" in error_of(rejig, stimuli, data)
    assert outside.read_text() == "kept"


def test_a_data_folder_that_is_ones_own_stays_closed_to_others(stimuli, data):
    data.mkdir(mode=0o700)
    rejig(stimuli, data)
    assert data.stat().st_mode & 0o777 == 0o700


def test_a_disk_that_knows_no_rights_takes_photos_all_the_same(stimuli, data, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refuse)
    plan = rejig(stimuli, data)
    assert files_in(data) == plan.files


def test_a_lock_that_its_holder_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    lock, flock = tmp_path / ".classify.rejig-lock", fcntl.flock
    lock.touch()

    def late(handle: int, how: int) -> None:  # its holder ends between our open and our lock
        monkeypatch.setattr(fcntl, "flock", flock)
        lock.unlink()
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(tmp_path / "classify"):
        assert lock.exists()


def test_a_lock_on_a_full_disk_is_held_without_a_name_and_let_go(tmp_path, monkeypatch):
    """Kept by an app, it would refuse each later rejig there: another were at work."""
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    data, another_is_at_work = tmp_path / "classify", pytest.raises(NoodleError, match="another noodle rejig is at work")
    for _ in range(2):
        with locked(data), another_is_at_work, locked(data):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_removed_while_it_is_held(tmp_path, monkeypatch):
    """Later it could be another one's."""
    lock, close, there = tmp_path / ".classify.rejig-lock", os.close, list[bool]()
    with locked(tmp_path / "classify"):
        monkeypatch.setattr(os, "close", lambda handle: (there.append(lock.exists()), close(handle)))
    assert there == [False]


def test_a_photo_that_changed_since_it_was_compared_is_compared_anew(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for content, same in ((b"1", True), (b"2", False)):
        one.write_bytes(b"1")
        other.write_bytes(content)
        for file in (one, other):
            os.utime(file, (1, 1))  # size and time are no witnesses
        assert same_photo(str(one), str(other)) == same


@pytest.mark.parametrize(("private", "mode"), [("", 0o755), ("stimuli", 0o700), ("above", 0o700)])
def test_a_new_data_folder_is_no_more_open_than_the_photos(private, mode):
    before = os.umask(0o022)
    try:
        with tempfile.TemporaryDirectory() as name:  # pytest keeps its own folders to itself
            place = Path(name)
            place.chmod(0o755)
            above, stimuli, data = place / "above", place / "above" / "stimuli", place / "sorted"
            draw_seed_like(stimuli)
            if private:
                (stimuli if private == "stimuli" else above).chmod(0o700)
            rejig(stimuli, data, mode="copy")
            assert data.stat().st_mode & 0o777 == mode
            assert (data / "train").stat().st_mode & 0o777 == 0o755
    finally:
        os.umask(before)


def test_while_photos_are_copied_nobody_else_sees_them(stimuli, data):
    modes = []
    plan = make_plan(stimuli, data, mode="copy")
    apply_rejig(plan, check=lambda: modes.extend(folder.stat().st_mode & 0o777 for folder in data.parent.glob(".*rejig-new")))
    assert modes and set(modes) == {0o700}


def test_a_folder_that_is_not_ours_is_refused_before_anything_is_done(stimuli, data, monkeypatch):
    rejig(stimuli, data, mode="copy")
    before = tree(data)
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: real(path, mode) and str(path) != str(data / "val" / "sad"))
    assert "val/sad can't be changed: it belongs to " in error_of(rejig, stimuli, data, mode="copy", seed=3)
    assert tree(data) == before
