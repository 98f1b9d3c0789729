"""The images of a data folder: who is on them and at which level, also where rejig named them anew."""

import itertools
import json
from pathlib import Path

import pytest
from conftest import draw_data_folder, draw_face, load_folder
from test_dataset import CPU

from noodle_tui.config import DEFAULT_PERSON, RunConfig
from noodle_tui.listeners.comet import parameters
from noodle_tui.rejig import apply_rejig, plan_rejig
from noodle_tui.samples import Sample, class_folders, find_samples, options_told, order_fingerprint, unread_options


def sorted_photos(place: Path, **options: object) -> RunConfig:
    """Eight people, the same names in a folder of each class, sorted by rejig."""
    for person in range(1, 9):
        for name, token in (("Happy", "Ha"), ("Sad", "Sa")):
            draw_face(place / "stimuli" / name / f"img0{person}-p{person}_C0{person}.JPG", f"{person:02}F", token, person)
    config = RunConfig(stimuli=place / "stimuli", data_dir=place / "sorted", mode="copy", val_fraction=0.3,
                       classes=("happy=Happy/", "sad=Sad/"), **options)  # type: ignore[arg-type]
    apply_rejig(plan_rejig(config))
    return config


def test_levels_are_those_of_the_photos_that_rejig_named_anew(tmp_path: Path) -> None:
    config = sorted_photos(tmp_path)
    samples = find_samples(config.data_dir, DEFAULT_PERSON).samples
    assert sorted(sample.level or 0 for split in samples.values() for sample in split) == sorted([*range(1, 9)] * 2)


def test_people_are_told_by_the_regex_that_is_given_also_of_photos_that_were_sorted_by_another(tmp_path: Path) -> None:
    def people(regex: str) -> set[str | None]:
        samples = find_samples(config.data_dir, regex).samples
        return {sample.person for split in samples.values() for sample in split}

    config = sorted_photos(tmp_path, person=r"-(p\d)_")
    assert people(DEFAULT_PERSON) == {f"p{i}" for i in range(1, 9)}, "rejig's own, where none is given"
    assert people("^([^/]+)/") == {"Happy", "Sad"}, "the given one sees the path below the stimuli"


def test_what_is_told_of_a_run_is_how_its_photos_were_sorted(tmp_path: Path) -> None:
    config = sorted_photos(tmp_path, split_by="person", person=r"-(p\d)_")
    later = RunConfig(data_dir=config.data_dir)
    for told in (options_told(later), parameters(later)):
        assert (told["split_by"], told["mode"], told["val_fraction"]) == ("person", "copy", 0.3)
    assert options_told(later)["person"] == r"-(p\d)_"
    (config.data_dir / "rejig.json").write_text(json.dumps("broken"))
    assert "split_by" not in options_told(later), "what is wrong with it is told when the photos are looked at"


def test_photos_in_linked_folders_are_found_each_folder_once(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    for split in ("train", "val"):
        for name in ("happy", "sad"):
            draw_face(data_dir / split / name / "01F_Ha_C01.JPG", "01F", "Ha", 1)
    draw_face(tmp_path / "elsewhere" / "02F_Ha_C02.JPG", "02F", "Ha", 2)
    happy = data_dir / "train" / "happy"
    (happy / "session2").symlink_to(tmp_path / "elsewhere")
    (happy / "session3").symlink_to(tmp_path / "elsewhere")
    (happy / "circle").symlink_to(happy)
    (happy / "up").symlink_to(data_dir / "train")  # not by way of it: sad's photos would be happy ones
    samples = find_samples(data_dir, DEFAULT_PERSON).samples
    assert [s.name for s in samples["train"] if s.label == 0] == [
        "train/happy/01F_Ha_C01.JPG", "train/happy/session2/02F_Ha_C02.JPG"]


def test_a_hidden_folder_is_no_class(tmp_path: Path) -> None:
    for place in ("train/a", "train/b", "train/.ipynb_checkpoints", "val/a", "val/b"):
        (tmp_path / place).mkdir(parents=True)
    assert class_folders(tmp_path) == ["a", "b"]


@pytest.mark.parametrize(("name", "people"), [("happy_{}.jpg", {None}), ("ann{}_x.jpg", {"ann1", "ann2"})])
def test_a_class_in_front_of_a_name_is_nobody(tmp_path: Path, name: str, people: set[str | None]) -> None:
    for split, label, number in itertools.product(("train", "val"), ("happy", "sad"), (1, 2)):
        draw_face(tmp_path / split / label / name.replace("happy", label).format(number), "01F", "Sa", number)
    found = find_samples(tmp_path, DEFAULT_PERSON).samples
    assert {one.person for split in found.values() for one in split} == people


def test_what_systems_keep_among_photos_is_no_photo(tmp_path: Path) -> None:
    data = draw_data_folder(tmp_path / "data")
    mine = find_samples(data, DEFAULT_PERSON).samples
    for place in ("@eaDir/1.jpg/THUMB.jpg", ".ipynb_checkpoints/1.jpg", "._1.jpg"):
        photo = data / "train" / "sad" / place
        photo.parent.mkdir(parents=True, exist_ok=True)
        photo.write_bytes(b"not a photo")
    assert find_samples(data, DEFAULT_PERSON).samples == mine


def test_names_that_are_not_utf_8_are_told_apart_in_the_order() -> None:
    one, other = (Sample(Path(name), name, 0, None, None) for name in ("a\udc80", "a\udc81"))
    assert order_fingerprint([one]) != order_fingerprint([other])


def test_of_options_for_nothing_those_are_told_that_say_something_else_than_rejig_did(tmp_path: Path) -> None:
    config = sorted_photos(tmp_path)
    (tmp_path / "link").symlink_to(config.stimuli)
    assert unread_options(RunConfig(stimuli=tmp_path / "link", data_dir=config.data_dir, mode="copy")) == ""
    assert unread_options(RunConfig(data_dir=config.data_dir, mode="move")).startswith("--mode: not used, since")
    assert unread_options(RunConfig(data_dir=config.data_dir, mode="move", rejig_data=True)) == "", "it is asked for"
    assert unread_options(RunConfig(data_dir=config.data_dir, classes=config.classes[::-1])) == ""
    (config.data_dir / "rejig.json").write_text("broken")
    assert unread_options(RunConfig(data_dir=config.data_dir, mode="copy")).startswith("--mode: not used, since")


def test_photos_that_came_into_a_sorted_folder_by_hand_are_counted(tmp_path: Path) -> None:
    config = sorted_photos(tmp_path)
    assert find_samples(config.data_dir, DEFAULT_PERSON).by_hand == 0
    assert find_samples(draw_data_folder(tmp_path / "own"), DEFAULT_PERSON).by_hand == 0, "rejig has no part in it"
    draw_face(config.data_dir / "train" / "sad" / "later" / "09F_Sa_C03.JPG", "09F", "Sa", 3)
    assert find_samples(config.data_dir, DEFAULT_PERSON).by_hand == 1
    assert load_folder(config.data_dir, 32, CPU).by_hand == 1
