"""Class folders to pixels: what is found, how it is decoded, and every kind of image that can't be."""

import contextlib
import io
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from conftest import load_folder
from PIL import Image, ImageCms
from powerless import powerless

from noodle_tui import dataset, decode, pixel_cache
from noodle_tui import pixels as places
from noodle_tui.augment import central_square
from noodle_tui.dataset import Dataset
from noodle_tui.decode import BadImage, decode_file
from noodle_tui.device import Device
from noodle_tui.errors import NoodleError, StopRun
from noodle_tui.pixels import Padded

CPU = Device(torch.device("cpu"), "CPU", "fp32")


@pytest.fixture
def small_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No pixels fit the memory. Gives the empty folder that caches are made in."""
    monkeypatch.setattr(places, "MEMORY_SHARE", 0)
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def load(folder: Path, skip_bad_images: bool = False) -> Dataset:
    return load_folder(folder, 32, CPU, skip_bad_images=skip_bad_images)


def test_what_is_found(data_dir: Path) -> None:
    data = load(data_dir)
    assert data.classes == ["happy", "sad"]
    assert (data.train.counts(2), data.val.counts(2)) == ([12, 12], [4, 4])
    assert data.train.people == data.val.people == {"07F", "09F", "25M", "34M"}
    assert [s.name for s in data.val.samples][:2] == ["val/happy/07F_Ne_to_Ha_C08.JPG", "val/happy/09F_Ne_to_Ha_C08.JPG"]
    assert {s.level for s in data.train.samples} == {5, 12, 19}
    assert [s.label for s in data.val.samples] == data.val.labels.tolist() == [0] * 4 + [1] * 4
    assert data.skipped == []
    assert data.rejig is None
    assert data.where.startswith("memory")


def test_pixels_are_those_of_the_files(data_dir: Path) -> None:
    data = load(data_dir)
    for split in (data.train, data.val):
        for sample, pixels in zip(split.samples, split.pixels, strict=True):
            with Image.open(sample.path) as image:
                whole = torch.from_numpy(np.array(image)).permute(2, 0, 1)
            assert torch.equal(pixels, whole if split is data.train else central_square(whole, 32))
    assert data.train.sizes.tolist() == [[52, 40]] * 24
    assert data.val.sizes.tolist() == [[32, 32]] * 8


def test_mixed_sizes_types_and_depths(own_data_dir: Path) -> None:
    deep = own_data_dir / "train" / "sad" / "more" / "of it"
    deep.mkdir(parents=True)
    Image.new("L", (70, 31), 77).save(deep / "99F_Sa_C03.PnG")
    Image.new("RGBA", (5, 400), (1, 2, 3, 0)).save(deep / "98F_Sa_C03.webp", lossless=True, exact=True)
    (deep / "notes.txt").write_text("no image")
    data = load(own_data_dir)
    found = {s.path.name: (s, p) for s, p in zip(data.train.samples, data.train.pixels, strict=True)}
    assert len(found) == 26
    sample, pixels = found["99F_Sa_C03.PnG"]
    assert (sample.label, sample.person, sample.level) == (1, "99F", 3)
    assert pixels.shape == (3, 31, 70)
    assert pixels.unique().tolist() == [77]
    assert found["98F_Sa_C03.webp"][1][:, 0, 0].tolist() == [1, 2, 3]


def test_the_same_file_on_both_sides_is_counted_whatever_its_name(own_data_dir: Path) -> None:
    assert load(own_data_dir).twins == 0
    photo = next((own_data_dir / "train" / "sad").iterdir())
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(photo, own_data_dir / "val" / "happy" / name)
    assert load(own_data_dir).twins == 2


def test_the_same_file_in_two_classes_is_counted_on_either_side(own_data_dir: Path) -> None:
    photo = next((own_data_dir / "train" / "sad").iterdir())
    shutil.copy(photo, own_data_dir / "train" / "sad" / "again.jpg")
    assert load(own_data_dir).two_classes == 0
    shutil.copy(photo, own_data_dir / "train" / "happy" / "a.jpg")
    assert load(own_data_dir).two_classes == 3


def test_the_fingerprint_is_of_contents_not_names(own_data_dir: Path) -> None:
    before = load(own_data_dir).fingerprint
    first = sorted((own_data_dir / "train" / "sad").iterdir())[0]
    first.rename(first.with_name("renamed.JPG"))
    assert load(own_data_dir).fingerprint == before
    Image.new("RGB", (40, 52)).save(first.with_name("renamed.JPG"))
    changed = load(own_data_dir).fingerprint
    assert changed != before
    first.with_name("renamed.JPG").rename(own_data_dir / "train" / "happy" / "renamed.JPG")
    assert load(own_data_dir).fingerprint not in (before, changed)


@pytest.mark.parametrize(("change", "sentence"), [
    (lambda d: (d / "train").rename(d / "trian"), "train is missing: .*--rejig-data"),
    (lambda d: (d / "val").rename(d / "vla"), "val is missing"),
    (lambda d: (d / "val" / "sad").rename(d / "val" / "bad"), "train/ has the classes happy, sad but val/ has bad, happy"),
    (lambda d: [(d / s / "sad").rename(d / f"{s}-sad") for s in ("train", "val")], "at least two classes"),
    (lambda d: [f.unlink() for f in (d / "val" / "sad").iterdir()], "val/sad: no image in it"),
])
def test_folders_that_can_not_be_used(change: Callable[[Path], object], sentence: str, own_data_dir: Path) -> None:
    change(own_data_dir)
    with pytest.raises(NoodleError, match=sentence) as raised:
        load(own_data_dir)
    assert "\n" not in str(raised.value)


# images that can't be read ----------------------------------------------------------------------------------------------


def cut(folder: Path) -> Path:
    whole = next(folder.glob("*.JPG"))
    (folder / "cut.jpg").write_bytes(whole.read_bytes()[:-300])
    return folder / "cut.jpg"


def png_of(width: int, height: int) -> Callable[[Path], Path]:
    """A tiny PNG file whose header claims a size."""
    def write(folder: Path) -> Path:
        def chunk(kind: bytes, content: bytes) -> bytes:
            return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        path = folder / "bomb.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b""))
        return path
    return write


def narrow(folder: Path) -> Path:
    Image.new("RGB", (2, 2000)).save(folder / "narrow.png")
    return folder / "narrow.png"


def one_pixel(folder: Path) -> Path:
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    return folder / "dot.png"


def animated(ending: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        first, *others = (Image.new("RGB", (40, 52), (60 * i, 9, 9)) for i in range(3))
        first.save(folder / f"moving.{ending}", save_all=True, append_images=others)
        return folder / f"moving.{ending}"
    return write


def text(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text("hello")
        return folder / name
    return write


def empty(folder: Path) -> Path:
    (folder / "empty.jpg").touch()
    return folder / "empty.jpg"


def directory(folder: Path) -> Path:
    (folder / "folder.jpg").mkdir()
    return folder / "folder.jpg"


def dangling(folder: Path) -> Path:
    (folder / "link.jpg").symlink_to(folder / "nowhere.jpg")
    return folder / "link.jpg"


def circular(folder: Path) -> Path:
    (folder / "circle.jpg").symlink_to("circle.jpg")
    return folder / "circle.jpg"


def endless(folder: Path) -> Path:
    (folder / "endless.jpg").symlink_to("/dev/zero")
    return folder / "endless.jpg"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.jpg")
    return folder / "pipe.jpg"


def closed(folder: Path) -> Path:
    text("closed.jpg")(folder).chmod(0)
    return folder / "closed.jpg"


BAD: dict[str, tuple[Callable[[Path], Path], str, str]] = {  # how it is made, its name as printed, the reason
    "zero bytes": (empty, "empty.jpg", "the file is empty"),
    "truncated": (cut, "cut.jpg", "truncated"),
    "text": (text("text.jpg"), "text.jpg", "not an image, whatever its ending says"),
    "bomb": (png_of(20_000, 20_000), "bomb.png", "decompression bomb"),
    "large": (png_of(10_000, 10_000), "bomb.png", "10000 x 10000 pixels are too many"),
    "narrow": (narrow, "narrow.png", "2 x 2000 pixels: too narrow"),
    "one pixel": (one_pixel, "dot.png", "1 x 1 pixels are too few"),
    "animated GIF": (animated("gif"), "moving.gif", "an animation, not a photo"),
    "animated PNG": (animated("png"), "moving.png", "an animation, not a photo"),
    "animated WebP": (animated("webp"), "moving.webp", "an animation, not a photo"),
    "directory": (directory, "folder.jpg", "not a file"),
    "dangling link": (dangling, "link.jpg", "a link that leads nowhere"),
    "link to itself": (circular, "circle.jpg", "too many levels of symbolic links"),
    "endless device": (endless, "endless.jpg", "not a file"),
    "pipe that nobody feeds": (pipe, "pipe.jpg", "not a file"),
    "no permission": (closed, "closed.jpg", "permission denied"),
    "markup": (text("[red]x[bold].png"), "[red]x[bold].png", "not an image"),
    "newline": (text("two\nlines.png"), r"two\nlines.png", "not an image"),
    "emoji": (text("\N{GRINNING FACE}.png"), "\N{GRINNING FACE}.png", "not an image"),
    "255 bytes": (text("n" * 251 + ".png"), "n" * 251 + ".png", "not an image"),
    "colours the terminal": (text("\033[31mred.png"), r"\x1b[31mred.png", "not an image"),
    "turns the line round": (text("\u202egnp.exe.png"), r"\u202egnp.exe.png", "not an image"),
    "not UTF-8": (text(os.fsdecode(b"caf\xe9.png")), r"caf\udce9.png", "not an image"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("place", ["train/sad", "val/happy"])
def test_a_bad_image_is_named_in_one_line(kind: str, place: str, own_data_dir: Path) -> None:
    make, name, reason = BAD[kind]
    made = make(own_data_dir / place)
    with pytest.raises(NoodleError) as raised:
        powerless(lambda: load(own_data_dir))
    sentence = str(raised.value)
    assert sentence.startswith("1 image can't be read: ")
    assert f"{place}/{name} (" in sentence
    assert reason in sentence
    assert "--skip-bad-images" in sentence
    assert sentence.isprintable()

    data = powerless(lambda: load(own_data_dir, skip_bad_images=True))
    assert (len(data.train.samples), len(data.val.samples)) == (24, 8)
    assert [name for name, _ in data.skipped] == [made.relative_to(own_data_dir).as_posix()]
    assert reason in data.skipped[0][1]


def saved(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(*entries: bytes, count: int | None = None) -> bytes:
    """An EXIF block with these entries, which may be wrong, as may be their count."""
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries) if count is None else count) + b"".join(entries)


FACE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (52, 40, 3), dtype=np.uint8))
SIDEWAYS = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)  # turn it by 90 degrees
FAR = struct.pack("<HHII", 0x8769, 4, 1, 2**31)  # more fields, behind the file's end
TEXT_IN_A_NUMBER = struct.pack("<HHI4s", 0x0100, 2, 4, b"wide")
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GOOD: dict[str, tuple[bytes, bytes]] = {  # odd but sound, and one without the oddity that has the same pixels
    "PNG called .jpg": (saved(FACE, "PNG"), saved(FACE, "BMP")),
    "CMYK with an ICC profile": (saved(FACE.convert("CMYK"), icc_profile=PROFILE), saved(FACE.convert("CMYK"))),
    "CMYK with a broken ICC profile": (saved(FACE.convert("CMYK"), icc_profile=b"none" * 99), saved(FACE.convert("CMYK"))),
    "EXIF of garbage": (saved(FACE, exif=b"Exif\0\0garbage"), saved(FACE)),
    "EXIF of garbage in a PNG": (saved(FACE, "PNG", exif=b"Exif\0\0garbagegarbage"), saved(FACE, "PNG")),
    "EXIF that is cut in a PNG": (saved(FACE, "PNG", exif=b"Exif\0\0II*\0"), saved(FACE, "PNG")),
    "EXIF that is cut": (saved(FACE, exif=exif(count=9)), saved(FACE)),
    "EXIF that points far away": (saved(FACE, exif=exif(FAR)), saved(FACE)),
    "orientation that is none": (saved(FACE, exif=exif(SIDEWAYS.replace(b"\x06", b"\x63"))), saved(FACE)),
    "sideways, its other fields broken": (saved(FACE, exif=exif(TEXT_IN_A_NUMBER, SIDEWAYS, FAR)),
                                          saved(FACE, exif=exif(SIDEWAYS))),
    "several pictures of a camera": (saved(FACE, "MPO", save_all=True, append_images=[FACE.rotate(90)]), saved(FACE)),
}


@pytest.mark.parametrize("kind", GOOD)
def test_an_odd_image_with_sound_pixels_is_taken_as_it_is_and_nobody_warned(
    kind: str, own_data_dir: Path, recwarn: pytest.WarningsRecorder
) -> None:
    for place in ("train/sad", "val/happy"):
        for name, content in zip(("odd.jpg", "plain.jpg"), GOOD[kind], strict=True):
            (own_data_dir / place / name).write_bytes(content)
    data = load(own_data_dir)
    for split in (data.train, data.val):
        found = {s.path.name: pixels for s, pixels in zip(split.samples, split.pixels, strict=True)}
        assert torch.equal(found["odd.jpg"], found["plain.jpg"])
    assert data.train.sizes[[s.path.name == "odd.jpg" for s in data.train.samples]].tolist() == [
        [40, 52] if kind.startswith("sideways") else [52, 40]]
    assert not recwarn.list, "on stderr it would tear a screen"


def test_many_bad_images_make_a_short_line(own_data_dir: Path) -> None:
    for i in range(12):
        text(f"bad{i:02}.jpg")(own_data_dir / "train" / "sad")
    with pytest.raises(NoodleError, match=r"^12 images can't be read: .*bad04.jpg .*; and 7 more\. ") as raised:
        load(own_data_dir)
    assert "bad05" not in str(raised.value)


def test_a_class_of_bad_images_only_is_an_error(own_data_dir: Path) -> None:
    for file in (own_data_dir / "val" / "sad").iterdir():
        file.write_text("hello")
    with pytest.raises(NoodleError, match="val/sad: none of its images can be read"):
        load(own_data_dir, skip_bad_images=True)


def test_a_folder_that_can_not_be_listed_is_not_passed_over(own_data_dir: Path) -> None:
    hidden = own_data_dir / "train" / "sad" / "hidden"
    hidden.mkdir(mode=0)
    try:
        with pytest.raises(NoodleError, match="hidden: this folder can't be listed"):
            powerless(lambda: load(own_data_dir))
    finally:
        hidden.chmod(0o700)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_garbage_never_gives_anything_but_a_bad_image(place: str, tmp_path: Path) -> None:
    """Real images of several formats with 16 bytes overwritten: decoded, or refused as one bad image."""
    random = np.random.default_rng(5)
    for ending in ("jpg", "png", "gif", "tif", "webp", "bmp"):
        path = tmp_path / f"x.{ending}"
        Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
        content = path.read_bytes()
        for _ in range(20):
            offset = {"start": 0, "middle": len(content) // 2, "end": len(content) - 60}[place] + int(random.integers(0, 40))
            path.write_bytes(content[:offset] + random.bytes(16) + content[offset + 16:])
            with contextlib.suppress(BadImage):
                assert decode_file(path).pixels.shape[0] == 3


# where the pixels lie ---------------------------------------------------------------------------------------------------


def test_pixels_that_do_not_fit_lie_in_a_cache_file(small_memory: Path, data_dir: Path) -> None:
    in_memory = load_folder(data_dir, 32, CPU)
    assert in_memory.where.startswith("a cache file on disk")
    assert any(str(small_memory) in place.path for place in psutil.Process().memory_maps())


def test_the_cache_gives_what_memory_gives(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory = load(data_dir)
    monkeypatch.setattr(places, "MEMORY_SHARE", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built = load(data_dir)
    reused = load(data_dir)
    assert (in_memory.where[:6], built.where[-9:], reused.where[-6:]) == ("memory", "built now", "reused")
    for cached in (built, reused):
        assert cached.fingerprint == in_memory.fingerprint
        for ours, theirs in ((in_memory.train, cached.train), (in_memory.val, cached.val)):
            assert ours.samples == theirs.samples and torch.equal(ours.labels, theirs.labels)
            assert all(torch.equal(a, b) for a, b in zip(ours.pixels, theirs.pixels, strict=True))
        assert torch.equal(cached.val.pixels.stacked(), in_memory.val.pixels.stacked())


def test_a_reused_cache_is_not_decoded(small_memory: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(data_dir)
    monkeypatch.setattr(decode, "decode_content", None)  # whoever decodes now, fails
    assert load(data_dir).where.endswith("reused")


def test_a_cache_knows_the_images_that_can_not_be_used(small_memory: Path, own_data_dir: Path) -> None:
    cut(own_data_dir / "train" / "sad")
    directory(own_data_dir / "val" / "sad")
    built, reused = load(own_data_dir, skip_bad_images=True), load(own_data_dir, skip_bad_images=True)
    assert reused.where.endswith("reused")
    assert [name for name, _ in reused.skipped] == ["train/sad/cut.jpg", "val/sad/folder.jpg"]
    assert (reused.skipped, reused.fingerprint) == (built.skipped, built.fingerprint)
    assert [s.name for s in reused.train.samples] == [s.name for s in built.train.samples]
    assert all(torch.equal(a, b) for a, b in zip(built.train.pixels, reused.train.pixels, strict=True))
    with pytest.raises(NoodleError, match=r"^2 images can't be read"):
        load(own_data_dir)


def test_other_contents_and_sizes_are_other_caches(small_memory: Path, own_data_dir: Path) -> None:
    load(own_data_dir)
    assert load_folder(own_data_dir, 48, CPU).where.endswith("built now")
    Image.new("RGB", (40, 52)).save(next((own_data_dir / "train" / "sad").iterdir()))
    assert load(own_data_dir).where.endswith("built now")
    assert len(list(small_memory.rglob("*.pixels"))) == 3


def test_pixels_that_fit_nowhere(small_memory: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_cache, "_free", lambda folder: 100)
    with pytest.raises(NoodleError, match=r"need 0\.0 GiB: more than memory has free, and .*XDG_CACHE_HOME") as raised:
        load(data_dir)
    assert "\n" not in str(raised.value)
    assert [f for f in small_memory.rglob("*") if f.is_file()] == []


def test_photos_that_change_while_they_are_read(small_memory: Path, own_data_dir: Path) -> None:
    def progress(done: int, total: int) -> None:
        if done == total // 2:  # all are read, none is decoded
            Image.new("RGB", (40, 52)).save(own_data_dir / "train" / "sad" / "07F_Ne_to_Sa_C05.JPG")

    with pytest.raises(NoodleError, match=r"train/sad/07F_Ne_to_Sa_C05\.JPG was changed while the photos were read"):
        load_folder(own_data_dir, 32, CPU, progress=progress)
    assert list(small_memory.rglob("*.pixels")) == []


def test_progress_counts_reading_and_decoding_for_a_cache(small_memory: Path, data_dir: Path) -> None:
    said: list[tuple[int, int]] = []
    load_folder(data_dir, 32, CPU, progress=lambda done, total: said.append((done, total)))
    assert said[:64] == [(i, 64) for i in range(1, 65)]
    said.clear()
    load_folder(data_dir, 32, CPU, progress=lambda done, total: said.append((done, total)))
    assert said[-1] == (64, 64), "also of one that is reused"


def test_the_same_photos_divided_otherwise_are_another_cache() -> None:
    assert len({dataset._cache_key([b"a", b"b"], n_train, 32) for n_train in (1, 2)}) == 2


@pytest.fixture
def on_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device has room for all pixels, as a GPU may; nvJPEG is Pillow with the levels turned round."""
    monkeypatch.setattr(dataset, "choose_place", lambda room, device, ranks: "device")
    monkeypatch.setattr(dataset, "NVJPEG_FROM", 24)  # as many as there are
    monkeypatch.setattr(dataset, "nvjpeg", lambda device: lambda files: [255 - decode.decode_content(Path(), f) for f in files])


