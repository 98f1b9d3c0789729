"""Work in a thread beside the run's own: when it begins, what is heard of it, and who is heard first."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeConfig

from noodle_tui import dataset, model
from noodle_tui.errors import NoodleError, StopRun, UsageError
from noodle_tui.events import Event, StageDone, StageStarted
from noodle_tui.meanwhile import Check, Meanwhile, Progress
from noodle_tui.run import run

SOON = 60.0  # seconds after which something counts as never


def no_check() -> None:
    """Nobody asks for a stop."""


def silent(done: int, total: int | None) -> None:
    """Nobody looks at the progress."""


def test_the_result_and_the_progress_come_when_they_are_asked_for() -> None:
    noted, heard = threading.Event(), threading.Event()
    said: list[tuple[int, int | None]] = []

    def work(progress: Progress, _: Check) -> str:
        progress(3, 7)
        noted.set()
        assert heard.wait(SOON)
        return threading.current_thread().name

    def listen(done: int, total: int | None) -> None:
        said.append((done, total))
        heard.set()

    with Meanwhile[str]("beside", no_check) as meanwhile:
        meanwhile.start(work)
        assert noted.wait(SOON)
        assert said == []
        assert meanwhile.result(listen) == "beside"
    assert set(said) == {(3, 7)}


def test_its_error_waits_for_who_asks() -> None:
    def fail(_: Progress, __: Check) -> None:
        raise NoodleError("no weights")

    with Meanwhile[None]("beside", no_check) as meanwhile:
        meanwhile.start(fail)
        with pytest.raises(NoodleError, match="no weights"):
            meanwhile.result(silent)


def work_until_told(_: Progress, check: Check) -> None:
    while True:
        check()
        time.sleep(0.01)


def test_work_that_nobody_waits_for_is_given_up_and_the_callers_error_stays() -> None:
    def decode() -> None:
        with Meanwhile[None]("given up", no_check) as meanwhile:
            meanwhile.start(work_until_told)
            raise NoodleError("a bad photo")

    with pytest.raises(NoodleError, match="a bad photo"):
        decode()
    assert "given up" not in {thread.name for thread in threading.enumerate()}


def test_a_stop_ends_the_wait_and_the_work() -> None:
    asked = threading.Event()

    def check() -> None:
        if asked.is_set():
            raise StopRun("the test asks")

    def wait_for_it() -> None:
        with Meanwhile[None]("stopped", check) as meanwhile:
            meanwhile.start(work_until_told)
            meanwhile.result(silent)

    threading.Timer(0.2, asked.set).start()
    with pytest.raises(StopRun, match="the test asks"):
        wait_for_it()
    assert "stopped" not in {thread.name for thread in threading.enumerate()}


# in a run ---------------------------------------------------------------------------------------------------------------


def test_the_network_is_built_while_the_photos_are_decoded(
    config_for: MakeConfig, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    building = threading.Event()
    build_model, load_dataset = model.build_model_and_head, dataset.load_dataset

    def build(*args: Any) -> Any:
        building.set()
        return build_model(*args)

    def load(*args: Any, **options: Any) -> Any:
        assert building.wait(SOON)
        return load_dataset(*args, **options)

    monkeypatch.setattr(model, "build_model_and_head", build)
    monkeypatch.setattr(dataset, "load_dataset", load)
    events: list[Event] = []
    run(config_for(runs_dir, n_epochs=1), [events.append])
    stages = [(type(e), e.stage) for e in events if isinstance(e, StageStarted | StageDone)]
    assert stages[:4] == [(StageStarted, "decode"), (StageDone, "decode"), (StageStarted, "weights"), (StageDone, "weights")]


def test_of_bad_photos_and_bad_weights_the_photos_are_said(
    own_data_dir: Path, config_for: MakeConfig, runs_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "torn.pth").write_bytes(b"PK\x03\x04")
    config = config_for(runs_dir, data_dir=own_data_dir, weights=str(tmp_path / "torn.pth"))
    with pytest.raises(NoodleError, match=r"torn\.pth: damaged"):
        run(config)
    (own_data_dir / "train" / "sad" / "bad.jpg").write_text("hello")
    with pytest.raises(NoodleError, match=r"1 image can't be read: train/sad/bad\.jpg"):
        run(config)


def test_a_device_that_is_not_there_is_said_before_the_photos_are_decoded(
    config_for: MakeConfig, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(dataset, "load_dataset", never)
    with pytest.raises(UsageError, match="--device cuda:99"):
        run(config_for(runs_dir, device="cuda:99"))
