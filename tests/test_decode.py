"""Which files go to nvJPEG and which to Pillow, and the order in which they come back. No GPU: the decoder is handed in."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from noodle_tui import decode as module
from noodle_tui.decode import BadImage, Decoded, decode_file, decode_in_batches, header_sizes, in_threads

BITMAP = Image.fromarray(np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8))
MARK = 7  # what the fake nvJPEG adds to each level, so that one sees who decoded


def jpeg(**options: object) -> bytes:
    file = io.BytesIO()
    BITMAP.save(file, "JPEG", **options)
    return file.getvalue()


def turned(orientation: int, kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    BITMAP.save(file, kind, exif=exif)
    return file.getvalue()


def saved_as(kind: str, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    BITMAP.convert(mode).save(file, kind)
    return file.getvalue()


def stored_as_rgb() -> bytes:
    """A JPEG whose Adobe marker says that its colours are not YCbCr."""
    marker = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
    return b"\xff\xd8" + marker + jpeg()[2:]


FILES = {  # content, and who decodes it
    "plain": (jpeg(), "nvjpeg"),
    "progressive": (jpeg(progressive=True), "nvjpeg"),
    "upright": (turned(1), "nvjpeg"),
    "padded with zeros": (jpeg() + b"\0" * 9, "nvjpeg"),
    "sideways": (turned(6), "pillow"),
    "mirrored": (turned(2), "pillow"),
    "grey": (saved_as("JPEG", "L"), "pillow"),
    "CMYK": (saved_as("JPEG", "CMYK"), "pillow"),
    "PNG": (saved_as("PNG"), "pillow"),
    "stored as RGB": (stored_as_rgb(), "pillow"),
    "with something behind it": (jpeg() + b"more", "pillow"),
    "cut": (jpeg()[:-50], "truncated"),
    "empty": (b"", "the file is empty"),
    "text": (b"hello", "not an image"),
}


class FakeNvjpeg:
    """Decodes as Pillow does, with a mark; refuses a batch that has `poison` in it."""

    def __init__(self, poison: bytes = b"never"):
        self.batches: list[int] = []
        self.poison = poison

    def __call__(self, contents: list[bytes]) -> list[torch.Tensor]:
        self.batches.append(len(contents))
        if any(self.poison in content for content in contents):
            raise RuntimeError("nvJPEG: bad parameter")
        return [module.decode_content(Path("x"), content) + MARK for content in contents]


def files(folder: Path, contents: list[bytes]) -> list[Path]:
    paths = [folder / f"{i:03}.jpg" for i in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


def who(path: Path, result: Decoded | BadImage) -> str:
    if isinstance(result, BadImage):
        return str(result)
    exact = decode_file(path)
    assert result.digest == exact.digest == hashlib.sha256(path.read_bytes()).digest()
    assert result.by_nvjpeg != torch.equal(result.pixels, exact.pixels)
    return "pillow" if torch.equal(result.pixels, exact.pixels) else \
        "nvjpeg" if torch.equal(result.pixels, exact.pixels + MARK) else "nobody"


def test_each_file_goes_where_it_belongs(tmp_path: Path) -> None:
    paths = files(tmp_path, [content for content, _ in FILES.values()])
    results = list(decode_in_batches(paths, FakeNvjpeg(), lambda: None))
    for path, result, (name, (_, expected)) in zip(paths, results, FILES.items(), strict=True):
        assert expected in who(path, result), name


def test_many_files_are_decoded_in_batches_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GPU_BATCH", 4)
    contents = [jpeg(quality=60 + i) if i % 3 else saved_as("PNG") for i in range(14)]
    paths, nvjpeg = files(tmp_path, contents), FakeNvjpeg()
    results = list(decode_in_batches(paths, nvjpeg, lambda: None))
    assert nvjpeg.batches == [2, 3, 3, 1]
    assert [who(path, result) for path, result in zip(paths, results, strict=True)] == \
        ["nvjpeg" if i % 3 else "pillow" for i in range(14)]


def test_what_nvjpeg_refuses_goes_to_pillow_and_the_rest_of_its_batch_does_not(tmp_path: Path) -> None:
    contents = [jpeg(comment=b"poison") if i in (1, 4) else jpeg() for i in range(6)]
    paths = files(tmp_path, contents)
    results = list(decode_in_batches(paths, FakeNvjpeg(b"poison"), lambda: None))
    assert [who(path, result) for path, result in zip(paths, results, strict=True)] == \
        ["pillow" if i in (1, 4) else "nvjpeg" for i in range(6)]


def test_an_nvjpeg_that_never_works_is_not_asked_for_each_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GPU_BATCH", 4)
    paths = files(tmp_path, [jpeg()] * 20)
    broken = FakeNvjpeg(b"")  # refuses everything
    results = list(decode_in_batches(paths, broken, lambda: None))
    assert [who(path, result) for path, result in zip(paths, results, strict=True)] == ["pillow"] * 20
    assert broken.batches == [4, 1, 1, 1, 1]


def test_an_image_of_another_size_than_its_header_said_is_not_believed(tmp_path: Path) -> None:
    paths = files(tmp_path, [jpeg()])
    [result] = decode_in_batches(paths, lambda contents: [torch.zeros(3, 5, 5, dtype=torch.uint8)], lambda: None)
    assert who(paths[0], result) == "pillow"


@pytest.mark.parametrize("error", [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("Error while decoding JPEG images: CUDA out of memory. Tried to allocate 2.00 MiB"),  # as torchvision says it
])
def test_a_full_gpu_is_no_fault_of_the_files(error: RuntimeError, tmp_path: Path) -> None:
    def full(contents: list[bytes]) -> list[torch.Tensor]:
        raise error

    with pytest.raises(torch.OutOfMemoryError):
        list(decode_in_batches(files(tmp_path, [jpeg()]), full, lambda: None))


def test_headers_say_the_size_of_the_upright_image(tmp_path: Path) -> None:
    paths = files(tmp_path, [jpeg(), turned(6), turned(3), turned(6, "TIFF"), saved_as("PNG"), b"hello"])
    assert header_sizes(paths, lambda: None).tolist() == [[20, 30], [30, 20], [20, 30], [30, 20], [20, 30], [0, 0]]


def test_threads_keep_the_order_and_begin_only_a_few_ahead() -> None:
    begun: list[int] = []
    results = in_threads(lambda i: begun.append(i) or i * 2, iter(range(10_000)), lambda: None)
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    assert len(begun) < 10_000 // 2
    assert list(results) == [i * 2 for i in range(3, 10_000)]


@pytest.mark.parametrize(("top", "brightest"), [(1.0, 255), (200.0, 200), (65_535.0, 255)])
def test_grey_levels_of_floating_point_are_from_0_to_1_or_of_8_or_16_bits(tmp_path: Path, top: float, brightest: int) -> None:
    levels = np.linspace(0, top, 40 * 30, dtype=np.float32).reshape(30, 40)
    Image.fromarray(levels).save(tmp_path / "grey.tif")
    pixels = decode_file(tmp_path / "grey.tif").pixels
    assert pixels.max() == brightest and pixels.float().mean().item() == pytest.approx(brightest / 2, abs=1)


def test_a_machine_out_of_memory_is_no_fault_of_the_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())

    def none_left(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(module, "_upright_rgb", none_left)
    with pytest.raises(MemoryError):
        decode_file(tmp_path / "a.jpg")
