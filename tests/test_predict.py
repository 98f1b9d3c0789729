"""A finished run's model on images."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from conftest import PEOPLE, FinishedRun
from fake_stimuli import draw, have_pil_warn
from PIL import Image
from powerless import powerless

from noodle_tui.config import DEFAULT_PERSON, RunConfig
from noodle_tui.errors import NoodleError, StopRun
from noodle_tui.model_card import ModelCard
from noodle_tui.names import person_in, person_pattern
from noodle_tui.predict import image_files, person_of, predict, score_in_words, true_class
from noodle_tui.rejig import apply_rejig, plan_rejig
from noodle_tui.report import read_predictions, read_report


def test_the_validation_folder_gives_the_runs_own_accuracy(finished: FinishedRun, data_dir: Path) -> None:
    outcome = predict(finished.folder, [data_dir / "val"], device="cpu")
    card = json.loads((finished.folder / "model.json").read_text())
    right = sum(answer.path.parent.name == answer.predicted for answer in outcome.answers)
    assert outcome.failures == []
    assert (right, len(outcome.answers)) == (card["correct"], card["count"])
    assert right / len(outcome.answers) == card["accuracy"]
    classes, stored = read_predictions(finished.folder)
    for answer, wanted in zip(outcome.answers, stored, strict=True):
        assert answer.path == data_dir / wanted.path
        assert answer.predicted == classes[wanted.predicted]
        assert answer.probabilities == dict(zip(classes, wanted.probabilities, strict=True))


def test_photos_that_tell_their_class_give_a_score(finished: FinishedRun, data_dir: Path, tmp_path: Path) -> None:
    """The run's own validation photos score as in its report."""
    shutil.copytree(data_dir / "val", tmp_path / "test")
    shutil.copy(next((data_dir / "val" / "sad").iterdir()), tmp_path / "nobody.jpg")
    result = read_report(finished.folder).result
    outcome = predict(finished.folder, [tmp_path], device="cpu")
    assert outcome.score is not None
    assert (outcome.score.overall.correct, outcome.score.overall.count) == (result.overall.correct, result.overall.count)
    for ours, theirs in ((outcome.score.per_person, result.per_person), (outcome.score.per_level, result.per_level)):
        assert [(one.name, one.correct, one.count) for one in ours] == [(one.name, one.correct, one.count) for one in theirs]
    assert [person.name for person in result.per_person] == sorted(PEOPLE)
    assert {answer.true for answer in outcome.answers} == {"happy", "sad", None}
    line = score_in_words(outcome)[0]
    assert f" of the {result.overall.count} images whose class is told by the name or folder (" in line
    assert predict(finished.folder, [tmp_path / "nobody.jpg"], device="cpu").score is None
    assert score_in_words(predict(finished.folder, [tmp_path / "nobody.jpg"], device="cpu")) == []


def test_a_photo_that_is_named_twice_is_answered_and_scored_once(finished: FinishedRun, data_dir: Path) -> None:
    folder = data_dir / "val"
    outcome = predict(finished.folder, [folder, folder / "sad", next((folder / "sad").iterdir())], device="cpu")
    assert outcome.score is not None
    assert outcome.score.overall.count == len(outcome.answers) == len(list(image_files([folder])))


def test_the_class_is_told_by_tokens_and_else_by_folders() -> None:
    card = ModelCard(classes=["happy", "sad"], input_size=32, precision="fp32", tokens={"happy": "_Ha_", "sad": "_Sa_"})
    told = {"x/34M_Ha_.jpg": "happy", "happy/34M_Sa_.jpg": "sad", "sad/a.jpg": "sad", "happy/sad/a.jpg": None, "a.jpg": None,
            "sad/1_Ha_2_Sa_.jpg": "sad", "x/happy": None}
    assert {name: true_class(name, card) for name in told} == told
    assert true_class("sad/34M_Ha_.jpg", card.model_copy(update={"tokens": {}})) == "sad"
    assert true_class("x/34M_An_.jpg", card.model_copy(update={"tokens": {"angry": "_An_", "sad": "_Sa_"}})) is None


def test_of_sorted_photos_the_folder_tells_the_class_as_in_training(finished: FinishedRun, data_dir: Path,
                                                                    tmp_path: Path) -> None:
    """Where a label was put right by hand the name says another one."""
    card = json.loads((finished.folder / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**card, "tokens": {"happy": "_Ha_", "sad": "_Sa_"}}))
    (tmp_path / "model.pth").symlink_to(finished.folder / "model.pth")
    data = tmp_path / "train" / "sad" / "data"  # which is the innermost
    shutil.copytree(data_dir, data)
    photo = next((data / "val/sad").iterdir())
    photo = photo.rename(data / "val/happy" / photo.name)
    for place in (photo, data, data / "val/happy"):
        answers = predict(tmp_path, [place], device="cpu").answers
        assert [one.true for one in answers if one.path == photo] == ["happy"]


