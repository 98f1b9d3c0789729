"""A run in a thread: how much of the processor it asks for beside the app."""

import os
import sys
from pathlib import Path

import pytest
from conftest import MakeConfig

from noodle_tui import background
from noodle_tui.background import NICENESS, BackgroundRun
from noodle_tui.card import has_card
from noodle_tui.events import Event, RunStarted

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
    monkeypatch.setattr(background, "has_card", lambda: card)
    before = os.getpriority(os.PRIO_PROCESS, 0)
    BackgroundRun(config_for(runs_dir, device=device)).join()
    assert seen == [NICENESS if nice else before]


@pytest.mark.skipif(not sys.platform.startswith("linux") or Path("/proc/driver/nvidia").exists(), reason="there may be a card")
def test_no_card_without_a_driver() -> None:
    assert not has_card()
