"""Class folders to decoded pixels: every image is read and decoded once, before training, and kept as uint8.

That finds every unreadable image before the first epoch, and no epoch waits for a decoder. Where the pixels lie says pixels.py.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
import torchvision
from torch import Tensor

from noodle_tui.augment import central_square
from noodle_tui.decode import (
    BadImage,
    DecodeBatch,
    Decoded,
    decode_in_batches,
    decode_in_threads,
    digests,
    header_sizes,
    nvjpeg,
)
from noodle_tui.device import Device, release_memory
from noodle_tui.errors import NoodleError
from noodle_tui.pixel_cache import VERSION, Writer, cached_pixels
from noodle_tui.pixels import FlatStore, Padded, PaddedStore, Pixels, Ragged, Room, choose_place
from noodle_tui.progress import Check, Progress, nothing
from noodle_tui.samples import SPLITS, Found, Sample
from noodle_tui.text import number_of, printable

Store = FlatStore | PaddedStore | Writer
GIB = 2**30
CPU = torch.device("cpu")
NVJPEG_FROM = 2000  # training photos: fewer are decoded by Pillow before nvJPEG has started, and exactly


class BadImages(NoodleError):
    """Images that can't be used; the line names the first few."""

    def __init__(self, skipped: list[tuple[str, str]]):
        """`skipped`: name and reason of each."""
        self.skipped = skipped
        listed = "; ".join(f"{printable(name)} ({reason})" for name, reason in skipped[:5])
        more = f"; and {len(skipped) - 5} more" if len(skipped) > 5 else ""
        super().__init__(f"{number_of(len(skipped), 'image')} can't be read: {listed}{more}. Mend or remove them, or add "
                         "--skip-bad-images")


@dataclass(frozen=True)
class Split:
    """The images of one phase, decoded."""

    samples: list[Sample]
    pixels: Pixels  # an image is uint8 [3, h, w]; in the validation split all are [3, size, size], transformed already
    labels: Tensor  # int64 [n]

    @property
    def sizes(self) -> np.ndarray:
        """int64 [n, 2]: height and width of each image."""
        return self.pixels.sizes

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
    rejig: dict[str, Any] | None  # how rejig made the folders, see rejig_options; None where somebody else did
    twins: int = 0  # validation images whose file is also in training, byte for byte, under whatever name
    two_classes: int = 0  # images of both sides whose file is also in another class
    by_hand: int = 0  # see Found
    by_nvjpeg: int = 0  # training images whose pixels are nvJPEG's: all but what it refused, or none

    @property
    def place(self) -> str:
        """What decides how crops are rounded: pixels on a GPU are cropped there ("gpu"), others by the processor ("host")."""
        return "gpu" if isinstance(self.train.pixels, Padded) else "host"


@dataclass
class Read:
    """What came of reading the samples, by their position: training ones first."""

    digests: dict[int, bytes]  # SHA-256 of the content of each image that can be used
    skipped: dict[int, str]  # why each of the others can't be
    by_nvjpeg: int = 0  # how many were not decoded by Pillow


@dataclass(frozen=True)
class Decoding:
    """All samples decoded: their pixels by split, what came of reading them, and where the pixels lie in words."""

    pixels: dict[str, Pixels]
    read: Read
    where: str


