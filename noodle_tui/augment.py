"""Crop, flip and normalise whole batches, equal to torchvision's transforms within rounding.

Every random choice is a function of (seed, epoch): nothing is carried along, so a run that is picked up again needs no state
of a random generator, and the CPU and the GPU see the same crops.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional as tvf

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CROP_AREA = (0.08, 1.0)  # RandomResizedCrop's defaults
CROP_RATIO = (3 / 4, 4 / 3)
CROP_TRIES = 10


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


def crop_padded_batch(
    pixels: Tensor, boxes: Tensor, flips: Tensor, size: int, dtype: torch.dtype = torch.float32
) -> Tensor:
    """The same crops as two matrix products, Wy @ image @ Wx^T, for a GPU: a few kernels a batch, fit for a CUDA graph.

    `pixels` uint8 [n, 3, H, W] may be padded on the right and below; `boxes` int64 [n, 4] and `flips` bool [n] lie on the
    same device. Returns grey levels as `dtype` [n, 3, size, size], not rounded. float16 holds 0..255 exactly and is summed up
    in float32; its weights and the width's result are rounded, which costs a quarter of a grey level at most.
    """
    n, colours, n_rows, n_columns = pixels.shape
    top, left, height, width = boxes.unbind(1)
    rows = resize_weights(top, height, n_rows, size, torch.zeros_like(flips), dtype)
    columns = resize_weights(left, width, n_columns, size, flips, dtype)
    # all rows of an image's three colours as one matrix: the weights are not copied for each colour
    narrow = pixels.to(dtype).view(n, colours * n_rows, n_columns) @ columns.transpose(1, 2)
    return rows[:, None] @ narrow.view(n, colours, n_rows, size)


def resize_weights(start: Tensor, length: Tensor, n_in: int, n_out: int, flip: Tensor, dtype: torch.dtype) -> Tensor:
    """Antialiased bilinear weights, `dtype` [n, n_out, n_in], that resize pixels [start, start + length) to n_out.

    A triangle filter, as wide as the scale when shrinking (Pillow's and torchvision's `antialias=True`), cut at the crop's
    edges and normalised. Rows run backwards where `flip`. Positions are float32; each pass over the large result counts on a
    GPU, so it is made in `dtype` and in place.
    """
    start, length = start[:, None].float(), length[:, None].float()
    scale = length / n_out
    half_width = scale.clamp(min=1)  # of the triangle, in pixels; positions are counted in it from here on
    i = torch.arange(n_out, device=start.device, dtype=torch.float32)
    i = torch.where(flip[:, None], n_out - 1 - i, i)
    centre = (start + (i + 0.5) * scale) / half_width
    j = torch.arange(n_in, device=start.device, dtype=torch.float32)
    inside = (j >= start) & (j < start + length)
    j = torch.where(inside, (j + 0.5) / half_width, torch.inf)  # infinitely far from each centre: no weight
    distance = torch.empty(len(start), n_out, n_in, device=start.device, dtype=dtype)
    torch.sub(j[:, None], centre[:, :, None], out=distance).abs_()
    weights = (1 - distance).clamp_(min=0)
    return weights.div_(weights.sum(-1, keepdim=True, dtype=torch.float32))


def central_square(image: Tensor, size: int) -> Tensor:
    """The validation transform, Resize(size) and CenterCrop(size): uint8 [3, h, w] to uint8 [3, size, size]."""
    small = tvf.resize(image, [size], antialias=True)
    return tvf.center_crop(small, [size, size])


def normalise(pixels: Tensor) -> Tensor:
    """Grey levels 0..255 (any dtype, [n, 3, h, w]) to ImageNet-normalised float32, channels last in memory."""
    scale, offset = _scale_and_offset(pixels.device)
    result = torch.empty_like(pixels, dtype=torch.float32, memory_format=torch.channels_last)
    return torch.addcmul(offset, pixels, scale, out=result)  # one pass


@cache
def _scale_and_offset(device: torch.device) -> tuple[Tensor, Tensor]:
    """What ImageNet's normalisation multiplies grey levels by and then adds, float32 [1, 3, 1, 1]. Kept on the device: a copy
    from main memory can't be part of a CUDA graph, and would have each step wait."""
    mean, std = (255 * torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (1 / std).float().to(device), (-mean / std).float().to(device)