def test_on_a_device_nvjpeg_decodes_training_photos_only(
    on_device: None, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = load_folder(data_dir, 32, Device(torch.device("cpu"), "GPU", "bf16"))
    exact = load_folder(data_dir, 32, CPU)
    monkeypatch.undo()
    memory = load(data_dir)
    assert gpu.where.startswith("GPU memory") and gpu.place == "gpu" and isinstance(gpu.train.pixels, Padded)
    assert all(torch.equal(a, 255 - b) for a, b in zip(gpu.train.pixels, memory.train.pixels, strict=True))
    assert torch.equal(gpu.val.pixels.stacked(), memory.val.pixels.stacked())
    assert all(torch.equal(a, b) for a, b in zip(exact.train.pixels, memory.train.pixels, strict=True))
    assert gpu.fingerprint == exact.fingerprint == memory.fingerprint
    assert (gpu.by_nvjpeg, exact.by_nvjpeg, memory.by_nvjpeg) == (24, 0, 0)


def test_pixels_stay_off_a_gpu_for_a_run_that_began_so(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**40, 2**40))
    data = load_folder(data_dir, 32, Device(torch.device("cuda"), "GPU", "bf16"), keep_off_gpu=True)
    assert data.place == "host" and data.where.startswith("memory, ")


def test_few_photos_are_decoded_exactly_on_a_device_too(
    on_device: None, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "NVJPEG_FROM", 25)
    gpu = load_folder(data_dir, 32, Device(torch.device("cpu"), "GPU", "bf16"))
    assert all(torch.equal(a, b) for a, b in zip(gpu.train.pixels, load(data_dir).train.pixels, strict=True))


