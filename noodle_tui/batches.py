"""Batches of one training split, for a device. Three kinds with the same two functions:

`start_epoch(epoch)` draws the epoch's order and crops, and `inputs(step)` gives images and labels of one batch on the device,
good until its next call; the images are what augment.as_input takes. Where the pixels lie (pixels.py) decides the kind. For a
GPU the next batch is on its way while it trains on this one.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np
import torch
from torch import Tensor

from noodle_tui.augment import GREY, EpochPlan, crop_batch, crop_geometry, crop_padded_batch, normalise, plan_epoch
from noodle_tui.dataset import Split
from noodle_tui.device import Device, available_cpus, side_stream
from noodle_tui.pixels import Padded
from noodle_tui.world import ALONE, World

SLOTS = 3  # batches under way from main memory to a GPU: one is trained on, one is copied, one is cropped


class HostBatches:
    """Pixels in main memory, cropped there, image by image, each with its own size; only the crops go to the device."""

    def __init__(self, split: Split, batch_size: int, seed: int, input_size: int, device: Device, world: World = ALONE):
        self._split, self._batch_size, self._seed, self._input_size, self._world = split, batch_size, seed, input_size, world
        self._device = device.torch_device
        self._plan: EpochPlan  # of the epoch that was started

    def start_epoch(self, epoch: int) -> None:
        self._plan = plan_epoch(self._seed, epoch, self._split.sizes)

    def inputs(self, step: int) -> Sequence[Tensor]:
        """uint8 crops [n, 3, size, size] and int64 labels [n] of batch `step` (0 is the first), on the device."""
        crops, labels = self.crop(self.rows(step))
        return crops.to(self._device), labels.to(self._device)

    def release(self) -> None:
        """Let go of what is held for coming batches. `inputs` may be asked no more."""

    def rows(self, step: int) -> slice:
        """Which places of the epoch's order make up batch `step`."""
        return self._world.batch(step, self._batch_size, len(self._split.pixels))

    def crop(self, rows: slice) -> tuple[Tensor, Tensor]:
        """The crops and labels of some places of the epoch's order, in main memory."""
        order = self._plan.order[rows]
        images = [self._split.pixels[i] for i in order]
        crops = crop_batch(images, self._plan.boxes[rows], self._plan.flips[rows], self._input_size)
        return crops, self._split.labels[torch.from_numpy(order)]


class Slot:
    """Room for one batch, in main memory (pinned, so that the copy needs no processor) and on the GPU."""

    def __init__(self, n: int, size: int, device: torch.device):
        cuda = device.type == "cuda"
        self.crops = torch.empty(n, 3, size, size, dtype=torch.uint8, pin_memory=cuda)
        self.labels = torch.empty(n, dtype=torch.long, pin_memory=cuda)
        self.on_device = (torch.empty_like(self.crops, device=device), torch.empty_like(self.labels, device=device))
        self.copied = torch.cuda.Event() if cuda else None  # main memory may be written again
        self.consumed = torch.cuda.Event() if cuda else None  # the GPU's copy may be


