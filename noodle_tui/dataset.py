"""Class folders to decoded pixels: every image is read and decoded once, before training, and kept as uint8.

That finds every unreadable image before the first epoch, and no epoch waits for the disk. The pixels lie in main memory, or,
where they don't fit, in a file that the system pages in and out.
"""

import hashlib
import io
import math
import stat
import tempfile
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import psutil
import torch
from PIL import Image, ImageOps
from torch import Tensor

from noodle_tui.augment import central_square
from noodle_tui.device import available_cpus, available_memory
from noodle_tui.errors import NoodleError, one_line
from noodle_tui.names import printable
from noodle_tui.rejig import split_by
from noodle_tui.samples import SPLITS, Sample, find_samples

MEMORY_SHARE = 0.6  # of the free memory, for pixels
MAX_ASPECT = 100  # Resize brings the short side to the input size: at 1:1000 the long one would fill the memory


@dataclass(frozen=True)
class Split:
    """The images of one phase, decoded."""

    samples: list[Sample]
    pixels: list[Tensor]  # uint8 [3, h, w] each; in the validation split all [3, size, size], transformed already
    labels: Tensor  # int64 [n]

    @property
    def sizes(self) -> np.ndarray:
        """int64 [n, 2]: height and width of each image."""
        return np.array([image.shape[1:] for image in self.pixels], dtype=np.int64).reshape(-1, 2)

    @property
    def people(self) -> set[str]:
        return {s.person for s in self.samples if s.person is not None}

    def counts(self, n_classes: int) -> list[int]:
        return torch.bincount(self.labels, minlength=n_classes).tolist()


@dataclass(frozen=True)
class Dataset:
    classes: list[str]  # in the order of the model's outputs: sorted by name, as torchvision's ImageFolder does
    train: Split
    val: Split
    skipped: list[tuple[str, str]]  # name and reason of images left out with --skip-bad-images
    fingerprint: str  # of the classes, the split and every file's content; names are left out
    where: str  # where the pixels are kept, in words
    split_by: str | None  # "file" or "person" as rejig split them; None where the folders were made otherwise


class BadImage(Exception):
    """One image that can't be used; the text is the reason."""


def read_image(path: Path) -> tuple[np.ndarray, str]:
    """An image file as uint8 [h, w, 3], upright (EXIF), and its content's SHA-256. BadImage if it can't be decoded whole.

    Modes become RGB as Pillow converts them (alpha is dropped, as torchvision's ImageFolder does); 16-bit grey is scaled to
    8 bits, where Pillow alone would clip it to white.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for, a device never ends
            raise BadImage("not a file")
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            _check_size(image.width, image.height)
            return np.array(_upright_rgb(image)), hashlib.sha256(content).hexdigest()
    except BadImage:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise anything on broken files; each is one bad image
        raise BadImage(_reason(path, error)) from None


def _check_size(width: int, height: int) -> None:
    """BadImage where decoding or resizing would fill the memory: Pillow itself refuses only twice its own limit."""
    if width * height > (Image.MAX_IMAGE_PIXELS or math.inf):
        raise BadImage(f"{width} x {height} pixels are too many")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise BadImage(f"{width} x {height} pixels: too narrow for a photo")


def _upright_rgb(image: Image.Image) -> Image.Image:
    image.load()
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I") or upright.mode == "F":
        grey = np.asarray(upright, dtype=np.float64)
        scale = 1 / 257 if grey.max(initial=0) > 255 else 1
        upright = Image.fromarray(np.clip(grey * scale + 0.5, 0, 255).astype(np.uint8))
    return upright.convert("RGB")


def _reason(path: Path, error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if path.is_file() and path.stat().st_size == 0:
        return "the file is empty"
    if "cannot identify" in str(error):
        return "not an image, whatever its ending says"
    return one_line(error).replace(str(path), "the file")


def load_dataset(
    data_dir: Path,
    person: str,
    input_size: int,
    *,
    skip_bad_images: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    check: Callable[[], None] = lambda: None,
) -> Dataset:
    """Find and decode everything. NoodleError lists what can't be read, unless `skip_bad_images`."""
    classes, samples = find_samples(data_dir, person)
    everything = [sample for split in SPLITS for sample in samples[split]]
    decoded: dict[str, Tensor] = {}
    digests: dict[str, str] = {}
    skipped: list[tuple[str, str]] = []

    def decode(sample: Sample) -> tuple[Tensor, str]:
        array, digest = read_image(sample.path)
        image = torch.from_numpy(array).permute(2, 0, 1)
        if sample.name.startswith("val/"):
            return central_square(image.contiguous(), input_size), digest
        return image, digest

    with warnings.catch_warnings():  # here and not in the threads: the filters are the whole process's
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata on stderr, which would tear a screen
        store = PixelStore(_memory_needed(everything, input_size))
        for done, (sample, result) in enumerate(_in_threads(decode, everything, check), start=1):
            if isinstance(result, BadImage):
                skipped.append((sample.name, str(result)))
            else:
                image, digests[sample.name] = result
                decoded[sample.name] = store.keep(image)
            progress(done, len(everything))
    if skipped and not skip_bad_images:
        raise NoodleError(_bad_images_in_words(skipped))
    splits = {split: _split([s for s in samples[split] if s.name in decoded], decoded) for split in SPLITS}
    _check_complete(data_dir, classes, splits)
    return Dataset(classes, splits["train"], splits["val"], skipped, _fingerprint(everything, digests), store.where,
                   split_by(data_dir))


