"""Comet: the real SDK in its real process, against a loopback server that answers, refuses, hangs or dies."""

import fcntl
import gzip
import io
import json
import logging
import math
import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from noodle_tui.config import RunConfig, options
from noodle_tui.events import EpochDone, Message, ModelReady, RunMoved
from noodle_tui.listeners import comet
from noodle_tui.listeners.comet import SAFE_TEXTS, CometLogger, experiment_key, new_experiment_key, parameters
from noodle_tui.listeners.comet_process import DELIVERED, JOURNAL, LAST_WORDS_S, is_whole, last_words, reason_in
from noodle_tui.settings import Settings

KEY = "Qk7ZsecretApiKeyThatIsNoOne"
SECRET = "Jane_Doe_ward7"  # stands for a name in a path, a file name, a variable, an argument
SETTINGS = Settings.model_validate({"username": "lab", "apikey": KEY, "project": "faces"})


class CometServer(ThreadingHTTPServer):
    """As much of Comet's server as its SDK asks for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.mode = "ok"  # or "refuse" (the key), "unauthorized", "hang", "dead", "bad metric", "too large"
        self.requests: list[tuple[str, str, bytes]] = []  # path, headers, body
        self.known: set[str] = set()  # experiment keys
        self.done = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/clientlib/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is part of these tests."""

    def sent(self, end_of_path: str) -> list[Any]:
        return [json.loads(body) for path, _, body in list(self.requests) if path.split("?")[0].endswith(end_of_path)]

    def metrics(self) -> dict[tuple[str, int], float]:
        return {(value["metricName"], value["step"]): value["metricValue"]
                for batch in self.sent("experiment/metric") for value in batch["values"]}

    def assets(self) -> dict[str, bytes]:
        uploads = [(path, body) for path, _, body in self.requests if "asset/upload?" in path]
        return {path.split("fileName=")[1].split("&")[0]: body for path, body in uploads}


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CometServer

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        mode = self.server.mode
        if mode == "dead":
            self.close_connection = True
            return
        self.server.requests.append((self.path, str(self.headers), body))
        if mode == "hang":
            self.server.done.wait(60)
            return
        status, answer = self.answer(body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def answer(self, body: bytes) -> tuple[int, dict[str, Any]]:
        run = {"runId": "r1", "project_id": "p1", "focusUrl": "http://comet.test/", "name": "n"}
        if self.server.mode == "unauthorized":
            return 401, {"msg": f"{KEY} is unauthorized"}
        if self.server.mode == "refuse":
            return 403, {"sdk_error_code": 90212, "msg": f"The API key {KEY} is not registered"}
        if self.server.mode == "too large" and "asset/upload" in self.path:
            return 413, {"msg": "too large"}
        if self.server.mode == "bad metric" and self.path.endswith("experiment/metric"):
            return 400, {"msg": f"bad metric of {KEY}"}
        if self.path.endswith("add/run"):
            wanted = json.loads(body)
            if wanted["experimentKey"] in self.server.known and not wanted["getOrCreateEnabled"]:
                return 400, {"sdk_error_code": 90999, "msg": "exists"}
            self.server.known.add(wanted["experimentKey"])
            return 200, run
        if self.path.endswith("get/run"):
            return 200, run
        if self.path.endswith("status-report/update"):
            return 200, {"is_alive_beat_duration_millis": 10_000, "gpu_monitor_interval_millis": 10_000}
        if self.path.endswith("isAlive/ver"):
            return 200, {"version": "4.0.0", "msg": ""}
        return 200, {}

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[CometServer]:
    with CometServer() as comet_server:
        threading.Thread(target=comet_server.serve_forever, daemon=True).start()
        monkeypatch.setenv("COMET_URL_OVERRIDE", comet_server.url)
        yield comet_server
        comet_server.done.set()
        comet_server.shutdown()


def epoch(number: int, n_epochs: int = 4, **values: Any) -> EpochDone:
    """Epoch `number` with train loss 1/number, 10 of 20 right in training, 5 of 8 in validation."""
    normal: dict[str, Any] = {"train_loss": 1 / number, "train_correct": 10, "train_count": 20,
                              "val_loss": 2 / number, "val_correct": 5, "val_count": 8, "is_best": number == 2}
    return EpochDone(epoch=number, n_epochs=n_epochs, lr=0.001, seconds=0.1, images_per_second=200.0, **(normal | values))


def private_config(folder: Path, **values: Any) -> RunConfig:
    """Options that hold a name wherever an option can."""
    return RunConfig(stimuli=folder / SECRET, data_dir=folder / SECRET, save_dir=folder / SECRET, load_dir=folder / SECRET,
                     person=f"({SECRET}).*", weights=f"/home/{SECRET}/model.pth", **values)


READY = ModelReady(architecture="resnet18", weights="none", device="cuda:1", device_name="a GPU", precision="bf16")


def begun(*args: Any) -> CometLogger:
    """A logger of a run that is about to train."""
    logger = CometLogger(*args)
    logger(READY)
    return logger


def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / SECRET
    folder.mkdir()
    (folder / "model.pth").write_bytes(b"weights" * 50_000)
    return folder


def finish(logger: CometLogger, folder: Path) -> float:
    """Close with weights and a confusion matrix. The seconds that it took."""
    start = time.monotonic()
    logger.close(folder / "model.pth", [[3, 1], [0, 4]], ["sad", "happy"])
    return time.monotonic() - start


def archived(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]], zipfile.ZipFile]:
    """experiment.json, the messages, and the one archive in a run folder."""
    (archive,) = (folder / "comet").glob("*.zip")
    file = zipfile.ZipFile(archive)
    messages = [json.loads(line) for line in file.read("messages.json").splitlines()]
    return json.loads(file.read("experiment.json")), messages, file