def load_dataset(
    data_dir: Path,
    found: Found,
    input_size: int,
    device: Device,
    *,
    skip_bad_images: bool = False,
    keep_off_gpu: bool = False,
    ranks: int = 1,
    progress: Progress = nothing,
    check: Check = nothing,
) -> Dataset:
    """Decode everything `found` in `data_dir`, for training on `device`. BadImages if any can't be read, unless
    `skip_bad_images`.

    `keep_off_gpu`: pixels lie in main memory or on disk, though a GPU may have room. `ranks`: so many processes of this
    machine do the same.
    """
    classes, samples = found.classes, found.samples
    with warnings.catch_warnings():  # here and not in the threads: the filters are the whole process's
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata on stderr, which would tear a screen
        decoded = _decode(samples, input_size, device, keep_off_gpu, ranks, progress, check)
    everything = [sample for split in SPLITS for sample in samples[split]]
    skipped = [(everything[i].name, reason) for i, reason in decoded.read.skipped.items()]
    if skipped and not skip_bad_images:
        raise BadImages(skipped)
    n_train = len(samples["train"])
    good = {"train": [everything[i] for i in decoded.read.digests if i < n_train],
            "val": [everything[i] for i in decoded.read.digests if i >= n_train]}
    splits = {split: _split(good[split], decoded.pixels[split]) for split in SPLITS}
    of_train = {digest for i, digest in decoded.read.digests.items() if i < n_train}
    twins = sum(i >= n_train and digest in of_train for i, digest in decoded.read.digests.items())
    _check_complete(data_dir, classes, splits)
    return Dataset(classes, splits["train"], splits["val"], skipped, _fingerprint(everything, decoded.read.digests),
                   decoded.where, found.rejig, twins, _in_two_classes(everything, decoded.read.digests), found.by_hand,
                   decoded.read.by_nvjpeg)


def _decode(
    samples: dict[str, list[Sample]], input_size: int, device: Device, keep_off_gpu: bool, ranks: int, progress: Progress,
    check: Check,
) -> Decoding:
    """Decode all samples into the fastest place that has room."""
    sizes = header_sizes((sample.path for sample in samples["train"]), check)
    room = Room(sizes, np.full((len(samples["val"]), 2), input_size))
    place = choose_place(room, CPU if keep_off_gpu else device.torch_device, ranks)
    if place == "device":
        try:
            return _decode_to_device(samples, room, input_size, device, progress, check)
        except torch.OutOfMemoryError:  # another process was quicker
            place = choose_place(room, CPU, ranks)
        release_memory()
    if place == "memory":
        return _decode_to_memory(samples, room, input_size, device, progress, check)
    return _decode_to_cache(samples, room, input_size, progress, check)


def _decode_to_device(
    samples: dict[str, list[Sample]], room: Room, input_size: int, device: Device, progress: Progress, check: Check
) -> Decoding:
    """Nothing is left in main memory. torch.OutOfMemoryError where the GPU has less room than it said."""
    stores = {split: PaddedStore(sizes, device.torch_device) for split, sizes in room.by_split().items()}
    many = len(samples["train"]) >= NVJPEG_FROM
    decode_batch = nvjpeg(device.torch_device) if many and device.bf16 else None  # fp32 is for exactness
    read = _keep_all(_images(samples, input_size, check, decode_batch), stores, _count_to(room.count, progress))
    return Decoding({s: stores[s].pixels() for s in SPLITS}, read, f"GPU memory, {room.padded() / GIB:.2f} GiB")


def _decode_to_memory(
    samples: dict[str, list[Sample]], room: Room, input_size: int, device: Device, progress: Progress, check: Check
) -> Decoding:
    stores = {split: FlatStore(3 * int(sizes.prod(axis=1).sum())) for split, sizes in room.by_split().items()}
    read = _keep_all(_images(samples, input_size, check), stores, _count_to(room.count, progress))
    to_gpu = ", copied to the GPU crop by crop while it computes" if device.torch_device.type == "cuda" else ""
    return Decoding({s: stores[s].pixels() for s in SPLITS}, read, f"memory, {room.flat() / GIB:.2f} GiB{to_gpu}")


