"""Invented people: named and foldered as the seed's, the same from the same seed, harder to tell apart the lower the step."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from noodle_tui.cli import call
from noodle_tui.config import make_config
from noodle_tui.demo.portrait import draw
from noodle_tui.demo.stimuli import (
    demo_config_values,
    draw_stimuli,
    expression,
    invent_person,
    new_demo_folder,
    random_look,
    refuse_sorted_others,
    strength,
)
from noodle_tui.errors import NoodleError, StopRun
from noodle_tui.names import classes_in, level_in


def picture(number: int, emotion: str, level: int, look: str = "same") -> np.ndarray:
    """Person `number` of seed 42 as int16 [h, w, 3]."""
    person = invent_person(number, seed=42)
    image = draw(person, expression(emotion, person.vigour * strength(level)), random_look(random.Random(look)))
    return np.asarray(image).astype(np.int16)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.JPG")}


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "stimuli"
    draw_stimuli(folder, people=2)
    return folder


def test_names_and_folders_are_the_seeds(stimuli: Path) -> None:
    expected = {f"{who[:2]}/{who}_Ne_to_{emotion}_C{level:02d}.JPG"
                for who in ("01F", "02M") for emotion in ("Ha", "Sa") for level in range(20)}
    assert set(contents(stimuli)) == expected
    assert {path.name for path in stimuli.rglob("*") if path.is_file()} == {Path(name).name for name in expected}
    tokens = {"sad": "_Sa_", "happy": "_Ha_"}
    assert Counter(tuple(classes_in(Path(name).name, tokens)) for name in expected) == {("sad",): 40, ("happy",): 40}
    assert {level_in(name) for name in expected} == set(range(20))


def test_pictures_are_upright_colour_jpegs_that_say_what_they_are(stimuli: Path) -> None:
    for path in stimuli.rglob("*.JPG"):
        with Image.open(path) as image:
            image.load()
            assert (image.format, image.mode) == ("JPEG", "RGB")
            assert image.width / image.height == pytest.approx(506 / 650, abs=0.01)
            assert b"does not exist" in image.info["comment"]


def test_same_seed_same_bytes_other_seed_other_people(stimuli: Path, tmp_path: Path) -> None:
    draw_stimuli(tmp_path / "again", people=1)
    draw_stimuli(tmp_path / "other", people=1, seed=7)
    first = {name: data for name, data in contents(stimuli).items() if name.startswith("01/")}
    assert contents(tmp_path / "again") == first
    assert all(data != first[name] for name, data in contents(tmp_path / "other").items())


def test_progress_and_count(tmp_path: Path) -> None:
    said: list[tuple[int, int | None]] = []
    assert draw_stimuli(tmp_path, people=1, progress=lambda done, total: said.append((done, total))) == 40
    assert said == [(done, 40) for done in range(1, 41)]


def test_neutral_is_the_same_in_both_classes_and_each_step_moves_further_from_it() -> None:
    for number in (1, 4):
        neutral = picture(number, "Ha", 0)
        assert np.array_equal(neutral, picture(number, "Sa", 0))
        for emotion in ("Ha", "Sa"):
            moved = [float(np.abs(picture(number, emotion, level) - neutral).mean()) for level in (1, 5, 10, 19)]
            assert moved == sorted(moved)
            assert 0 < moved[0] < moved[-1] / 4


def test_a_person_keeps_the_same_face_while_pose_and_light_change() -> None:
    """Of two pictures under other poses, those of one person are the more alike, for every pair of people."""
    def small(number: int, look: str) -> np.ndarray:
        face = picture(number, "Ha", 0, look)[80:300, 60:190]  # within hair and wall
        return np.array(Image.fromarray(face.astype(np.uint8)).resize((6, 8), Image.Resampling.BOX), np.float64)

    people = (1, 2, 3, 5)
    for one in people:
        for other in people:
            if one != other:
                assert np.abs(small(one, "a") - small(one, "b")).mean() < np.abs(small(one, "a") - small(other, "b")).mean()
    assert not np.array_equal(small(1, "a"), small(1, "b"))


def test_high_steps_can_be_told_apart_on_unseen_people_and_neutral_ones_cannot() -> None:
    """Ridge regression on 24 x 32 pixels, trained on ten people, asked about four others."""
    def features(level: int, people: range) -> tuple[np.ndarray, np.ndarray]:
        rows, labels = [], []
        for number in people:
            for sign, emotion in ((1, "Ha"), (-1, "Sa")):
                image = Image.fromarray(picture(number, emotion, level, f"{number}{emotion}{level}").astype(np.uint8))
                rows.append(np.asarray(image.resize((24, 32), Image.Resampling.BOX), np.float64).ravel() / 255)
                labels.append(sign)
        return np.array(rows), np.array(labels)

    seen, unseen = range(1, 11), range(11, 15)
    parts = [features(level, seen) for level in (11, 15, 19)]
    x, y = np.vstack([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    centre = x.mean(0)
    weights = (x - centre).T @ np.linalg.solve((x - centre) @ (x - centre).T + 3 * np.eye(len(x)), y)

    def accuracy(level: int) -> float:
        pixels, labels = features(level, unseen)
        return float((np.sign((pixels - centre) @ weights) == labels).mean())

    assert accuracy(17) >= 0.85
    assert 0.2 <= accuracy(0) <= 0.8


@pytest.mark.parametrize("name", ["holiday.jpg", "01/01F_Ne_to_Ha_C03.JPG", "01/34M_Ne_to_Ha_C03.JPG"])
def test_a_folder_with_other_photos_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    theirs = tmp_path / name
    theirs.parent.mkdir(exist_ok=True)
    Image.new("RGB", (8, 8), "red").save(theirs)
    before = theirs.read_bytes()
    with pytest.raises(NoodleError, match="choose an empty folder"):
        draw_stimuli(tmp_path, people=1)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [theirs]
    assert theirs.read_bytes() == before


def test_links_are_not_followed_out_of_the_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"theirs")
    (tmp_path / "demo" / "01").mkdir(parents=True)
    (tmp_path / "demo" / "01" / "01F_Ne_to_Ha_C00.JPG.part").symlink_to(outside)
    with pytest.raises(NoodleError, match="choose an empty folder"):
        draw_stimuli(tmp_path / "demo", people=1)
    assert outside.read_bytes() == b"theirs"


def test_another_seeds_people_are_not_mixed_in(stimuli: Path) -> None:
    with pytest.raises(NoodleError, match="not one of the demo's pictures"):
        draw_stimuli(stimuli, people=2, seed=7)


def test_no_folder_can_be_made_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(NoodleError, match="is a file"):
        draw_stimuli(file, people=1)
    with pytest.raises(NoodleError, match=r"can't draw .*choose another folder"):
        draw_stimuli(file / "stimuli", people=1)


def test_a_stopped_drawing_is_taken_up_again(stimuli: Path, tmp_path: Path) -> None:
    calls = 0

    def stop_at_the_fifth() -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise StopRun

    with pytest.raises(StopRun):
        draw_stimuli(tmp_path, people=2, check=stop_at_the_fifth)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.JPG")}
    assert len(kept) == 4
    draw_stimuli(tmp_path, people=2)
    assert contents(tmp_path) == contents(stimuli)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_disk_that_is_full_in_the_middle_of_a_picture_leaves_whole_ones_only(stimuli: Path, tmp_path: Path) -> None:
    [first] = stimuli.glob("01/*_Ne_to_Ha_C00.JPG")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (first.stat().st_size - 4, before[1]))
    try:
        with pytest.raises(NoodleError, match=r"can't draw .*C00\.JPG: File too large; choose another folder"):
            draw_stimuli(tmp_path, people=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert contents(tmp_path) == {}


def test_a_killed_drawing_leaves_whole_pictures_only(stimuli: Path, tmp_path: Path) -> None:
    code = "import pathlib, sys; from noodle_tui.demo import draw_stimuli; draw_stimuli(pathlib.Path(sys.argv[1]), people=2)"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    deadline = time.monotonic() + 60
    while len(contents(tmp_path)) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = contents(tmp_path)
    whole = contents(stimuli)
    assert 5 <= len(done) < 80
    assert all(whole[name] == data for name, data in done.items())
    (tmp_path / "02").mkdir(exist_ok=True)
    (tmp_path / "02" / "02M_Ne_to_Sa_C19.JPG.part").write_bytes(b"half a pict")  # as a kill in mid-write leaves it
    draw_stimuli(tmp_path, people=2)
    assert contents(tmp_path) == whole
    assert not list(tmp_path.rglob("*.part"))


def test_the_demos_options_make_a_run_that_holds_out_people(tmp_path: Path) -> None:
    values = demo_config_values(tmp_path)
    config = make_config(values)
    assert (config.split_by, config.weights, config.rejig_data, config.seed) == ("person", "none", True, 42)
    assert config.mode != "move"  # the drawn photos stay
    assert all(folder.is_relative_to(tmp_path) for folder in (config.stimuli, config.data_dir, config.save_dir))


def test_the_demo_sorts_no_photos_but_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "classify" / "train" / "happy" / "anna.jpg"
    photo.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(photo)
    with pytest.raises(NoodleError, match=r"anna\.jpg is not one of the demo's pictures; choose another folder for the demo"):
        refuse_sorted_others(tmp_path / "classify")
    with pytest.raises(SystemExit):
        call(["demo", str(tmp_path)])
    assert "choose another folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*.*")] == ["anna.jpg"]


def test_the_default_folder_is_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert new_demo_folder() == Path("noodle-demo")
    Path("noodle-demo").mkdir()
    assert new_demo_folder() == Path("noodle-demo-2")
