"""Image files to uint8 pixels: by Pillow in threads; on an NVIDIA GPU plain JPEGs in batches by nvJPEG, Pillow for the rest.

Pillow's pixels are the exact ones. nvJPEG's differ by rounding, and where a photo's colour is stored at half size (as cameras
do) it may fill in colour edges differently. So it decodes training photos only, and none with `--precision fp32`: what a
validation photo looks like, and with it every accuracy, is the same on each device and in `noodle predict`.

torchvision's `decode_jpeg` on the CPU gives Pillow's pixels bit for bit, but is no faster than Pillow read a colour at a time,
and its libjpeg prints warnings of odd files to stderr, which would tear a screen.
"""

import hashlib
import io
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from noodle_tui.device import available_cpus
from noodle_tui.errors import full_memory
from noodle_tui.images import BadImage, check_is_photo, errors_as_bad_image, open_image, open_photo
from noodle_tui.progress import Check

MAX_BYTES = 2**30  # of a file, which is read whole: twice the most pixels allowed at 16 bits a colour, without compression
ORIENTATION = 0x0112  # the EXIF tag; 1 is upright
UPRIGHT = {  # what to do about its other values
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)  # those that swap height and width
GPU_BATCH = 64  # files that nvJPEG decodes at a time
AHEAD = 4  # files a processor that may be read or decoded before they are asked for: few, so that memory stays small

Item = TypeVar("Item")
Result = TypeVar("Result")
DecodeBatch = Callable[[list[bytes]], list[Tensor]]  # whole JPEG files to uint8 [3, h, w] each; RuntimeError if one can't be


@dataclass(frozen=True)
class Decoded:
    pixels: Tensor  # uint8 [3, h, w]
    digest: bytes  # SHA-256 of the file's content
    by_nvjpeg: bool = False  # not exactly Pillow's pixels


@dataclass(frozen=True)
class PlainJpeg:
    """A file that nvJPEG may decode, read but not decoded."""

    content: bytes
    digest: bytes
    size: tuple[int, int]  # height and width, as the header says


def decode_file(path: Path) -> Decoded:
    """An image file's pixels, upright (EXIF). BadImage if it can't be decoded whole.

    Modes become RGB as Pillow converts them (alpha is dropped, as torchvision's ImageFolder does); 16-bit grey is scaled to
    8 bits, where Pillow alone would clip it to white.
    """
    content = read_content(path)
    return Decoded(decode_content(path, content), hashlib.sha256(content).digest())


def read_content(path: Path) -> bytes:
    """The whole file. BadImage if it can't be read."""
    with errors_as_bad_image(path):
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # a pipe would be waited for, a device never ends
            raise BadImage("not a file")
        if about.st_size > MAX_BYTES:
            raise BadImage(f"{about.st_size} bytes are too many for a photo")
        return path.read_bytes()


def decode_content(path: Path, content: bytes) -> Tensor:
    """Pillow's pixels of a file's content, uint8 [3, h, w], as in `decode_file`; `path` is for the reason only."""
    with errors_as_bad_image(path), open_image(io.BytesIO(content)) as image:
        check_is_photo(image)
        return _colours_first(_upright_rgb(image))


def read_plain_jpeg(path: Path) -> PlainJpeg | Decoded:
    """Read a file; decode it here where it is nothing for nvJPEG. BadImage as in `decode_file`."""
    content = read_content(path)
    digest = hashlib.sha256(content).digest()
    with errors_as_bad_image(path), open_image(io.BytesIO(content)) as image:
        check_is_photo(image)
        if _is_plain_jpeg(image, content):
            return PlainJpeg(content, digest, (image.height, image.width))
        return Decoded(_colours_first(_upright_rgb(image)), digest)


def decode_in_threads(
    paths: Iterable[Path], check: Check, transform: Callable[[Tensor], Tensor] = lambda image: image
) -> Iterator[Decoded | BadImage]:
    """`decode_file` on each, then `transform`, by all processors, in order. `check` is called meanwhile and may raise."""

    def decode(path: Path) -> Decoded:
        decoded = decode_file(path)
        return Decoded(transform(decoded.pixels), decoded.digest)

    return in_threads(_or_bad(decode), paths, check)


def decode_in_batches(
    paths: Iterable[Path], decode_batch: DecodeBatch, check: Check
) -> Iterator[Decoded | BadImage]:
    """Each file in order: plain JPEGs by `decode_batch`, many at a time, what it refuses and all others by Pillow.

    torch.OutOfMemoryError where the GPU is full.
    """
    read = in_threads(_or_bad(lambda path: (path, read_plain_jpeg(path))), paths, check, ahead=2 * GPU_BATCH)
    works = True
    while batch := list(islice(read, GPU_BATCH)):
        plain = [(one[0], one[1]) for one in batch if not isinstance(one, BadImage) and isinstance(one[1], PlainJpeg)]
        images = _try_batch([file for _, file in plain], decode_batch) if works else [None] * len(plain)
        if len(plain) >= GPU_BATCH // 2 and not any(image is not None for image in images):
            works = False  # it is not the photos: a driver without the decoder says so for each of them anew
        refused = [one for one, image in zip(plain, images, strict=True) if image is None]
        by_pillow = in_threads(_or_bad(_by_pillow), refused, check)
        ready = iter(images)
        for one in batch:
            if isinstance(one, BadImage):
                yield one
            elif isinstance(one[1], Decoded):
                yield one[1]
            else:
                image = next(ready)
                yield next(by_pillow) if image is None else Decoded(image, one[1].digest, by_nvjpeg=True)