def _decode_to_cache(
    samples: dict[str, list[Sample]], room: Room, input_size: int, progress: Progress, check: Check
) -> Decoding:
    """Read all contents; then decode them into the cache file of these contents, or use the one that is there."""
    report = _count_to(2 * room.count, progress)
    everything = [sample for split in SPLITS for sample in samples[split]]
    contents: list[bytes | BadImage] = []
    for one in digests((sample.path for sample in everything), check):
        contents.append(one)
        report(len(contents))

    def build(writer: Writer) -> None:
        read = _keep_all(_images(samples, input_size, check), {"train": writer, "val": writer},
                         lambda done: report(room.count + done))
        for i, digest in read.digests.items():
            if digest != contents[i]:
                raise NoodleError(f"{printable(everything[i].name)} was changed while the photos were read: start again when "
                                  "nothing writes to them any more")
        writer.contents.n_train = sum(i < len(samples["train"]) for i in read.digests)
        writer.contents.skipped = list(read.skipped.items())

    cached = cached_pixels(_cache_key(contents, len(samples["train"]), input_size), room.flat(), build, check)
    report(2 * room.count)
    skipped = dict(cached.contents.skipped)
    read = Read({i: one for i, one in enumerate(contents) if isinstance(one, bytes) and i not in skipped}, skipped)
    where = f"a cache file on disk, {len(cached.buffer) / GIB:.2f} GiB, {'reused' if cached.reused else 'built now'}"
    return Decoding(_split_buffer(cached.buffer, cached.contents.sizes, cached.contents.n_train), read, where)


def _cache_key(contents: list[bytes | BadImage], n_train: int, input_size: int) -> str:
    """SHA-256 of all that the decoded pixels depend on."""
    decoder = f"{VERSION} Pillow {PIL.__version__} torchvision {torchvision.__version__} {n_train} {input_size}"
    lines = [one.hex() if isinstance(one, bytes) else f"bad: {one}" for one in contents]
    return hashlib.sha256("\n".join([decoder, *lines]).encode()).hexdigest()


def _split_buffer(buffer: Tensor, sizes: list[tuple[int, int]], n_train: int) -> dict[str, Pixels]:
    train_bytes = sum(3 * height * width for height, width in sizes[:n_train])
    return {"train": Ragged(buffer[:train_bytes], sizes[:n_train]), "val": Ragged(buffer[train_bytes:], sizes[n_train:])}


def _images(
    samples: dict[str, list[Sample]], input_size: int, check: Check, decode_batch: DecodeBatch | None = None
) -> Iterator[tuple[str, Decoded | BadImage]]:
    """Each sample's split and image, in order; validation ones transformed. `decode_batch` is for training ones only."""
    train, val = ([sample.path for sample in samples[split]] for split in SPLITS)
    if decode_batch is None:
        yield from (("train", one) for one in decode_in_threads(train, check))
    else:
        yield from (("train", one) for one in decode_in_batches(train, decode_batch, check))
    yield from (("val", one) for one in decode_in_threads(val, check, lambda image: central_square(image, input_size)))


def _keep_all(
    images: Iterator[tuple[str, Decoded | BadImage]], stores: Mapping[str, Store], report: Callable[[int], None]
) -> Read:
    """Put every image that can be used into its split's store."""
    read = Read({}, {})
    for i, (split, one) in enumerate(images):
        if isinstance(one, BadImage):
            read.skipped[i] = str(one)
        else:
            stores[split].keep(one.pixels)
            read.digests[i] = one.digest
            read.by_nvjpeg += one.by_nvjpeg
        report(i + 1)
    return read


def _count_to(total: int, progress: Progress) -> Callable[[int], None]:
    return lambda done: progress(done, total)


def _split(samples: list[Sample], pixels: Pixels) -> Split:
    return Split(samples, pixels, torch.tensor([sample.label for sample in samples], dtype=torch.long))


def _check_complete(data_dir: Path, classes: list[str], splits: dict[str, Split]) -> None:
    for split, content in splits.items():
        for name, count in zip(classes, content.counts(len(classes)), strict=True):
            if count == 0:
                raise NoodleError(f"{data_dir / split / name}: none of its images can be read")


def _in_two_classes(samples: list[Sample], digests: dict[int, bytes]) -> int:
    """How many used images have the content of one in another class."""
    labels: dict[bytes, set[int]] = {}
    for i, digest in digests.items():
        labels.setdefault(digest, set()).add(samples[i].label)
    return sum(len(labels[digest]) > 1 for digest in digests.values())


def _fingerprint(samples: list[Sample], digests: dict[int, bytes]) -> str:
    """SHA-256 of every used image's split, class and content, in a fixed order."""
    lines = sorted(f"{samples[i].name.split('/')[0]} {samples[i].label} {digest.hex()}" for i, digest in digests.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
