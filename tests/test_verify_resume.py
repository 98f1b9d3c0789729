"""`noodle verify-resume`: it finds a run that went on the same to be the same, and one that did not to differ."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from conftest import FinishedRun, MakeConfig

from noodle_tui import verify_resume as module
from noodle_tui.checkpoint import read_checkpoint
from noodle_tui.errors import NoodleError
from noodle_tui.events import EpochDone, RunStarted, Saved, to_json
from noodle_tui.run import run
from noodle_tui.verify_resume import compare, quickest_epoch, verify_resume


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EPOCHS", 3)
    monkeypatch.setattr(module, "PEOPLE", 1)


def test_a_killed_run_is_the_same_and_the_answer_is_said() -> None:
    said: list[str] = []
    assert verify_resume("cpu", "fp32", 1, 5, said.append)
    assert said[0].startswith("undisturbed: 3 epochs in ")
    assert said[1:] in (["killed after epoch 1, and picked up"], ["killed after epoch 2, and picked up"])  # in epoch 2 or 3


def test_a_checkpoint_of_an_earlier_process_is_not_waited_for() -> None:
    started = [RunStarted(name="r", folder="r", config={}, n_epochs=3, pid=pid, host="h") for pid in (7, 8)]
    before = [started[0], Saved(what="checkpoint", file="checkpoint.pt", epoch=2), started[1]]
    after = [Saved(what="model", file="model.pth", epoch=3), Saved(what="checkpoint", file="checkpoint.pt", epoch=3)]
    since = module._since_start
    assert module._checkpoints(since(before, 8)) == [] == since(before, 9)
    assert [saved.epoch for saved in module._checkpoints(since([*before, *after], 8))] == [3]


def test_a_run_that_goes_on_otherwise_is_found_out(
    finished: FinishedRun, config_for: MakeConfig, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place of its processes stands what two runs left: the one from the start, and the other where a run is picked up."""
    other = run(config_for(runs_dir, lr=0.011)).folder

    @contextmanager
    def laying_out(options: list[str]) -> "Iterator[subprocess.Popen[str]]":
        flag, place = options[-2:]
        source, folder = (other, place) if flag == "--load-dir" else (finished.folder, f"{place}/run")
        shutil.copytree(source, folder, dirs_exist_ok=True)
        process = ["sleep", "60"] if place.endswith("/killed") else ["true"]
        with subprocess.Popen(process, stderr=subprocess.PIPE, text=True) as going_on:
            its_own = (RunStarted(name="run", folder=folder, config={}, n_epochs=4, pid=going_on.pid, host="here"),
                       Saved(what="checkpoint", file="checkpoint.pt", epoch=3))
            with (Path(folder) / "events.jsonl").open("a") as events:
                events.writelines(to_json(event) + "\n" for event in its_own)
            yield going_on
            going_on.kill()

    monkeypatch.setattr(module, "_running", laying_out)
    monkeypatch.setattr(module, "EPOCHS", 4)  # more than they have: what is killed is in the midst of its training
    said: list[str] = []
    assert not verify_resume("cpu", "fp32", 1, 2, said.append)
    assert any(line.startswith("differs: the last weights: ") for line in said)
    assert any(line.startswith("differs: the momentum: ") for line in said)
    assert len(said) < 9  # not a line a tensor


def test_a_run_that_fails_is_said_in_a_line() -> None:
    with pytest.raises(NoodleError, match=r"^a run failed \(exit code 2\): noodle: --device cuda:99") as raised:
        verify_resume("cuda:99", "fp32", 1, 5, lambda line: None)
    assert "\n" not in str(raised.value)


def test_a_temporary_folder_without_room_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=800 * 2**20))  # less than two run folders
    with pytest.raises(NoodleError, match=r"800 MiB are free there, and up to 900 are needed for a while: .*TMPDIR"):
        verify_resume("cpu", "fp32", 1, 2, lambda line: None)


