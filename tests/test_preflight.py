"""What is known before a run starts: on real folders, a real finished run, and this machine."""

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import FinishedRun, MakeConfig, draw_face
from fake_folders import fake_folder
from powerless import powerless

from noodle_tui import disk
from noodle_tui.config import RunConfig
from noodle_tui.errors import NoodleError, StopRun
from noodle_tui.preflight import estimate
from noodle_tui.preflight import weights as preflight_weights
from noodle_tui.preflight.checks import Preflight, _try, preflight
from noodle_tui.rejig import apply_rejig, plan_rejig
from noodle_tui.run_folder import locked, read_state

PEOPLE, LEVELS = ("07F", "09F", "25M", "34M"), range(5)


@pytest.fixture
def stimuli(tmp_path: Path) -> Path:
    """40 faces of four people, named as the seed's, in a folder each."""
    for person in PEOPLE:
        for emotion in ("Ha", "Sa"):
            for level in LEVELS:
                name = f"{person}_Ne_to_{emotion}_C{level:02}.JPG"
                draw_face(tmp_path / "stimuli" / person[:2] / name, person, emotion, level)
    return tmp_path / "stimuli"


def options(tmp_path: Path, **changes: Any) -> RunConfig:
    small = {"stimuli": tmp_path / "stimuli", "data_dir": tmp_path / "sorted", "save_dir": tmp_path / "runs",
             "weights": "none", "device": "cpu", "rejig_data": True}
    return RunConfig(**{**small, **changes})


def said(result: Preflight, level: str, option: str) -> str:
    """What was found of a level about an option, as one text."""
    return " | ".join(f.text for f in result.findings if (f.level, f.option) == (level, option))


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# -- photos -----------------------------------------------------------------------------------------------------------


def test_the_plan_is_told_and_nothing_is_touched(tmp_path: Path, stimuli: Path) -> None:
    (stimuli / "readme.txt").write_text("no photo")
    draw_face(stimuli / "07" / "07F_neutral.JPG", "07F", "Ha", 0)
    before = tree(tmp_path)
    result = preflight(options(tmp_path, val_fraction=0.2))
    photos = result.photos
    assert photos is not None
    assert (photos.classes, photos.train, photos.val) == (("happy", "sad"), (16, 16), (4, 4))
    assert (photos.people, photos.rejig, photos.new, result.made_by_rejig) == (4, "needed", 40, False)
    assert {reason: count for reason, count, _ in photos.skipped} == {"not an image": 1, "no class's token in its name": 1}
    assert result.errors == ()
    assert result.waiting_for == ""
    assert tree(tmp_path) == before


def test_names_that_no_class_fits_are_told_at_the_classes_with_one_of_them(tmp_path: Path, stimuli: Path) -> None:
    wrong = preflight(options(tmp_path, classes=("sad=-sad", "happy=-happy")))
    assert "40 no class's token in its name, e.g. 07/07F_Ne_to_Ha_C00.JPG" in said(wrong, "error", "classes")
    shutil.rmtree(stimuli)
    stimuli.mkdir()
    assert "no photo of class sad in" in said(preflight(options(tmp_path)), "error", "stimuli")


def test_people_on_both_sides_are_a_warning(tmp_path: Path, stimuli: Path) -> None:
    leaking = preflight(options(tmp_path))
    assert leaking.photos is not None
    assert leaking.photos.people_in_both > 0
    assert f"{leaking.photos.people_in_both} of 4 people are in both train and val" in said(leaking, "warning", "split_by")
    assert said(leaking, "warning", "split_by").endswith("; split by person holds out whole people")
    taken = replace(leaking.photos, rejig="off").findings(options(tmp_path, rejig_data=False))
    assert taken[0].text.endswith("; rejig data on, with split by person, sorts them so that whole people are held out")
    clean = preflight(options(tmp_path, split_by="person", val_fraction=0.25))
    assert clean.photos is not None
    assert clean.photos.people_in_both == 0
    assert said(clean, "warning", "split_by") == ""


def test_originals_that_a_change_of_mode_takes_from_the_stimuli_are_counted(tmp_path: Path, stimuli: Path) -> None:
    for mode, originals in (("copy", 0), ("move", 0)):
        photos = preflight(options(tmp_path, mode=mode)).photos
        assert photos is not None and (photos.originals, photos.new) == (originals, 40)
    apply_rejig(plan_rejig(options(tmp_path, mode="copy")))
    photos = preflight(options(tmp_path, mode="move")).photos
    assert photos is not None and (photos.originals, photos.new) == (40, 0)
    apply_rejig(plan_rejig(options(tmp_path, mode="move")))
    photos = preflight(options(tmp_path, mode="move", seed=7)).photos
    assert photos is not None and (photos.originals, photos.new, photos.rejig) == (0, 0, "needed")


