"""ImageNet's weights over real sockets, whole and in every broken way; weights files that are none."""

import contextlib
import errno
import hashlib
import http.server
import os
import pickle
import pwd
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import FinishedRun, MakeConfig, draw_face

from noodle_tui import weights as module
from noodle_tui.errors import NoodleError, StopRun
from noodle_tui.events import Event, Message
from noodle_tui.preflight.weights import connection_problem
from noodle_tui.run import run
from noodle_tui.weights import digest_of, fetch_imagenet, imagenet_file, imagenet_url, load_state_dict, proxy_for

CONTENT = b"weights " * 100_000
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()[:8]


class Server(http.server.ThreadingHTTPServer):
    """Answers in the way that `manner` says."""

    manner = "whole"
    requests = 0
    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.over = threading.Event()  # lets go of who is kept waiting


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests += 1
        self.close_connection = True
        manner = self.server.manner
        if manner == "404":
            return self.send_error(404)
        self.send_response(200)
        if manner == "cut chunk":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n" % len(CONTENT) + CONTENT[:1000])
            return None
        if manner == "endless":
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                while True:
                    self.wfile.write(CONTENT)
            return None
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if manner == "whole":
            self.wfile.write(CONTENT)
        elif manner == "cut":
            self.wfile.write(CONTENT[: len(CONTENT) // 2])
        elif manner == "damaged":
            self.wfile.write(CONTENT[:-1] + b"?")
        elif manner in ("stalled", "stalled at once"):
            self.wfile.write(CONTENT[:1000] if manner == "stalled" else b"")
            self.wfile.flush()
            self.server.over.wait(60)
        return None

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on loopback that stands for the internet; torch's cache is a folder of the test."""
    made = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(module, "imagenet_url", lambda: f"http://127.0.0.1:{made.server_port}/resnet18-{CHECKSUM}.pth")
    monkeypatch.setattr(module, "TIMEOUT", 0.5)
    yield made
    made.over.set()
    made.shutdown()
    made.server_close()


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_the_address_and_the_place_are_torchvisions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert imagenet_url() == "https://download.pytorch.org/models/resnet18-f37072fd.pth"
    assert imagenet_file() == tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"


def test_a_user_without_a_home_gets_no_folder_that_is_called_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda number: {}[number])
    with pytest.raises(NoodleError, match="this user has no home folder; set HOME or TORCH_HOME"):
        fetch_imagenet()


def test_a_whole_download(server: Server, tmp_path: Path) -> None:
    said: list[tuple[int, int | None]] = []
    file = fetch_imagenet(progress=lambda done, total: said.append((done, total)))
    assert file.read_bytes() == CONTENT
    assert files_below(tmp_path) == [file]
    assert said
    assert all(0 < done <= len(CONTENT) and total == len(CONTENT) for done, total in said)


def test_a_download_is_on_the_disk_before_it_has_its_name(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut leaves a file of zeros, which each later run would find damaged."""
    calls: list[object] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append(os.fstat(handle).st_size), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda part, file: (calls.append("rename"), replace(part, file)))
    fetch_imagenet()
    assert calls == [len(CONTENT), "rename"]


def test_what_is_there_is_not_downloaded_again(server: Server) -> None:
    fetch_imagenet()
    fetch_imagenet()
    assert server.requests == 1


def test_a_damaged_file_that_can_not_be_replaced_is_said_to_be_one(server: Server) -> None:
    file = imagenet_file()
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT[:100])
    server.manner = "404"
    with pytest.raises(NoodleError, match=r"^the file of the ImageNet weights is damaged, and a whole one could not be downl"):
        fetch_imagenet()


def test_a_damaged_file_of_an_earlier_day_is_replaced(server: Server) -> None:
    file = imagenet_file()
    file.parent.mkdir(parents=True)
    file.write_bytes(CONTENT[:100])
    assert fetch_imagenet().read_bytes() == CONTENT


@pytest.mark.parametrize(("manner", "reason"), [
    ("cut", "damaged: 400000 bytes arrived"), ("cut chunk", "IncompleteRead"), ("damaged", "damaged: 800000 bytes arrived"),
    ("stalled", "timed out"), ("stalled at once", "timed out"), ("404", "Not Found"),
    ("endless", "the server sends something else: more than 4 MiB"),
])
def test_a_download_that_fails_leaves_nothing_and_says_what_to_do(
    server: Server, manner: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST", 4 * 2**20)
    server.manner = manner
    with pytest.raises(NoodleError) as raised:
        fetch_imagenet()
    sentence = str(raised.value)
    assert reason in sentence
    assert module.imagenet_url() in sentence
    assert f"put it at {imagenet_file()}" in sentence
    assert "--weights FILE" in sentence
    assert "\n" not in sentence
    assert files_below(tmp_path) == []


def test_no_server_at_all(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(module, "imagenet_url", lambda: f"http://127.0.0.1:{port}/resnet18-{CHECKSUM}.pth")
    with pytest.raises(NoodleError, match=r"could not be downloaded \(.*refused.*--weights none"):
        fetch_imagenet()
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("manner", ["stalled", "stalled at once"])
def test_a_stop_is_seen_while_the_server_is_silent(
    server: Server, manner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server answers and says nothing more, and nothing times out: only the request to stop ends the wait."""
    monkeypatch.setattr(module, "TIMEOUT", 50)
    server.manner = manner
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if server.requests and looks > 3:
            raise StopRun

    with pytest.raises(StopRun):
        fetch_imagenet(check=check)
    assert files_below(tmp_path) == []


FETCH = """
import sys
from noodle_tui import weights
weights.imagenet_url = lambda: sys.argv[1]
weights.fetch_imagenet()
"""


def test_what_a_killed_download_left_goes_with_the_next_and_a_living_one_stays(server: Server, tmp_path: Path) -> None:
    server.manner = "stalled"
    environment = os.environ | {"TORCH_HOME": str(tmp_path), "no_proxy": "127.0.0.1"}
    process = subprocess.Popen([sys.executable, "-c", FETCH, module.imagenet_url()], env=environment)
    try:
        while not (parts := [file for file in files_below(tmp_path) if file.suffix == ".part"]):
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    [dead] = parts
    server.manner = "whole"
    file = fetch_imagenet()
    assert set(files_below(tmp_path)) == {file, dead}  # a moment ago somebody wrote to it
    os.utime(dead, (0, 0))
    fetch_imagenet()
    assert files_below(tmp_path) == [file]


def test_a_dead_part_that_is_not_ours_to_remove_keeps_nobody_from_good_weights(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a folder that somebody shares with others to read."""
    file = fetch_imagenet()
    dead = file.with_name(f"{file.name}.0.part")
    dead.touch()
    os.utime(dead, (0, 0))

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    assert fetch_imagenet() == file
    assert server.requests == 1


def refuse_to_sync(handle: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("make", "reason"), [
    (lambda file, patch: file.parents[2].joinpath("hub").touch(), "Not a directory"),
    (lambda file, patch: file.mkdir(parents=True), "Is a directory"),
    (lambda file, patch: patch.setattr(os, "fsync", refuse_to_sync), "No space left on device"),
])
def test_what_the_disk_refuses_is_not_put_down_to_the_network(
    make: Any, reason: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = imagenet_file()
    make(file, monkeypatch)
    with pytest.raises(NoodleError) as raised:
        fetch_imagenet()
    assert str(raised.value) == (
        f"the ImageNet weights can't be read or kept as {file} ({reason}): make room or rights there, set TORCH_HOME to "
        "another folder, or use --weights FILE or --weights none")


def test_the_proxy_in_between_is_named_without_its_password(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setattr(urllib.request, "_opener", None)  # a process asks for its proxies once
    with pytest.raises(NoodleError, match=rf"downloaded by way of http_proxy, 127\.0\.0\.1:{port} \(.*refused") as raised:
        fetch_imagenet()
    assert "secret" not in str(raised.value)
    assert server.requests == 0


@pytest.mark.parametrize("proxy", ["http://me:secret@127.0.0.1:abc", "http://me:secret/s@127.0.0.1:3128"])
def test_a_proxy_that_is_no_address_is_said_without_a_piece_of_it(
    proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setattr(urllib.request, "_opener", None)
    monkeypatch.setattr(module, "imagenet_url", lambda: "http://faces.test/resnet18-f37072fd.pth")
    with pytest.raises(NoodleError, match=r"downloaded \(http_proxy holds no address\): on a machine with") as raised:
        fetch_imagenet()
    assert connection_problem("http://faces.test/") == "http_proxy holds no address"
    assert "secret" not in str(raised.value) and "abc" not in str(raised.value)


@pytest.mark.parametrize(("no_proxy", "proxy"), [("", "proxy.test"), ("example.test", None)])
def test_an_address_that_is_asked_without_the_proxy_has_none(
    no_proxy: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("no_proxy", no_proxy)
    found = proxy_for("http://example.test/a.pth")
    assert (found and found.hostname) == proxy


# state-dict files -------------------------------------------------------------------------------------------------------


class RunsCode:
    """What a hostile file holds: unpickling it makes a file."""

    def __init__(self, proof: Path):
        self.proof = proof

    def __reduce__(self) -> Any:
        return Path.touch, (self.proof,)


def test_a_state_dict_comes_back(tmp_path: Path) -> None:
    torch.save({"a": torch.arange(3)}, tmp_path / "a.pth")
    assert load_state_dict(tmp_path / "a.pth")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(("save", "load_all"), [
    (torch.save, lambda file: torch.load(file, weights_only=False)),
    (lambda content, file: file.write_bytes(pickle.dumps(content, protocol=2)), lambda file: pickle.loads(file.read_bytes())),
])
def test_a_file_that_runs_code_is_refused_and_did_not_run(save: Any, load_all: Any, tmp_path: Path) -> None:
    save({"a": RunsCode(tmp_path / "proof")}, tmp_path / "hostile.pth")
    with pytest.raises(NoodleError, match=r"hostile\.pth: not loaded, since it holds more than tensors"):
        load_state_dict(tmp_path / "hostile.pth")
    assert not (tmp_path / "proof").exists()
    load_all(tmp_path / "hostile.pth")
    assert (tmp_path / "proof").exists()  # it was hostile


@pytest.mark.parametrize(("content", "sentence"), [
    ([1, 2], "not a plain state dict"), ({"a": 1}, "not a plain state dict"),
    ({"model": {"a": torch.zeros(1)}}, "not a plain state dict"),
])
def test_other_contents(content: Any, sentence: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(NoodleError, match=sentence):
        load_state_dict(tmp_path / "other.pth")


def test_broken_files_are_one_line(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2], whole[100:]):
        (tmp_path / "broken.pth").write_bytes(content)
        with pytest.raises(NoodleError, match=r"broken\.pth: ") as raised:
            load_state_dict(tmp_path / "broken.pth")
        assert "\n" not in str(raised.value)


def test_a_state_dict_of_before_torch_1_6_comes_back(tmp_path: Path) -> None:
    torch.save({"a": torch.arange(3)}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    assert load_state_dict(tmp_path / "a.pth")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("option", ["weights", "load_dir"])
@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0 a JPEG", b"version https://git-lfs.github.com/spec/v1", b""])
def test_what_is_no_weights_file_at_all_is_refused_before_there_is_a_run_folder(
    option: str, content: bytes, config_for: MakeConfig, runs_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(NoodleError, match=r"a\.pth: damaged, or not a file of torch\.save"):
        run(config_for(runs_dir, **{option: str(tmp_path / "a.pth")}))
    assert not runs_dir.exists()


def test_no_such_file(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.pth", tmp_path):
        with pytest.raises(NoodleError, match="there is no such weights file"):
            load_state_dict(path)


def test_weights_of_another_input_size_are_told(
    finished: FinishedRun, config_for: MakeConfig, runs_dir: Path
) -> None:
    events: list[Event] = []
    run(config_for(runs_dir, load_dir=finished.folder / "model.pth", input_size=64, n_epochs=1), [events.append])
    [warning] = [e.text for e in events if isinstance(e, Message) and "--input-size" in e.text]
    assert warning.startswith(f"the weights of {finished.folder.name} were trained at --input-size 32, and this run has 64")


@pytest.mark.parametrize("weights", ["imagenet", "broken.pth"])
def test_no_photo_is_moved_for_a_run_whose_weights_can_not_be_had(
    weights: str, config_for: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(module, "imagenet_url", lambda: "http://127.0.0.1:9/resnet18-f37072fd.pth")
    (tmp_path / "broken.pth").write_bytes(b"PK\x03\x04torn")
    photos = [tmp_path / "stimuli" / f"{i:02}F_Ne_to_{emotion}_C01.JPG" for i in range(8) for emotion in ("Ha", "Sa")]
    for photo in photos:
        draw_face(photo, "07F", photo.name[10:12], 1)
    config = config_for(tmp_path / "runs", stimuli=tmp_path / "stimuli", data_dir=tmp_path / "sorted", rejig_data=True,
                        weights=weights)
    with pytest.raises(NoodleError, match=r"could not be downloaded|damaged, or not a file of torch\.save"):
        run(config)
    assert all(photo.is_file() for photo in photos) and not (tmp_path / "sorted").exists()


def test_the_digest_of_weights(tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(b"weights")
    assert digest_of(str(tmp_path / "model.pth")) == hashlib.sha256(b"weights").hexdigest()
    assert digest_of("none") == digest_of("imagenet") == digest_of(str(tmp_path / "gone.pth")) == ""
