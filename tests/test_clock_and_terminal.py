"""A clock that runs backwards, terminals that can do nothing, closed outputs, and readers that stop reading."""

import contextlib
import errno
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest
from terminal import Terminal
from test_cli import SMALL

from noodle_tui import terminal
from noodle_tui.doctor import Finding, print_findings
from noodle_tui.events import RunDone
from noodle_tui.run_folder import Follower, list_runs, read_state
from noodle_tui.terminal import UnblockedStream

NOODLE = [sys.executable, "-m", "noodle_tui"]
BACKWARDS = """
import sys, time
now, stamp = time.time(), time.strftime("%Y%m%d-%H%M%S")
def earlier():
    global now
    now -= 100
    return now
time.time, time.strftime = earlier, lambda form, *_: stamp
from noodle_tui.cli import call
call(sys.argv[1:])
"""


def run_options(data_dir: Path, n_epochs: int = 2) -> list[str]:
    return ["run", "--headless", "--data-dir", str(data_dir), "--n-epochs", str(n_epochs), *SMALL]


def the_run(tmp_path: Path) -> Path:
    [folder] = list_runs(tmp_path / "weights")
    return folder


def test_a_clock_that_runs_backwards_harms_nothing(data_dir: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", BACKWARDS, *run_options(data_dir)], cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    follower = Follower(the_run(tmp_path))
    events = follower.read()
    assert follower.broken_lines == 0  # a negative duration would be none
    assert events[0].time > events[-1].time
    assert isinstance(events[-1], RunDone)
    assert events[-1].seconds > 0
    assert [e.epoch for e in read_state(the_run(tmp_path)).epochs] == [1, 2]


def test_a_dumb_terminal_without_a_locale_shows_every_name(own_data_dir: Path, tmp_path: Path) -> None:
    folder = os.fsencode(own_data_dir / "train" / "sad")
    for name in ("\N{GRINNING FACE}.jpg".encode(), b"caf\xe9.jpg", b"[red]markup[bold].jpg"):  # the second is no UTF-8
        with open(folder + b"/" + name, "wb") as file:
            file.write(b"no photo")
    environment = {**os.environ, "TERM": "dumb", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    child = pexpect.spawn(NOODLE[0], [*NOODLE[1:], *run_options(own_data_dir, 1), "--skip-bad-images"], cwd=str(tmp_path),
                          env=environment, timeout=120, dimensions=(24, 200))
    out = child.read()
    child.close()
    assert child.exitstatus == 0, out
    assert rb"\U0001f600.jpg" in out and b"caf" in out and b"[red]markup[bold].jpg" in out
    assert b"epoch 1/1" in out
    assert b"\x1b" not in out and b"Traceback" not in out


def test_closed_outputs_do_not_end_a_run_or_spoil_its_files(data_dir: Path, tmp_path: Path) -> None:
    line = ["bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash", *NOODLE, *run_options(data_dir)]
    assert subprocess.run(line, cwd=tmp_path).returncode == 0
    follower = Follower(the_run(tmp_path))
    assert isinstance(follower.read()[-1], RunDone)
    assert follower.broken_lines == 0


def test_a_reader_that_pauses_holds_up_no_training_and_gets_it_all_later(data_dir: Path, tmp_path: Path) -> None:
    reads, writes = os.pipe()
    fcntl.fcntl(writes, getattr(fcntl, "F_SETPIPE_SZ", 1031), 4096)  # full after a few epochs
    process = subprocess.Popen([*NOODLE, *run_options(data_dir, 8), "--json"], cwd=tmp_path, stdout=writes)
    os.close(writes)
    until = time.monotonic() + 120
    while not list_runs(tmp_path / "weights") or read_state(the_run(tmp_path)).status != "done":
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    with os.fdopen(reads) as pipe:
        kinds = [json.loads(line)["event"] for line in pipe]
    assert process.wait(timeout=60) == 0
    assert (kinds.count("EpochDone"), kinds[0], kinds[-1]) == (8, "RunStarted", "RunDone")


APP = [sys.executable, "-c", "from noodle_tui.__main__ import main_tui; main_tui()"]


@pytest.mark.parametrize("term", ["", "dumb", "unknown"])
def test_the_app_does_not_open_on_a_terminal_that_can_not_draw_it(term: str, tmp_path: Path) -> None:
    terminal = Terminal(APP, tmp_path, 150, TERM=term)
    terminal.until(f"noodle-tui: TERM={term}: the app can't be drawn on such a terminal; use `noodle run --headless`")
    assert terminal.ended() == 2
    assert terminal.bytes < 250  # the sentence and nothing else


@pytest.mark.parametrize("locale", [
    {"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "latin-1"},
])
def test_the_app_is_drawn_without_a_locale_too(locale: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal(APP, tmp_path, 100, 30, XDG_STATE_HOME=str(tmp_path), **locale)
    assert "─ Setup ─" in terminal.until("─ Setup ─", seconds=30)
    terminal.press("ctrl+q")
    assert terminal.ended() == 0


def test_what_no_terminal_should_send_ends_nothing(tmp_path: Path) -> None:
    """Latin-1's é, a key's release that nobody asked for, a click in a window of no size."""
    terminal = Terminal(APP, tmp_path, 100, 30, XDG_STATE_HOME=str(tmp_path))
    terminal.until("─ Setup ─", seconds=30)
    terminal.process.send(b"\xe9\x1b[97;1:3u\x1b[48;0;0;0;0t\x1b[<0;9;9M\x1b[48;30;100;600;1000tx")  # at once
    screen = terminal.until("x      ", seconds=30)  # older versions of Textual type the key code, too
    assert "\N{REPLACEMENT CHARACTER}" in screen
    terminal.press("ctrl+q")
    assert terminal.ended() == 0


def test_the_app_with_its_input_closed_says_what_it_needs(tmp_path: Path) -> None:
    terminal = Terminal(["bash", "-c", 'exec "$@" <&-', "bash", *APP], tmp_path)
    terminal.until("noodle-tui: the app needs a terminal; in a script use `noodle run --headless`")
    assert terminal.ended() == 2


def test_what_went_wrong_is_folded_at_blanks_in_a_terminal_and_a_line_elsewhere(tmp_path: Path) -> None:
    wrong = [*NOODLE, "stop", "nowhere"]
    screen = Terminal(wrong, tmp_path, 50)
    assert "noodle: nowhere: no run folder, and no run of\n  weights is called so; see `noodle runs`\n" in screen.until("runs`")
    assert screen.ended() == 1
    assert subprocess.run(wrong, cwd=tmp_path, capture_output=True, text=True).stderr.count("\n") == 1


def test_paths_and_commands_are_not_torn_where_a_line_is_folded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "columns_of", lambda stream: 40)
    path, command = f"/a/{'b' * 50}", "`noodle run --load-dir 'two words'`"
    text = f"it's at {path} or '/my photos/of a day': use {command}, if you can't do otherwise"
    assert terminal.folded(text, sys.stdout) == (
        f"it's at\n  {path}\n  or '/my photos/of a day': use\n  {command},\n  if you can't do otherwise")
    print_findings([Finding("ok", "disk", "some GiB free for 'weights of mine'; a run takes up to 450 MiB")])
    assert capsys.readouterr().out == ("✓ disk  some GiB free for\n        'weights of mine'; a run takes\n"
                                       "        up to 450 MiB\n")


@pytest.fixture
def full_pipe():
    """The reading end, and a stream that writes into the other, which takes no more."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writes, b"x" * 512)
    os.set_blocking(writes, True)
    with os.fdopen(writes, "w", encoding="ascii") as stream:
        yield reads, UnblockedStream(stream)
        os.close(reads)


def test_a_reader_that_never_reads_again_is_given_up(full_pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "PATIENCE", 0.1)
    _, stream = full_pipe
    stream.write("one line\n")
    stream.flush()
    assert not stream.drain()
    assert stream.drain()  # nothing is left to write


def test_the_backlog_has_an_end_and_what_was_kept_arrives_in_order(full_pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "BACKLOG", 5)
    reads, stream = full_pipe
    for text in ("\N{GRINNING FACE}\n", "two\n"):
        stream.write(text)
    stream.flush()
    assert stream.left_out == 4
    filled = os.read(reads, 1 << 20)
    assert set(filled) == {ord("x")}
    assert stream.drain()
    assert os.read(reads, 100) == b"\\U0001f600\n"


def test_what_a_full_disk_refuses_comes_when_it_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with (tmp_path / "log").open("w") as log:
        stream = UnblockedStream(log)
        with monkeypatch.context() as full:
            full.setattr(os, "write", refuse)
            stream.write("one\n")
            stream.flush()
            stream.write("two\n")
            stream.flush()
        stream.flush()
        assert (tmp_path / "log").read_text() == "one\ntwo\n"
        monkeypatch.setattr(os, "write", refuse)
        stream.write("three\n")
        assert not stream.drain()


def test_a_reader_that_is_gone_is_an_error(full_pipe) -> None:
    reads, stream = full_pipe
    os.dup2(os.open(os.devnull, os.O_RDONLY), reads)  # closes the pipe's reading end
    stream.write("one line\n")
    with pytest.raises(BrokenPipeError):
        stream.flush()
