"""Crop, flip and normalise whole batches, equal to torchvision's transforms within rounding.

Every random choice is a function of (seed, epoch): nothing is carried along, so a run that is picked up again needs no state
of a random generator, and the CPU and the GPU see the same crops.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional as tvf

from noodle_tui.weights import IMAGENET_MEAN, IMAGENET_STD

CROP_AREA = (0.08, 1.0)  # RandomResizedCrop's defaults
CROP_RATIO = (3 / 4, 4 / 3)
CROP_TRIES = 10
GREY = 128  # the middle of the grey levels: float16 has twice as many digits for what lies around zero


@dataclass(frozen=True)
class EpochPlan:
    """What one epoch does with each training image, in the order in which the batches take them."""

    order: np.ndarray  # int64 [n]: a permutation of the images
    boxes: np.ndarray  # int64 [n, 4]: top, left, height, width of each crop, in pixels of its own image
    flips: np.ndarray  # bool [n]


def plan_epoch(seed: int, epoch: int, sizes: np.ndarray) -> EpochPlan:
    """Order, crops and flips of epoch `epoch`. `sizes` is int64 [n, 2]: height and width of each image, in pixels."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(sizes))
    boxes = random_resized_crops(random, sizes[order])
    return EpochPlan(order, boxes, random.random(len(sizes)) < 0.5)


def random_resized_crops(random: np.random.Generator, sizes: np.ndarray) -> np.ndarray:
    """A crop box for each image: int64 [n, 4] of top, left, height, width, for `sizes` int64 [n, 2].

    torchvision's RandomResizedCrop.get_params, for all images at once: ten tries at a random area and aspect ratio, then
    the largest central crop whose ratio is allowed.
    """
    n = len(sizes)
    height, width = sizes[:, :1], sizes[:, 1:]
    area = height * width * random.uniform(*CROP_AREA, size=(n, CROP_TRIES))
    ratio = np.exp(random.uniform(*np.log(CROP_RATIO), size=(n, CROP_TRIES)))
    w = np.round(np.sqrt(area * ratio)).astype(np.int64)
    h = np.round(np.sqrt(area / ratio)).astype(np.int64)
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first = fits.argmax(axis=1)
    rows = np.arange(n)
    w, h = w[rows, first], h[rows, first]
    top = np.floor(random.random(n) * (height[:, 0] - h + 1)).astype(np.int64)
    left = np.floor(random.random(n) * (width[:, 0] - w + 1)).astype(np.int64)
    boxes = np.stack([top, left, h, w], axis=1)
    none_fits = ~fits.any(axis=1)
    for i in np.flatnonzero(none_fits):
        boxes[i] = central_crop(*sizes[i].tolist())
    return boxes


def central_crop(height: int, width: int) -> tuple[int, int, int, int]:
    """RandomResizedCrop's fallback: the largest central box whose aspect ratio lies within 3/4 and 4/3."""
    ratio = width / height
    h, w = height, width
    if ratio < CROP_RATIO[0]:
        h = round(width / CROP_RATIO[0])
    elif ratio > CROP_RATIO[1]:
        w = round(height * CROP_RATIO[1])
    return (height - h) // 2, (width - w) // 2, h, w


def crop_batch(images: list[Tensor], boxes: np.ndarray, flips: np.ndarray, size: int) -> Tensor:
    """Crops of images of any sizes (uint8 [3, h, w] each) as uint8 [n, 3, size, size], on the images' device (CPU)."""
    batch = torch.empty(len(images), 3, size, size, dtype=torch.uint8)
    for out, image, (top, left, height, width), flip in zip(batch, images, boxes.tolist(), flips.tolist(), strict=True):
        crop = image[None, :, top : top + height, left : left + width]
        small = F.interpolate(crop, (size, size), mode="bilinear", antialias=True)[0]
        out.copy_(small.flip(-1) if flip else small)
    return batch


def crop_geometry(boxes: np.ndarray, flips: np.ndarray, size: int) -> np.ndarray:
    """What `crop_padded_batch` needs to know of each crop and axis (rows, columns): float32 [n, 2, 5].

    The crop's first pixel and the one behind its last; one over the half width of the filter's triangle, which is as wide as
    the scale when shrinking (Pillow's and torchvision's `antialias=True`); and, counted in half widths, the centre of the first
    output pixel's triangle and the way to the next one's. Columns run backwards where `flips`.
    """
    start, length = boxes[:, :2].astype(np.float64), boxes[:, 2:]
    scale = length / size
    flipped = np.column_stack([np.zeros(len(flips), dtype=bool), flips])
    per_pixel = 1 / np.maximum(scale, 1)
    centre = start + np.where(flipped, size - 0.5, 0.5) * scale
    step = np.where(flipped, -scale, scale)
    return np.stack([start, start + length, per_pixel, centre * per_pixel, step * per_pixel], axis=2).astype(np.float32)


