"""Batches from main memory and from the device's own memory: the same images, crops and labels."""

from pathlib import Path

import numpy as np
import pytest
import torch

from noodle_tui.batches import DeviceBatches, HostBatches, make_batches
from noodle_tui.dataset import Split
from noodle_tui.device import Device
from noodle_tui.samples import Sample

CPU = Device(torch.device("cpu"), "CPU", "fp32")


@pytest.fixture
def split() -> Split:
    """Eleven images of mixed sizes, each of one colour of its own: its red is its index."""
    random = np.random.default_rng(0)
    images = [torch.full((3, *random.integers(5, 60, 2)), i, dtype=torch.uint8) for i in range(11)]
    for image in images:
        image[1:] = torch.from_numpy(random.integers(0, 256, (2, *image.shape[1:]), dtype=np.uint8))
    samples = [Sample(Path(f"{i}.png"), f"train/a/{i}.png", i % 3, None, None) for i in range(11)]
    return Split(samples, images, torch.tensor([i % 3 for i in range(11)]))


def red(images: torch.Tensor) -> list[int]:
    """The index that the one-coloured first channel of each normalised image stands for."""
    levels = (images[:, 0].mean((1, 2)) * 0.229 + 0.485) * 255
    return levels.round().int().tolist()


def batches_of(batches: HostBatches | DeviceBatches, epoch: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    batches.start_epoch(epoch)
    return [batches.prepare(*batches.inputs(step)) for step in range(3)]


@pytest.mark.parametrize("kind", [HostBatches, DeviceBatches])
def test_an_epoch_takes_each_image_once_with_its_label(split: Split, kind: type[HostBatches] | type[DeviceBatches]) -> None:
    taken = batches_of(kind(split, 4, 42, 32, CPU), epoch=1)
    assert [tuple(images.shape) for images, _ in taken] == [(4, 3, 32, 32), (4, 3, 32, 32), (3, 3, 32, 32)]
    indices = [i for images, _ in taken for i in red(images)]
    assert sorted(indices) == list(range(11))
    assert [label for _, labels in taken for label in labels.tolist()] == [i % 3 for i in indices]


def test_both_kinds_give_the_same_pixels(split: Split) -> None:
    host, device = HostBatches(split, 4, 42, 32, CPU), DeviceBatches(split, 4, 42, 32, CPU)
    for epoch in (1, 2):
        for (ours, labels), (theirs, their_labels) in zip(batches_of(host, epoch), batches_of(device, epoch), strict=True):
            assert ((ours - theirs).abs().max() * 255 * 0.229).item() < 1.1  # one grey level: only the first is rounded
            assert torch.equal(labels, their_labels)


@pytest.mark.parametrize("kind", [HostBatches, DeviceBatches])
def test_an_epoch_does_not_depend_on_what_was_drawn_before(split: Split, kind: type[HostBatches] | type[DeviceBatches]) -> None:
    used, fresh = kind(split, 4, 42, 32, CPU), kind(split, 4, 42, 32, CPU)
    first = batches_of(used, 1)
    again = batches_of(used, 5)
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(again, batches_of(fresh, 5), strict=True))
    assert not all(torch.equal(a, b) for (a, _), (b, _) in zip(again, first, strict=True))


def test_without_a_gpu_the_pixels_stay_in_main_memory(split: Split) -> None:
    assert isinstance(make_batches(split, 4, 42, 32, CPU), HostBatches)
