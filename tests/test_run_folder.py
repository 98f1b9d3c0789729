"""Run folders: making, locking, listing, following, asking for a stop; with real processes where processes matter."""

import contextlib
import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from powerless import powerless

from noodle_tui import run_folder as module
from noodle_tui.control import clear_requests, request_go_on, request_pause, request_stop
from noodle_tui.errors import NoodleError, UsageError
from noodle_tui.events import EpochDone, Event, Message, RunDone, RunStarted, to_json
from noodle_tui.run_folder import (
    EVENTS,
    Follower,
    clear_leftovers,
    find_run,
    is_alive,
    list_runs,
    locked,
    make_run_folder,
    path_or_run,
    read_config,
    read_state,
)

STARTED = RunStarted(name="x", folder="f", config={}, n_epochs=3, pid=1, host="here")


def epoch(number: int) -> EpochDone:
    return EpochDone(epoch=number, n_epochs=3, train_loss=0.5, train_correct=3, train_count=4, val_loss=0.5, val_correct=1,
                     val_count=2, lr=0.1, seconds=1.0, images_per_second=4.0)


def append(folder: Path, *events: Event, text: str = "") -> None:
    with (folder / EVENTS).open("a") as file:
        file.write("".join(to_json(event) + "\n" for event in events) + text)


@contextmanager
def another_process_holds(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A real process that holds the run's lock until it is killed."""
    code = ("import sys, time; from pathlib import Path; from noodle_tui.run_folder import locked\n"
            "with locked(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)")
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


# making -----------------------------------------------------------------------------------------------------------------


def test_two_runs_of_one_name_in_one_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda _: "20260101-120000")
    made = [make_run_folder(tmp_path / "deep" / "weights", "x") for _ in range(3)]
    assert [f.name for f in made] == ["x-20260101-120000", "x-20260101-120000-2", "x-20260101-120000-3"]
    assert all(f.is_dir() for f in made)


def test_a_save_dir_that_can_not_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for place in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "nowhere"):
        with pytest.raises(NoodleError, match=r"--save-dir .*(file|nowhere).*: no folder can be made there"):
            make_run_folder(place, "x")


# locking ----------------------------------------------------------------------------------------------------------------


def test_a_second_run_in_the_same_folder_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    with another_process_holds(tmp_path) as process:
        assert is_alive(tmp_path)
        holder = rf"a run is already going on in it \(process {process.pid} on "
        with pytest.raises(NoodleError, match=holder), locked(tmp_path):
            pass
    assert not is_alive(tmp_path)
    with locked(tmp_path):  # a dead process holds nothing
        assert is_alive(tmp_path)
    assert not is_alive(tmp_path)


