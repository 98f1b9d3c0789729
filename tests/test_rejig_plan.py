"""Rejig's plan: which photos, which split, which names, and what is said. On real files."""

import os
import threading
import unicodedata
from hashlib import sha1
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_stimuli import ODD_NAMES, draw, draw_seed_like, error_of, have_pil_warn, make_plan, rejig, splits, stop_after, tree
from PIL import Image
from powerless import powerless

from noodle_tui.errors import NoodleError, StopRun
from noodle_tui.rejig import plan_in_words
from noodle_tui.rejig.scan import FIRST_LOOK, by_reason, unreadable
from noodle_tui.rejig.split import hold_out_files, hold_out_people
from noodle_tui.rejig.target_names import target_names


def test_planning_touches_nothing(stimuli, data):
    before = tree(data.parent)
    make_plan(stimuli, data)
    assert tree(data.parent) == before
    assert not data.exists()


def test_the_token_is_looked_for_in_the_files_own_name(stimuli, data):
    draw(stimuli / "_Sa_" / "deep" / "er" / "01F_Ne_to_Ha_C01.jpg")
    draw(stimuli / "01F_Ne_to_Sa_C01.PnG", "PNG")
    plan = make_plan(stimuli, data)
    labels = {Path(file.source).name: file.label for file in plan.files}
    assert labels["01F_Ne_to_Ha_C01.jpg"] == "happy"
    assert labels["01F_Ne_to_Sa_C01.PnG"] == "sad"


def test_what_is_skipped_and_why(stimuli, data, tmp_path):
    draw(stimuli / "no_token.jpg")
    draw(stimuli / "a_Sa_x.jpg")
    draw(stimuli / "b_Sa__Ha_.jpg")
    (stimuli / "notes_Sa_.txt").write_text("hello")
    (stimuli / "zero_Sa_.jpg").touch()
    (stimuli / "text_Sa_.jpg").write_text("no image")
    Image.new("RGB", (1, 1)).save(stimuli / "dot_Sa_.png")
    Image.new("L", (9, 9)).save(stimuli / "film_Sa_.gif", save_all=True, append_images=[Image.new("L", (9, 9), 255)])
    (stimuli / "folder_Sa_.jpg").mkdir()
    draw(stimuli / "folder_Sa_.jpg" / "in_Sa_side.jpg")
    (stimuli / "dangling_Sa_.jpg").symlink_to("nowhere")
    (stimuli / "link_Sa_.jpg").symlink_to(draw(tmp_path / "outside" / "x_Sa_.jpg"))
    (stimuli / "linked_folder").symlink_to(tmp_path / "outside")
    os.mkfifo(stimuli / "pipe_Sa_.jpg")
    plan = make_plan(stimuli, data)
    assert {one.path: one.reason for one in plan.skipped} == {
        "no_token.jpg": "no class's token in its name",
        "b_Sa__Ha_.jpg": "tokens of two classes or more in its name (sad, happy)",
        "notes_Sa_.txt": "not an image",
        "pipe_Sa_.jpg": "not an image",
        "zero_Sa_.jpg": "unreadable (the file is empty)",
        "text_Sa_.jpg": "unreadable (not an image, whatever its ending says)",
        "dot_Sa_.png": "1 x 1 pixels are too few",
        "film_Sa_.gif": "an animation, not a photo",
        "dangling_Sa_.jpg": "a link (links are not followed)",
        "link_Sa_.jpg": "a link (links are not followed)",
        "linked_folder": "a link (links are not followed)",
    }
    assert plan.count("train") + plan.count("val") == 62  # 60, a_Sa_x.jpg and in_Sa_side.jpg
    words = "\n".join(plan_in_words(plan))
    assert "left out: 11 files" in words
    assert "1 file, unreadable (the file is empty): zero_Sa_.jpg" in words