def test_how_well_an_accuracy_will_be_known(tmp_path: Path, stimuli: Path) -> None:
    few = preflight(options(tmp_path, val_fraction=0.25))
    text = "on 10 validation photos of 4 people an accuracy of 0.90 is known as 0.60 to 0.98"  # Wilson's interval of 9/10
    assert said(few, "warning", "val_fraction").startswith(text)
    by_person = preflight(options(tmp_path, val_fraction=0.25, split_by="person"))
    assert by_person.photos is not None
    assert (by_person.photos.people_train, by_person.photos.people_val) == (3, 1)
    assert "on 10 validation photos of 1 person" in said(by_person, "warning", "val_fraction")


def test_a_pipe_among_the_photos_is_not_waited_for(tmp_path: Path, data_dir: Path) -> None:
    shutil.copytree(data_dir, tmp_path / "data")
    os.mkfifo(tmp_path / "data" / "train" / "happy" / "pipe.jpg")
    photos = preflight(options(tmp_path, data_dir=tmp_path / "data", rejig_data=False)).photos
    assert photos is not None
    assert photos.skipped == (("unreadable (not a file)", 1, "train/happy/pipe.jpg"),)


@pytest.mark.parametrize(("photos", "people", "words"), [
    (19, 0, "on 19 validation photos an accuracy of 0.90 is known as 0.69 to 0.97: hold out more"),
    (60, 4, "on 60 validation photos of 4 people an accuracy of 0.90 is known as 0.80 to 0.95 for these people, and hardly for "
            "others: hold out more"),
    (20, 0, ""),
    (20, 5, ""),
])  # fmt: skip
def test_few_photos_or_people_in_validation_are_a_warning(
    tmp_path: Path, stimuli: Path, photos: int, people: int, words: str
) -> None:
    found = preflight(options(tmp_path)).photos
    assert found is not None
    held_out = replace(found, train=(500, 400), val=(photos, 0), people_val=people, people_in_both=0, rejig="off").findings(
        options(tmp_path))
    assert [f.text for f in held_out if f.option == "val_fraction" and f.level == "warning"] == ([words] if words else [])
    assert ("info" in [f.level for f in held_out if f.option == "val_fraction"]) == (not words)


def test_too_few_to_train_on_and_a_share_that_is_far_from_what_was_asked_are_warnings(tmp_path: Path, stimuli: Path) -> None:
    too_many = preflight(options(tmp_path, val_fraction=0.95))
    assert "only 2 photos to train on, and 38 held out: hold out fewer" in said(too_many, "warning", "val_fraction")
    assert "hold out more" not in said(too_many, "warning", "val_fraction")
    far = preflight(options(tmp_path, split_by="person", val_fraction=0.1))
    assert "25% of the photos are held out for validation, where 10% were asked" in said(far, "warning", "val_fraction")
    assert "were asked" not in said(preflight(options(tmp_path, val_fraction=0.1)), "warning", "val_fraction")


def test_a_rejig_that_was_done_is_seen(tmp_path: Path, stimuli: Path) -> None:
    config = options(tmp_path, mode="copy")
    apply_rejig(plan_rejig(config))
    done = preflight(config)
    assert done.photos is not None
    assert (done.photos.rejig, sum(done.photos.train) + sum(done.photos.val)) == ("done", 40)
    assert done.made_by_rejig
    again = preflight(options(tmp_path, mode="copy", val_fraction=0.4))
    assert again.photos is not None
    assert (again.photos.rejig, again.photos.new, sum(again.photos.val)) == ("needed", 0, 16)
    assert all(path.is_file() for _, path in again.photos.examples)


def test_missing_photos_are_an_error_at_their_option(tmp_path: Path) -> None:
    assert "does not exist" in said(preflight(options(tmp_path)), "error", "stimuli")
    assert "is missing" in said(preflight(options(tmp_path, rejig_data=False)), "error", "data_dir")


