"""Signals to real runs, one in each stage but training, which test_cli.py has: within seconds what there is is saved, and the
run marked as stopped."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_cli import SMALL, noodle_here

from noodle_tui.checkpoint import read_checkpoint
from noodle_tui.run_folder import is_alive, list_runs, read_state

SECONDS = 40.0  # from signal to end, imports of libraries that are under way and a busy machine included


def many(photo: Path, folder: Path, count: int, name: str) -> None:
    """`count` names of one photo: a stage that takes a while, and little room."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        os.link(photo, folder / name.format(i))


def some_photo(data_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(next((data_dir / "train" / "sad").iterdir()), tmp_path / "photo.jpg"))


@pytest.fixture
def silent_proxy() -> Iterator[str]:
    """Takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def sorting(data_dir: Path, tmp_path: Path) -> list[str]:
    photo = some_photo(data_dir, tmp_path)
    for token in ("Sa", "Ha"):
        many(photo, tmp_path / "stimuli", 20_000, f"{{:05}}_{token}_.jpg")
    return ["--rejig-data", "--stimuli", "stimuli", "--data-dir", "sorted", *SMALL]


def decoding(data_dir: Path, tmp_path: Path) -> list[str]:
    photo = some_photo(data_dir, tmp_path)
    shutil.copytree(data_dir, tmp_path / "data")
    many(photo, tmp_path / "data" / "train" / "sad", 30_000, "{:05}.jpg")
    return ["--data-dir", "data", *SMALL]


def downloading(data_dir: Path, tmp_path: Path) -> list[str]:
    return ["--data-dir", str(data_dir), "--device", "cpu", "--input-size", "32"]


def judging(data_dir: Path, tmp_path: Path) -> list[str]:
    photo = some_photo(data_dir, tmp_path)
    shutil.copytree(data_dir, tmp_path / "data")
    many(photo, tmp_path / "data" / "val" / "sad", 1_000, "{:05}.jpg")
    return ["--data-dir", "data", "--n-epochs", "1", *SMALL]


STAGES: dict[str, tuple[str, Callable[[Path, Path], list[str]]]] = {  # the stage that is waited for, and what makes it long
    "sorting": ("rejig", sorting), "decoding": ("decode", decoding), "downloading": ("weights", downloading),
    "judging": ("evaluate", judging),
}


@pytest.mark.parametrize(("kind", "number"), zip(STAGES, [
    signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGTERM], strict=True))
def test_a_signal_is_seen_in_every_stage(
    kind: str, number: signal.Signals, data_dir: Path, tmp_path: Path, silent_proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, prepare = STAGES[kind]
    command = [sys.executable, "-m", "noodle_tui", "run", "--headless", "--json", *prepare(data_dir, tmp_path)]
    environment = {**os.environ, "https_proxy": silent_proxy, "no_proxy": "", "TORCH_HOME": str(tmp_path / "torch")}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as process:
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            last = line
            if (event := json.loads(line))["event"] == "StageStarted" and event["stage"] == stage:
                break
        time.sleep(0.3)
        assert process.poll() is None, last
        process.send_signal(number)
        began = time.monotonic()
        out, err = process.communicate(timeout=60)
        took = time.monotonic() - began
    assert (process.returncode, err) == (130, ""), last
    assert took < SECONDS
    said = [json.loads(line) for line in out.splitlines()]
    assert not any((event["event"], event.get("stage")) == ("StageDone", stage) for event in said)  # it came in this stage
    assert (said[-1]["event"], said[-1]["reason"]) == ("RunStopped", f"stopped by {number.name}")
    [folder] = list_runs(tmp_path / "weights")
    assert read_state(folder).status == "stopped" and not is_alive(folder)
    if kind == "sorting":  # either all is sorted, or nothing
        assert len(list((tmp_path / "stimuli").iterdir())) == 40_000 and not (tmp_path / "sorted").exists()
        assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".sorted")]
    if kind == "downloading":
        assert not list((tmp_path / "torch").rglob("*.p*"))
    if kind == "judging":
        assert read_checkpoint(folder)[0].best and (folder / "model.pth").exists()
        assert "report.json" not in os.listdir(folder)
        monkeypatch.chdir(tmp_path)
        assert noodle_here("run", "--headless", "--load-dir", str(folder)) == 0
        assert read_state(folder).status == "done" and "report.json" in os.listdir(folder)
