"""The transforms against torchvision's own, the random crops against RandomResizedCrop's distribution."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from scipy.stats import ks_2samp
from torchvision import transforms
from torchvision.io import ImageReadMode, decode_image
from torchvision.models import ResNet18_Weights
from torchvision.transforms import functional as tv
from torchvision.transforms.v2.functional import to_dtype

from noodle_tui.augment import (
    GREY,
    central_crop,
    central_square,
    crop_batch,
    crop_geometry,
    crop_padded_batch,
    normalise,
    plan_epoch,
    random_resized_crops,
)
from noodle_tui.decode import decode_file

DEFAULT: Any = transforms.RandomResizedCrop(1)  # has torchvision's areas and ratios
PRETRAINED: Any = ResNet18_Weights.IMAGENET1K_V1.transforms()  # what the weights were trained with


def noise(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    """Noise, the hardest picture to resize alike: neighbours differ by up to 255 grey levels."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8).squeeze()


def save_rgb(height: int, width: int) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(noise(height, width, 3).reshape(height, width, 3)).save(path)


def save_mode(mode: str) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(noise(61, 47, 3)).convert(mode).save(path)


def save_with_alpha(channels: int) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(noise(61, 47, channels), {2: "LA", 4: "RGBA"}[channels]).save(path)


def save_16_bit(path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 65_536, (61, 47), dtype=np.uint16)
    Image.fromarray(levels).save(path)


def save_palette(path: Path) -> None:
    Image.fromarray(noise(61, 47, 3)).quantize(64).save(path, transparency=3)


def save_rotated(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    Image.fromarray(noise(61, 47, 3)).save(path, exif=exif)


IMAGES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "odd": ("png", save_rgb(131, 97)),
    "tall": ("png", save_rgb(419, 23)),
    "wide": ("png", save_rgb(23, 419)),
    "large": ("png", save_rgb(650, 506)),
    "smaller than the input": ("png", save_rgb(17, 20)),
    "four pixels": ("png", save_rgb(2, 2)),
    "grey": ("png", save_mode("L")),
    "black and white": ("png", save_mode("1")),
    "grey and alpha": ("png", save_with_alpha(2)),
    "RGBA": ("png", save_with_alpha(4)),
    "palette with transparency": ("png", save_palette),
    "CMYK": ("jpg", save_mode("CMYK")),
    "16 bit": ("png", save_16_bit),
    "EXIF-rotated": ("jpg", save_rotated),
}


def as_torchvision_reads(path: Path, kind: str) -> Image.Image:
    """What torchvision's ImageFolder gives to the transforms, upright; 16 bit by torchvision's own reader and scaling."""
    if kind == "16 bit":
        shares = to_dtype(decode_image(str(path), mode=ImageReadMode.UNCHANGED)[0], torch.float64, scale=True)  # 0 to 1
        return Image.fromarray((255 * shares).round().to(torch.uint8).numpy()).convert("RGB")
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def pixels_of(path: Path) -> torch.Tensor:
    return decode_file(path).pixels


@pytest.fixture(params=IMAGES)
def picture(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[torch.Tensor, Image.Image]:
    """(as this program reads it, as torchvision does)."""
    ending, save = IMAGES[request.param]
    path = tmp_path / f"picture.{ending}"
    save(path)
    return pixels_of(path), as_torchvision_reads(path, request.param)


@pytest.mark.parametrize("size", [32, 224])
def test_validation_transform_is_torchvisions(picture: tuple[torch.Tensor, Image.Image], size: int) -> None:
    ours, theirs = picture
    seeds = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size), transforms.PILToTensor()])
    wanted: Any = seeds(theirs)
    difference = central_square(ours, size).int() - wanted.int()
    assert difference.abs().max().item() <= 1