def test_the_given_folder_counts_as_one_on_the_path(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = data_dir / "val" / "sad"
    photo = next(folder.iterdir())
    assert all(image.name.startswith("sad/") for image in image_files([folder]))
    assert [image.name for image in image_files([photo])] == [f"sad/{photo.name}"]
    monkeypatch.chdir(folder)
    assert all(image.name.startswith("sad/") for image in image_files([Path(), Path(photo.name)]))


def test_people_are_told_as_the_run_told_them(tmp_path: Path) -> None:
    """Each with a folder of her own: that of the stimuli, of what rejig made of them, and of photos sorted by hand."""
    stimuli, person = tmp_path / "stimuli", person_pattern(r"^([^/]+)/")
    for name in ("anna", "ben", "cleo", "dora"):
        for feeling in ("Ha", "Sa"):
            draw(stimuli / name / f"_{feeling}_1.jpg")
            draw(tmp_path / "hand" / "val" / {"Ha": "happy", "Sa": "sad"}[feeling] / name / "1.jpg")
    config = RunConfig(stimuli=stimuli, data_dir=tmp_path / "sorted", mode="copy", val_fraction=0.5)
    apply_rejig(plan_rejig(config))
    everyone = ["anna", "ben", "cleo", "dora"]

    def people(*paths: Path) -> list[str | None]:
        return sorted({person_in(image.below, person) for image in image_files(list(paths), {"happy", "sad"})}, key=str)

    assert people(stimuli) == people(*stimuli.iterdir()) == everyone
    assert people(tmp_path / "sorted") == people(*(tmp_path / "sorted" / split for split in ("train", "val"))) == everyone
    assert set(people(tmp_path / "sorted" / "val" / "sad")) < set(everyone)
    assert people(next((tmp_path / "sorted" / "val" / "sad").iterdir()))[0] in everyone
    shutil.copytree(stimuli, tmp_path / "more" / "study 1")
    shutil.copytree(stimuli, tmp_path / "more" / "study 2")
    assert people(*(tmp_path / "more").iterdir()) == everyone
    hand = tmp_path / "hand"
    assert people(hand) == people(hand / "val") == people(*(hand / "val").iterdir()) == people(hand / "val" / "sad") == everyone


def test_a_person_is_told_by_the_path_below_the_given_folder(finished: FinishedRun, tmp_path: Path) -> None:
    for person in ("1", "2"):
        (tmp_path / "aside" / person / "sad").mkdir(parents=True)
        for level in range(2):
            draw(tmp_path / "aside" / person / "sad" / f"a{level}.jpg")
    score = predict(finished.folder, [tmp_path / "aside"], device="cpu", person="^([^/]+)/").score
    assert score is not None and [person.name for person in score.per_person] == ["1", "2"]


def test_a_folder_that_is_a_token_is_part_of_the_path_as_it_was_in_the_run(finished: FinishedRun, tmp_path: Path) -> None:
    card = json.loads((finished.folder / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**card, "tokens": {"happy": "happy/", "sad": "sad/"}}))
    (tmp_path / "model.pth").symlink_to(finished.folder / "model.pth")
    draw(tmp_path / "aside" / "sad" / "anna" / "1.jpg")
    score = predict(tmp_path, [tmp_path / "aside"], device="cpu", person="^[^/]+/([^/]+)/").score
    assert score is not None and [person.name for person in score.per_person] == ["anna"]


def test_a_class_in_front_of_a_name_is_nobody(finished: FinishedRun, tmp_path: Path) -> None:
    draw(tmp_path / "sad" / "sad_1.jpg")
    score = predict(finished.folder, [tmp_path], device="cpu").score
    assert score is not None and score.per_person == []


