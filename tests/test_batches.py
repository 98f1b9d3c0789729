"""Batches from main memory and from the device's own memory: the same images, crops and labels."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from noodle_tui.augment import as_input, crop_padded_batch
from noodle_tui.batches import Batches, DeviceBatches, HostBatches, PrefetchBatches, make_batches
from noodle_tui.dataset import Split
from noodle_tui.device import Device
from noodle_tui.pixels import FlatStore, PaddedStore
from noodle_tui.samples import Sample
from noodle_tui.world import World

CPU = Device(torch.device("cpu"), "CPU", "fp32")


@pytest.fixture
def split() -> Split:
    """Eleven images of mixed sizes, each of one colour of its own: its red is its index."""
    random = np.random.default_rng(0)
    images = [torch.full((3, *random.integers(5, 60, 2)), i, dtype=torch.uint8) for i in range(11)]
    for image in images:
        image[1:] = torch.from_numpy(random.integers(0, 256, (2, *image.shape[1:]), dtype=np.uint8))
    samples = [Sample(Path(f"{i}.png"), f"train/a/{i}.png", i % 3, None, None) for i in range(11)]
    store = FlatStore(0)
    for image in images:
        store.keep(image)
    return Split(samples, store.pixels(), torch.tensor([i % 3 for i in range(11)]))


def on_device(split: Split, batch_size: int, seed: int, size: int, device: Device) -> DeviceBatches:
    """DeviceBatches of the same images, padded."""
    store = PaddedStore(split.sizes, device.torch_device)
    for image in split.pixels:
        store.keep(image)
    return DeviceBatches(store.pixels(), split.labels, batch_size, seed, size, device)


KINDS = [HostBatches, PrefetchBatches, on_device]


def red(images: torch.Tensor) -> list[int]:
    """The index that the one-coloured first channel of each normalised image stands for."""
    levels = (images[:, 0].mean((1, 2)) * 0.229 + 0.485) * 255
    return levels.round().int().tolist()


def batches_of(batches: Batches, epoch: int, n_steps: int = 3) -> list[tuple[torch.Tensor, torch.Tensor]]:
    batches.start_epoch(epoch)
    found = []
    for step in range(n_steps):
        images, labels = batches.inputs(step)
        found.append((as_input(images.clone()), labels.clone()))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_takes_each_image_once_with_its_label(split: Split, kind: Callable[..., Batches]) -> None:
    taken = batches_of(kind(split, 4, 42, 32, CPU), epoch=1)
    assert [tuple(images.shape) for images, _ in taken] == [(4, 3, 32, 32), (4, 3, 32, 32), (3, 3, 32, 32)]
    indices = [i for images, _ in taken for i in red(images)]
    assert sorted(indices) == list(range(11))
    assert [label for _, labels in taken for label in labels.tolist()] == [i % 3 for i in indices]


def test_padded_pixels_give_the_same_crops(split: Split) -> None:
    host, device = HostBatches(split, 4, 42, 32, CPU), on_device(split, 4, 42, 32, CPU)
    for epoch in (1, 2):
        for (ours, labels), (theirs, their_labels) in zip(batches_of(host, epoch), batches_of(device, epoch), strict=True):
            assert ((ours - theirs).abs().max() * 255 * 0.229).item() < 1.1  # one grey level: only the first is rounded
            assert torch.equal(labels, their_labels)


@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_does_not_depend_on_what_was_drawn_before(split: Split, kind: Callable[..., Batches]) -> None:
    used, fresh = kind(split, 4, 42, 32, CPU), kind(split, 4, 42, 32, CPU)
    first = batches_of(used, 1)
    again = batches_of(used, 5)
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(again, batches_of(fresh, 5), strict=True))
    assert not all(torch.equal(a, b) for (a, _), (b, _) in zip(again, first, strict=True))


def test_without_a_gpu_the_pixels_stay_in_main_memory(split: Split) -> None:
    assert isinstance(make_batches(split, 4, 42, 32, CPU), HostBatches)


def test_padded_pixels_stay_where_they_are(split: Split) -> None:
    store = PaddedStore(split.sizes, CPU.torch_device)
    for image in split.pixels:
        store.keep(image)
    padded = Split(split.samples, store.pixels(), split.labels)
    assert isinstance(make_batches(padded, 4, 42, 32, CPU), DeviceBatches)


def test_prefetched_batches_are_those_of_the_host_bit_for_bit(split: Split) -> None:
    host, ahead = HostBatches(split, 2, 42, 32, CPU), PrefetchBatches(split, 2, 42, 32, CPU)
    for epoch in (1, 2):
        for ours, theirs in zip(batches_of(host, epoch, 6), batches_of(ahead, epoch, 6), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("kind", [PrefetchBatches, on_device])
def test_batches_made_ahead_may_be_taken_in_any_order(split: Split, kind: Callable[..., Batches]) -> None:
    """A run that is picked up begins in the middle of an epoch, a stopped one leaves it there, a first step is tried twice."""
    ahead = kind(split, 2, 42, 32, CPU)
    for epoch, steps in ((1, (0, 0, 1)), (3, (4, 5)), (4, (2, 1, 1, 5, 0))):
        ahead.start_epoch(epoch)
        for step in steps:
            alone = (on_device if kind is on_device else HostBatches)(split, 2, 42, 32, CPU)
            alone.start_epoch(epoch)
            assert all(torch.equal(a, b) for a, b in zip(alone.inputs(step), ahead.inputs(step), strict=True))


def test_crops_beside_the_training_wait_and_are_waited_for(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU is told, in order: a batch is whole before it is trained on, and the next one comes beside that, but only
    after what was trained on before, whose memory it may take."""
    said: list[str] = []

    class Stream:
        def __init__(self, name: str):
            self.name = name

        def wait_stream(self, other: "Stream") -> None:
            said.append(f"{self.name} waits")

    def crop(*args: Any) -> torch.Tensor:
        said.append("crop")
        return crop_padded_batch(*args)

    main, side = Stream("main"), Stream("side")
    monkeypatch.setattr("noodle_tui.batches.side_stream", lambda device, purpose: side if purpose == "crops" else main)
    monkeypatch.setattr("noodle_tui.batches.crop_padded_batch", crop)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: None)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: main)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext(said.append(f"on {stream.name}")))
    batches = on_device(split, 4, 42, 32, CPU)
    ahead = ["side waits", "on side", "crop"]
    for epoch in (1, 2):
        batches.start_epoch(epoch)
        for step in range(3):
            batches.inputs(step)
            first = ahead if (epoch, step) == (1, 0) else []
            assert said == [*first, "main waits", *ahead], (epoch, step)
            said.clear()


def test_what_fails_in_a_cropping_thread_is_raised(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("no crop")

    monkeypatch.setattr("noodle_tui.batches.crop_batch", broken)
    ahead = PrefetchBatches(split, 4, 42, 32, CPU)
    ahead.start_epoch(1)
    with pytest.raises(RuntimeError, match="no crop"):
        ahead.inputs(0)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_ranks_prefetch_their_shares(size: int, split: Split) -> None:
    whole = HostBatches(split, 8, 42, 32, CPU)
    ranks = [PrefetchBatches(split, 8, 42, 32, CPU, World(rank, size)) for rank in range(size)]
    for batches in (whole, *ranks):
        batches.start_epoch(1)
    for step in (0, 1):
        parts = [[value.clone() for value in batches.inputs(step)] for batches in ranks]
        for value, shares in zip(whole.inputs(step), zip(*parts, strict=True), strict=True):
            assert torch.equal(value, torch.cat(shares))
