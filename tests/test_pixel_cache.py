"""The cache of decoded pixels: built once, shared, verified, and removed when nobody uses it and room is short."""

import errno
import fcntl
import io
import multiprocessing
import os
import pwd
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
import torch

from noodle_tui import pixel_cache
from noodle_tui.errors import NoodleError, StopRun, UsageError
from noodle_tui.pixel_cache import CachedPixels, Writer, cached_pixels

pytestmark = pytest.mark.filterwarnings("ignore:The given buffer is not writable")  # load_dataset ignores it, too
IMAGES = [(torch.arange(3 * h * w) % 251).to(torch.uint8).view(3, h, w) for h, w in ((4, 5), (7, 3), (6, 6))]
SIZE = sum(image.numel() for image in IMAGES)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(pixel_cache.LIMIT_VARIABLE, raising=False)
    return pixel_cache.cache_folder()


def build(writer: Writer) -> None:
    for image in IMAGES:
        writer.keep(image)
    writer.contents.n_train = 2
    writer.contents.skipped = [(1, "it is [red]cut[/] short")]


def get(key: str = "a") -> CachedPixels:
    return cached_pixels(key, SIZE, build, lambda: None)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_built_once_and_then_reused(folder: Path) -> None:
    whole = torch.cat([image.flatten() for image in IMAGES])
    for cached, reused in ((get(), False), (get(), True)):
        assert cached.reused is reused
        assert torch.equal(cached.buffer, whole)
        assert [tuple(size) for size in cached.contents.sizes] == [(4, 5), (7, 3), (6, 6)]
        assert (cached.contents.n_train, cached.contents.skipped) == (2, [(1, "it is [red]cut[/] short")])
    assert names(folder) == ["a.pixels"]


