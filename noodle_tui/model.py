"""The network: torchvision's ResNet18 with a new last layer."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from noodle_tui.errors import NoodleError
from noodle_tui.progress import Check, Progress, nothing
from noodle_tui.weights import fetch_imagenet, load_state_dict


def new_network(n_classes: int) -> nn.Module:
    """The architecture itself (model_card.ARCHITECTURE), on the CPU, with weights at random."""
    return resnet18(num_classes=n_classes)


def build_model(weights: str, n_classes: int, seed: int) -> nn.Module:
    """The network of `build_model_and_head` alone."""
    return build_model_and_head(weights, n_classes, seed)[0]


def build_model_and_head(
    weights: str,
    n_classes: int,
    seed: int,
    progress: Progress = nothing,
    check: Check = nothing,
    keep_head: bool = True,
) -> tuple[nn.Module, str]:
    """ResNet18 with `n_classes` outputs, all layers to be trained, on the CPU, channels last; and whether its last layer is
    "kept" or "new" ("" without weights, where all are).

    `weights`: "imagenet", "none" or a state-dict file; a last layer of another size in it is left out, and any without
    `keep_head`: then a new one is drawn from `seed`. NoodleError if the weights can't be had or don't fit.
    """
    torch.manual_seed(seed)
    model, head = new_network(n_classes), ""
    if weights == "imagenet":
        head = load_backbone(model, load_state_dict(fetch_imagenet(progress, check)), "the ImageNet weights")
    elif weights != "none":
        head = load_backbone(model, load_state_dict(Path(weights)), weights, keep_head)
    return model.to(memory_format=torch.channels_last), head  # type: ignore[call-overload]


def check_fits(file: Path) -> None:
    """Load a weights file as a run would. NoodleError if it is missing, damaged or no ResNet18's."""
    load_backbone(new_network(2), load_state_dict(file), str(file))


def load_backbone(model: nn.Module, state: dict[str, Any], source: str, keep_head: bool = True) -> str:
    """Load a ResNet18 state dict; its last layer only where it is to be kept and has the model's size: "kept", or else "new".
    NoodleError if it's no ResNet18."""
    own = model.state_dict()
    same_head = keep_head and "fc.weight" in state and state["fc.weight"].shape == own["fc.weight"].shape
    wanted = {name for name in own if same_head or not name.startswith("fc.")}
    # num_batches_tracked came late: older files lack it, and nothing but a momentum of None reads it
    missing = {n for n in wanted - state.keys() if not n.endswith("num_batches_tracked")}
    foreign = state.keys() - own.keys()
    misfit = [n for n in wanted & state.keys() if state[n].shape != own[n].shape]
    for problem, names in (("lacks", missing), ("has the unknown", foreign), ("has another shape in", misfit)):
        if names:
            raise NoodleError(f"{source}: not a ResNet18 state dict: it {problem} {min(names)} (and {len(names) - 1} more)")
    if useless := [name for name in wanted & state.keys() if not _has_numbers(state[name])]:
        raise NoodleError(f"{source}: of no use: {min(useless)} (and {len(useless) - 1} more) holds what is no number, as "
                          "after training has diverged; take other weights")
    model.load_state_dict({name: state[name] for name in wanted & state.keys()}, strict=False)
    return "kept" if same_head else "new"


def _has_numbers(tensor: Tensor) -> bool:
    """Whether all its elements are there, real and finite."""
    plain = tensor.layout == torch.strided and not (tensor.is_meta or tensor.is_nested or tensor.is_quantized)
    return plain and not tensor.is_complex() and bool(tensor.float().isfinite().all())


def synchronised(model: nn.Module) -> nn.Module:
    """The model with batch norm over all ranks' images. Names and weights stay; CUDA only."""
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)