def test_people_are_told_as_in_the_run(finished: FinishedRun, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    config = json.loads((folder / "config.json").read_text())
    assert person_of(folder) == config["person"] == DEFAULT_PERSON
    (folder / "config.json").write_text(json.dumps({**config, "person": "^([^/]+)/"}))
    assert person_of(folder) == "^([^/]+)/"
    for broken in ({**config, "person": "("}, {**config, "person": 3}, {}, []):
        (folder / "config.json").write_text(json.dumps(broken))
        assert person_of(folder) == DEFAULT_PERSON
    assert person_of(tmp_path) == DEFAULT_PERSON


def test_a_bad_file_is_named_and_the_others_are_answered(
    finished: FinishedRun, data_dir: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    good = next((data_dir / "val" / "sad").iterdir())
    shutil.copy(good, tmp_path / "b.jpg")
    have_pil_warn(tmp_path / "b.jpg")
    (tmp_path / "a.jpg").write_text("hello")
    os.mkfifo(tmp_path / "c.jpg")
    (tmp_path / "notes.txt").write_text("not looked at")
    outcome = predict(finished.folder, [tmp_path, good, tmp_path / "notes.txt"], device="cpu")
    assert [a.path for a in outcome.answers] == [tmp_path / "b.jpg", good]
    assert outcome.answers[0].probabilities == outcome.answers[1].probabilities
    assert sum(outcome.answers[0].probabilities.values()) == pytest.approx(1)
    assert [(path.name, reason) for path, reason in outcome.failures] == [
        ("a.jpg", "not an image, whatever its ending says"), ("c.jpg", "not a file"),
        ("notes.txt", "not an image, whatever its ending says")]
    assert not recwarn.list


def test_bad_files_alone_are_named_and_no_crash(finished: FinishedRun, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("hello")
    outcome = predict(finished.folder, [tmp_path], device="cpu")
    assert (outcome.answers, [path.name for path, _ in outcome.failures]) == ([], ["a.jpg"])


def test_a_folder_that_can_not_be_listed_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(NoodleError, match="closed: this folder can't be listed"):
        powerless(lambda: list(image_files([tmp_path])))
    (tmp_path / "closed").chmod(0o700)


def test_the_model_that_is_named_is_the_one_that_answers(finished: FinishedRun, data_dir: Path, tmp_path: Path) -> None:
    for name in ("model.json", "model.pth"):
        (tmp_path / name).symlink_to(finished.folder / name)
    state = torch.load(finished.folder / "model.pth", weights_only=True)
    state["fc.weight"], state["fc.bias"] = torch.zeros(2, 512), torch.tensor([0.0, 100.0])
    torch.save(state, tmp_path / "other.pth")
    paths = [data_dir / "val" / "happy"]
    by_folder, by_file = (predict(place, paths, device="cpu").answers for place in (tmp_path, tmp_path / "model.pth"))
    assert by_folder == by_file
    assert {a.probabilities["sad"] for a in predict(tmp_path / "other.pth", paths, device="cpu").answers} == {1.0}


def test_a_stop_is_seen(finished: FinishedRun, data_dir: Path) -> None:
    def check() -> None:
        raise StopRun

    with pytest.raises(StopRun):
        predict(finished.folder, [data_dir / "val"], device="cpu", check=check)


def test_paths_that_are_not_there_and_folders_without_images(finished: FinishedRun, tmp_path: Path) -> None:
    photo = next((finished.config.data_dir / "val" / "sad").iterdir())
    outcome = predict(finished.folder, [tmp_path / "nowhere.jpg", photo], device="cpu")
    assert [answer.path for answer in outcome.answers] == [photo], "the others are answered"
    assert outcome.failures == [(tmp_path / "nowhere.jpg", "no such file or directory")]
    with pytest.raises(NoodleError, match="no image in"):
        predict(finished.folder, [tmp_path], device="cpu")


def test_folders_are_searched_to_any_depth_in_order(tmp_path: Path) -> None:
    names = ["a.JPG", "b/c/d.png", "b/e.webp", "z.jpeg"]
    for name in [*reversed(names), "b/notes.md"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [image.path.relative_to(tmp_path).as_posix() for image in image_files([tmp_path])] == names


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(NoodleError, match="no finished model in it"):
        predict(tmp_path, [tmp_path], device="cpu")


def test_a_model_of_other_classes_than_its_card(finished: FinishedRun, data_dir: Path, tmp_path: Path) -> None:
    card = json.loads((finished.folder / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**card, "classes": ["a", "b", "c"]}))
    (tmp_path / "model.pth").symlink_to(finished.folder / "model.pth")
    with pytest.raises(NoodleError, match=r"model\.pth: doesn't fit model\.json") as raised:
        predict(tmp_path, [data_dir / "val"], device="cpu")
    assert "\n" not in str(raised.value)


def test_more_images_than_one_chunk(finished: FinishedRun, tmp_path: Path) -> None:
    for i in range(70):
        Image.new("RGB", (33, 33), (i, 2 * i, 3 * i)).save(tmp_path / f"{i:02}.png")
    said: list[tuple[int, int | None]] = []
    outcome = predict(finished.folder, [tmp_path], device="cpu", progress=lambda done, total: said.append((done, total)))
    assert [a.path.name for a in outcome.answers] == [f"{i:02}.png" for i in range(70)]
    assert said == [(64, 70), (70, 70)]


def test_images_in_linked_folders_are_answered_too(finished: FinishedRun, data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(data_dir / "val")
    assert len(list(image_files([tmp_path]))) == len(list(image_files([data_dir / "val"]))) > 0


@pytest.mark.parametrize("name", ["34M_Sa_C01.png", "nobody.png"])
def test_a_model_that_answers_no_numbers_answers_nothing(finished: FinishedRun, tmp_path: Path, name: str) -> None:
    state = torch.load(finished.folder / "model.pth", weights_only=True)
    state["fc.bias"][0] = float("nan")
    torch.save(state, tmp_path / "model.pth")
    shutil.copy(finished.folder / "model.json", tmp_path)
    Image.new("RGB", (40, 40)).save(tmp_path / name)
    with pytest.raises(NoodleError, match="answers NaN, no numbers"):
        predict(tmp_path, [tmp_path / name], device="cpu")
