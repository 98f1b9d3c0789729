"""`noodle doctor`: what it says of things that are there and of no use. The command itself is in test_cli.py."""

from pathlib import Path

import pytest
from powerless import powerless

from noodle_tui.config import RunConfig
from noodle_tui.doctor import _weights, examine
from noodle_tui.weights import imagenet_file


def test_weights_that_can_not_be_read_are_named_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    imagenet_file().mkdir(parents=True)  # root may read any file, but no folder
    (found,) = _weights()
    assert (found.level, found.what) == ("error", "ImageNet weights")
    assert str(imagenet_file()) in found.text and "can't be read" in found.text and "Is a directory" in found.text


def test_weights_that_could_not_be_kept_are_not_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    tmp_path.chmod(0o500)
    found = [one for one in powerless(lambda: examine(RunConfig())) if one.what == "weights"]
    assert [(one.level, f"no right to write in {tmp_path}" in one.text, "TORCH_HOME" in one.text) for one in found] == [
        ("error", True, True)]