def nvjpeg(device: torch.device) -> DecodeBatch | None:
    """A function that decodes batches of JPEGs on the GPU `device`; None where torchvision has none any more.

    torchvision 0.29 announces that its decoders will be removed.
    """
    try:
        from torchvision.io import ImageReadMode, decode_jpeg
    except ImportError:
        return None

    def decode(contents: list[bytes]) -> list[Tensor]:
        files = [torch.frombuffer(bytearray(content), dtype=torch.uint8) for content in contents]
        # the decoder writes at once, into memory that copies of the last batch, which wait in a queue, may still be reading
        torch.cuda.current_stream(device).synchronize()
        try:
            images = decode_jpeg(files, ImageReadMode.RGB, device=device)
        except RuntimeError:
            torch.cuda.synchronize(device)  # it may still be writing into what is freed now
            raise
        return images if isinstance(images, list) else [images]

    return decode


def header_sizes(paths: Iterable[Path], check: Check) -> np.ndarray:
    """int64 [n, 2]: height and width of each image, upright, from its header; 0, 0 where that can't be read."""
    return np.array(list(in_threads(_header_size, paths, check)), dtype=np.int64).reshape(-1, 2)


def digests(paths: Iterable[Path], check: Check) -> Iterator[bytes | BadImage]:
    """SHA-256 of each file's content, in order."""
    return in_threads(_or_bad(lambda path: hashlib.sha256(read_content(path)).digest()), paths, check)


def in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], check: Check, ahead: int = 0
) -> Iterator[Result]:
    """`work` on each item by all processors, results in order; at most `ahead` items (or a few) are begun before their turn."""
    cpus = available_cpus()
    window: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(cpus, thread_name_prefix="decode") as pool:
        for item in items:
            window.append(pool.submit(work, item))
            if len(window) > max(ahead, AHEAD * cpus):
                check()
                yield window.popleft().result()
        while window:
            check()
            yield window.popleft().result()


def _or_bad(work: Callable[[Item], Result]) -> "Callable[[Item], Result | BadImage]":
    """`work`, with BadImage returned and not raised."""

    def guarded(item: Item) -> "Result | BadImage":
        try:
            return work(item)
        except BadImage as bad:
            return bad

    return guarded


def _by_pillow(read: tuple[Path, PlainJpeg]) -> Decoded:
    path, file = read
    return Decoded(decode_content(path, file.content), file.digest)


def _try_batch(jpegs: list[PlainJpeg], decode_batch: DecodeBatch) -> list[Tensor | None]:
    """The pixels of each; None for one that Pillow must look at. One bad file fails its whole batch: then they go singly."""
    if not jpegs:
        return []
    try:
        images = decode_batch([jpeg.content for jpeg in jpegs])
    except RuntimeError as error:
        if full_memory(error) == "gpu":  # no fault of the files; torchvision wraps it up as one more error of decoding
            raise torch.OutOfMemoryError(str(error)) from None
        return [None] if len(jpegs) == 1 else [_try_batch([jpeg], decode_batch)[0] for jpeg in jpegs]
    return [image if image.shape == (3, *jpeg.size) else None for image, jpeg in zip(images, jpegs, strict=True)]


def _is_plain_jpeg(image: Image.Image, content: bytes) -> bool:
    """Whether nvJPEG may be trusted with a JPEG: YCbCr colour, upright, and not cut short, which it might not notice."""
    if image.format != "JPEG" or image.mode != "RGB" or _orientation(image) != 1:
        return False
    ids = bytes(layer[0] for layer in getattr(image, "layer", []))
    stored_as_rgb = image.info.get("adobe_transform", 1) == 0 or ids == b"RGB"
    return not stored_as_rgb and content.rstrip(b"\0").endswith(b"\xff\xd9")


def _upright_rgb(image: Image.Image) -> Image.Image:
    image.load()
    turn = UPRIGHT.get(_orientation(image))
    # not ImageOps.exif_transpose: it writes the EXIF anew, and fails where that has odd fields though every pixel is sound
    image = image if turn is None else image.transpose(turn)
    if image.mode.startswith("I") or image.mode == "F":
        grey = np.asarray(image, dtype=np.float64)
        top = grey.max(initial=0)  # floating point from 0 to 1, or of 8 or 16 bits
        scale = 255 if image.mode == "F" and top <= 1 else 1 if top <= 255 else 1 / 257
        image = Image.fromarray(np.clip(grey * scale + 0.5, 0, 255).astype(np.uint8))
    return image if image.mode == "RGB" else image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    """EXIF's; 1, upright, where a photo says nothing, or nothing that can be read: its pixels are sound all the same."""
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - Pillow's readers of broken EXIF end in SyntaxError, struct.error, ValueError and others
        return 1


def _colours_first(image: Image.Image) -> Tensor:
    """uint8 [3, h, w], contiguous: a colour at a time is a quarter faster than to turn the whole array."""
    return torch.from_numpy(np.stack([np.asarray(band) for band in image.split()]))


def _header_size(path: Path) -> tuple[int, int]:
    try:
        with open_photo(path) as image:
            # Pillow would decode a whole PNG to look for EXIF behind its pixels
            known = image.format != "PNG" or "exif" in image.info
            # of a TIFF Pillow knows the upright size
            turned = known and image.format != "TIFF" and _orientation(image) in SIDEWAYS
            return (image.width, image.height) if turned else (image.height, image.width)
    except (BadImage, MemoryError):  # found again, with its reason, when it is decoded
        return 0, 0