def test_a_folder_that_may_not_be_looked_into_is_an_error_at_its_option(tmp_path: Path) -> None:
    (tmp_path / "hers").mkdir(mode=0)
    try:
        for name in ("hers/photos", "x" * 300):
            result = powerless(lambda name=name: preflight(options(tmp_path, data_dir=tmp_path / name, rejig_data=False)))
            assert {finding.option for finding in result.errors} == {"data_dir"}
    finally:
        (tmp_path / "hers").chmod(0o700)


@pytest.mark.parametrize(("text", "option"), [
    ("no right to write in ro: choose another --data-dir", "data_dir"),
    ("no photo's name tells its person with --person 'abc'", "person"),
    ("--lr 7: too much; see --momentum or --stimuli", "lr"),
    ("nothing in x: name another --stimuli, or switch --rejig-data off", "stimuli"), ("the disk is gone", "stimuli"),
    ("an --unknown option", "stimuli"),
])
def test_what_is_to_be_mended_is_told_at_the_option_that_it_names(text: str, option: str) -> None:
    def look() -> None:
        raise NoodleError(text)

    result, nothing = _try(Preflight(RunConfig()), "stimuli", look)
    assert nothing is None
    assert [(finding.option, finding.text) for finding in result.errors] == [(option, text)]


def test_unreadable_photos_stop_a_run_unless_they_may_be_left_out(own_data_dir: Path, tmp_path: Path) -> None:
    photo = next((own_data_dir / "train" / "sad").iterdir())
    photo.write_bytes(b"\xff\xd8 no photo")
    config = options(tmp_path, rejig_data=False, data_dir=own_data_dir)
    result = preflight(config)
    assert f"1 image can't be read (train/sad/{photo.name}): mend" in said(result, "error", "skip_bad_images")
    lenient = preflight(config.model_copy(update={"skip_bad_images": True}))
    assert lenient.errors == ()
    assert f"1 image can't be read (train/sad/{photo.name}): it is left out" in said(lenient, "warning", "skip_bad_images")
    assert lenient.photos is not None
    assert (lenient.photos.train, lenient.photos.val) == ((12, 11), (4, 4))


def test_stimuli_that_were_left_out_by_rejig_are_no_trouble_of_the_data_folder(tmp_path: Path, stimuli: Path) -> None:
    (stimuli / "07").mkdir(exist_ok=True)
    (stimuli / "07" / "07F_Ha_C01.JPG").write_text("garbage")
    config = options(tmp_path, mode="copy", val_fraction=0.2)
    before = preflight(config)
    assert before.errors == () and before.photos is not None
    apply_rejig(plan_rejig(config))
    after = preflight(config)
    assert after.photos is not None and after.photos.rejig == "done"
    assert after.errors == () and not said(after, "warning", "skip_bad_images")
    for photos in (before.photos, after.photos):
        assert [(count, first) for _, count, first in photos.skipped] == [(1, "07/07F_Ha_C01.JPG")]


def test_a_class_of_unreadable_photos_only_is_an_error(own_data_dir: Path, tmp_path: Path) -> None:
    for photo in (own_data_dir / "val" / "sad").iterdir():
        photo.write_bytes(b"")
    result = preflight(options(tmp_path, rejig_data=False, data_dir=own_data_dir, skip_bad_images=True))
    assert "none of its images can be read" in said(result, "error", "data_dir")


def test_the_data_folders_own_classes_count(own_data_dir: Path, tmp_path: Path, stimuli: Path) -> None:
    config = options(tmp_path, rejig_data=False, data_dir=own_data_dir, classes=("angry=_An_", "calm=_Ca_"))
    assert "happy, sad" in said(preflight(config), "info", "classes")
    shutil.rmtree(stimuli)
    assert said(preflight(config), "info", "classes") == "", "where there are no stimuli nobody expects theirs"


def test_photos_are_not_looked_at_again_for_other_options(tmp_path: Path, stimuli: Path) -> None:
    first = preflight(options(tmp_path))
    other = preflight(options(tmp_path, n_epochs=3), before=first)
    assert other.photos is first.photos
    assert said(other, "warning", "split_by") == said(first, "warning", "split_by") != ""
    shutil.rmtree(stimuli)
    assert said(preflight(options(tmp_path, seed=1), before=first), "error", "stimuli") != ""


# -- weights and network ----------------------------------------------------------------------------------------------