def test_a_run_that_dies_by_itself_was_not_killed(finished: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def laying_out(options: list[str]) -> "Iterator[subprocess.Popen[str]]":
        place = options[-1]
        shutil.copytree(finished.folder, f"{place}/run")
        script = "echo CUDA out of memory >&2; exit 1" if place.endswith("/killed") else "true"
        with subprocess.Popen(["sh", "-c", script], stderr=subprocess.PIPE, text=True) as process:
            yield process

    monkeypatch.setattr(module, "_running", laying_out)
    monkeypatch.setattr(module, "_wait_for_save", lambda process, save_dir, epoch: process.wait() and save_dir / "run")
    with pytest.raises(NoodleError, match=r"^a run failed \(exit code 1\): CUDA out of memory$"):
        verify_resume("cpu", "fp32", 1, 2, lambda line: None)


def test_each_kind_of_difference_is_named(finished: FinishedRun, tmp_path: Path) -> None:
    content = read_checkpoint(finished.folder)[0].model_dump()
    other = shutil.copytree(finished.folder, tmp_path / "other")
    assert list(compare(finished.folder, other)) == []
    content["model"]["fc.bias"][0] += 1e-3
    content["best"]["weights"]["fc.weight"] = content["best"]["weights"]["fc.weight"] + 1e-6
    content["optimizer"]["state"][0]["momentum_buffer"] += 1e-6
    content["optimizer"]["state"][7]["momentum_buffer"] += 1e-2
    torch.save(content, other / "checkpoint.pt")
    torch.save({**torch.load(other / "model.pth"), "fc.bias": torch.zeros(2)}, other / "model.pth")
    for name in ("metrics.csv", "predictions.csv"):
        (other / name).write_text((other / name).read_text().replace("1,", "1,0", 1))
    found = list(compare(finished.folder, other))
    weights = len(content["model"])
    for what in (f"the last weights: 1 of {weights} tensors, fc.bias the most, by up to 0.001",
                 f"the momentum: 2 of {len(content['optimizer']['state'])} tensors, parameter 7 the most, by up to 0.01",
                 f"the best epoch's weights: 1 of {weights} tensors, fc.weight the most, by up to ",
                 f"model.pth: 1 of {weights} tensors, fc.bias the most, by up to ",
                 "metrics.csv: 3 and 3 epochs, or other values",
                 "predictions.csv, the answers on the validation images"):
        assert sum(sentence.startswith(what) for sentence in found) == 1, (what, found)
    assert len(found) == 6


def test_how_long_an_epoch_may_be_waited_into_is_that_of_the_quickest(tmp_path: Path) -> None:
    """A process's first one warms up, for ten times as long: after that nothing would be left to kill."""
    for name, seconds in (("whole", (13.0, 2.0)), ("killed", (14.0,))):
        (tmp_path / name).mkdir()
        epochs = [EpochDone(i + 1, 4, 0.5, 1, 24, 0.5, 1, 8, 0.1, each, 1.0, False) for i, each in enumerate(seconds)]
        (tmp_path / name / "events.jsonl").write_text("".join(to_json(epoch) + "\n" for epoch in epochs))
    assert quickest_epoch(tmp_path / "whole", tmp_path / "killed") == 2.0


@pytest.mark.parametrize(("command", "number"), [("verify-resume", signal.SIGTERM), ("bench", signal.SIGHUP)])
def test_a_request_to_end_leaves_neither_a_run_nor_drawn_photos(command: str, number: int, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-m", "noodle_tui", command, "--device", "cpu"],
                               env={"TMPDIR": str(tmp_path), "PATH": ""}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    until, children = time.monotonic() + 120, []
    # before the folder is there, imports ask `uname` for an instant
    while not (list(tmp_path.glob("noodle-*")) and (children or command == "bench")):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
        children = psutil.Process(process.pid).children()
    process.send_signal(number)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130 and b"Traceback" not in complaint
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert list(tmp_path.glob("noodle-*")) == []  # torch leaves its compiler's empty cache folder there, as in every process