def crop_padded_batch(pixels: Tensor, geometry: Tensor, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The same crops as two matrix products, rows @ image @ columns^T, for a GPU: a few kernels a batch, fit for a CUDA graph.

    `pixels` uint8 [n, H, 3, W], as pixels.Padded has them, may be padded on the right and below; `geometry` float32 [n, 2, 5]
    is `crop_geometry`'s. Returns grey levels less GREY as `dtype` [n, 3, size, size], not rounded. In float16 they are 0.2
    levels off at most: the products are summed up in float32, but their factors are rounded.
    """
    n, height, colours, width = pixels.shape
    rows, columns = resize_weights(geometry, height, width, size, dtype)
    levels = torch.sub(pixels, float(GREY), out=torch.empty(pixels.shape, dtype=dtype, device=pixels.device))
    lower = torch.bmm(rows, levels.view(n, height, colours * width))
    small = torch.bmm(lower.view(n, size * colours, width), columns.transpose(1, 2))
    return small.view(n, size, colours, size).transpose(1, 2)


def resize_weights(geometry: Tensor, height: int, width: int, size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Antialiased bilinear weights of `crop_geometry`'s crops: `dtype` [n, size, height] of rows, [n, size, width] of columns.

    A triangle, cut at the crop's edges and normalised. It is a few pixels wide: the weights of those are worked out in float32
    and put in their places among zeros, since each pass over all pixels counts on a GPU.
    """
    first, end, per_pixel, centre, step = geometry[:, :, None].unbind(-1)  # [n, 2, 1] each
    n_taps = math.ceil(2 * max(height / size, width / size, 1)) + 2  # of the widest triangle, and one more at either end
    centres = torch.addcmul(centre, step, torch.arange(size, device=geometry.device, dtype=torch.float32))
    start = ((centres - 1) / per_pixel - 0.5).floor_().clamp_(min=0)  # [n, 2, size]
    pixel = start[..., None] + torch.arange(n_taps, device=geometry.device, dtype=torch.float32)  # [n, 2, size, n_taps]
    taps = 1 - ((pixel + 0.5) * per_pixel[..., None] - centres[..., None]).abs_()
    taps = torch.where((pixel >= first[..., None]) & (pixel < end[..., None]), taps.clamp_(min=0), 0)
    taps = taps.div_(taps.sum(-1, keepdim=True)).to(dtype)
    pixel = pixel.long()
    rows, columns = (_among_zeros(taps[:, axis], pixel[:, axis], n_in) for axis, n_in in enumerate((height, width)))
    return rows, columns


def _among_zeros(taps: Tensor, pixel: Tensor, n_in: int) -> Tensor:
    """The weights [n, size, n_taps] of pixels (int64, as many) among those of `n_in` pixels: [n, size, n_in]. Pixels beyond
    have weight 0."""
    n, size, n_taps = taps.shape
    room = -(-(n_in + n_taps) // 8) * 8  # also what GPUs multiply fastest
    return torch.zeros(n, size, room, dtype=taps.dtype, device=taps.device).scatter_(2, pixel, taps)[:, :, :n_in]


def central_square(image: Tensor, size: int) -> Tensor:
    """The validation transform, Resize(size) and CenterCrop(size): uint8 [3, h, w] to uint8 [3, size, size]."""
    small = tvf.resize(image, [size], antialias=True)
    return tvf.center_crop(small, [size, size])


def as_input(images: Tensor) -> Tensor:
    """What the network takes, from grey levels (uint8 [n, 3, h, w]) or from images that are normalised already."""
    return normalise(images) if images.dtype == torch.uint8 else images


def normalise(pixels: Tensor, grey: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Grey levels 0..255, less `grey` (any dtype, [n, 3, h, w]), to ImageNet-normalised `dtype`, channels last in memory."""
    scale, offset = _scale_and_offset(pixels.device, grey)
    if pixels.device.type == "mps":  # Apple's takes one type and writes it in its own order
        return torch.addcmul(offset, pixels.float(), scale).to(dtype).contiguous(memory_format=torch.channels_last)
    result = torch.empty_like(pixels, dtype=dtype, memory_format=torch.channels_last)
    return torch.addcmul(offset, pixels, scale, out=result)  # one pass


@cache
def _scale_and_offset(device: torch.device, grey: int) -> tuple[Tensor, Tensor]:
    """What ImageNet's normalisation multiplies grey levels (less `grey`) by and then adds, float32 [1, 3, 1, 1]. Kept on the
    device: a copy from main memory can't be part of a CUDA graph, and would have each step wait."""
    mean, std = (255 * torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (1 / std).float().to(device), ((grey - mean) / std).float().to(device)