@pytest.mark.parametrize("limit", [10, 50])  # of 80 pixels: Pillow refuses twice its limit by itself
def test_a_photo_of_too_many_pixels_is_skipped(stimuli, data, monkeypatch, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    path = draw(stimuli / "a_Sa_.jpg").name
    assert "pixels" in unreadable(str(stimuli), [path], lambda: None, lambda done, total: None)[path]


@pytest.mark.parametrize("waits", [False, True], ids=["a disk of its own", "a network's disk"])
def test_headers_are_read_by_threads_where_each_is_waited_for(stimuli, monkeypatch, waits: bool):
    names = [f"{i:04}_Sa_.jpg" for i in range(1500)]
    own, others, worked = list[str](), list[str](), 0.0

    def trouble(path: str, whole: bool) -> str:
        nonlocal worked
        worked += 1
        (own if threading.current_thread() is threading.main_thread() else others).append(path)
        return f"no photo: {Path(path).name}"

    monkeypatch.setattr("noodle_tui.rejig.scan._trouble", trouble)
    monkeypatch.setattr("noodle_tui.rejig.scan.time", SimpleNamespace(
        thread_time=lambda: worked, perf_counter=lambda: worked * (3 if waits else 1)))
    found = unreadable(str(stimuli), names, lambda: None, lambda done, total: None)
    assert found == {name: f"no photo: {name}" for name in names}
    assert (len(own), len(others)) == ((FIRST_LOOK, 1500 - FIRST_LOOK) if waits else (1500, 0))
    assert unreadable(str(stimuli), [], lambda: None, lambda done, total: None) == {}


def test_what_nobody_has_the_right_to_read_is_skipped(stimuli, data):
    draw(stimuli / "locked_Sa_.jpg").chmod(0)
    (stimuli / "hidden").mkdir(mode=0)
    plan = powerless(lambda: make_plan(stimuli, data))
    assert {one.path: one.reason for one in plan.skipped} == {
        "locked_Sa_.jpg": "unreadable (permission denied)", "hidden": "unreadable folder (permission denied)"}


def test_odd_names_are_escaped_where_they_are_shown(stimuli, data):
    for name in ODD_NAMES:
        (stimuli / os.fsdecode(name)).touch()
    lines = plan_in_words(make_plan(stimuli, data))
    assert all(line.isprintable() for line in lines)
    line = next(line for line in lines if "unreadable" in line)
    assert "8 files, unreadable (the file is empty)" in line
    assert line.endswith(", …")  # five examples


def test_same_names_are_kept_apart_and_stay_the_same(stimuli, data):
    places = ["a/01F_Ne_to_Sa_C01.JPG", "b/01F_Ne_to_Sa_C01.JPG", "c/01f_ne_to_Sa_c01.jpg"]
    for place in places:
        draw(stimuli / place)
    names = {f.source[len(str(stimuli)) + 1:]: Path(f.target).name for f in make_plan(stimuli, data).files}
    mine = {place: names[place] for place in places}
    assert len({name.lower() for name in mine.values()}) == 3
    assert mine[places[0]].startswith("01F_Ne_to_Sa_C01-")
    assert mine[places[0]].endswith(".JPG")
    plan = rejig(stimuli, data, val_fraction=0.4)
    assert {f.source[len(str(stimuli)) + 1:]: Path(f.target).name for f in plan.files} == names


def test_the_split_is_stratified_exact_and_seeded(tmp_path, data):
    stimuli = tmp_path / "stimuli"
    for number in range(37):
        draw(stimuli / f"a{number}_Sa_.jpg")
    for number in range(11):
        draw(stimuli / f"a{number}_Ha_.jpg")
    plan = make_plan(stimuli, data, val_fraction=0.3)
    assert (plan.count("val", "sad"), plan.count("val", "happy")) == (11, 3)
    assert splits(make_plan(stimuli, data, val_fraction=0.3)) == splits(plan)
    assert splits(make_plan(stimuli, data, val_fraction=0.3, seed=43)) != splits(plan)
    tiny = make_plan(stimuli, data, val_fraction=0.001)
    assert (tiny.count("val", "sad"), tiny.count("val", "happy")) == (1, 1)
    huge = make_plan(stimuli, data, val_fraction=0.999)
    assert (huge.count("train", "sad"), huge.count("train", "happy")) == (1, 1)


def test_the_split_is_the_same_for_a_macs_copy_of_the_photos(tmp_path):
    """Which writes "Zoë" in another form, and so sorts it elsewhere."""
    names = [f"{person}_Ne_to_{feeling}_C{step:02}.jpg" for person in ("Zoë", "Zoltan", "Émile", "Erik", "Fritz", "Åsa")
             for feeling in ("Ha", "Sa") for step in range(3)]
    held_out = []
    for form in ("NFC", "NFD"):
        for name in names:
            draw(tmp_path / form / unicodedata.normalize(form, name))
        plan = make_plan(tmp_path / form, tmp_path / "data", val_fraction=0.3)
        held_out.append({unicodedata.normalize("NFC", name) for name, split in splits(plan).items() if split == "val"})
    assert held_out[0] == held_out[1]


def test_what_systems_keep_among_photos_is_no_photo(stimuli, data):
    mine = {file.source for file in make_plan(stimuli, data).files}
    theirs = [".Trash-1000/files/34M_Ne_to_Sa_C00.JPG", "34/.ipynb_checkpoints/34M_Ne_to_Sa_C01.JPG",
              "34/._34M_Ne_to_Sa_C01.JPG", "34/@eaDir/34M_Ne_to_Sa_C01.JPG/SYNOPHOTO_THUMB_XL_Sa_.jpg"]
    for name in theirs:
        draw(stimuli / name)
    plan = make_plan(stimuli, data)
    assert {file.source for file in plan.files} == mine
    assert by_reason((one.reason, one.path) for one in plan.skipped) == {
        "a hidden folder, or a system's own": [".Trash-1000", "34/.ipynb_checkpoints", "34/@eaDir"],
        "not a photo but a system's note on one": ["34/._34M_Ne_to_Sa_C01.JPG"]}


def test_the_split_depends_neither_on_the_place_nor_on_what_was_moved(stimuli, data, tmp_path):
    first = make_plan(stimuli, data)
    (tmp_path / "elsewhere").mkdir()
    draw_seed_like(tmp_path / "elsewhere" / "photos")
    assert splits(make_plan(tmp_path / "elsewhere" / "photos", data)) == splits(first)
    rejig(stimuli, data, val_fraction=0.5, seed=1)
    assert splits(make_plan(stimuli, data)) == splits(first)


def test_split_by_person_holds_out_whole_people_near_the_fraction(tmp_path, data):
    stimuli = tmp_path / "stimuli"
    draw_seed_like(stimuli, tuple(f"{n:02d}F" for n in range(15)), steps=2)
    draw_seed_like(stimuli, ("90M", "91M"), steps=5)
    plan = make_plan(stimuli, data, split_by="person", val_fraction=0.25)
    assert not plan.people_in_both
    assert plan.people("val")
    assert len(plan.people("train") | plan.people("val")) == 17
    for label in plan.classes:
        assert plan.count("val", label) / 40 == pytest.approx(0.25, abs=0.001)
    assert splits(make_plan(stimuli, data, split_by="person", val_fraction=0.25)) == splits(plan)


def test_split_by_person_keeps_every_class_on_both_sides_where_people_have_one_class(tmp_path, data):
    stimuli = tmp_path / "stimuli"
    for person, feeling in (("1", "Sa"), ("2", "Sa"), ("3", "Ha"), ("4", "Ha"), ("5", "Ha")):
        draw(stimuli / f"{person}_{feeling}_x.jpg")
    plan = make_plan(stimuli, data, split_by="person", person=r"^(\d)")
    assert all(plan.count(split, label) for split in ("train", "val") for label in plan.classes)


def test_a_leak_is_said_with_its_numbers(stimuli, data):
    words = "\n".join(plan_in_words(make_plan(stimuli, data, val_fraction=0.5)))
    assert "60 photos of 6 people" in words
    assert "! 6 of 6 people are in both train and val: validation accuracy then measures memory for known faces" in words
    assert "--split-by person" in words
    assert "both" not in "\n".join(plan_in_words(make_plan(stimuli, data, split_by="person", val_fraction=0.5)))
    for photo in stimuli.rglob("*.JPG"):
        if not photo.name.startswith("07F"):
            photo.unlink()
    assert "! 1 of 1 person is in both train and val" in "\n".join(plan_in_words(make_plan(stimuli, data, val_fraction=0.5)))


def test_a_class_in_front_of_a_name_is_nobody(tmp_path, data):
    for name in ("anna/smile_1", "anna/smile_2", "bert/frown_1", "bert/frown_2"):
        draw(tmp_path / "mine" / f"{name}.jpg")
    options = {"classes": ("happy=smile", "sad=frown"), "val_fraction": 0.5}
    assert "! no name tells who is on a photo" in "\n".join(plan_in_words(make_plan(tmp_path / "mine", data, **options)))
    with pytest.raises(NoodleError, match="no photo's name tells its person"):
        make_plan(tmp_path / "mine", data, split_by="person", **options)


def test_photos_that_lie_in_a_folder_a_class(tmp_path, data):
    for number in range(4):
        for folder in ("Happy", "Sad"):
            draw(tmp_path / "mine" / folder / f"IMG {number}.jpg")
    plan = make_plan(tmp_path / "mine", data, classes=("happy=Happy/", "sad=Sad/"), person="(nobody)")
    assert {(Path(file.source).parent.name, file.label) for file in plan.files} == {("Happy", "happy"), ("Sad", "sad")}
    assert "no name tells who is on a photo" in plan_in_words(plan)[-1]
    error = error_of(make_plan, tmp_path / "mine", data, classes=("happy=Happy", "sad=Sad"))
    assert "folders count where a token ends in a slash, as in --class happy=FOLDER/" in error
    error = error_of(make_plan, tmp_path / "mine", data, classes=("happy=IMG", "number= ", "sad=none"))
    assert "8 files with 'IMG' in its own name can't be used (skipped: 8 tokens of two classes or more in its name" in error
    error = error_of(make_plan, tmp_path / "mine", data, classes=("happy=img", "sad=none"))
    assert "8 files have it in other letters: capitals count" in error


def test_photos_of_nobody_known_are_counted_and_take_no_part_where_people_are_held_out(stimuli, data):
    draw(stimuli / "x-_Sa_.jpg")
    words = "\n".join(plan_in_words(make_plan(stimuli, data, person=r"/(\d\d[MF])_")))
    assert "; 1 photo of nobody known" in words
    plan = make_plan(stimuli, data, person=r"/(\d\d[MF])_", split_by="person")
    assert [(one.path, one.reason) for one in plan.skipped] == [("x-_Sa_.jpg", "no person in its name")]
    assert "x-_Sa_.jpg" not in splits(plan) and len(plan.files) == 60


@pytest.mark.parametrize(("changes", "words"), [
    ({"classes": ("sad=_Sa_", "angry=_An_")}, "no photo of class angry in"),
    ({"split_by": "person", "person": r"(nobody)"}, "no photo's name tells its person"),
    ({"split_by": "person", "person": r"(_Ne_)"}, "are of one person (_Ne_)"),
])
def test_options_that_dont_fit_the_photos(stimuli, data, changes, words):
    assert words in error_of(make_plan, stimuli, data, **changes)


def test_folders_that_cant_be_used(stimuli, data, tmp_path):
    assert "does not exist" in error_of(make_plan, tmp_path / "none", data)
    assert "is not a folder" in error_of(make_plan, draw(tmp_path / "file.jpg"), data)
    assert "is not a folder" in error_of(make_plan, stimuli, tmp_path / "file.jpg")
    for inside in (stimuli, stimuli / "34", stimuli / "new", tmp_path):
        assert "inside each other" in error_of(make_plan, stimuli, inside)
    (tmp_path / "alias").symlink_to(stimuli)
    assert "inside each other" in error_of(make_plan, stimuli, tmp_path / "alias" / "x")
    draw(data / "val" / "sad" / "x.jpg")
    assert "was not made by noodle rejig: choose another --data-dir or move it away" in error_of(make_plan, stimuli, data)
    one = draw(tmp_path / "one" / "a_Sa_.jpg").parent
    draw(one / "b_Ha_.jpg")
    assert "only one photo of class happy" in error_of(make_plan, one, tmp_path / "d")


def test_a_mount_point_is_refused(stimuli, data, monkeypatch):
    data.mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda folder: folder == data)
    assert "is a mount point" in error_of(make_plan, stimuli, data)


