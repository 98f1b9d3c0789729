"""Stop and pause, by calls, by files in the run folder and by real signals."""

import errno
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from noodle_tui import control as module
from noodle_tui.control import Control, stop_on_signals
from noodle_tui.errors import StopRun


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Control:
    """One that looks at its folder at each question."""
    monkeypatch.setattr(module, "LOOK_EVERY", 0)
    made = Control()
    made.folder = tmp_path
    return made


def test_nothing_asked_nothing_raised(control: Control) -> None:
    control.check()
    assert not control.stop_requested
    assert not control.pause_requested


def test_stop_is_raised_with_the_first_reason(control: Control) -> None:
    control.stop("the user pressed s")
    control.stop("and again")
    with pytest.raises(StopRun, match="the user pressed s"):
        control.check()


def test_stop_file(control: Control, tmp_path: Path) -> None:
    (tmp_path / "stop").touch()
    with pytest.raises(StopRun, match="file `stop`"):
        control.check()


def test_pause_file_comes_and_goes(control: Control, tmp_path: Path) -> None:
    (tmp_path / "pause").touch()
    assert control.pause_requested
    (tmp_path / "pause").unlink()
    assert not control.pause_requested


def test_the_wait_ends_with_the_pause(control: Control, tmp_path: Path) -> None:
    (tmp_path / "pause").touch()
    threading.Timer(0.3, (tmp_path / "pause").unlink).start()
    began = time.monotonic()
    control.wait_while_paused()
    assert 0.25 < time.monotonic() - began < 5


def test_a_stop_ends_the_wait(control: Control, tmp_path: Path) -> None:
    (tmp_path / "pause").touch()
    threading.Timer(0.2, (tmp_path / "stop").touch).start()
    with pytest.raises(StopRun):
        control.wait_while_paused()


def test_the_folder_is_looked_at_a_few_times_a_second_only(tmp_path: Path) -> None:
    control = Control()
    control.folder = tmp_path
    control.check()
    (tmp_path / "stop").touch()
    control.check()  # too soon after the first look
    time.sleep(module.LOOK_EVERY + 0.05)
    with pytest.raises(StopRun):
        control.check()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signals_ask_for_a_stop(control: Control, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_on_signals(control):
        os.kill(os.getpid(), number)
        with pytest.raises(StopRun, match=number.name):
            control.check()
    assert signal.getsignal(number) is before


def test_the_second_interrupt_ends_at_once(control: Control) -> None:
    with stop_on_signals(control):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL, "and a third one whatever Python does"


def test_a_second_request_to_end_is_not_an_interrupt(control: Control) -> None:
    with stop_on_signals(control):
        os.kill(os.getpid(), signal.SIGUSR1)  # Slurm's warning, then its request
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StopRun, match="SIGUSR1"):
            control.check()


@pytest.mark.parametrize("hangup", [True, False])
def test_a_dropped_connection_stops_a_run_of_torchruns_alone(hangup: bool) -> None:
    before = signal.getsignal(signal.SIGHUP)
    with stop_on_signals(Control(), hangup=hangup):
        assert (signal.getsignal(signal.SIGHUP) is signal.getsignal(signal.SIGTERM)) == hangup
    assert signal.getsignal(signal.SIGHUP) is before


def test_a_folder_on_a_disk_that_is_gone_does_not_end_the_run(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(os, "stat", gone)
    control.check()
    assert not control.pause_requested