@pytest.mark.parametrize("size", [32, 224])
def test_train_transform_is_torchvisions(picture: tuple[torch.Tensor, Image.Image], size: int) -> None:
    ours, theirs = picture
    plan = plan_epoch(42, 1, np.array([ours.shape[1:]] * 6))
    crops = crop_batch([ours] * 6, plan.boxes, plan.flips, size)
    assert len(set(plan.flips.tolist())) == 2
    for crop, (top, left, h, w), flip in zip(crops, plan.boxes.tolist(), plan.flips, strict=True):
        wanted: Any = tv.resized_crop(theirs, top, left, h, w, [size, size])  # type: ignore[arg-type]
        wanted = tv.pil_to_tensor(tv.hflip(wanted) if flip else wanted)
        assert (crop.int() - wanted.int()).abs().max().item() <= 1


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 0.05), (torch.float16, 0.25)])
def test_crops_by_matrix_products_are_torchvisions(dtype: torch.dtype, tolerance: float) -> None:
    sizes = [(131, 97), (40, 160), (160, 31), (17, 20), (1, 1), (160, 160)]
    images = [torch.from_numpy(noise(h, w, 3, seed=w)).reshape(h, w, 3).permute(2, 0, 1) for h, w in sizes]
    plan = plan_epoch(7, 3, np.array(sizes))
    images = [images[i] for i in plan.order]
    padded = torch.full((len(images), 160, 3, 160), 255, dtype=torch.uint8)  # what lies beside an image must not bleed in
    for place, image in zip(padded, images, strict=True):
        place[: image.shape[1], :, : image.shape[2]] = image.transpose(0, 1)
    geometry = torch.from_numpy(crop_geometry(plan.boxes, plan.flips, 64))
    crops = crop_padded_batch(padded, geometry, 64, dtype).float() + GREY
    for crop, image, (top, left, h, w), flip in zip(crops, images, plan.boxes.tolist(), plan.flips, strict=True):
        wanted = tv.resized_crop(image.float(), top, left, h, w, [64, 64], antialias=True)
        wanted = wanted.flip(-1) if flip else wanted
        assert (crop - wanted).abs().max().item() < tolerance  # grey levels


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 5), (900, 3), (2, 400)])
def test_crops_by_matrix_products_of_tiny_and_narrow_images_are_torchvisions(height: int, width: int) -> None:
    image = torch.from_numpy(noise(height, width, 3)).reshape(height, width, 3).permute(2, 0, 1)
    plan = plan_epoch(5, 2, np.array([[height, width]] * 20))
    padded = image.transpose(0, 1)[None].expand(20, -1, -1, -1).contiguous()
    crops = crop_padded_batch(padded, torch.from_numpy(crop_geometry(plan.boxes, plan.flips, 64)), 64) + GREY
    for crop, (top, left, h, w), flip in zip(crops, plan.boxes.tolist(), plan.flips, strict=True):
        wanted = tv.resized_crop(image.float(), top, left, h, w, [64, 64], antialias=True)
        assert (crop - (wanted.flip(-1) if flip else wanted)).abs().max().item() < 0.05


@pytest.mark.parametrize("size", [32, 224])
def test_crops_in_half_precision_of_large_noise_are_torchvisions(size: int) -> None:
    image = torch.from_numpy(noise(762, 562, 3)).permute(2, 0, 1)
    plan = plan_epoch(1, 1, np.array([image.shape[1:]] * 12))
    padded = image.transpose(0, 1)[None].expand(12, -1, -1, -1).contiguous()
    geometry = torch.from_numpy(crop_geometry(plan.boxes, plan.flips, size))
    crops = crop_padded_batch(padded, geometry, size, torch.float16).float() + GREY
    for crop, (top, left, h, w), flip in zip(crops, plan.boxes.tolist(), plan.flips, strict=True):
        wanted = tv.resized_crop(image.float(), top, left, h, w, [size, size], antialias=True)
        assert (crop - (wanted.flip(-1) if flip else wanted)).abs().max().item() < 0.25


