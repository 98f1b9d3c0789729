"""A disk that is too small or read-only, has a quota, fills up in mid-run, makes room again, or goes away: real file systems,
real processes."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import MakeConfig
from test_cli import SMALL, noodle, noodle_here, start, wait_for_epoch

from noodle_tui.checkpoint import read_checkpoint
from noodle_tui.disk import RUN_BYTES, check_room, check_temporary_room, free_room, rescue_places
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
    while os.path.ismount(place):  # `read_only` lies on top of it
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def quota_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 GiB where a quota lets nobody, root included, have more than 1 GiB."""
    if not shutil.which("mkfs.btrfs"):
        pytest.skip("there is no mkfs.btrfs: install btrfs-progs")
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    image.touch()
    os.truncate(image, 2 * 2**30)
    subprocess.run(["mkfs.btrfs", "-q", "-f", str(image)], check=True, capture_output=True)
    done = subprocess.run(["mount", "-o", "loop", str(image), str(place)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no btrfs can be mounted here: {done.stderr.strip()}")
    try:
        subprocess.run(["btrfs", "quota", "enable", str(place)], check=True)
        set_quota(place, "1G")
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
        image.unlink()


def set_quota(place: Path, size: str) -> None:
    subprocess.run(["btrfs", "qgroup", "limit", size, str(place)], check=True)


def read_only(place: Path) -> None:
    """Whoever opens a file from now on finds the disk read-only, as after an I/O error. `mount -o remount,ro` would be refused
    while the run holds its lock; this lays a second, read-only mount of the same files over it."""
    subprocess.run(["mount", "--bind", str(place), str(place)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)


def writable_again(place: Path) -> None:
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
                                               ("ro", "is read-only; choose another")])
def test_room_is_looked_for_before_the_start(options: str, says: str, mount: Mount, data_dir: Path, tmp_path: Path) -> None:
    disk = mount(options)
    done = noodle("run", "--headless", "--data-dir", str(data_dir), "--save-dir", str(disk / "runs"), *SMALL, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"noodle: --save-dir {disk / 'runs'}: ") and says in done.stderr
    assert done.stderr.count("\n") == 1 and done.stdout == ""
    assert os.listdir(disk) == []


def test_a_quota_is_met_before_the_start(quota_disk: Path, data_dir: Path, tmp_path: Path) -> None:
    set_quota(quota_disk, "100M")
    assert free_room(quota_disk, RUN_BYTES) > RUN_BYTES  # the free space tells nothing of it
    save_dir = quota_disk / "runs"
    done = noodle("run", "--headless", "--data-dir", str(data_dir), "--save-dir", str(save_dir), *SMALL, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (f"noodle: --save-dir {save_dir}: a run needs up to 450 MiB, and {quota_disk} refuses them (Disk "
                           "quota exceeded): have the quota raised, make room there, or choose another\n")
    assert os.listdir(quota_disk) == []


def test_a_quota_that_is_used_up_in_mid_run_is_said_and_the_run_saved_elsewhere(
    quota_disk: Path, config_for: MakeConfig, state_home: Path
) -> None:
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, EpochDone) and event.epoch == 1:
            set_quota(quota_disk, "20M")

    outcome = run(config_for(quota_disk), [listen])
    assert any("checkpoint.pt could not be saved (Disk quota exceeded)" in text for text in errors_in(events))
    assert (outcome.status, outcome.folder.parent) == ("done", state_home)
    assert read_checkpoint(outcome.folder)[0].epoch == 3
    [folder] = list_runs(quota_disk)
    assert not list(folder.glob(".*"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes room before it is needed")
def test_a_limit_on_the_size_of_files_is_met_before_the_start(data_dir: Path, tmp_path: Path) -> None:
    done = noodle("run", "--headless", "--data-dir", str(data_dir), *SMALL, cwd=tmp_path,
                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100 * 2**20, 100 * 2**20)))
    assert (done.returncode, done.stdout) == (1, "")
    assert "refuses them (File too large): raise `ulimit -f`, or choose another" in done.stderr
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == []


HOLD = """
import sys, time
from pathlib import Path
from noodle_tui import disk
def hold(file, n_bytes):
    disk_allocates(file, n_bytes)
    print("held", flush=True)
    time.sleep(100)
disk_allocates, disk._allocate = disk._allocate, hold
disk.check_room(Path(sys.argv[1]), 200 * 2**20)
"""


def test_a_kill_while_room_is_looked_for_leaves_nothing(mount: Mount) -> None:
    disk = mount("size=600m")
    free = shutil.disk_usage(disk).free
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(disk)], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    assert shutil.disk_usage(disk).free <= free - 100 * 2**20
    process.kill()
    process.wait()
    process.stdout.close()
    assert os.listdir(disk) == []
    assert shutil.disk_usage(disk).free == free


