"""Batches of one training split, for a device. Two kinds with the same three functions:

`start_epoch(epoch)` draws the epoch's order and crops; `inputs(step)` gives the tensors that make up one batch; and
`prepare(*inputs)` turns them into normalised pixels and labels on the device, so that it can be part of a CUDA graph.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from noodle_tui.augment import crop_batch, crop_padded_batch, normalise, plan_epoch
from noodle_tui.dataset import Split
from noodle_tui.device import Device

DEVICE_SHARE = 0.4  # of the GPU memory that is free, for pixels: other people's runs need some, too


class HostBatches:
    """Pixels in main memory, cropped there, image by image, each with its own size; only the crops go to the device."""

    def __init__(self, split: Split, batch_size: int, seed: int, input_size: int, device: Device):
        self._split, self._batch_size, self._seed, self._input_size = split, batch_size, seed, input_size
        self._device = device.torch_device
        self._plan = plan_epoch(seed, 0, split.sizes)

    def start_epoch(self, epoch: int) -> None:
        self._plan = plan_epoch(self._seed, epoch, self._split.sizes)

    def inputs(self, step: int) -> Sequence[Tensor]:
        """uint8 crops [n, 3, size, size] and int64 labels [n] of batch `step` (0 is the first)."""
        taken = slice(step * self._batch_size, (step + 1) * self._batch_size)
        order = self._plan.order[taken]
        images = [self._split.pixels[i] for i in order]
        crops = crop_batch(images, self._plan.boxes[taken], self._plan.flips[taken], self._input_size)
        return crops.to(self._device), self._split.labels[torch.from_numpy(order)].to(self._device)

    @staticmethod
    def prepare(crops: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return normalise(crops), labels


class DeviceBatches:
    """Pixels on the GPU, padded to one size; a batch is a list of indices, cropped by two matrix products."""

    def __init__(self, split: Split, batch_size: int, seed: int, input_size: int, device: Device):
        self._sizes, self._batch_size, self._seed, self._input_size = split.sizes, batch_size, seed, input_size
        self._device = device.torch_device
        height, width = split.sizes.max(axis=0).tolist()
        self._pixels = torch.zeros(len(split.pixels), 3, height, width, dtype=torch.uint8, device=self._device)
        for place, image in zip(self._pixels, split.pixels, strict=True):
            place[:, : image.shape[1], : image.shape[2]].copy_(image, non_blocking=True)
        self._labels = split.labels.to(self._device)
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        plan = plan_epoch(self._seed, epoch, self._sizes)
        columns = np.column_stack([plan.order, plan.boxes, plan.flips])
        self._epoch = torch.from_numpy(columns).to(self._device, non_blocking=True)

    def inputs(self, step: int) -> Sequence[Tensor]:
        """One int64 tensor [n, 6]: index, top, left, height, width, flip of each image of batch `step`."""
        return (self._epoch[step * self._batch_size : (step + 1) * self._batch_size],)

    def prepare(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        index = rows[:, 0]
        crops = crop_padded_batch(self._pixels[index], rows[:, 1:5], rows[:, 5].bool(), self._input_size)
        return normalise(crops), self._labels[index]


Batches = HostBatches | DeviceBatches


def make_batches(split: Split, batch_size: int, seed: int, input_size: int, device: Device) -> Batches:
    """The batches that suit the device: its own memory where the padded pixels fit a share of it, else main memory."""
    if device.torch_device.type == "cuda":
        height, width = split.sizes.max(axis=0).tolist()
        free, _ = torch.cuda.mem_get_info(device.torch_device)
        if 3 * height * width * len(split.pixels) <= DEVICE_SHARE * free:
            return DeviceBatches(split, batch_size, seed, input_size, device)
    return HostBatches(split, batch_size, seed, input_size, device)