def test_a_disk_that_takes_no_word_about_the_holder_is_no_hindrance(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with locked(tmp_path):
            assert is_alive(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_onlookers_do_not_take_the_lock(tmp_path: Path) -> None:
    with locked(tmp_path):
        for _ in range(3):
            assert is_alive(tmp_path)
    assert not is_alive(tmp_path / "nowhere")
    with (tmp_path / "run.lock").open() as onlooker:
        fcntl.flock(onlooker, fcntl.LOCK_SH)
        assert not is_alive(tmp_path), "nor take each other for a run"


def test_the_holder_that_is_named_is_the_last_one(tmp_path: Path) -> None:
    (tmp_path / "run.lock").write_text("process 1234567890 on " + "x" * 60 + "\n")
    with locked(tmp_path):
        assert (tmp_path / "run.lock").read_text() == f"process {os.getpid()} on {os.uname().nodename}\n"


def test_a_lock_on_a_network_disk_that_is_gone_by_the_end_is_no_error(tmp_path: Path) -> None:
    with locked(tmp_path):
        lock = (tmp_path / "run.lock").stat()
        for descriptor in range(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(descriptor), lock):
                    os.close(descriptor)  # closing it once more is an error, as it is where the server went away
                    break
        else:
            raise AssertionError("no lock was open")
    assert not is_alive(tmp_path)


def test_a_disk_that_knows_no_locks_is_said_and_nothing_on_it_is_taken_for_a_run_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with locked(tmp_path):
        pass

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert not is_alive(tmp_path)
    with pytest.raises(NoodleError, match=r"files can't be locked there \(No locks available\)"), locked(tmp_path):
        pass


def test_an_onlooker_at_the_very_moment_is_waited_for(tmp_path: Path) -> None:
    with locked(tmp_path):
        pass
    with (tmp_path / "run.lock").open() as onlooker:
        fcntl.flock(onlooker, fcntl.LOCK_SH)
        threading.Timer(0.1, fcntl.flock, (onlooker, fcntl.LOCK_UN)).start()
        with locked(tmp_path):
            assert is_alive(tmp_path)


def test_a_folder_that_can_not_be_written_to(tmp_path: Path) -> None:
    with pytest.raises(NoodleError, match="can't be written to"), locked(tmp_path / "nowhere"):
        pass


def test_a_killed_run_is_interrupted(tmp_path: Path) -> None:
    append(tmp_path, STARTED, epoch(1))
    with another_process_holds(tmp_path) as process:
        assert read_state(tmp_path).status == "running"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert read_state(tmp_path).status == "interrupted"
    append(tmp_path, RunDone(best_epoch=1, best_correct=1, best_count=2, seconds=1.0))
    assert read_state(tmp_path).status == "done"


def test_leftovers_of_a_killed_process_go_and_nothing_else(tmp_path: Path) -> None:
    kept = ["model.pth", ".notes.tmp", "checkpoint.pt", "checkpoint.prev.pt", ".hidden"]
    for name in [*kept, ".0123456789abcdef.tmp", "checkpoint.prev.pt.new"]:
        (tmp_path / name).touch()
    (tmp_path / ".fedcba9876543210.tmp").mkdir()
    clear_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, ".fedcba9876543210.tmp"])


def test_a_run_that_ends_while_it_is_looked_at_is_not_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(tmp_path, STARTED, epoch(1))

    def ends(folder: Path) -> bool:
        append(folder, RunDone(best_epoch=1, best_correct=1, best_count=2, seconds=1.0))
        return False

    monkeypatch.setattr(module, "is_alive", ends)
    assert read_state(tmp_path).status == "done"


# following --------------------------------------------------------------------------------------------------------------