def test_what_is_free(tmp_path: Path) -> None:
    assert check_room(tmp_path / "not" / "made yet", 1) > 0
    assert not (tmp_path / "not").exists()
    with pytest.raises(NoodleError, match="make room, or choose another"):
        check_room(tmp_path, 10**18)
    with pytest.raises(NoodleError, match=r"^--load-dir .*: make room$"):  # a run goes on in its own folder
        check_room(tmp_path, 10**18, "load-dir")
    (tmp_path / "file").touch()
    with pytest.raises(NoodleError, match="file is not a folder; choose another"):
        check_room(tmp_path / "file" / "runs", 1)


def test_a_run_may_be_saved_elsewhere_where_no_temporary_folder_takes_a_file(
    state_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_is_usable() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp', '/var/tmp', '/usr/tmp', '/']")

    monkeypatch.setattr(tempfile, "gettempdir", none_is_usable)
    assert rescue_places() == [state_home]


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
    assert read_checkpoint(outcome.folder)[0].epoch == 4
    assert any(isinstance(e, Saved) and e.what == "model" for e in events)
    assert not state_home.exists()


def test_a_disk_that_is_read_only_for_a_while_gets_everything_at_the_next_save_point(
    mount: Mount, config_for: MakeConfig, state_home: Path
) -> None:
    disk = mount("size=600m")
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, EpochDone) and event.epoch == 1:
            read_only(disk)
        if isinstance(event, Message) and "could not be saved" in event.text:
            writable_again(disk)

    outcome = run(config_for(disk, save_every=1, n_epochs=4), [listen])
    texts = errors_in(events)
    assert any("could not be saved (Read-only file system): make room or rights there" in text for text in texts)
    assert any("events.jsonl can't be written (Read-only file system); training goes on" in text for text in texts)
    assert (outcome.status, outcome.folder.parent) == ("done", disk)
    assert read_checkpoint(outcome.folder)[0].epoch == 4
    state = read_state(outcome.folder)
    assert (state.status, [e.epoch for e in state.epochs]) == ("done", [1, 2, 3, 4])
    assert [line[:2] for line in (outcome.folder / "metrics.csv").read_text().splitlines()[1:]] == ["1,", "2,", "3,", "4,"]
    assert not list(outcome.folder.glob(".*")) and not state_home.exists()


def test_a_disk_that_stays_read_only_keeps_what_it_has_and_the_run_is_saved_elsewhere(
    mount: Mount, config_for: MakeConfig, state_home: Path
) -> None:
    disk = mount("size=600m")
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, Saved) and event.what == "checkpoint" and event.epoch == 1:
            read_only(disk)

    outcome = run(config_for(disk, save_every=1), [listen])
    assert (outcome.status, outcome.folder.parent) == ("done", state_home)
    assert read_checkpoint(outcome.folder)[0].epoch == 3
    assert read_state(outcome.folder).status == "done"
    writable_again(disk)
    [folder] = list_runs(disk)
    assert read_checkpoint(folder)[0].epoch == 1  # whole, as it was
    assert not list(folder.glob(".*"))


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
    assert read_checkpoint(rescued)[0].epoch == 3
    assert [e.epoch for e in read_state(rescued).epochs] == [1, 2, 3]
    assert len((rescued / "metrics.csv").read_text().splitlines()) == 4
    assert read_report(rescued).training.epochs == 3
    assert read_state(rescued).status == "done"


def test_a_run_whose_folder_is_deleted_in_mid_run_ends_elsewhere_with_its_report(
    config_for: MakeConfig, runs_dir: Path, state_home: Path
) -> None:
    def listen(event: Event) -> None:
        if isinstance(event, EpochDone) and event.epoch == 1:
            shutil.rmtree(runs_dir)

    outcome = run(config_for(runs_dir), [listen])
    assert (outcome.status, outcome.folder.parent) == ("done", state_home)
    assert read_report(outcome.folder).training.epochs == 3
    state = read_state(outcome.folder)
    assert [e.epoch for e in state.epochs] == [1, 2, 3]
    assert state.started is not None and state.started.resumed_at == 3


def test_a_run_whose_folder_is_deleted_in_mid_run_saves_elsewhere_when_it_is_stopped(
    data_dir: Path, tmp_path: Path, state_home: Path, monkeypatch: pytest.MonkeyPatch
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

    monkeypatch.chdir(tmp_path)
    assert noodle_here("run", "--headless", "--load-dir", str(rescued), "--n-epochs", str(state.epoch + 1)) == 0
    assert [e.epoch for e in read_state(rescued).epochs] == list(range(1, state.epoch + 2))


def test_where_no_temporary_folder_can_be_written_that_is_said_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nowhere"])
    with pytest.raises(NoodleError, match=r"no folder for temporary files.*set TMPDIR"):
        check_temporary_room(1)