def test_no_right_to_write_is_said_before_anything_is_moved_and_only_where_something_is_to_be_done(stimuli, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(0o555)
    assert "no right to write in" in powerless(lambda: error_of(make_plan, stimuli, place / "classify", mode="copy"))
    place.chmod(0o755)
    rejig(stimuli, place / "classify", mode="copy")
    place.chmod(0o555)
    assert powerless(lambda: make_plan(stimuli, place / "classify", mode="copy")).already_done
    place.chmod(0o755)


def test_a_link_that_leads_elsewhere_since_is_made_anew(stimuli, data, tmp_path):
    plan = rejig(stimuli, data, mode="link")
    link = data / plan.files[0].target
    link.unlink()
    link.symlink_to(draw(tmp_path / "other.jpg"))
    again = make_plan(stimuli, data, mode="link")
    assert (again.already_done, again.new) == (False, 1)


def test_a_photo_that_was_removed_since_the_last_rejig_is_told(stimuli, data):
    plan = rejig(stimuli, data, mode="copy")
    for file in (Path(plan.files[0].source), data / plan.files[0].target):
        file.unlink()
    path = Path(plan.files[0].source).relative_to(stimuli).as_posix()
    assert {one.path: one.reason for one in make_plan(stimuli, data, mode="copy").skipped} == {
        path: "removed since the last rejig"}


@pytest.mark.parametrize("paths", [
    ["a/\N{LATIN SMALL LETTER E WITH ACUTE}.jpg", "b/e\N{COMBINING ACUTE ACCENT}.jpg"],  # one name on some disks
    ["a/x.jpg", "b/x.jpg", f"c/x-{sha1(b'a/x.jpg').hexdigest()[:8]}.jpg"],
])
def test_names_that_some_disk_holds_for_the_same_are_kept_apart(paths):
    assert len({unicodedata.normalize("NFC", name) for name in target_names(paths)}) == len(paths)


def test_a_data_folder_that_was_made_from_other_stimuli_is_refused(stimuli, data, tmp_path):
    rejig(stimuli, data, mode="copy")
    draw_seed_like(tmp_path / "other")
    assert "was made from" in error_of(make_plan, tmp_path / "other", data)
    missing = error_of(make_plan, tmp_path / "mistyped", data)
    assert missing.startswith(f"the stimuli folder {tmp_path / 'mistyped'} does not exist")
    assert missing.endswith("see --stimuli")


def test_planning_can_be_stopped_too(stimuli, data):
    with pytest.raises(StopRun):
        make_plan(stimuli, data, check=stop_after(5))


def test_broken_headers_are_found_in_threads_without_a_warning(stimuli, data, recwarn):
    for number, photo in enumerate(sorted(stimuli.rglob("*.JPG"))):
        if number % 3 == 0:
            photo.write_bytes(photo.read_bytes()[:number])
    have_pil_warn(max(stimuli.rglob("*.JPG")))
    threads = threading.active_count()
    plan = make_plan(stimuli, data)
    assert len(plan.skipped) == 20
    assert threading.active_count() == threads
    assert not recwarn.list


@pytest.mark.parametrize("val_fraction", [0.3, 0.7])
def test_people_who_can_not_be_split_are_said(val_fraction):
    """Of each class there are two people, and each of them has photos of another class, too."""
    with pytest.raises(NoodleError, match="no choice of whole people leaves photos of every class both"):
        hold_out_people(["x", "x", "y", "y", "z", "z"], ["1", "2", "2", "3", "1", "3"], val_fraction, 42)


def test_a_later_version_holds_out_the_same():
    """Chosen by the first version: whoever changes it has people's data folders sorted anew. A class may have two photos."""
    assert hold_out_files(["a"] * 6 + ["b"] * 9 + ["c"] * 2, 0.3, 42) == {2, 3, 8, 12, 13, 15}
    photos = [(f"p{i}", label) for i in range(12) for label in ["x"] * (3 + i % 2) + ["y"] * (2 + i % 3)]
    people, labels = zip(*photos, strict=True)
    assert hold_out_people(labels, people, 0.25, 42) == {"p0", "p4", "p5"}
    assert hold_out_people(labels, people, 0.25, 43) == {"p8", "p9", "p10"}
