"""Where decoded pixels lie: three places, the first that they fit. None needs an option.

    GPU memory     padded to one size; nothing is left in main memory
    main memory    one after another; to a GPU go only the crops, through pinned buffers, while it computes
    a cache file   on disk, one after another, paged in as needed; built once and shared by runs (pixel_cache.py)
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from noodle_tui.device import available_memory

MEMORY_SHARE = 0.6  # of the main memory that is free, for pixels
ALIGNED = 16  # bytes
DEVICE_SHARE = 0.4  # of the GPU memory that is free: other people's runs need some, too

Place = Literal["device", "memory", "cache"]
Sizes = Sequence[tuple[int, int]]


class Ragged:
    """Images of any sizes in one flat buffer. An image is a view; 100,000 of them take no objects of their own."""

    def __init__(self, buffer: Tensor, sizes: Sizes | np.ndarray):
        """`buffer` uint8 [at least the sum of 3 * h * w], on the CPU; `sizes`: height and width of each image."""
        self.sizes = np.array(sizes, dtype=np.int64).reshape(-1, 2)
        self._buffer = buffer
        self._ends = (3 * self.sizes.prod(axis=1)).cumsum()

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> Tensor:
        """Image `index` as uint8 [3, h, w]."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        height, width = self.sizes[index].tolist()
        end = int(self._ends[index])
        return self._buffer[end - 3 * height * width : end].view(3, height, width)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def stacked(self) -> Tensor:
        """All images as uint8 [n, 3, h, w], without a copy. They must have one size, as those of the validation split do."""
        height, width = self.sizes[0].tolist()
        return self._buffer[: int(self._ends[-1])].view(len(self), 3, height, width)


class Padded:
    """Images in one tensor uint8 [n, H, 3, W], each in its upper left corner; the rest is black.

    A line of an image is its red, its green and its blue one in a row, so that one matrix product shrinks all three. H and W
    are multiples of 16: a GPU fetches and multiplies rows of whole 16 bytes several times as fast.
    """

    def __init__(self, tensor: Tensor, sizes: Sizes | np.ndarray):
        self.tensor = tensor
        self.sizes = np.array(sizes, dtype=np.int64).reshape(-1, 2)  # height and width of each image

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> Tensor:
        """Image `index` as uint8 [3, h, w], where the tensor is."""
        height, width = self.sizes[index].tolist()
        return self.tensor[index, :height, :, :width].transpose(0, 1)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def stacked(self) -> Tensor:
        """All images as uint8 [n, 3, h, w], without a copy. They must have one size, as those of the validation split do."""
        height, width = self.sizes[0].tolist()
        return self.tensor[:, :height, :, :width].transpose(1, 2)


def padded_shape(sizes: np.ndarray) -> tuple[int, int, int, int]:
    """The shape of Padded's tensor for images of these heights and widths, int64 [n, 2]."""
    height, width = (-(-int(longest) // ALIGNED) * ALIGNED for longest in sizes.max(axis=0, initial=0))
    return len(sizes), height, 3, width


Pixels = Ragged | Padded


@dataclass(frozen=True)
class Room:
    """What the images of both splits will take, by their headers."""

    train: np.ndarray  # int64 [n, 2]: height and width; 0, 0 where the header can't be read
    val: np.ndarray  # the same, after the transform: [input_size, input_size] each

    @property
    def count(self) -> int:
        return len(self.train) + len(self.val)

    def by_split(self) -> dict[str, np.ndarray]:
        return {"train": self.train, "val": self.val}

    def flat(self) -> int:
        """Bytes, one image after another."""
        return 3 * int(self.train.prod(axis=1).sum() + self.val.prod(axis=1).sum())

    def padded(self) -> int:
        """Bytes, each split padded to its largest height and width, as Padded is."""
        return sum(math.prod(padded_shape(sizes)) for sizes in (self.train, self.val))


def choose_place(room: Room, device: torch.device, ranks: int = 1) -> Place:
    """The fastest place that has room; `ranks` processes of this machine each keep the images, each for a GPU of its own.

    What others take in the same moment isn't known: hence the shares."""
    if device.type == "cuda" and room.padded() <= DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]:
        return "device"
    return "memory" if room.flat() * ranks <= MEMORY_SHARE * available_memory() else "cache"


def to_device_where_it_fits(pixels: Tensor, device: torch.device) -> Tensor:
    """`pixels` on the device, unless they would take more of a GPU's free memory than is pixels' share."""
    if device.type == "cuda" and not pixels.is_cuda and pixels.nbytes > DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]:
        return pixels
    return pixels.to(device)


class FlatStore:
    """Takes images one by one into a flat buffer of main memory."""

    def __init__(self, size: int):
        self._buffer = torch.empty(size, dtype=torch.uint8)
        self._used = 0
        self._sizes: list[tuple[int, int]] = []

    def keep(self, image: Tensor) -> None:
        """Append a copy of `image`, uint8 [3, h, w]."""
        end = self._used + image.numel()
        if end > len(self._buffer):  # a header had promised less
            self._buffer.resize_(end)
        self._buffer[self._used : end].view(image.shape).copy_(image)
        self._used = end
        self._sizes.append((image.shape[1], image.shape[2]))

    def pixels(self) -> Ragged:
        return Ragged(self._buffer[: self._used], self._sizes)


class PaddedStore:
    """Takes images one by one into a padded tensor, on a GPU or anywhere."""

    def __init__(self, sizes: np.ndarray, device: torch.device):
        """`sizes` int64 [n, 2] as the headers say. torch.OutOfMemoryError where the device has no room."""
        self._tensor = torch.zeros(padded_shape(sizes), dtype=torch.uint8, device=device)
        self._sizes: list[tuple[int, int]] = []

    def keep(self, image: Tensor) -> None:
        """Append a copy of `image`, uint8 [3, h, w], from any device."""
        _, height, width = image.shape
        _, all_heights, _, all_widths = padded_shape(np.array([(height, width), self._tensor.shape[1::2]]))
        more_height, more_width = all_heights - self._tensor.shape[1], all_widths - self._tensor.shape[3]
        if more_height or more_width:  # a header had promised less
            self._tensor = F.pad(self._tensor, (0, more_width, 0, 0, 0, more_height))
        self._tensor[len(self._sizes), :height, :, :width].copy_(image.to(self._tensor.device).transpose(0, 1))
        self._sizes.append((height, width))

    def pixels(self) -> Padded:
        return Padded(self._tensor[: len(self._sizes)], self._sizes)
