"""The network: torchvision's ResNet18 with a head for our classes, fresh or from a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models import resnet18

from noodle_tui.errors import NoodleError
from noodle_tui.model import build_model

State = dict[str, Any]


@pytest.fixture(scope="module")
def imagenet_like() -> State:
    """A state dict with ImageNet's head of 1000."""
    torch.manual_seed(1)
    return resnet18().state_dict()


@pytest.fixture
def save(tmp_path: Path) -> Callable[[State], str]:
    def write(state: State) -> str:
        torch.save(state, tmp_path / "weights.pth")
        return str(tmp_path / "weights.pth")
    return write


def test_fresh_weights_follow_the_seed() -> None:
    first, again, other = (build_model("none", 3, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])
    assert first["fc.weight"].shape == (3, 512)
    assert resnet18(num_classes=3).load_state_dict(first)  # its own names and shapes


def test_all_layers_are_trained_and_lie_channels_last() -> None:
    model = build_model("none", 2, 0)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.state_dict()["layer4.1.conv2.weight"].is_contiguous(memory_format=torch.channels_last)


def test_a_file_with_another_head_gives_the_backbone(imagenet_like: State, save: Callable[[State], str]) -> None:
    file = save(imagenet_like)
    model, other = build_model(file, 2, 5).state_dict(), build_model(file, 2, 6).state_dict()
    for name, value in imagenet_like.items():
        if not name.startswith("fc."):
            assert torch.equal(model[name], value)
    assert model["fc.weight"].shape == (2, 512)
    assert not torch.equal(model["fc.weight"], other["fc.weight"])  # the new head is drawn from the seed


def test_a_file_with_the_same_head_gives_all(imagenet_like: State, save: Callable[[State], str]) -> None:
    model = build_model(save(imagenet_like), 1000, 5).state_dict()
    assert all(torch.equal(model[name], value) for name, value in imagenet_like.items())


def test_a_backbone_without_head_and_an_old_file_without_batch_counts(
    imagenet_like: State, save: Callable[[State], str]
) -> None:
    old = {n: t for n, t in imagenet_like.items() if not n.startswith("fc.") and "num_batches" not in n}
    assert torch.equal(build_model(save(old), 2, 5).state_dict()["conv1.weight"], imagenet_like["conv1.weight"])


@pytest.mark.parametrize(("change", "sentence"), [
    (lambda s: s.pop("layer4.1.conv2.weight"), "lacks layer4.1.conv2.weight"),
    (lambda s: s.update({"layer1.2.conv1.weight": torch.zeros(1)}), "has the unknown layer1.2.conv1.weight"),  # a ResNet34
    (lambda s: s.update({"conv1.weight": torch.zeros(64, 1, 7, 7)}), "has another shape in conv1.weight"),
    (lambda s: s.pop("fc.bias"), "lacks fc.bias"),
    (lambda s: s.clear(), "lacks bn1.bias"),
])
def test_what_is_no_resnet18_is_refused(
    change: Callable[[State], object], sentence: str, imagenet_like: State, save: Callable[[State], str]
) -> None:
    state = dict(imagenet_like)
    change(state)
    with pytest.raises(NoodleError, match=f"weights.pth: not a ResNet18 state dict: it {sentence}") as raised:
        build_model(save(state), 1000, 0)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("change", [
    lambda t: t.index_fill(0, torch.tensor([0]), float("nan")), torch.Tensor.to_sparse, lambda t: t.to("meta"),
    lambda t: t.to(torch.complex64),
])
def test_weights_that_are_no_numbers_are_refused(
    change: Callable[[torch.Tensor], torch.Tensor], imagenet_like: State, save: Callable[[State], str]
) -> None:
    state = {**imagenet_like, "conv1.weight": change(imagenet_like["conv1.weight"])}
    with pytest.raises(NoodleError, match=r"weights\.pth: of no use: conv1\.weight \(and 0 more\) holds what is no number"):
        build_model(save(state), 2, 0)
