"""A disk that is too small, fills up in mid-run, makes room again, or goes away: real file systems, real processes."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import MakeConfig
from test_cli import SMALL, noodle, start, wait_for_epoch

from noodle_tui.checkpoint import load_session
from noodle_tui.disk import RUN_BYTES, check_room
from noodle_tui.errors import NoodleError
from noodle_tui.events import EpochDone, Event, Message, Saved
from noodle_tui.report import read_report
from noodle_tui.run import run
from noodle_tui.run_folder import list_runs, read_state

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a small file system in memory, with these options. Skips where that isn't allowed."""
    place = tmp_path / "small disk"
    place.mkdir()

    def make(options: str) -> Path:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "noodle-test", str(place)],
                              capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        return place

    yield make
    if os.path.ismount(place):
        subprocess.run(["umount", str(place)], check=True)


def resize(place: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True)


def errors_in(events: list[Event]) -> list[str]:
    return [e.text for e in events if isinstance(e, Message) and e.level == "error"]


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a run goes whose own folder refuses."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield tmp_path / "state" / "noodle-tui" / "rescued"
    shutil.rmtree(tmp_path / "state", ignore_errors=True)


@pytest.mark.parametrize(("options", "says"), [("size=20m", "20 MiB are free there, a run needs up to 450: make room"),
                                               ("ro", "no right to write in")])
def test_room_is_looked_for_before_the_start(options: str, says: str, mount: Mount, data_dir: Path, tmp_path: Path) -> None:
    disk = mount(options)
    done = noodle("run", "--headless", "--data-dir", str(data_dir), "--save-dir", str(disk / "runs"), *SMALL, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"noodle: --save-dir {disk / 'runs'}: ") and says in done.stderr
    assert done.stderr.count("\n") == 1 and done.stdout == ""
    assert os.listdir(disk) == []


def test_what_is_free(tmp_path: Path) -> None:
    assert check_room(tmp_path / "not" / "made yet", 1) > 0
    assert not (tmp_path / "not").exists()
    with pytest.raises(NoodleError, match="make room, or choose another"):
        check_room(tmp_path, 10**18)
    (tmp_path / "file").touch()
    with pytest.raises(NoodleError, match="file is not a folder; choose another"):
        check_room(tmp_path / "file" / "runs", 1)


def test_a_disk_that_makes_room_again_gets_everything_at_the_next_save_point(
    mount: Mount, config_for: MakeConfig, state_home: Path
) -> None:
    disk = mount("size=600m")
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, EpochDone) and event.epoch == 1:
            resize(disk, "1m")
        if any("could not be saved" in text for text in errors_in(events)):
            resize(disk, "600m")

    outcome = run(config_for(disk, save_every=1, n_epochs=4), [listen])
    texts = errors_in(events)
    assert any("checkpoint.pt could not be saved (No space left on device): make room" in text for text in texts)
    assert outcome.status == "done"
    assert outcome.folder.parent == disk
    assert load_session(outcome.folder)[0]["epoch"] == 4
    assert any(isinstance(e, Saved) and e.what == "model" for e in events)
    assert not state_home.exists()


def test_a_disk_that_stays_full_has_nothing_half_and_the_run_is_saved_elsewhere(
    mount: Mount, config_for: MakeConfig, state_home: Path
) -> None:
    disk = mount(f"size={RUN_BYTES + 2**20}")
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, EpochDone) and event.epoch == 1:
            resize(disk, "1m")

    outcome = run(config_for(disk), [listen])
    [rescued] = state_home.iterdir()
    assert (outcome.status, outcome.folder) == ("done", rescued)
    assert rescued.stat().st_mode & 0o077 == 0
    [folder] = list_runs(disk)
    assert errors_in(events)[-1] == f"{folder} takes no files: the run is saved in {rescued} instead"
    for place in (folder, rescued):  # whole or not there, in both
        assert not list(place.glob(".*"))
    assert not {"checkpoint.pt", "model.pth"} & set(os.listdir(folder))
    assert load_session(rescued)[0]["epoch"] == 3
    assert [e.epoch for e in read_state(rescued).epochs] == [1, 2, 3]
    assert len((rescued / "metrics.csv").read_text().splitlines()) == 4
    assert read_report(rescued)["training"]["epochs"] == 3
    assert read_state(rescued).status == "done"


def test_a_run_whose_folder_is_deleted_in_mid_run_saves_elsewhere_when_it_is_stopped(
    data_dir: Path, tmp_path: Path, state_home: Path
) -> None:
    process = start("run", "--headless", "--data-dir", str(data_dir), "--n-epochs", "500", "--batch-size", "8",
                    "--save-every", "2", *SMALL, cwd=tmp_path)
    folder = wait_for_epoch(tmp_path / "weights", 1)
    while (tmp_path / "weights").exists():
        shutil.rmtree(tmp_path / "weights", ignore_errors=True)  # what is being written may come in between
    assert process.stdout is not None
    seen = []
    while "could not be saved" not in (line := process.stdout.readline()):
        assert line, seen
        seen.append(line)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    [rescued] = state_home.iterdir()
    assert f"{folder.relative_to(tmp_path)} takes no files: the run is saved in {rescued} instead" in out
    assert "training goes on" not in out and not err
    state = read_state(rescued)
    assert state.status == "stopped"
    assert {"checkpoint.pt", "model.pth", "model.json", "config.json", "metrics.csv"} <= set(os.listdir(rescued))

    more = noodle("run", "--headless", "--load-dir", str(rescued), "--n-epochs", str(state.epoch + 1), cwd=tmp_path)
    assert more.returncode == 0, more.stderr
    assert [e.epoch for e in read_state(rescued).epochs] == list(range(1, state.epoch + 2))