def test_weights_that_are_no_resnet18_are_an_error(tmp_path: Path, stimuli: Path) -> None:
    assert "no such file" in said(preflight(options(tmp_path, weights=str(tmp_path / "none.pth"))), "error", "weights")
    other = tmp_path / "other.pth"
    torch.save({"layer.weight": torch.zeros(3)}, other)
    assert "not a ResNet18" in said(preflight(options(tmp_path, weights=str(other))), "error", "weights")
    torch.save(torch.zeros(3), other)  # the same name, another content: looked at anew
    assert "not a plain state dict" in said(preflight(options(tmp_path, weights=str(other))), "error", "weights")


def test_a_models_weights_fit(tmp_path: Path, stimuli: Path, finished: FinishedRun) -> None:
    result = preflight(options(tmp_path, weights=str(finished.folder / "model.pth")))
    assert result.errors == ()
    assert result.weights == "model.pth, fits"
    assert "were trained at --input-size 32, and this run has 224" in said(result, "warning", "input_size")


def test_imagenet_weights_without_a_network(tmp_path: Path, stimuli: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        monkeypatch.setattr(preflight_weights, "imagenet_url", lambda: f"http://127.0.0.1:{port}/resnet18-f37072fd.pth")
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        offline = preflight(options(tmp_path, weights="imagenet"))  # bound, but nobody listens
        text = said(offline, "error", "weights")
        assert "refused" in text
        assert "`noodle doctor` says which file to put where; or take --weights" in text, "short: a narrow panel shows it"
        server.listen()
        online = preflight(options(tmp_path, weights="imagenet"))
        assert online.errors == ()
        assert "to be downloaded" in online.weights


def test_a_proxy_is_asked_where_one_leads_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        assert preflight_weights.connection_problem("https://nowhere.invalid/x") == ""
        monkeypatch.setenv("no_proxy", "nowhere.invalid")
        assert preflight_weights.connection_problem("https://nowhere.invalid/x") != "", "the proxy isn't for it"
        monkeypatch.delenv("no_proxy")
    assert preflight_weights.connection_problem("https://nowhere.invalid/x") != ""


def test_damaged_imagenet_weights_are_fetched_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "resnet18-00000000.pth"
    file.write_bytes(b"half of it")
    monkeypatch.setattr(preflight_weights, "imagenet_file", lambda: file)
    monkeypatch.setattr(preflight_weights, "connection_problem", lambda url: "no route")
    with pytest.raises(NoodleError, match="no route"):
        preflight_weights.look_for_imagenet()


def test_imagenet_weights_that_could_not_be_kept_are_not_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight_weights, "imagenet_file", lambda: tmp_path / "hub" / "resnet18-00000000.pth")
    monkeypatch.setattr(preflight_weights, "connection_problem", lambda url: "")
    assert "to be downloaded" in preflight_weights.look_for_imagenet()
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    with pytest.raises(NoodleError, match=r"can't be read or kept as .*pth \(no right to write in .*TORCH_HOME"):
        preflight_weights.look_for_imagenet()


# -- device, disk, loggers --------------------------------------------------------------------------------------------


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there(tmp_path: Path, stimuli: Path) -> None:
    result = preflight(options(tmp_path, device="cuda"))
    assert "no CUDA GPU" in said(result, "error", "device")
    assert result.machine is None
    assert result.cost is None


def test_a_save_folder_that_can_not_be_written(tmp_path: Path, stimuli: Path) -> None:
    (tmp_path / "file").touch()
    assert "is not a folder" in said(preflight(options(tmp_path, save_dir=tmp_path / "file" / "runs")), "error", "save_dir")
    (tmp_path / "locked").mkdir(mode=0o500)
    locked = options(tmp_path, save_dir=tmp_path / "locked" / "runs")
    assert "no right" in said(powerless(lambda: preflight(locked)), "error", "save_dir")


def test_a_save_folder_among_the_photos(tmp_path: Path, stimuli: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "sorted" / "train")
    for place in ("sorted/train", "sorted/val/happy/runs", "link/runs"):
        found = said(preflight(options(tmp_path, save_dir=tmp_path / place)), "error", "save_dir")
        assert "where each folder is a class" in found, place
    assert said(preflight(options(tmp_path, save_dir=tmp_path / "sorted" / "trained")), "error", "save_dir") == ""


def test_a_full_disk(tmp_path: Path, stimuli: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "RUN_BYTES", 10**18)
    assert "make room" in said(preflight(options(tmp_path)), "error", "save_dir")


