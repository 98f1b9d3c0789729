"""What a run prints: a bar and lines in a terminal, plain lines elsewhere."""

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
from fake_runs import fake_events
from terminal import Terminal

from noodle_tui import terminal
from noodle_tui.answers import clock
from noodle_tui.events import EpochDone, Message, RunStarted, RunStopped, Saved, StageProgress, StageStarted, to_json
from noodle_tui.listeners.console import ConsoleListener


def printed(events, **options) -> list[str]:
    out = options.pop("out", None) or io.StringIO()
    console = ConsoleListener(out=out, **options)
    for event in events:
        console(event)
    console.close()
    return out.getvalue().splitlines()


def test_plain_lines_hold_an_epoch_each_and_no_control_codes():
    events = fake_events(12, "done")
    lines = printed(events)
    epochs = [line for line in lines if line.startswith("epoch")]
    assert len(epochs) == 12
    assert not any("\x1b" in line or "\r" in line for line in lines)
    assert sum("* best" in line for line in epochs) == sum(isinstance(e, EpochDone) and e.is_best for e in events)


def test_log_every_keeps_the_first_and_the_last():
    lines = printed(fake_events(12, "done"), log_every=5)
    assert [line.split()[1] for line in lines if line.startswith("epoch")] == ["1/12", "5/12", "10/12", "12/12"]


@pytest.mark.parametrize(("every", "asked", "logged"), [(5, None, 4), (5, 1, 12), ("no number", None, 12)])
def test_log_every_is_the_runs_own_unless_another_is_asked_for(every: object, asked: int | None, logged: int):
    started, *others = fake_events(12, "done")
    assert isinstance(started, RunStarted)
    lines = printed([replace(started, config={"log_every": every}), *others], log_every=asked)
    assert sum(line.startswith("epoch") for line in lines) == logged


def test_markup_in_a_text_is_printed_as_it_is():
    assert printed([Message(level="warning", text="[red]x[/] :smile:")]) == ["! [red]x[/] :smile:"]


def test_control_codes_in_a_text_do_not_reach_the_terminal():
    assert printed([Message(level="info", text="\x1b[2Jgone")]) == ["· \\x1b[2Jgone"]


def test_in_a_terminal_the_bar_follows_the_batches(tmp_path):
    code = ("import time; from fake_runs import fake_events; from noodle_tui.events import *\n"
            "from noodle_tui.listeners.console import ConsoleListener\n"
            "console = ConsoleListener()\n"
            "for e in fake_events(4, 'running'):\n"
            "    if isinstance(e, EpochDone) and e.epoch == 2: break\n"
            "    console(e)\n"
            "console(StageProgress(stage='train', done=5, total=10)); time.sleep(1.5); console.close()")
    terminal = Terminal([sys.executable, "-c", code], Path(__file__).parent, 100, 24)
    screen = terminal.until("epoch 2/4")
    assert "epoch 1/4" in screen
    terminal.until(" 38%")  # one epoch and a half of four
    assert terminal.ended() == 0


def test_markup_in_a_name_is_none_in_a_terminal(tmp_path):
    code = ("import time; from noodle_tui.events import *\nfrom noodle_tui.listeners.console import ConsoleListener\n"
            "console = ConsoleListener()\n"
            "console(Message(level='warning', text='left out: [red]x[bold].jpg [link=file:x]y.jpg \\x1b[31mred.jpg'))\n"
            "console(StageStarted(stage='decode', text='reading x[/b]y[old]')); time.sleep(1.5); console.close()")
    terminal = Terminal([sys.executable, "-c", code], Path(__file__).parent, 100, 24)
    assert r"left out: [red]x[bold].jpg [link=file:x]y.jpg \x1b[31mred.jpg" in terminal.until("reading x[/b]y[old]")
    assert terminal.ended() == 0


def test_in_a_narrow_terminal_an_epoch_keeps_to_its_line_and_sentences_break_at_blanks():
    code = ("from fake_runs import fake_events; from noodle_tui.events import *\n"
            "from noodle_tui.listeners.console import ConsoleListener\n"
            "console = ConsoleListener()\n"
            "for e in [*fake_events(4, 'done'), Message(level='info', text='word ' * 20 + 'x' * 90)]: console(e)\n"
            "console.close()")
    terminal = Terminal([sys.executable, "-c", code], Path(__file__).parent, 80, 40)
    screen = terminal.until("xxx")
    assert terminal.ended() == 0
    lines = [line.rstrip() for line in screen.splitlines()]
    epochs = [line for line in lines if line.startswith("epoch ")]
    assert len(epochs) == 4 and all("img/s" not in line for line in epochs)
    after = {lines[lines.index(line) + 1].split(" ")[0] for line in epochs[:-1]}
    assert after == {"epoch"}, "nothing spills over"