def archived_metrics(folder: Path) -> dict[tuple[str, int], float]:
    metrics = [m["payload"]["metric"] for m in archived(folder)[1] if m["type"] == "metric_msg"]
    return {(m["metricName"], m["step"]): m["metricValue"] for m in metrics if m["metricName"] != "process duration"}


def wait_for(condition: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def assert_private(text: bytes) -> None:
    for secret in (SECRET, socket.gethostname(), str(Path.cwd()), str(Path.home()), sys.executable, "comet_process"):
        assert secret.encode() not in text


@pytest.fixture
def private_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with a change that isn't committed, as working folder, and a variable, all with a name in them."""
    monkeypatch.setenv("NOODLE_TEST_PATIENT", SECRET)
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q", "."], check=True)
    (tmp_path / "notes.py").write_text(f"patient = {SECRET!r}\n")
    subprocess.run(["git", "add", "."], check=True)
    return tmp_path


def test_a_key_is_new_each_time_and_as_comet_wants_it():
    keys = {new_experiment_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.isalnum() and 32 <= len(key) <= 50 for key in keys)


def test_a_run_keeps_its_key(tmp_path: Path):
    """Its checkpoint may not have it: of a run without Comet, done, then looked at with Comet."""
    assert experiment_key(tmp_path, "stored") == "stored"
    key = experiment_key(tmp_path, "")
    begun(RunConfig(), Settings(), tmp_path, key, lambda event: None).close()
    assert experiment_key(tmp_path, "") == experiment_key(tmp_path, "stored") == key
    for broken in ("", "../../x", "ä" * 32, "k" * 51):
        (tmp_path / "comet" / comet.KEY).write_text(broken)
        assert experiment_key(tmp_path, "stored") == "stored"


def test_only_options_that_hold_no_path_are_sent(tmp_path: Path):
    sent = parameters(private_config(tmp_path, lr=0.5, split_by="person", rejig_data=True))
    assert SECRET not in json.dumps(sent)
    assert sent["weights"] == "a file"
    assert sent["lr"] == 0.5
    assert sent["split_by"] == "person"
    assert sent["classes"] == "sad=_Sa_ happy=_Ha_"
    texts = {o.name for o in options() if o.kind in ("path", "text", "list")}
    assert texts & sent.keys() == {*SAFE_TEXTS, "weights"}
    assert parameters(RunConfig())["weights"] == "imagenet"


def test_online_comet_gets_numbers_options_weights_and_nothing_else(server: CometServer, private_place: Path):
    folder, said = run_folder(private_place), []
    key = new_experiment_key()
    start = time.monotonic()
    logger = begun(private_config(private_place, namestr="faces 1"), SETTINGS, folder, key, said.append)
    for number in (1, 2, 3, 4):
        logger(epoch(number))
    assert time.monotonic() - start < 1  # training doesn't wait
    assert logger._process
    for number in (signal.SIGTERM, signal.SIGINT):  # as batch systems send them to every process of a job
        wait_for(lambda: server.requests)
        os.kill(logger._process._child.pid, number)
    finish(logger, folder)
    metrics = server.metrics()
    for number in (1, 2, 3, 4):
        assert metrics["train_loss", number] == pytest.approx(1 / number)
        assert metrics["train_accuracy", number] == 0.5
        assert metrics["val_loss", number] == pytest.approx(2 / number)
        assert metrics["val_accuracy", number] == 0.625
        assert metrics["lr", number] == 0.001
    assert metrics["best_val_accuracy", 2] == 0.625
    sent = {value["parameterName"]: value["parameterValue"]
            for batch in server.sent("experiment/parameter") for value in batch["values"]}
    config = private_config(private_place, namestr="faces 1")
    assert sent == parameters(config) | {"device": "cuda", "precision": "bf16"}, "what really computes"
    assert b"weights" * 50_000 in server.assets()["classification_model.pth"]
    assert b'"labels":["sad","happy"],"matrix":[[3,1],[0,4]]' in server.assets()["confusion-matrix.json"].replace(b" ", b"")
    uploads = [path for path, _, _ in server.requests if "asset/upload?" in path]
    assert len(uploads) == 2 and all("step=2&" in path + "&" for path in uploads), "they are the best epoch's"
    (run,) = [run for run in server.sent("add/run") if run["getOrCreateEnabled"]]
    assert (run["experimentKey"], run["teamName"], run["projectName"]) == (key, "lab", "faces")
    assert {"experimentKey": key, "key": "Name", "value": "faces 1"} in server.sent("log-other")
    assert server.sent("status-report/update")[-1]["is_alive"] is False
    for path, headers, body in server.requests:
        assert_private(path.encode() + headers.encode() + body)
    assert [(m.level, m.text) for m in said] == [("info", f"Comet: http://comet.test/{key}"), ("info", "Comet has everything")]
    assert {file.name for file in (folder / "comet").iterdir()} == {DELIVERED, JOURNAL, comet.KEY}


def test_a_refused_key_leaves_an_archive_that_comet_takes_and_a_resumed_run_delivers(
    server: CometServer, private_place: Path
):
    folder, said, key = run_folder(private_place), [], new_experiment_key()
    config = private_config(private_place, log_every=1)
    server.mode = "refuse"
    logger = begun(config, SETTINGS, folder, key, said.append)
    logger(epoch(1))
    logger(epoch(2))
    finish(logger, folder)
    assert said[-1].level == "warning"
    assert "the server refuses the API key" in said[-1].text
    assert all(KEY not in message.text for message in said)
    about, _, file = archived(folder)
    assert (about["offline_id"], about["resume_strategy"]) == (key, "get_or_create")
    for name in file.namelist():
        assert_private(name.encode() + file.read(name))
        assert KEY.encode() not in file.read(name)
    assert KEY not in (folder / "comet" / JOURNAL).read_text()
    assert (about["workspace"], about["project_name"]) == ("lab", "faces")
    assert any(file.read(name) == b"weights" * 50_000 for name in file.namelist())

    server.mode = "ok"
    command = said[-1].text.split("<your key> ")[1]  # exactly as the message says it
    upload = [str(Path(sys.executable).with_name("comet")), *shlex.split(command)[1:]]
    subprocess.run(upload, env=os.environ | {"COMET_API_KEY": KEY}, check=True, capture_output=True, timeout=60)
    assert server.metrics()["val_loss", 2] == 1.0
    assert set(server.assets()) == {"classification_model.pth", "confusion-matrix.json"}

    server.requests.clear()
    with (folder / "comet" / JOURNAL).open("a") as journal:
        journal.write('{"epoch": 3, "metr')  # killed while it wrote
    logger = begun(config, SETTINGS, folder, key, said.append, [epoch(1), epoch(2)])
    logger(epoch(3))
    logger(epoch(4))
    finish(logger, folder)
    assert said[-1].text == "Comet has everything"
    assert {step for name, step in server.metrics() if name == "train_loss"} == {1, 2, 3, 4}
    assert [run["previousExperiment"] for run in server.sent("get/run")] == [key]
    assert {file.name for file in (folder / "comet").iterdir()} == {DELIVERED, JOURNAL, comet.KEY}


def test_without_a_network_under_ten_seconds_are_lost_and_all_that_log_every_asks_for_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COMET_URL_OVERRIDE", "http://127.0.0.1:9/clientlib/")  # nobody listens there
    folder, said = run_folder(tmp_path), []
    start = time.monotonic()
    logger = begun(RunConfig(log_every=3, comet_weights=False), SETTINGS, folder, new_experiment_key(), said.append)
    for number in range(1, 6):
        logger(epoch(number, n_epochs=9))
    logger(epoch(6, n_epochs=9, train_loss=math.nan, val_loss=None, val_correct=None))
    logger(epoch(7, n_epochs=9))  # stopped here
    assert logger._process
    wait_for(lambda: logger._process and logger._process.said)
    logger._process._heard -= 3600  # an hour of training
    finish(logger, folder)
    assert logger._process._child.returncode == 0  # the waiting process made the archive
    assert time.monotonic() - start < 10
    metrics = archived_metrics(folder)
    assert {step for name, step in metrics if name == "train_accuracy"} == {1, 3, 6, 7}
    assert metrics["best_val_accuracy", 2] == 0.625
    assert {name for name, step in metrics if step == 6} == {"train_accuracy", "lr"}
    assert [message.level for message in said] == ["warning", "warning"]
    assert "no connection to 127.0.0.1" in said[0].text
    assert not any(b"weightsweights" in file for file in map(archived(folder)[2].read, archived(folder)[2].namelist()))


def test_a_server_that_hangs_is_given_up_after_a_short_silence(
    server: CometServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(comet, "SILENCE_S", 0.1)  # less than the import of Comet's SDK takes, which isn't counted
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    server.mode = "hang"
    folder, said = run_folder(tmp_path), []
    logger = begun(RunConfig(), SETTINGS, folder, new_experiment_key(), said.append)
    assert logger._process
    child = logger._process._child
    logger(epoch(1))
    wait_for(lambda: server.requests)
    assert finish(logger, folder) < comet.ARCHIVE_S
    assert child.returncode == -signal.SIGKILL
    assert not list(tmp_path.glob("noodle-comet-*")), "what it was about to upload goes with it"
    assert archived_metrics(folder)["train_loss", 1] == 1.0
    assert "the server doesn't answer" in said[-1].text


@pytest.mark.timeout(60)
def test_a_request_to_end_shortens_the_wait_for_a_server(
    server: CometServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Batch systems kill soon after they ask. Without the request this would wait for ten minutes."""
    monkeypatch.setattr(comet, "SILENCE_S", 600.0)
    monkeypatch.setattr(comet, "HURRY_S", 0.5)
    server.mode = "hang"
    folder, said, asked = run_folder(tmp_path), [], threading.Event()
    logger = begun(RunConfig(), SETTINGS, folder, new_experiment_key(), said.append)
    logger(epoch(1))
    threading.Timer(1.0, asked.set).start()
    logger.close(limit_s=600.0, in_a_hurry=asked.is_set)
    assert archived_metrics(folder)["train_loss", 1] == 1.0
    assert "comet upload" in said[-1].text


def test_a_server_that_dies_in_mid_run_leaves_the_whole_run_in_the_archive(server: CometServer, tmp_path: Path):
    folder, said = run_folder(tmp_path), []
    logger = begun(RunConfig(), SETTINGS, folder, new_experiment_key(), said.append)
    logger(epoch(1))
    wait_for(server.metrics)
    server.mode = "dead"
    logger(epoch(2))
    assert finish(logger, folder) < 9
    metrics = archived_metrics(folder)
    assert {step for name, step in metrics if name == "val_accuracy"} == {1, 2}
    assert any(m["payload"].get("upload_type") == "confusion-matrix" for m in archived(folder)[1])
    assert "comet upload" in said[-1].text
    assert re.search("connection was lost|server doesn't answer", said[-1].text)  # which it is, Comet's version decides


def test_an_archive_that_the_disk_refuses_is_none_and_an_earlier_one_stays(tmp_path: Path):
    folder, said, key = run_folder(tmp_path), [], new_experiment_key()
    earlier = folder / "comet" / f"{key}.zip"
    earlier.parent.mkdir()
    earlier.write_bytes(b"of the run until now")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # the weights are larger
    try:
        logger = begun(RunConfig(), Settings(), folder, key, said.append)
        logger(epoch(1))
        finish(logger, folder)
        assert logger._process and logger._process._child.returncode == 0, "not through Comet's exit hooks"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "no archive of all of it could be written" in said[-1].text
    assert earlier.read_bytes() == b"of the run until now"


@pytest.mark.parametrize("settings", [SETTINGS, Settings()], ids=["online", "archive"])
def test_what_a_full_disk_refuses_comet_gets_all_the_same(settings: Settings, server: CometServer, tmp_path: Path):
    """And in the folder that the run has moved to is what it leaves."""
    folder, said, rescued = run_folder(tmp_path), [], tmp_path / "rescued"
    rescued.mkdir()
    logger = begun(RunConfig(), settings, folder, "k" * 32, said.append)
    logger(epoch(1))
    (folder / "comet" / JOURNAL).unlink()
    (folder / "comet" / JOURNAL).mkdir()  # takes no line, as a full disk
    logger(epoch(2))
    logger(epoch(3))
    logger(RunMoved(folder=str(rescued)))
    logger.close()
    assert {file.name for file in (folder / "comet").iterdir()} == {JOURNAL, comet.KEY}
    online = settings == SETTINGS
    metrics = server.metrics() if online else archived_metrics(rescued)
    assert {step for name, step in metrics if name == "train_loss"} == {1, 2, 3}
    assert (said[-1].text == "Comet has everything" and (rescued / "comet" / DELIVERED).exists()) if online else (
        str(rescued) in said[-1].text)


def test_a_run_that_is_picked_up_has_the_epochs_of_its_checkpoint_and_no_others(tmp_path: Path):
    """Killed in epoch 4, where 2 were saved; and a run rescued from a full disk has left its journal there."""
    for n_epochs in (2, 3):
        folder = tmp_path / str(n_epochs)
        folder.mkdir()
        journal = folder / "comet" / JOURNAL
        first = begun(RunConfig(), Settings(), folder, "k" * 32, lambda event: None)
        for number in (1, 2, 3, 4):
            first(epoch(number, is_best=number in (2, 4)))
        assert first._process
        first._process.end()
        assert len(journal.read_text().splitlines()) == 4
        again = begun(RunConfig(n_epochs=n_epochs), Settings(), folder, "k" * 32, lambda event: None, [epoch(1), epoch(2)])
        if n_epochs == 3:
            again(epoch(3, train_loss=0.125))
        again.close()
        metrics = archived_metrics(folder)
        assert {step for name, step in metrics if name == "train_loss"} == set(range(1, n_epochs + 1))
        assert [step for name, step in metrics if name == "best_val_accuracy"] == [2]
        named = {m["payload"]["param"]["paramName"] for m in archived(folder)[1] if m["type"] == "parameter_msg"}
        assert ("device" in named) == (n_epochs == 3), "what judges a run that is done hasn't trained it"
        assert metrics.get(("train_loss", 3)) == (0.125 if n_epochs == 3 else None)


def test_what_the_server_has_acknowledged_isnt_sent_again(server: CometServer, tmp_path: Path):
    """Its run was killed, and so could not say that it ended; epoch 3 is done again with another result."""
    past = [epoch(1), epoch(2)]
    first = begun(RunConfig(), SETTINGS, tmp_path, "k" * 32, lambda event: None)
    for event in [*past, epoch(3)]:
        first(event)
    assert first._process
    first._process._words.put(None)  # stdin ends without a last word
    wait_for(lambda: (tmp_path / "comet" / DELIVERED).exists())
    server.requests.clear()
    again = begun(RunConfig(), SETTINGS, tmp_path, "k" * 32, lambda event: None, past)
    again(epoch(3, train_loss=0.125))
    again.close()
    assert {step for _, step in server.metrics()} == {3}
    server.mode = "refuse"
    offline = begun(RunConfig(), SETTINGS, tmp_path, "k" * 32, lambda event: None, [*past, epoch(3, train_loss=0.125)])
    offline(epoch(4))
    offline.close()
    assert {step for _, step in archived_metrics(tmp_path)} == {4}, "nor does an upload double it"


def test_a_killed_runs_process_that_still_sends_is_waited_for(server: CometServer, tmp_path: Path):
    """Else the same epochs would be sent twice."""
    (tmp_path / "comet").mkdir()
    theirs = os.open(tmp_path / "comet", os.O_RDONLY)
    fcntl.flock(theirs, fcntl.LOCK_EX)
    logger = begun(RunConfig(), SETTINGS, tmp_path, "k" * 32, lambda event: None, [epoch(1), epoch(2)])
    time.sleep(1.5)
    assert not server.requests
    journal = (tmp_path / "comet" / JOURNAL).read_text()
    (tmp_path / "comet" / DELIVERED).write_text(journal.splitlines(keepends=True)[0])
    os.close(theirs)
    wait_for(server.metrics)
    logger.close()
    assert {step for _, step in server.metrics()} == {2}
    assert (tmp_path / "comet" / DELIVERED).read_text() == journal


def test_a_run_that_cant_go_on_leaves_folder_and_server_alone(server: CometServer, tmp_path: Path):
    archive = tmp_path / "comet" / "kept.zip"
    archive.parent.mkdir()
    archive.write_bytes(b"a finished run")
    said: list[Any] = []
    logger = CometLogger(RunConfig(), SETTINGS, tmp_path, "k" * 32, said.append, [epoch(1)])
    assert logger._process
    time.sleep(1.5)  # it is ready, or nearly
    logger.close()
    assert logger._process._child.poll() is not None
    assert (said, server.requests, list(archive.parent.iterdir())) == ([], [], [archive])


def test_half_made_archives_of_killed_processes_are_removed(tmp_path: Path):
    def half_made() -> Path:
        folder = tmp_path / "comet" / "tmpq2x9"
        folder.mkdir(parents=True)
        (folder / "weights").write_bytes(b"large")
        return folder

    at_the_start = half_made()
    logger = begun(RunConfig(), Settings(), tmp_path, "k" * 32, lambda event: None)
    assert not at_the_start.exists()
    of_the_first_process = half_made()
    assert logger._process
    logger._process._child.kill()
    logger.close()
    assert not of_the_first_process.exists()
    assert archived_metrics(tmp_path) == {}


def test_a_stopped_comet_process_doesnt_hold_up_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nor do more words than its pipe holds."""
    monkeypatch.setattr(comet, "SILENCE_S", 0.3)
    monkeypatch.setattr(comet, "ARCHIVE_S", 0.3)
    said: list[Any] = []
    logger = CometLogger(RunConfig(), Settings(), tmp_path, "k" * 32, said.append)
    assert logger._process
    os.kill(logger._process._child.pid, signal.SIGSTOP)
    logger(READY)
    logger(epoch(1))
    start = time.monotonic()
    logger.close(confusion=[[0] * 300] * 300, classes=["x"] * 300)
    assert time.monotonic() - start < 5
    assert "no archive of all of it could be written" in said[-1].text


def test_a_torn_archive_isnt_taken_for_one(tmp_path: Path):
    archive, model = tmp_path / "x.zip", tmp_path / "model.pth"
    model.write_bytes(os.urandom(1000))
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("experiment.json", "{}")
        file.writestr("messages.json", "")
    assert is_whole(archive, None)
    assert not is_whole(archive, str(model)), "the weights are missing"
    with zipfile.ZipFile(archive, "a") as file:
        file.write(model, "asset")
    assert is_whole(archive, str(model))
    whole = archive.read_bytes()
    for torn in (whole[:-500], whole.replace(model.read_bytes()[:8], bytes(8)), b"PK\x05\x06" + bytes(18)):
        archive.write_bytes(torn)
        assert not is_whole(archive, None)


def test_an_error_status_is_named_without_the_key(server: CometServer, tmp_path: Path):
    server.mode = "unauthorized"
    said: list[Any] = []
    logger = begun(RunConfig(), SETTINGS, tmp_path, new_experiment_key(), said.append)
    logger.close()
    assert "the server answers with status 401" in said[0].text
    assert all(KEY not in message.text for message in said)
    assert archived_metrics(tmp_path) == {}  # the options are there, and no epoch was done


@pytest.mark.parametrize(("mode", "reason"), [
    ("bad metric", "metrics batch message, got 400"), ("too large", "the server doesn't acknowledge everything"),
])
def test_what_the_server_refuses_is_said(
    mode: str, reason: str, server: CometServer, tmp_path: Path
):
    server.mode = mode
    folder, said = run_folder(tmp_path), []
    logger = begun(RunConfig(), SETTINGS, folder, new_experiment_key(), said.append)
    logger(epoch(1))
    wait_for(lambda: logger._process and logger._process.said)  # it is connected: what follows is quick
    finish(logger, folder)
    assert reason in said[-1].text and "comet upload" in said[-1].text
    assert KEY not in said[-1].text


def test_a_killed_run_leaves_its_numbers_in_an_archive_and_no_process(tmp_path: Path):
    script = f"""
import os, sys, time
sys.path[:0] = {sys.path!r}
from pathlib import Path
from test_comet import RunConfig, Settings, begun, epoch
logger = begun(RunConfig(), Settings(), Path({str(tmp_path)!r}), "k" * 32, print)
logger(epoch(1))
assert not {{"comet_ml", "torch"}} & sys.modules.keys()
print(logger._process._child.pid, flush=True)
time.sleep(0.5)  # a thread passes the task on
os.killpg(0, 9)  # as a batch system does
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, start_new_session=True,
                         env={**os.environ, "TMPDIR": str(tmp_path)})
    assert run.returncode == -signal.SIGKILL, run.stderr
    archive = tmp_path / "comet" / ("k" * 32 + ".zip")
    wait_for(archive.exists)
    assert archived_metrics(tmp_path)["train_loss", 1] == 1.0
    wait_for(lambda: not Path(f"/proc/{run.stdout.split()[-1]}").exists())
    assert not list(tmp_path.glob("noodle-comet-*"))


def test_where_no_process_can_be_had_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said: list[Any] = []
    settings = Settings(warnings=("settings.json holds your keys",))
    logger = begun(RunConfig(), settings, tmp_path, new_experiment_key(), said.append)
    logger(epoch(1))
    logger.close()
    assert all(isinstance(message, Message) and message.level == "warning" for message in said)
    assert said[0].text == "settings.json holds your keys"
    assert "Comet can't be started" in said[1].text
    assert not list(tmp_path.glob("noodle-comet-*"))
    assert len(said) == 2


def test_the_key_is_blanked_in_the_reason_that_is_shown():
    said = logging.LogRecord("comet_ml", logging.ERROR, "", 1, f"the key {KEY} is bad\nmore", None, None)
    assert reason_in([said], {"api_key": KEY}) == "the key … is bad"
    assert reason_in([said], {"api_key": None}).endswith("is bad")


def test_once_the_run_has_ended_the_time_is_counted(monkeypatch: pytest.MonkeyPatch):
    asked: list[int] = []
    monkeypatch.setattr(signal, "alarm", asked.append)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"classes": []}\n')))
    assert last_words.__wrapped__() == {"classes": []}
    assert asked == [LAST_WORDS_S]