def test_comet_without_a_key_and_with_broken_settings(
    tmp_path: Path, stimuli: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COMET_API_KEY", raising=False)
    assert "no Comet key" in said(preflight(options(tmp_path, comet=True)), "warning", "comet")
    Path("settings.json").write_text('{"apikey": 1234567890}')
    broken = said(preflight(options(tmp_path, comet=True)), "error", "comet")
    assert "settings.json" in broken
    assert "1234567890" not in broken
    assert said(preflight(options(tmp_path)), "error", "comet") == "", "nobody asked for Comet"
    assert "stays off" in said(preflight(options(tmp_path, comet=True, debug=True)), "info", "comet")


def test_tensorboard_that_is_not_installed(tmp_path: Path, stimuli: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert preflight(options(tmp_path, tensorboard=True)).errors == ()
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert "pip install" in said(preflight(options(tmp_path, tensorboard=True)), "error", "tensorboard")


def test_options_of_rejig_that_change_nothing_are_said_to(tmp_path: Path, stimuli: Path) -> None:
    apply_rejig(plan_rejig(options(tmp_path, mode="copy", split_by="person", val_fraction=0.5)))
    as_made = options(tmp_path, rejig_data=False, split_by="person", mode="copy")
    assert said(preflight(as_made), "info", "rejig_data") == ""
    otherwise = options(tmp_path, rejig_data=False, split_by="file", stimuli=tmp_path, classes=("happy=_Ha_", "sad=_Sa_"))
    text = said(preflight(otherwise), "info", "rejig_data")
    assert text.startswith("--stimuli, --split-by: not used, since"), text


def test_stimuli_that_can_not_be_looked_at_are_no_crash(tmp_path: Path, stimuli: Path) -> None:
    """Their name is longer than the system takes; the data folder's own classes count."""
    run_rejig = options(tmp_path, mode="copy")
    apply_rejig(plan_rejig(run_rejig))
    classes = ("sad=_Sa_", "happy=_Ha_", "none=_No_")
    result = preflight(options(tmp_path, stimuli=Path("x" * 300), rejig_data=False, classes=classes))
    assert result.photos is not None and not result.errors


# -- time and memory --------------------------------------------------------------------------------------------------


def test_the_cost_grows_with_the_work(tmp_path: Path, stimuli: Path) -> None:
    few, many, large = (preflight(options(tmp_path, **change)).cost
                        for change in ({"n_epochs": 10}, {"n_epochs": 100}, {"n_epochs": 10, "input_size": 448}))
    assert few is not None
    assert many is not None
    assert large is not None
    start = estimate.START_SECONDS
    assert (many.seconds - start) / (few.seconds - start) == pytest.approx(10, rel=0.05)
    assert large.seconds > 3 * few.seconds - 3 * start
    assert large.training_bytes > few.training_bytes
    assert few.photo_bytes == 36 * 40 * 52 * 3 + 4 * 224 * 224 * 3  # train as they are, val at the input size
    assert not few.measured


def test_large_photos_take_long_to_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("noodle_tui.device.available_cpus", lambda: 2)
    card = estimate.Machine("cuda:0", "NVIDIA H100 80GB HBM3", "bf16", 132)
    small, of_a_phone = (estimate.cost_of(RunConfig(), card, 5, 2000, 250, 3 * width * height).seconds
                         for width, height in ((562, 762), (3024, 4032)))
    assert of_a_phone - small == pytest.approx(2250 / (18 * 2), rel=0.1)  # measured: 12 to 18 a second on one processor


def test_a_past_run_on_this_device_says_how_fast_it_is(finished: FinishedRun) -> None:
    result = preflight(finished.config.model_copy(update={"n_epochs": 1000}))
    assert result.cost is not None
    assert result.cost.measured
    rates = [e.images_per_second for e in read_state(finished.outcome.folder).epochs[1:]]
    assert min(rates) < (1000 * (24 + 8)) / (result.cost.seconds - estimate.START_SECONDS - 0.1) < 1.1 * max(rates)
    other_size = preflight(finished.config.model_copy(update={"input_size": 64}))
    assert other_size.cost is not None
    assert not other_size.cost.measured


def test_a_training_that_does_not_fit_the_memory_is_a_warning(
    tmp_path: Path, stimuli: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said(preflight(options(tmp_path, batch_size=2)), "warning", "batch_size") == ""
    monkeypatch.setattr("noodle_tui.device.available_memory", lambda: 2**20)
    assert "GiB of this machine's memory are free" in said(preflight(options(tmp_path)), "warning", "batch_size")


@pytest.mark.parametrize(("rates", "asked", "speed"), [
    ((1, 100), {}, 100), ((1, 100, 300), {}, 200), ((50,), {}, 50),  # the first epoch warms up
    ((0, 0), {}, None),
    ((1, 100), {"batch_size": 48}, 100), ((1, 100), {"batch_size": 49}, None), ((1, 100), {"batch_size": 11}, None),
])  # fmt: skip
def test_the_speed_of_a_past_run_counts_where_it_is_alike(
    tmp_path: Path, rates: tuple[int, ...], asked: dict[str, int], speed: int | None
) -> None:
    folder = fake_folder(tmp_path, "run", batch_size=24)
    (folder / "metrics.csv").write_text("\n".join(["images_per_second", *map(str, rates)]))
    card = estimate.Machine("cuda:0", "NVIDIA H100 80GB HBM3", "bf16", 132)
    found = estimate.speed_of(RunConfig(save_dir=tmp_path, **asked), card)  # type: ignore[arg-type]
    assert (found.images_per_second if found.measured else None) == speed


# -- picking a run up -------------------------------------------------------------------------------------------------


def test_a_run_to_pick_up_brings_its_options(finished: FinishedRun) -> None:
    result = preflight(RunConfig(load_dir=finished.folder, n_epochs=5))
    assert result.errors == ()
    assert result.resumed_at == 3
    assert (result.config.batch_size, result.config.n_epochs) == (10, 5)
    assert result.photos is not None
    assert result.photos.train == (12, 12)
    assert "3 before, 5 now" in said(result, "warning", "load_dir")
    assert said(result, "info", "rejig_data") == "", "nobody has given the options that it brings"
    assert result.disk_needed == disk.RESUME_BYTES


def test_nothing_is_left_of_a_finished_run(finished: FinishedRun) -> None:
    assert "run's 3 epochs" in said(preflight(RunConfig(load_dir=finished.folder)), "warning", "n_epochs")


def test_a_run_that_is_trained_and_not_judged_yet_may_be_picked_up_for_that(finished: FinishedRun, tmp_path: Path) -> None:
    folder = tmp_path / finished.folder.name
    shutil.copytree(finished.folder, folder)
    (folder / "report.json").unlink()
    result = preflight(RunConfig(load_dir=folder))
    assert said(result, "warning", "n_epochs") == ""
    assert "it is judged and reported" in said(result, "info", "n_epochs")


def test_an_option_that_would_make_it_another_run(finished: FinishedRun) -> None:
    refused = preflight(RunConfig(load_dir=finished.folder, seed=7))
    assert "was started with 42" in said(refused, "error", "seed")
    assert len(refused.errors) == 1, "it asks for no other weights"


def test_a_run_that_is_going_on_is_not_picked_up(finished: FinishedRun) -> None:
    with locked(finished.folder):
        assert "going on" in said(preflight(RunConfig(load_dir=finished.folder)), "error", "load_dir")


def test_what_is_no_run_is_not_picked_up(tmp_path: Path, config_for: MakeConfig) -> None:
    result = preflight(config_for(tmp_path, load_dir=tmp_path / "nothing"))
    assert "there is no such file or folder" in said(result, "error", "load_dir")


def test_weights_of_a_run_start_a_new_one(finished: FinishedRun, tmp_path: Path, config_for: MakeConfig) -> None:
    result = preflight(config_for(tmp_path, load_dir=finished.folder / "model.pth"))
    assert result.errors == ()
    assert result.resumed_at is None
    assert result.weights == "model.pth, fits"
    assert said(result, "warning", "weights").startswith("--weights none: --load-dir ")


# -- how it is asked --------------------------------------------------------------------------------------------------


def test_a_look_can_be_called_off(tmp_path: Path, stimuli: Path) -> None:
    def stop() -> None:
        raise StopRun

    with pytest.raises(StopRun):
        preflight(options(tmp_path), check=stop)


def test_counts_are_there_before_torch_is(tmp_path: Path, stimuli: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from noodle_tui.config import RunConfig
from noodle_tui.preflight.checks import preflight

def report(result):
    print(result.waiting_for, sum(result.photos.train), "torch" in sys.modules, flush=True)
    raise SystemExit

folder = Path({str(tmp_path)!r})
preflight(RunConfig(stimuli=folder / "stimuli", data_dir=folder / "sorted", rejig_data=True), report=report)
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert answer.stdout == "loading torch 36 False\n", answer.stderr