def test_photos_of_faces_are_for_their_owner_only(folder: Path) -> None:
    get()
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "a.pixels").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("where", [0, SIZE // 2, SIZE - 1, SIZE + 3, -50, -36, -1])
def test_a_damaged_file_is_built_again(where: int, folder: Path) -> None:
    get()
    path = folder / "a.pixels"
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    again = get()
    assert not again.reused
    assert torch.equal(again.buffer, torch.cat([image.flatten() for image in IMAGES]))
    assert get().reused


@pytest.mark.parametrize("length", [0, 7, SIZE, -1])
def test_a_truncated_file_is_built_again(length: int, folder: Path) -> None:
    get()
    path = folder / "a.pixels"
    path.write_bytes(path.read_bytes()[:length])
    assert not get().reused
    assert get().reused


def test_a_file_with_no_image_at_all(folder: Path) -> None:
    for _ in range(2):
        cached = cached_pixels("none", 0, lambda writer: None, lambda: None)
        assert len(cached.buffer) == 0 and cached.contents.sizes == []


def test_a_build_that_fails_leaves_nothing(folder: Path) -> None:
    def stopped(writer: Writer) -> None:
        build(writer)
        raise StopRun

    with pytest.raises(StopRun):
        cached_pixels("a", SIZE, stopped, lambda: None)
    assert names(folder) == []
    assert not get().reused


BUILDER = textwrap.dedent("""
    import sys, time
    import torch
    from noodle_tui.pixel_cache import cached_pixels

    def build(writer):
        writer.keep(torch.full((3, 8, 8), 5, dtype=torch.uint8))
        writer.contents.n_train = 1
        print("building", flush=True)
        sys.stdin.readline()

    cached = cached_pixels("shared", 192, build, lambda: None)
    print("reused" if cached.reused else "built", int(cached.buffer.sum()), flush=True)
    sys.stdin.readline()
""")


def builder() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", BUILDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_runs_at_once_build_one_and_a_killed_builder_is_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = builder(), None
    try:
        assert said(first) == "building"
        assert names(folder) == ["shared.part"]
        second = builder()  # waits for the first
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert said(second) == "building"
        waited: list[int] = []

        def check() -> None:  # another run that wants it meanwhile waits, and can be stopped
            waited.append(1)
            if len(waited) == 3:
                go_on(second)

        third = cached_pixels("shared", 192, lambda writer: pytest.fail("a second build"), check)
        assert third.reused and len(waited) >= 3
        assert said(second) == "built 960"
        assert names(folder) == ["shared.pixels"]
        monkeypatch.setenv(pixel_cache.LIMIT_VARIABLE, "0")
        del third
        get()  # wants all the room
        assert names(folder) == ["a.pixels", "shared.pixels"]  # the second process uses it
        second.kill()
        second.wait()
        get("b")
        assert names(folder) == ["b.pixels"]
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.communicate()


def test_a_wait_for_another_build_can_be_stopped(folder: Path) -> None:
    first = builder()
    try:
        assert said(first) == "building"

        def check() -> None:
            raise StopRun

        with pytest.raises(StopRun):
            cached_pixels("shared", 192, build, check)
    finally:
        first.kill()
        first.communicate()


def test_the_least_recently_used_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for age, key in enumerate(("new", "older", "oldest")):
        get(key)
        then = time.time() - 1000 * age
        os.utime(folder / f"{key}.pixels", (then, then))
    one = (folder / "new.pixels").stat().st_size
    monkeypatch.setenv(pixel_cache.LIMIT_VARIABLE, str((2 * one + SIZE) / 2**30))
    get("another")
    assert names(folder) == ["another.pixels", "new.pixels", "older.pixels"]
    get("older")  # used now: the newest
    then = time.time() - 500
    os.utime(folder / "new.pixels", (then, then))
    get("last")
    assert names(folder) == ["another.pixels", "last.pixels", "older.pixels"]


def test_a_file_in_use_stays_beyond_the_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = get("used")
    monkeypatch.setenv(pixel_cache.LIMIT_VARIABLE, "0")
    get("another")
    assert names(folder) == ["another.pixels", "used.pixels"]
    del used
    get("last")
    assert names(folder) == ["last.pixels"]


def test_a_file_of_the_users_own_stays_where_room_is_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "notes.txt").write_text("mine")
    monkeypatch.setenv(pixel_cache.LIMIT_VARIABLE, "0")
    get()
    assert names(folder) == ["a.pixels", "notes.txt"]


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf", ""])
def test_a_limit_that_is_no_number_is_told(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pixel_cache.LIMIT_VARIABLE, text)
    with pytest.raises(UsageError, match=f"NOODLE_CACHE_GIB={text}: give the size"):
        get()


def test_room_is_made_on_a_disk_that_is_short_of_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    get("old")
    monkeypatch.setattr(pixel_cache, "_free", lambda folder: 0 if (folder / "old.pixels").exists() else 10**6)
    get("new")
    assert names(folder) == ["new.pixels"]


def fill_up(told: "multiprocessing.Queue[str]") -> None:
    """In a process that may write 100 KB into a file: as a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    def much(writer: Writer) -> None:
        for _ in range(100):
            writer.keep(torch.zeros(3, 100, 100, dtype=torch.uint8))

    try:
        cached_pixels("much", 10, much, lambda: None)
    except NoodleError as error:
        told.put(str(error))


def test_a_disk_that_fills_up_while_building_is_told_in_one_line(folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    told: multiprocessing.Queue[str] = context.Queue()
    process = context.Process(target=fill_up, args=(told,))
    process.start()
    sentence = told.get(timeout=60)
    process.join()
    assert sentence == (f"the decoded photos can't be kept in {folder} (File too large): make room or rights there, or set "
                        "XDG_CACHE_HOME to another disk")
    assert names(folder) == []


def refuse(*arguments: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def test_a_cache_on_a_disk_that_became_read_only_is_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    get()
    monkeypatch.setattr(os, "utime", refuse)
    assert get().reused


def test_a_disk_that_takes_no_file_is_told_in_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(NoodleError, match=r"can't be kept in .*pixels \(Read-only file system\): make room or rights there"):
        get()


def test_a_cache_folder_that_can_not_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(NoodleError, match=r"pixels can't be made \(Not a directory\): set XDG_CACHE_HOME"):
        get()
    for variable in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable)
    monkeypatch.setattr(pwd, "getpwuid", lambda number: {}[number])  # as for a container's nameless user
    with pytest.raises(NoodleError, match="set HOME or XDG_CACHE_HOME"):
        get()


def test_a_cache_folder_of_somebody_else_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.chmod(0o777)
    assert pixel_cache.cache_folder().stat().st_mode & 0o777 == 0o700
    (folder.parent / "elsewhere").mkdir()
    folder.rmdir()
    folder.symlink_to("elsewhere")
    assert pixel_cache.cache_folder().stat().st_mode & 0o777 == 0o700, "her own link to a larger disk"
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(NoodleError, match="is not yours alone, and decoded photos go there: set XDG_CACHE_HOME"):
        pixel_cache.cache_folder()


def test_a_disk_without_locks_is_named_and_one_that_takes_no_times_is_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(os, "utime", refuse)
    assert not get().reused and get().reused
    monkeypatch.setattr(fcntl, "flock", refuse)
    for key in ("a", "new"):
        with pytest.raises(NoodleError, match=r"can't be locked in .*pixels \(No locks available\), .* set XDG_CACHE_HOME"):
            get(key)


def test_what_a_killed_builder_left_goes_with_the_next_build(folder: Path) -> None:
    (folder / "killed.part").write_bytes(b"faces")
    with open(folder / "building.part", "w+b") as building:
        fcntl.flock(building, fcntl.LOCK_EX)
        get()
    assert names(folder) == ["a.pixels", "building.part"]


def test_what_a_disk_takes_in_parts_is_written_whole() -> None:
    class Nearly(io.RawIOBase):
        def write(self, raw: Any) -> int:
            got.extend(raw[:2])
            return len(raw[:2])

    got = bytearray()
    pixel_cache.write_all(cast(BinaryIO, Nearly()), memoryview(b"abcde"))
    assert got == b"abcde"
