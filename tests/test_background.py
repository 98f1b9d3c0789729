"""A run in a thread: how much of the processor it asks for beside the app."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import FinishedRun, MakeConfig

from noodle_tui import background
from noodle_tui.background import NICENESS, BackgroundRun
from noodle_tui.config import RunConfig
from noodle_tui.events import EpochDone, Event, RunStarted, StageProgress
from noodle_tui.gpu import has_gpu
from noodle_tui.run_state import RunState
from noodle_tui.tui.launch import _where_it_stands
from noodle_tui.tui.sources import BackgroundSource

linux = pytest.mark.skipif(sys.platform != "linux", reason="niceness is a thread's on Linux only")


@linux
@pytest.mark.parametrize(("device", "card", "nice"), [("cpu", False, True), ("cpu", True, True), ("auto", False, True),
                                                      ("auto", True, False)])
def test_only_a_run_that_needs_all_cores_stands_back(
    device: str, card: bool, nice: bool, config_for: MakeConfig, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    listen = BackgroundRun._listen

    def look(run: BackgroundRun, event: Event) -> None:
        if isinstance(event, RunStarted):
            seen.append(os.getpriority(os.PRIO_PROCESS, 0))  # on Linux this is the calling thread's
            run.control.stop()
        listen(run, event)

    monkeypatch.setattr(BackgroundRun, "_listen", look)
    monkeypatch.setattr(background, "has_gpu", lambda: card)
    before = os.getpriority(os.PRIO_PROCESS, 0)
    BackgroundRun(config_for(runs_dir, device=device)).join()
    assert seen == [NICENESS if nice else before]


def test_a_run_that_is_picked_up_tells_its_past_too_and_leaves_the_card(
    finished: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: left.append("memory"))
    folder = tmp_path / finished.folder.name
    shutil.copytree(finished.folder, folder)
    background = BackgroundRun(RunConfig(load_dir=folder, n_epochs=4))
    background.join()
    state = RunState.fold(BackgroundSource(background).read())
    assert [e.epoch for e in state.epochs] == [1, 2, 3, 4]
    assert state.status == "done" and state.started is not None and state.started.resumed_at == 3
    assert left, "the app may stay open for days"


def test_progress_that_is_older_than_its_epochs_end_is_not_told(config_for: MakeConfig, runs_dir: Path) -> None:
    background = BackgroundRun(config_for(runs_dir, n_epochs=1))
    background.join()
    source = BackgroundSource(background)
    source.read()
    done = next(e for e in background.events if isinstance(e, EpochDone))
    background.progress = StageProgress(stage="train", done=3, total=4, time=done.time - 0.1)
    background.events.append(replace(done, epoch=2))
    assert [type(event) for event in source.read()] == [EpochDone]
    background.progress = StageProgress(stage="train", done=1, total=4, time=done.time + 0.1)
    background.events.append(replace(done, epoch=3))
    assert [type(event) for event in source.read()] == [EpochDone, StageProgress]


@pytest.mark.skipif(not sys.platform.startswith("linux") or Path("/proc/driver/nvidia").exists(), reason="there may be a card")
def test_no_card_without_a_driver() -> None:
    assert not has_gpu()


def test_a_run_that_is_stopped_before_it_trains_is_not_said_to_be_saved(config_for: MakeConfig, runs_dir: Path) -> None:
    background = BackgroundRun(config_for(runs_dir))
    background.control.stop()
    background.join()
    assert _where_it_stands(background) == "The run is stopped; it had not learnt anything yet."
