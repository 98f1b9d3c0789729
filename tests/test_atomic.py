import errno
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from noodle_tui.atomic import sync, write_atomic

WRITER = """
import sys
from pathlib import Path
from noodle_tui.atomic import write_atomic
while True:
    for letter in (b"a", b"b"):
        write_atomic(Path(sys.argv[1]), letter * 8_000_000)
"""

TOO_BIG = """
import resource, signal, sys
from pathlib import Path
from noodle_tui.atomic import write_atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomic(Path(sys.argv[1]), b"x" * 2000)
except OSError as error:
    print("refused", error.errno)
"""


def test_text_and_bytes_are_written_and_replaced(tmp_path: Path):
    file = tmp_path / "a.txt"
    write_atomic(file, "grün\n")
    assert file.read_bytes() == "grün\n".encode()
    write_atomic(file, memoryview(b"\x00\xff"))
    assert file.read_bytes() == b"\x00\xff"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_others_may_read_as_the_umask_says(tmp_path: Path):
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "a", b"1")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_killed_writer_leaves_the_old_content_or_the_new(tmp_path: Path):
    file = tmp_path / "a"
    whole = (b"a" * 8_000_000, b"b" * 8_000_000)
    for pause in (0.0, 0.002, 0.005):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(file)])
        while not file.exists():
            time.sleep(0.0005)
        for _ in range(20):  # and a reader never sees a part
            assert file.read_bytes() in whole
        time.sleep(pause)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert file.read_bytes() in whole


def test_a_refusing_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    file = tmp_path / "a"
    file.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", TOO_BIG, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("refused")
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_the_reason_of_a_refusal_is_told_and_no_file_stays_open(tmp_path: Path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def next_handle() -> int:
        os.close(handle := os.dup(1))
        return handle

    before = next_handle()
    write_atomic(tmp_path / "a", b"1")
    monkeypatch.setattr("builtins.open", refuse)  # a folder that may not be written to, also to root
    with pytest.raises(PermissionError):
        write_atomic(tmp_path / "a", b"2")
    assert next_handle() == before


def test_no_temporary_file_stays_when_the_name_can_not_be_taken(tmp_path: Path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError):
        write_atomic(tmp_path / "a", b"1")
    assert os.listdir(tmp_path) == ["a"]


def test_the_data_is_on_the_disk_before_it_gets_the_name_and_the_name_after(tmp_path: Path, monkeypatch):
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(handle: int) -> None:
        calls.append("fsync folder" if os.path.isdir(f"/proc/self/fd/{handle}") else f"fsync of {os.fstat(handle).st_size}")
        fsync(handle)

    def spy_replace(source: Path, target: Path) -> None:
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    write_atomic(tmp_path / "a", b"123")
    assert calls == ["fsync of 3", "rename", "fsync folder"]


@pytest.mark.parametrize(("number", "is_said"), [(errno.EIO, True), (errno.EINVAL, False), (errno.ENOTSUP, False)])
def test_a_disk_that_can_not_write_is_said_but_not_a_network_filesystem_that_syncs_no_folder(
        tmp_path: Path, monkeypatch, number: int, is_said: bool):
    def refuse(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError) if is_said else nullcontext():
        sync(tmp_path)


def test_an_interrupted_writer_leaves_nothing(tmp_path: Path, monkeypatch):
    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a", b"1")
    assert os.listdir(tmp_path) == []
