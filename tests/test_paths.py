"""Where the paths among a run's options lead."""

from pathlib import Path

import pytest

from noodle_tui.paths import options_today, path_today, with_full_paths


def test_a_runs_paths_lead_to_the_same_files_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    for folder in (project / "photos", project / "weights" / "run", tmp_path / "photos"):  # the last one is another
        folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    config = {"data_dir": "photos", "stimuli": "nowhere", "weights": "imagenet", "lr": 0.1, "save_dir": "weights"}
    then = (str(project), "weights/run")
    assert options_today(config, *then, Path("project/weights/run")) == {
        **config, "data_dir": "project/photos", "stimuli": "project/nowhere", "save_dir": "project/weights"}
    project.rename(tmp_path / "moved")
    assert options_today(config, *then, Path("moved/weights/run"))["data_dir"] == "moved/photos"
    assert path_today("photos", "", "", Path("moved/weights/run")) == Path("photos"), "an older run doesn't say"
    assert path_today("here", str(tmp_path / "gone"), "weights/run", Path("moved/run")) == tmp_path / "gone" / "here"


def test_a_folder_of_photos_may_be_called_as_weights_are(tmp_path: Path) -> None:
    """ImageNet's own photos lie in such a folder; only --weights takes the word for no path."""
    config = {"stimuli": "imagenet", "data_dir": "none", "weights": "none", "load_dir": None}
    assert with_full_paths(config, str(tmp_path)) == {
        **config, "stimuli": str(tmp_path / "imagenet"), "data_dir": str(tmp_path / "none")}