def test_a_follower_reads_what_is_new(tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    assert follower.read() == []
    append(tmp_path, STARTED, epoch(1))
    assert [type(e) for e in follower.read()] == [RunStarted, EpochDone]
    append(tmp_path, epoch(2))
    assert [e.epoch for e in follower.read() if isinstance(e, EpochDone)] == [2]
    assert follower.read() == []


def test_a_torn_last_line_waits_for_its_end(tmp_path: Path) -> None:
    line = to_json(epoch(1))
    append(tmp_path, STARTED, text=line[:20])
    follower = Follower(tmp_path)
    assert len(follower.read()) == 1
    append(tmp_path, text=line[20:] + "\n")
    assert [type(e) for e in follower.read()] == [EpochDone]
    assert follower.broken_lines == 0


def test_broken_lines_are_counted_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE", 500)
    long = to_json(Message(level="info", text="x" * 1000))
    append(tmp_path, STARTED, text='{"event": "EpochDone", "epo\n\x00\xff\n[]\n{"event": "Nothing"}\n' + long + "\n")
    append(tmp_path, epoch(1))
    follower = Follower(tmp_path)
    assert [type(e) for e in follower.read()] == [RunStarted, EpochDone]
    assert follower.broken_lines == 5


def test_a_torn_line_is_interrupted_not_an_error(tmp_path: Path) -> None:
    append(tmp_path, STARTED, epoch(1), text=to_json(epoch(2))[:30])
    state = read_state(tmp_path)
    assert (state.status, state.epoch) == ("interrupted", 1)


def test_a_line_that_was_taken_back_is_not_the_whole_run_anew(tmp_path: Path) -> None:
    """A full disk: the run cuts off what it couldn't write whole, and writes it when there is room."""
    append(tmp_path, STARTED, epoch(1), epoch(2))
    follower, events = Follower(tmp_path), tmp_path / "events.jsonl"
    assert len(follower.read()) == 3
    events.write_bytes(b"".join(events.read_bytes().splitlines(keepends=True)[:2]))
    assert follower.read() == []
    append(tmp_path, epoch(2), epoch(3))
    assert [e.epoch for e in follower.read() if isinstance(e, EpochDone)] == [2, 3]


def test_events_that_can_not_be_read_are_a_line(tmp_path: Path) -> None:
    append(tmp_path, STARTED)
    (tmp_path / "events.jsonl").chmod(0)
    follower = Follower(tmp_path)
    with pytest.raises(NoodleError, match=r"events\.jsonl: can't be read \(Permission denied\)"):
        powerless(follower.read)
    (tmp_path / "events.jsonl").chmod(0o600)
    assert len(follower.read()) == 1


# listing and finding ----------------------------------------------------------------------------------------------------


def run_folder(save_dir: Path, name: str) -> Path:
    (save_dir / name).mkdir(parents=True)
    (save_dir / name / "config.json").write_text("{}")
    return save_dir / name


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    names = ["b-20260101-120000", "a-20260102-120000", "a-b-20251231-235959", "a-20260101-120000-2"]
    without_date = ["renamed-by-her", "renamed", "a-20260101-5"]
    for name in names + without_date:
        run_folder(tmp_path, name)
    (tmp_path / "no run").mkdir()
    run_folder(tmp_path, ".trash")
    (tmp_path / "link-20270101-000000").symlink_to(tmp_path / names[0])
    assert [f.name for f in list_runs(tmp_path)] == [names[1], names[0], names[3], names[2], *without_date]
    assert list_runs(tmp_path / "nowhere") == []


def test_a_folder_that_may_not_be_looked_into_is_not_listed(tmp_path: Path) -> None:
    """A colleague's, in a folder that the lab shares."""
    run_folder(tmp_path, "mine")
    run_folder(tmp_path, "hers").chmod(0)
    try:
        assert [f.name for f in powerless(lambda: list_runs(tmp_path))] == ["mine"]
    finally:
        (tmp_path / "hers").chmod(0o700)


def test_a_folder_that_may_not_be_looked_into_is_not_taken_for_no_run(tmp_path: Path) -> None:
    closed = run_folder(tmp_path, "hers")
    closed.chmod(0)
    try:
        with pytest.raises(NoodleError, match="hers: you may not look into this folder"):
            powerless(lambda: find_run(tmp_path, str(closed)))
    finally:
        closed.chmod(0o700)


def test_the_run_that_is_meant(tmp_path: Path) -> None:
    with pytest.raises(NoodleError, match="no runs in"):
        find_run(tmp_path, None)
    old, new = run_folder(tmp_path, "a-20260101-120000"), run_folder(tmp_path, "a-20260102-120000")
    assert find_run(tmp_path, None) == new
    assert find_run(tmp_path, old.name) == old
    assert find_run(tmp_path, str(old)) == old
    with locked(old):
        assert find_run(tmp_path, None) == old  # the one that is alive
    for nothing in ("nothing", "", "."):
        with pytest.raises(NoodleError, match="no run folder"):
            find_run(tmp_path, nothing)


def test_a_run_is_meant_by_its_name_or_how_that_begins_where_only_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = run_folder(tmp_path, "lr-0.1-20260101-120000"), run_folder(tmp_path, "lr-0.10-20260101-120000-2")
    long = run_folder(tmp_path, "long run-20260101-120000")
    meant = {"long run": long, "lon": long, "lr-0.1": first, "lr-0.10": other, "lr-0.10-2": other,
             f"{tmp_path}/lon": long, f"{tmp_path}/lr-0.1": first}
    assert {name: find_run(tmp_path, name) for name in meant} == meant
    for name in ("l", "lr"):
        with pytest.raises(UsageError, match=rf"^{name}: \d runs in .* have such a name \(.*lr-0\.1-20260101-120000.*\)"):
            find_run(tmp_path, name)
    more = [run_folder(tmp_path, f"lr-0.1-2026010{day}-120000") for day in range(2, 6)]
    with pytest.raises(UsageError, match=f"5 runs in .*{more[3].name}, {more[2].name}, {more[1].name}, …"):
        find_run(tmp_path, "lr-0.1")
    assert path_or_run(tmp_path, Path("lon")) == path_or_run(tmp_path, tmp_path / "lon") == long
    assert path_or_run(tmp_path, tmp_path) == tmp_path and path_or_run(tmp_path, Path("nothing")) == Path("nothing")
    monkeypatch.chdir(tmp_path)
    Path("lon").mkdir()  # something else of that name hides no run
    assert path_or_run(tmp_path, Path("lon")) == path_or_run(tmp_path, tmp_path / "lon") == long
    (tmp_path / "lon" / "model.pth").touch()
    assert path_or_run(tmp_path, Path("lon")) == Path("lon") and path_or_run(tmp_path, long) == long


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, '"' + "x" * 2_000_000 + '"'])
def test_a_broken_config_is_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(NoodleError, match=r"config.json: can't be read as a run's options") as raised:
        read_config(tmp_path)
    assert "\n" not in str(raised.value)


