"""`--load-dir`: which options a run that is picked up keeps, which may change, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from fake_stimuli import draw_seed_like
from torch import nn

from noodle_tui.checkpoint import read_checkpoint, save_session, session_content
from noodle_tui.config import RunConfig, make_config
from noodle_tui.errors import NoodleError, UsageError
from noodle_tui.events import EpochDone
from noodle_tui.pick_up import folder_to_pick_up, pick_up, sorts_first, weights_left_out, weights_to_start_from
from noodle_tui.rejig import apply_rejig, plan_rejig
from noodle_tui.run_folder import CHECKPOINT, locked
from noodle_tui.session import new_session
from noodle_tui.text import as_argument


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder whose run has done 4 of 10 epochs, with options of its own."""
    folder = tmp_path / "weights" / "happy-20260101-120000"
    folder.mkdir(parents=True)
    session = new_session(nn.Linear(2, 2), RunConfig(lr=0.1), torch.device("cpu"))
    session.epoch, session.fingerprint, session.order, session.comet_key, session.times = 4, "f" * 64, "o" * 64, "key", 2
    options = RunConfig(n_epochs=10, batch_size=7, lr=0.02, namestr="happy", classes=("a=_A_", "b=_B_", "c=_C_"))
    save_session(folder, session_content(session, options.model_dump(mode="json")))
    return folder


def given(**values: Any) -> RunConfig:
    return make_config(values)


def test_links_are_made_anew_where_they_lead_to_a_place_from_which_all_was_moved(tmp_path: Path) -> None:
    def options(project: str) -> RunConfig:
        place = tmp_path / project
        return RunConfig(stimuli=place / "photos", data_dir=place / "sorted", rejig_data=True, mode="link")

    draw_seed_like(tmp_path / "here" / "photos")
    apply_rejig(plan_rejig(options("here")))
    assert not sorts_first(options("here"), is_picked_up=True)
    (tmp_path / "here").rename(tmp_path / "there")
    assert sorts_first(options("there"), is_picked_up=True)
    apply_rejig(plan_rejig(options("there")))
    assert not sorts_first(options("there"), is_picked_up=True)


def test_photos_are_sorted_again_where_they_are_not_as_the_run_had_them(tmp_path: Path) -> None:
    mine = RunConfig(stimuli=tmp_path / "photos", data_dir=tmp_path / "sorted", rejig_data=True, mode="copy")
    draw_seed_like(mine.stimuli)
    assert sorts_first(mine, is_picked_up=True), "it was undone"
    apply_rejig(plan_rejig(mine))
    assert sorts_first(mine, is_picked_up=False) and not sorts_first(mine, is_picked_up=True)
    others: list[dict[str, Any]] = [{"stimuli": tmp_path}, {"classes": ("sad=_Sa_", "glad=_Ha_")}, {"val_fraction": 0.3},
                                    {"split_by": "person"}, {"person": "^(..)"}, {"seed": 1}]
    assert all(sorts_first(mine.model_copy(update=other), is_picked_up=True) for other in others)
    same: list[dict[str, Any]] = [{"classes": mine.classes[::-1]}, {"mode": "move"}, {"rejig_data": False, "seed": 1}]
    assert not any(sorts_first(mine.model_copy(update=one), is_picked_up=True) for one in same)


def test_the_options_are_the_stored_ones(folder: Path) -> None:
    before = pick_up(folder, given(load_dir=folder))
    assert (before.config.n_epochs, before.config.batch_size, before.config.lr, before.config.namestr) == (10, 7, 0.02, "happy")
    assert before.config.classes == ("a=_A_", "b=_B_", "c=_C_")
    assert (before.config.save_dir, before.config.load_dir) == (folder.parent, None)
    assert (before.stored.epoch, before.stored.comet_key, before.times, before.warnings) == (4, "key", 3, [])


def test_what_was_given_the_same_again_is_no_change(folder: Path) -> None:
    assert pick_up(folder, given(load_dir=folder, batch_size=7, namestr="happy", n_epochs=10)).warnings == []
    assert pick_up(folder, given(load_dir=folder, classes=("b=_B_", "a=_A_", "c=_C_"))).warnings == []
    assert pick_up(folder, given(load_dir=folder, save_dir=folder.parent)).warnings == []


def test_a_run_of_more_epochs_than_the_default_is_picked_up_without_a_word_about_it(folder: Path) -> None:
    content = read_checkpoint(folder)[0].model_dump()
    save_session(folder, {**content, "epoch": 50, "config": {**content["config"], "n_epochs": 60}})
    before = pick_up(folder, given(load_dir=folder))
    assert (before.stored.epoch, before.config.n_epochs, before.warnings) == (50, 60, [])