def _in_threads(
    work: Callable[[Sample], tuple[Tensor, str]], samples: list[Sample], check: Callable[[], None]
) -> Iterable[tuple[Sample, "tuple[Tensor, str] | BadImage"]]:
    """`work` on every sample by all processors, results in order; a few images ahead, so that memory stays small."""

    def guarded(sample: Sample) -> "tuple[Tensor, str] | BadImage":
        try:
            return work(sample)
        except BadImage as bad:
            return bad

    cpus = available_cpus()
    with ThreadPoolExecutor(cpus, thread_name_prefix="decode") as pool:
        for start in range(0, len(samples), 8 * cpus):
            check()
            chunk = samples[start : start + 8 * cpus]
            yield from zip(chunk, pool.map(guarded, chunk), strict=True)


def _bad_images_in_words(bad: list[tuple[str, str]]) -> str:
    listed = "; ".join(f"{printable(name)} ({reason})" for name, reason in bad[:5])
    more = f"; and {len(bad) - 5} more" if len(bad) > 5 else ""
    return f"{len(bad)} image(s) can't be read: {listed}{more}. Mend or remove them, or add --skip-bad-images"


def _split(samples: list[Sample], decoded: dict[str, Tensor]) -> Split:
    return Split(samples, [decoded[s.name] for s in samples], torch.tensor([s.label for s in samples], dtype=torch.long))


def _check_complete(data_dir: Path, classes: list[str], splits: dict[str, Split]) -> None:
    for split, content in splits.items():
        for name, count in zip(classes, content.counts(len(classes)), strict=True):
            if count == 0:
                raise NoodleError(f"{data_dir / split / name}: none of its images can be read")


def _fingerprint(samples: list[Sample], digests: dict[str, str]) -> str:
    """SHA-256 of every used image's split, class and content, in a fixed order."""
    lines = sorted(f"{s.name.split('/')[0]} {s.label} {digests[s.name]}" for s in samples if s.name in digests)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _memory_needed(samples: list[Sample], input_size: int) -> int:
    """Bytes of all decoded pixels, from the images' headers; a header that can't be read counts nothing."""
    with ThreadPoolExecutor(available_cpus()) as pool:
        return sum(pool.map(lambda s: 3 * input_size**2 if s.name.startswith("val/") else _header_bytes(s.path), samples))


def _header_bytes(path: Path) -> int:
    try:
        if not path.is_file():
            return 0
        with Image.open(path) as image:
            _check_size(image.width, image.height)
            return 3 * image.width * image.height
    except Exception:  # noqa: BLE001 - as in read_image; found again, with its reason, when it is decoded
        return 0


class PixelStore:
    """One flat uint8 buffer that decoded images are appended to: in main memory if it fits, else in a mapped file."""

    def __init__(self, size: int):
        fits = size <= MEMORY_SHARE * available_memory()
        self.where = f"{'memory' if fits else 'a mapped file on disk'}, {size / 2**30:.2f} GiB"
        self._used = 0
        self._buffer = torch.empty(size, dtype=torch.uint8) if fits else _mapped_file(size)

    def keep(self, image: Tensor) -> Tensor:
        """A copy of `image` (uint8 [3, h, w]) inside the buffer; outside of it if a header had promised less."""
        end = self._used + image.numel()
        if end > len(self._buffer):
            return image.contiguous()
        place = self._buffer[self._used : end].view(image.shape)
        place.copy_(image)
        self._used = end
        return place


def _mapped_file(size: int) -> Tensor:
    """A uint8 tensor over a file in the cache folder. The file has no name any more: it goes when the process does."""
    cache = Path(platformdirs.user_cache_dir("noodle-tui", ensure_exists=True))
    free = psutil.disk_usage(str(cache)).free
    if size > 0.9 * free:
        raise NoodleError(f"the decoded photos need {size / 2**30:.1f} GiB: more than memory has free, and {cache} too "
                          f"({free / 2**30:.1f} GiB free); use fewer or smaller photos, or set XDG_CACHE_HOME to a larger disk")
    with tempfile.NamedTemporaryFile(dir=cache, prefix="pixels-") as file:
        return torch.from_file(file.name, shared=True, size=size, dtype=torch.uint8)
