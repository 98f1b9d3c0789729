"""The card beside a model: read where it can be used, refused in a line where not."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from conftest import FinishedRun

from noodle_tui.errors import NoodleError
from noodle_tui.model_card import origin_of, read_card

CARD = {"classes": ["happy", "sad"], "input_size": 32, "precision": "fp32"}


def test_the_card_of_a_run(finished: FinishedRun) -> None:
    card = read_card(finished.folder / "model.json")
    assert (card.classes, card.input_size, card.precision) == (["happy", "sad"], 32, "fp32")


@pytest.mark.parametrize("change", [
    {"classes": ["one"]}, {"classes": "ab"}, {"classes": [1, 2]}, {"input_size": "32"}, {"input_size": 31},
    {"input_size": 10**9}, {"precision": "fp8"}, {"format": 2}, {"padding": "x" * 1_000_001},
])
def test_a_card_that_can_not_be_used(change: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({**CARD, **change}))
    with pytest.raises(NoodleError, match=r"model\.json: not a model card that can be used") as raised:
        read_card(tmp_path / "model.json")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", ["", "{}", "[]", "[" * 100_000, "null", "\x00"])
def test_a_card_that_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(NoodleError, match="not a model card"):
        read_card(tmp_path / "model.json")


def test_a_pipe_in_the_place_of_a_card_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.json")
    with pytest.raises(NoodleError, match=r"not a model card that can be used \(it is not a file\)"):
        read_card(tmp_path / "model.json")


def test_the_run_that_weights_come_from_is_known_by_the_card_beside_them(finished: FinishedRun, tmp_path: Path) -> None:
    file = finished.folder / "model.pth"
    origin = origin_of(str(file))
    assert origin is not None
    assert (origin.run, origin.input_size, origin.weights) == (finished.folder.name, 32, "none")
    (tmp_path / "best.pth").symlink_to(file)
    assert origin_of(str(tmp_path / "best.pth")) == origin, "by the file that a link leads to"
    for weights in ("imagenet", "none", str(tmp_path / "model.pth"), str(finished.folder / "checkpoint.pt")):
        assert origin_of(weights) is None


@pytest.mark.parametrize("card", ["", "[]", '{"input_size": "64", "fingerprint": "x"}', '{"input_size": 64}'])
def test_a_card_that_is_none_tells_of_no_run(card: str, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(card)
    assert origin_of(str(tmp_path / "model.pth")) is None