@pytest.mark.parametrize(("name", "value", "flag", "stored"), [
    ("batch_size", 8, "batch-size", "7"), ("seed", 1, "seed", "42"), ("input_size", 64, "input-size", "224"),
    ("weights", "none", "weights", "imagenet"), ("namestr", "sad", "namestr", "happy"),
    ("classes", ("a=_A_", "b=_B_"), "class a=_A_ b=_B_", "a=_A_ b=_B_ c=_C_;"), ("val_fraction", 0.5, "val-fraction", "0.1"),
])
def test_an_option_that_would_make_it_another_run_is_refused(
    name: str, value: Any, flag: str, stored: str, folder: Path
) -> None:
    with pytest.raises(UsageError, match=f"--{flag}.*: the run in .* was started with .*{stored}") as raised:
        pick_up(folder, given(load_dir=folder, **{name: value}))
    assert "\n" not in str(raised.value)
    assert f"--load-dir {as_argument(folder / 'model.pth')}" in str(raised.value)


def test_a_run_is_picked_up_from_any_folder_and_from_where_it_was_moved_with_its_photos(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = read_checkpoint(folder)[0].model_dump()
    project = folder.parent.parent
    for name in ("photos", "stimuli", "trained"):
        (project / name).mkdir()
    of_project = {"data_dir": "photos", "stimuli": "stimuli", "weights": "trained"}
    stored = {**content["config"], **of_project, "save_dir": "weights"}
    save_session(folder, {**content, "config": stored, "cwd": str(project)})
    monkeypatch.chdir("/")
    before = pick_up(folder, given(load_dir=folder, data_dir=project / "photos"))
    assert (Path("/") / before.config.data_dir, before.warnings) == (project / "photos", [])
    moved = project.rename(project.with_name("moved"))
    before = pick_up(moved / "weights" / folder.name, given(load_dir=moved / "weights" / folder.name))
    assert {name: Path("/", getattr(before.config, name)) for name in of_project} == {
        name: moved / place for name, place in of_project.items()}
    same = moved / "weights" / ".." / "trained"  # spelt otherwise, and no other weights
    assert pick_up(moved / "weights" / folder.name, given(load_dir=folder, weights=str(same))).warnings == []


def test_the_debugger_is_for_the_start_that_asked_for_it(folder: Path) -> None:
    """Comet stays off with it, too."""
    content = read_checkpoint(folder)[0].model_dump()
    save_session(folder, {**content, "config": {**content["config"], "debug": True}})
    for asked in ({}, {"debug": True}):
        before = pick_up(folder, given(load_dir=folder, **asked))
        assert (before.config.debug, before.warnings) == (bool(asked), [])


def test_an_option_of_a_later_version_is_passed_over(folder: Path) -> None:
    content = read_checkpoint(folder)[0].model_dump()
    save_session(folder, {**content, "config": {**content["config"], "colour": "grey"}})
    assert pick_up(folder, given(load_dir=folder)).config.batch_size == 7


@pytest.mark.parametrize(("name", "value"), [("n_epochs", 20), ("lr", 0.5), ("momentum", 0.1), ("data_dir", Path("moved")),
                                             ("test_every", 3), ("device", "cpu"), ("precision", "bf16")])
def test_an_option_that_may_change_is_taken_and_said(name: str, value: Any, folder: Path) -> None:
    before = pick_up(folder, given(load_dir=folder, **{name: value}))
    assert getattr(before.config, name) == value
    assert [w for w in before.warnings if w.startswith(f"picked up with another {name}: ") and str(value) in w]


def test_another_device_or_precision_is_known_by_what_it_is_not_by_what_was_asked_for(folder: Path) -> None:
    before = pick_up(folder, given(load_dir=folder))
    assert before.other_terms({"device": "CPU", "precision": "fp32"}) == [], "it is not told"
    before.stored.terms = {"device": "NVIDIA H100", "precision": "bf16", "processes": "1"}
    assert before.other_terms({"device": "NVIDIA H100", "precision": "bf16"}) == []
    assert before.other_terms({"device": "CPU", "precision": "fp32", "processes": "2"}) == [
        "device NVIDIA H100 up to epoch 4, then CPU", "precision bf16 up to epoch 4, then fp32",
        "processes 1 up to epoch 4, then 2"]
    done = pick_up(folder, given(load_dir=folder, n_epochs=4))
    done.stored.terms = {"precision": "bf16"}
    assert done.other_terms({"precision": "fp32"}) == [], "nothing is trained any more"


@pytest.mark.parametrize(("n_epochs", "ok"), [(3, False), (4, True)])
def test_fewer_epochs_than_are_done(n_epochs: int, ok: bool, folder: Path) -> None:
    if ok:
        assert pick_up(folder, given(load_dir=folder, n_epochs=n_epochs)).config.n_epochs == n_epochs
    else:
        with pytest.raises(UsageError, match=r"--n-epochs 3: the run in .* has done 4 epochs already"):
            pick_up(folder, given(load_dir=folder, n_epochs=n_epochs))


@pytest.mark.parametrize(("n_epochs", "validated", "warned"), [(4, None, True), (4, 3, False), (5, None, False)])
def test_a_last_epoch_that_was_not_validated_is_said(
    n_epochs: int, validated: int | None, warned: bool, folder: Path
) -> None:
    last = EpochDone(epoch=4, n_epochs=10, train_loss=0.1, train_correct=3, train_count=4, val_loss=None, val_correct=validated,
                     val_count=4, lr=0.1, seconds=1.0, images_per_second=4.0)
    torch.save({**read_checkpoint(folder)[0].model_dump(), "history": [dict(vars(last))]}, folder / CHECKPOINT)
    warnings = pick_up(folder, given(load_dir=folder, n_epochs=n_epochs)).warnings
    assert ("epoch 4, the last one now, was not validated: the best of those that were is judged" in warnings) == warned


def test_other_photos_are_refused(folder: Path) -> None:
    before = pick_up(folder, given(load_dir=folder))
    before.check_data("f" * 64, "o" * 64)
    with pytest.raises(NoodleError, match=r"the photos in .* are not those .*--load-dir RUN/model\.pth"):
        before.check_data("e" * 64, "o" * 64)
    with pytest.raises(NoodleError, match=r"the photos in .* have other names .*--load-dir RUN/model\.pth"):
        before.check_data("f" * 64, "p" * 64)


@pytest.mark.parametrize("history", [[1], [{"epoch": "one"}], [{"epoch": 1}]])
def test_a_history_that_is_none_is_refused(history: Any, folder: Path) -> None:
    torch.save({**read_checkpoint(folder)[0].model_dump(), "history": history}, folder / CHECKPOINT)
    with pytest.raises(NoodleError, match="not a checkpoint that this version can read"):
        pick_up(folder, given(load_dir=folder))


def test_a_damaged_checkpoint_is_a_warning_while_there_is_a_previous(folder: Path) -> None:
    (folder / CHECKPOINT).rename(folder / "checkpoint.prev.pt")
    (folder / CHECKPOINT).write_bytes(b"torn")
    assert "is damaged" in pick_up(folder, given(load_dir=folder)).warnings[0]


def test_what_another_version_has_trained_with_is_left_out_with_a_word(folder: Path) -> None:
    content = read_checkpoint(folder)[0].model_dump()
    save_session(folder, {**content, "averaged": {"weight": torch.zeros(2)}, "config": {**content["config"], "mixup": 0.2}})
    before = pick_up(folder, given(load_dir=folder))
    assert before.warnings == ["another version of this program has trained it: this one knows nothing of 'mixup' (0.2), "
                               "'averaged' (in the checkpoint) and goes on without"]
    assert before.changes == ["'mixup' 0.2 up to epoch 4, then without",
                              "'averaged' in the checkpoint up to epoch 4, then without"]


def test_stored_options_that_are_out_of_bounds_are_refused(folder: Path) -> None:
    session = new_session(nn.Linear(2, 2), RunConfig(lr=0.1), torch.device("cpu"))
    save_session(folder, session_content(session, {"n_epochs": -1}))
    with pytest.raises(UsageError, match="n-epochs"):
        pick_up(folder, given(load_dir=folder))


# what --load-dir may name -----------------------------------------------------------------------------------------------


def test_a_run_folder_or_its_checkpoint_is_gone_on_in(folder: Path) -> None:
    assert folder_to_pick_up(given(load_dir=folder)) == folder
    assert folder_to_pick_up(given(load_dir=folder / CHECKPOINT)) == folder
    assert folder_to_pick_up(given()) is None


def test_a_model_file_or_its_folder_starts_a_new_run(tmp_path: Path) -> None:
    model = tmp_path / "model.pth"
    model.touch()
    for place in (model, tmp_path):
        config = given(load_dir=place)
        assert folder_to_pick_up(config) is None
        assert weights_to_start_from(config).weights == str(model)
    assert weights_to_start_from(given()).weights == "imagenet"
    assert weights_left_out(given(load_dir=model)) == ""
    assert weights_left_out(given(load_dir=model, weights="none")).startswith("--weights none: --load-dir ")


def test_the_previous_checkpoint_is_not_taken_for_the_last(folder: Path) -> None:
    (folder / CHECKPOINT).rename(folder / "checkpoint.prev.pt")
    with pytest.raises(UsageError, match="name the run folder"):
        folder_to_pick_up(given(load_dir=folder / "checkpoint.prev.pt"))
    assert folder_to_pick_up(given(load_dir=folder)) == folder
    assert weights_left_out(given(load_dir=folder, weights="none")) == ""  # pick_up compares it


def test_a_run_that_has_saved_nothing_yet_is_not_picked_up(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(UsageError, match="a run is going on in it that has saved nothing yet"):
        folder_to_pick_up(given(load_dir=tmp_path))


def test_a_run_that_ended_before_it_saved_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="ended before it had saved anything; start a new one"):
        folder_to_pick_up(given(load_dir=tmp_path))


@pytest.mark.parametrize(("name", "reason"), [
    ("nowhere", "there is no such file or folder; see `noodle runs`"),
    (".", r"neither a run folder with a checkpoint nor a model\.pth"),
])
def test_what_is_neither_is_refused(name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=reason):
        folder_to_pick_up(given(load_dir=tmp_path / name))