# requests ---------------------------------------------------------------------------------------------------------------


def test_requests_are_files(tmp_path: Path) -> None:
    request_stop(tmp_path)
    request_pause(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["pause", "stop"]
    request_go_on(tmp_path)
    request_go_on(tmp_path)
    assert os.listdir(tmp_path) == ["stop"]
    clear_requests(tmp_path)
    assert os.listdir(tmp_path) == []
    with pytest.raises(NoodleError, match="stop: can't be made"):
        request_stop(tmp_path / "nowhere")


PLACED: dict[str, Callable[[Path, Path], object]] = {
    "a pipe": lambda place, outside: os.mkfifo(place),
    "a folder": lambda place, outside: place.mkdir(),
    "a link out": lambda place, outside: place.symlink_to(outside),
    "a link to a device": lambda place, outside: place.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("what", PLACED)
def test_what_stands_at_a_files_place_is_neither_waited_for_nor_followed(what: str, tmp_path: Path) -> None:
    folder, outside = tmp_path / "run", tmp_path / "outside.json"
    folder.mkdir()
    outside.write_text("{}")
    before = outside.stat().st_mtime_ns
    for name in ("config.json", "events.jsonl", "stop", "pause"):
        PLACED[what](folder / name, outside)
    with pytest.raises(NoodleError, match=r"can't be read as a run's options"):
        module.read_config(folder)
    assert Follower(folder).read() == []
    if what != "a folder":  # opening a folder to write is refused, too: by the system
        with contextlib.suppress(NoodleError):
            request_stop(folder)
        clear_requests(folder)
        assert not os.path.lexists(folder / "stop")
    else:
        for call in (request_stop, request_go_on, clear_requests):
            with pytest.raises(NoodleError, match=r"run.(stop|pause): can't be (made|removed)"):
                call(folder)
    assert outside.read_text() == "{}" and outside.stat().st_mtime_ns == before
    held = len(os.listdir("/proc/self/fd"))
    assert Follower(folder).read() == []
    assert len(os.listdir("/proc/self/fd")) <= held, "and is closed again"


def test_a_dangling_link_makes_no_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "stop").symlink_to(tmp_path / "new")
    with pytest.raises(NoodleError, match="can't be made"):
        request_stop(tmp_path / "run")
    assert not (tmp_path / "new").exists()


def test_an_endless_line_is_skipped_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 1000)
    monkeypatch.setattr(module, "MAX_LINE", 500)
    event = Message(level="info", text="after all")
    (tmp_path / EVENTS).write_bytes(b"\0" * 20_000 + b"\n" + to_json(event).encode() + b"\n")
    follower = Follower(tmp_path)
    assert follower.read() == []
    assert follower.position < 20_000
    assert follower.read() == [event]


def test_a_name_that_is_too_long_for_a_folder_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NoodleError, match=r"^--namestr .*: too long for a folder's name; use a shorter one$"):
        make_run_folder(tmp_path, "\N{GRINNING FACE}" * 60)