def test_in_a_narrow_terminal_without_control_codes_lines_break_at_blanks_too(tmp_path: Path):
    for event in fake_events(4, "stopped"):
        with (tmp_path / "events.jsonl").open("a") as file:
            file.write(to_json(event) + "\n")
    shown = Terminal([sys.executable, "-m", "noodle_tui", "watch", "--headless", "."], tmp_path, 60, 60, TERM="dumb")
    shown.until("all is saved")
    lines = [line.rstrip() for line in shown.screen().splitlines()]
    assert shown.ended() == 130 and all(len(line) <= 60 for line in lines)
    whole = "\n".join(lines).replace("\n  ", " ")
    assert len(re.findall(r"^epoch \d/4 +train loss \S+ acc \S{5} +val loss \S{6} acc \S{5} \(\d+/24\)", whole, re.M)) == 2


def test_clock():
    assert [clock(s) for s in (3.21, 59.96, 99, 3700)] == ["3.2 s", "1 min 0 s", "1 min 39 s", "1 h 1 min"]


def test_progress_prints_nothing_without_a_terminal():
    assert printed([StageProgress(stage="decode", done=1, total=2)]) == []


def test_what_is_said_after_the_end_comes_last():
    out = io.StringIO()
    console = ConsoleListener(out=out)
    for event in [*fake_events(2, "done"), Message(level="warning", text="upload it with comet upload x.zip")]:
        console(event)
    console.say("the verdict")
    console.close()
    assert out.getvalue().splitlines()[-2:] == ["the verdict", "! upload it with comet upload x.zip"]


def test_of_a_run_that_is_picked_up_after_its_end_everything_is_said_at_once():
    out = io.StringIO()
    console = ConsoleListener(out=out)
    for event in (*fake_events(4, "done"), Message(level="info", text="upload it"), *fake_events(4, "running"),
                  Message(level="warning", text="the disk is full")):
        console(event)
    lines = out.getvalue().splitlines()
    assert lines[-1] == "! the disk is full" and "· upload it" in lines


def test_a_stop_says_whether_anything_is_saved():
    started, stop = fake_events(4, "running")[0], RunStopped(reason="asked", seconds=1.0)
    assert isinstance(started, RunStarted)
    assert printed([started, stop])[-1] == "stopped: asked; nothing had been learnt yet"
    saved = Saved(what="checkpoint", file="checkpoint.pt", epoch=0)
    assert printed([started, saved, stop])[-1] == "stopped: asked; all is saved"
    assert printed([replace(started, resumed_at=2), stop])[-1] == "stopped: asked; all is saved"


class Screen(io.StringIO):
    """As if a terminal."""

    def isatty(self) -> bool:
        return True


READING = StageStarted(stage="decode", text="reading the photos")


def test_in_a_terminal_a_stage_is_said_by_its_bar_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    said = [re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", line).strip() for line in printed([READING], out=Screen())]
    assert any(line.startswith("reading the photos") and "0%" in line for line in said)
    assert "reading the photos" not in said


def test_in_a_terminal_that_knows_no_control_codes_there_is_no_bar(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "dumb")
    assert printed([READING], out=Screen()) == ["reading the photos"]


def test_the_bar_of_a_run_that_is_picked_up_goes_on_where_it_stood(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    started = fake_events(4, "running")[0]
    assert isinstance(started, RunStarted)
    events = [replace(started, resumed_at=2), StageStarted(stage="train", text="training"),
              StageProgress(stage="train", done=5, total=10)]
    assert any("epoch 3/4" in line for line in printed(events, out=Screen())), "the bar's last look"


@contextmanager
def printing_into_a_pipe() -> Iterator[BinaryIO]:
    """stdout is a pipe; its other end."""
    reads, writes = os.pipe()
    with open(reads, "rb") as reader, open(writes, "w") as stream, redirect_stdout(stream):
        yield reader


def test_what_nobody_reads_in_time_is_said_to_be_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(terminal, "PATIENCE", 0.01)
    with printing_into_a_pipe():
        console = ConsoleListener()
        console(Message(level="info", text="x" * 100_000))
        console.close()
    assert "what nobody read in time, or no disk took, is left out here" in capsys.readouterr().err


def test_after_a_reader_that_left_nothing_else_that_prints_fails():
    with printing_into_a_pipe() as reader:
        console = ConsoleListener()
        reader.close()
        console(Message(level="info", text="one"))
        print("another", flush=True)