class PrefetchBatches:
    """HostBatches for a GPU: while it trains on a batch, the next ones are cropped by threads and copied.

    The threads only crop. Every call of CUDA comes from the training thread, so that none disturbs the capture of a graph.
    The training thread waits for the GPU only when it is three batches ahead of it.
    """

    def __init__(self, split: Split, batch_size: int, seed: int, input_size: int, device: Device, world: World = ALONE):
        self._host = HostBatches(split, batch_size, seed, input_size, device, world)
        self._device = device.torch_device
        n = len(split.pixels)
        self._n_steps = -(-n // batch_size)
        self._slots = [Slot(-(-min(batch_size, n) // world.size), input_size, self._device) for _ in range(SLOTS)]
        self._begun: dict[int, list[Future[None]]] = {}  # step to its crops
        self._in_use: Slot | None = None
        self._n_parts = available_cpus()
        self._pool = ThreadPoolExecutor(self._n_parts, thread_name_prefix="crop")
        self._copies = side_stream(self._device, "crops")
        if self._copies is not None:
            self._copies.wait_stream(torch.cuda.current_stream(self._device))  # the slots were allocated on that one

    def start_epoch(self, epoch: int) -> None:
        self._forget()
        self._host.start_epoch(epoch)

    def inputs(self, step: int) -> Sequence[Tensor]:
        """uint8 crops [n, 3, size, size] and int64 labels [n] of batch `step` (0 is the first), on the device."""
        if self._in_use is not None and self._in_use.consumed is not None:
            self._in_use.consumed.record(torch.cuda.current_stream(self._device))
        if step not in self._begun:
            self._forget()
        for coming in range(step, min(step + SLOTS, self._n_steps)):
            if coming not in self._begun:
                self._begun[coming] = self._begin(coming)
        for part in self._begun.pop(step):
            part.result()
        self._in_use = self._slots[step % SLOTS]
        rows = self._host.rows(step)
        return self._copy(self._in_use, rows.stop - rows.start)

    def release(self) -> None:
        self._forget()
        self._slots.clear()
        self._in_use = None

    def _begin(self, step: int) -> list[Future[None]]:
        """Have the crops of batch `step` made, in as many parts as there are processors."""
        slot, rows = self._slots[step % SLOTS], self._host.rows(step)
        if slot.copied is not None:
            slot.copied.synchronize()
        size = max(1, -(-(rows.stop - rows.start) // self._n_parts))

        def crop(start: int) -> None:
            part = slice(start, min(start + size, rows.stop))
            place = slice(part.start - rows.start, part.stop - rows.start)
            slot.crops[place], slot.labels[place] = self._host.crop(part)

        return [self._pool.submit(crop, start) for start in range(rows.start, rows.stop, size)]

    def _copy(self, slot: Slot, n: int) -> Sequence[Tensor]:
        """The slot's first `n` on the device; work that is queued there from now on waits for the copy."""
        pairs = list(zip(slot.on_device, (slot.crops, slot.labels), strict=True))
        if self._copies is None or slot.consumed is None or slot.copied is None:
            return [place[:n].copy_(value[:n]) for place, value in pairs]
        with torch.cuda.stream(self._copies):
            self._copies.wait_event(slot.consumed)
            for place, value in pairs:
                place[:n].copy_(value[:n], non_blocking=True)
            slot.copied.record(self._copies)
        torch.cuda.current_stream(self._device).wait_event(slot.copied)
        return [place[:n] for place, _ in pairs]

    def _forget(self) -> None:
        """Let the crops that are under way end, and take none of them."""
        wait([part for parts in self._begun.values() for part in parts])
        self._begun.clear()


class DeviceBatches:
    """Pixels on the GPU, padded to one size; a batch is cropped there by two matrix products.

    That goes on beside the training on the batch before, on the side stream: small batches leave most of a GPU idle. Once a
    batch each stream waits for what the other was given until then, so that nothing is read too early or overwritten too soon.
    """

    def __init__(
        self, pixels: Padded, labels: Tensor, batch_size: int, seed: int, input_size: int, device: Device, world: World = ALONE
    ):
        self._sizes, self._batch_size, self._seed, self._input_size = pixels.sizes, batch_size, seed, input_size
        self._world = world
        self._device = device.torch_device
        self._pixels = pixels.tensor
        self._labels = labels.to(self._device)
        # float16 makes the products several times as fast on a GPU; fp32 is for exactness
        self._dtype = torch.float16 if device.bf16 and self._device.type == "cuda" else torch.float32
        self._normalised = torch.bfloat16 if device.bf16 else torch.float32  # what the network's first layer takes
        self._side = side_stream(self._device, "crops")
        if self._side is not None:
            for tensor in (self._pixels, self._labels):  # not to be given away, when they go, before the last crops are made
                tensor.record_stream(self._side)
        self._epoch = 0
        self._drawn: tuple[int, Tensor, Tensor] | None = None  # an epoch, its order and its crops
        self._begun: tuple[int, int, list[Tensor]] | None = None  # an epoch, a step in it, and its inputs

    def start_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def inputs(self, step: int) -> Sequence[Tensor]:
        """Normalised crops [n, 3, size, size], channels last, and int64 labels [n] of batch `step` (0 is the first)."""
        if self._begun is None or self._begun[:2] != (self._epoch, step):
            self._begin(self._epoch, step)
        assert self._begun is not None
        inputs = self._begun[2]
        if self._side is not None:
            torch.cuda.current_stream().wait_stream(self._side)
        if (step + 1) * self._batch_size < len(self._sizes):
            self._begin(self._epoch, step + 1)
        else:
            self._begin(self._epoch + 1, 0)
        return inputs

    def release(self) -> None:
        self._begun = None

    def _begin(self, epoch: int, step: int) -> None:
        """Have a batch cropped, after what the device was asked for until now and beside what it will be."""
        if self._side is not None:
            self._side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._side):
            order, geometry = self._draw(epoch)
            rows = self._world.batch(step, self._batch_size, len(self._sizes))
            crops = crop_padded_batch(self._pixels[order[rows]], geometry[rows], self._input_size, self._dtype)
            images = normalise(crops, GREY, self._normalised)
            self._begun = epoch, step, [images, self._labels[order[rows]]]

    def _draw(self, epoch: int) -> tuple[Tensor, Tensor]:
        """The epoch's order, int64 [n], and its `crop_geometry`, float32 [n, 2, 5], on the device."""
        if self._drawn is None or self._drawn[0] != epoch:
            plan = plan_epoch(self._seed, epoch, self._sizes)
            geometry = crop_geometry(plan.boxes, plan.flips, self._input_size)
            self._drawn = epoch, self._to_device(plan.order), self._to_device(geometry)
        return self._drawn[1:]

    def _to_device(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(array)
        if self._device.type == "cuda":
            tensor = tensor.pin_memory()  # else Python would wait for the copy
        return tensor.to(self._device, non_blocking=True)


Batches = HostBatches | PrefetchBatches | DeviceBatches


def make_batches(
    split: Split, batch_size: int, seed: int, input_size: int, device: Device, world: World = ALONE
) -> Batches:
    """The batches that suit the device and the place of the pixels.

    `batch_size` counts the images of all ranks; `inputs` gives the share of this one.
    """
    if isinstance(split.pixels, Padded):
        return DeviceBatches(split.pixels, split.labels, batch_size, seed, input_size, device, world)
    if device.torch_device.type == "cuda":
        return PrefetchBatches(split, batch_size, seed, input_size, device, world)
    return HostBatches(split, batch_size, seed, input_size, device, world)