@pytest.mark.parametrize("grey", [0, GREY])
def test_normalise_is_torchvisions(grey: int) -> None:
    pixels = torch.from_numpy(noise(8, 8, 3)).permute(2, 0, 1)[None]
    wanted = transforms.Normalize(PRETRAINED.mean, PRETRAINED.std)(pixels / 255)
    result = normalise(pixels.half() - grey if grey else pixels, grey)
    assert result.dtype == torch.float32
    assert torch.equal(normalise(pixels, dtype=torch.bfloat16), normalise(pixels).bfloat16())
    assert result.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(result, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(650, 506), (64, 64), (60, 300), (300, 100)])
def test_crops_are_distributed_as_torchvisions(height: int, width: int) -> None:
    n = 3000
    ours = random_resized_crops(np.random.default_rng(1), np.array([[height, width]] * n))
    torch.manual_seed(1)
    image = torch.empty(3, height, width)
    theirs = np.array([transforms.RandomResizedCrop.get_params(image, DEFAULT.scale, DEFAULT.ratio) for _ in range(n)])

    def described(boxes: np.ndarray) -> dict[str, np.ndarray]:
        top, left, h, w = boxes.T.astype(float)
        return {"area": h * w, "ratio": w / h, "top": top, "left": left, "bottom": top + h, "right": left + w}

    for name, values in described(ours).items():
        result: Any = ks_2samp(values, described(theirs)[name])
        assert result.pvalue > 0.001, name


@pytest.mark.parametrize(("height", "width"), [(100, 10), (10, 100), (100, 100), (3, 1), (1, 3), (1, 1)])
def test_fallback_is_torchvisions(height: int, width: int) -> None:
    # an area of many times the image's never fits, so that torchvision falls back, too
    theirs = transforms.RandomResizedCrop.get_params(torch.empty(3, height, width), [50.0, 60.0], DEFAULT.ratio)
    assert central_crop(height, width) == theirs


def test_boxes_lie_inside_their_images() -> None:
    random = np.random.default_rng(0)
    sizes = np.concatenate([random.integers(1, 5, (2000, 2)), random.integers(1, 700, (2000, 2))])
    top, left, height, width = random_resized_crops(random, sizes).T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (height >= 1).all()
    assert (width >= 1).all()
    assert (top + height <= sizes[:, 0]).all()
    assert (left + width <= sizes[:, 1]).all()


def test_plan_is_a_function_of_seed_and_epoch() -> None:
    sizes = np.array([[50, 40]] * 100)
    plan, same = plan_epoch(42, 3, sizes), plan_epoch(42, 3, sizes)
    for name in ("order", "boxes", "flips"):
        assert (getattr(plan, name) == getattr(same, name)).all()
        for other in (plan_epoch(42, 4, sizes), plan_epoch(43, 3, sizes)):
            assert (getattr(plan, name) != getattr(other, name)).any()


def test_a_later_version_picks_a_run_up_with_the_same_crops() -> None:
    """Numbers of the first version: whoever changes them changes what a run learns that is picked up."""
    plan = plan_epoch(42, 3, np.array([[762, 562], [100, 10], [40, 160], [224, 224], [650, 506]]))
    assert plan.order.tolist() == [3, 2, 0, 1, 4]
    assert plan.boxes.tolist() == [[21, 3, 157, 202], [0, 53, 40, 53], [55, 141, 236, 277], [3, 0, 9, 10], [135, 89, 278, 236]]
    assert plan.flips.tolist() == [True, True, False, True, False]


def test_each_image_is_taken_once_an_epoch() -> None:
    for epoch in range(1, 5):
        assert sorted(plan_epoch(0, epoch, np.array([[9, 9]] * 37)).order) == list(range(37))


def test_boxes_belong_to_the_image_that_the_order_takes() -> None:
    sizes = np.array([[10, 500], [500, 10]] * 50)
    plan = plan_epoch(42, 1, sizes)
    assert (plan.boxes[:, :2] + plan.boxes[:, 2:] <= sizes[plan.order]).all()


def test_half_of_the_images_are_flipped() -> None:
    flipped = sum(plan_epoch(42, epoch, np.array([[9, 9]] * 1000)).flips.sum() for epoch in range(10))
    assert abs(flipped - 5000) < 200  # four standard deviations