def test_bad_images_on_a_device_are_left_out(on_device: None, own_data_dir: Path) -> None:
    cut(own_data_dir / "train" / "sad")
    text("text.jpg")(own_data_dir / "val" / "happy")
    data = load_folder(own_data_dir, 32, Device(torch.device("cpu"), "GPU", "bf16"), skip_bad_images=True)
    assert [name for name, _ in data.skipped] == ["train/sad/cut.jpg", "val/happy/text.jpg"]
    assert (len(data.train.pixels), len(data.val.pixels)) == (24, 8) == (len(data.train.samples), len(data.val.samples))
    assert data.val.pixels.stacked().shape == (8, 3, 32, 32)


def test_a_device_that_fills_up_meanwhile_leaves_the_pixels_in_memory(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(sizes: np.ndarray, device: torch.device) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(dataset, "choose_place", lambda room, device, ranks: "device" if device.type == "meta" else "memory")
    monkeypatch.setattr(dataset, "PaddedStore", full)
    assert load_folder(data_dir, 32, Device(torch.device("meta"), "", "fp32")).where.startswith("memory")


def test_a_stop_is_seen_while_decoding(data_dir: Path) -> None:
    def check() -> None:
        raise StopRun

    with pytest.raises(StopRun):
        load_folder(data_dir, 32, CPU, check=check)


def test_progress_counts_every_image(data_dir: Path) -> None:
    said: list[tuple[int, int]] = []
    load_folder(data_dir, 32, CPU, progress=lambda done, total: said.append((done, total)))
    assert said == [(i, 32) for i in range(1, 33)]
