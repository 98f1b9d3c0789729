"""The command line as a script sees it: real processes, their exit codes, one line of error."""

import errno
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import FinishedRun
from fake_runs import fake_events
from fake_stimuli import draw_seed_like

from noodle_tui.cli import call
from noodle_tui.cli.endings import complain, post_mortem
from noodle_tui.demo import draw_stimuli
from noodle_tui.events import EpochDone, Event, Message, RunFailed, RunMoved, RunStopped, SaveRefused, to_json
from noodle_tui.run_folder import Follower, list_runs, locked, read_state

SMALL = ["--weights", "none", "--input-size", "32", "--lr", "0.01", "--device", "cpu", "--precision", "fp32"]


def noodle(*arguments: str, cwd: Path | None = None, **more) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "noodle_tui", *arguments], cwd=cwd, capture_output=True, text=True,
                          timeout=240, **more)


def noodle_here(*arguments: str) -> int:
    """The same in this process, which has torch already, and in its folder: the exit code."""
    with pytest.raises(SystemExit) as leave:
        call(list(arguments))
    assert isinstance(leave.value.code, int)
    return leave.value.code


Here = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """`noodle` as above, but in this process, and in `tmp_path`. For what a process of its own wouldn't prove any better: its
    imports take half a second, and torch's three."""
    monkeypatch.chdir(tmp_path)

    def noodle_there(*arguments: str) -> "subprocess.CompletedProcess[str]":
        capfd.readouterr()
        code = noodle_here(*arguments)
        return subprocess.CompletedProcess(arguments, code, *capfd.readouterr())

    return noodle_there


def start(*arguments: str, cwd: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-m", "noodle_tui", *arguments], cwd=cwd, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)


def wait_for_epoch(save_dir: Path, epoch: int, seconds: float = 120) -> Path:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for folder in list_runs(save_dir):
            if any(isinstance(e, EpochDone) and e.epoch >= epoch for e in Follower(folder).read()):
                return folder
        time.sleep(0.05)
    raise AssertionError(f"epoch {epoch} did not come")


def test_help_and_version_do_not_import_torch_or_comet():
    code = ("import sys\nfrom noodle_tui import cli\n"
            "for arguments in (['--help'], ['run', '--help'], ['--version']):\n"
            "    try: cli.call(arguments)\n"
            "    except SystemExit as leave: assert not leave.code, leave.code\n"
            "heavy = {'torch', 'torchvision', 'comet_ml', 'textual', 'sklearn', 'scipy', 'numpy', 'PIL'} & set(sys.modules)\n"
            "assert not heavy, heavy")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "noodle-tui 0." in done.stdout and "--n-epochs" in done.stdout


def test_the_seeds_own_spelling_from_stimuli_to_model(tmp_path, monkeypatch, capfd):
    """rejig and train in one command; again, and the photos stay where they are."""
    draw_seed_like(tmp_path / "Resources" / "stimuli")
    (tmp_path / "Resources" / "stimuli" / "99M_Ha_C01.JPG").write_text("no photo")
    command = ["run", "--headless", "--rejig_data", "--data_dir", "D", "--batch_size", "24", "--n_epochs", "2",
               "--save_dir", "W", "--namestr", "x", *SMALL]
    first = noodle(*command, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    lines = first.stdout.splitlines()
    assert [line[:9] for line in lines if line.startswith("epoch")] == ["epoch 1/2", "epoch 2/2"]
    assert any("of the validation images are right" in line and "95% interval" in line for line in lines)
    assert any(line.startswith("distrust: ") and "memory for known faces" in line for line in lines)
    assert "\x1b" not in first.stdout and "\r" not in first.stdout
    [folder] = list_runs(tmp_path / "W")
    assert folder.name.startswith("x-")
    monkeypatch.chdir(tmp_path)
    assert noodle_here(*command) == 0
    for out in (first.stdout, capfd.readouterr().out):
        assert re.search(r"left out: 1 file, unreadable.*: 99M_Ha_C01\.JPG", out), out
    one, other = (f / "metrics.csv" for f in list_runs(tmp_path / "W"))
    assert [row.split(",")[:5] for row in one.read_text().splitlines()] == \
        [row.split(",")[:5] for row in other.read_text().splitlines()]


def test_json_is_one_event_a_line_and_log_every_counts_for_the_plain_lines(data_dir, here, tmp_path):
    done = here("run", "--headless", "--json", "--data-dir", str(data_dir), "--n-epochs", "1", *SMALL)
    assert done.returncode == 0, done.stderr
    kinds = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert kinds[0] == "RunStarted" and kinds[-1] == "RunDone" and "EpochDone" in kinds
    [folder] = list_runs(tmp_path / "weights")
    watched = here("watch", folder.name, "--headless", "--log-every", "7")
    assert watched.returncode == 0 and "epoch 1/1" in watched.stdout
    assert "of the validation images are right" in watched.stdout and "distrust: " in watched.stdout


def watch(folder: Path, *flags: str) -> "subprocess.Popen[str]":
    return start("watch", "--headless", *flags, str(folder), cwd=folder)


def append(folder: Path, *events: Event) -> None:
    with (folder / "events.jsonl").open("a") as file:
        file.writelines(to_json(event) + "\n" for event in events)


def test_who_watches_waits_for_the_process_and_not_for_the_runs_last_word(tmp_path):
    """After it a run may still send its model to Comet."""
    with locked(tmp_path):
        append(tmp_path, *fake_events(4, "done"))
        process = watch(tmp_path)
        assert process.stdout is not None
        while "epoch 4/4" not in process.stdout.readline():
            pass
        time.sleep(1.5)  # two looks at least
        append(tmp_path, Message(level="info", text="the model is with Comet"))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "") and "the model is with Comet" in out


@pytest.mark.parametrize("flag", ["--headless", "--json"])
def test_who_watches_ends_when_the_reader_leaves_though_nothing_more_is_said(flag: str, tmp_path):
    """noodle watch --headless | head -1"""
    with locked(tmp_path):
        append(tmp_path, *fake_events(4, "running"))
        process = watch(tmp_path, flag)
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == ""


def test_who_watches_a_run_that_moved_is_told_of_the_report_where_it_is_now(here, tmp_path, finished):
    (tmp_path / "old").mkdir()
    *events, done = fake_events(4, "done")
    append(tmp_path / "old", *events, RunMoved(folder=str(finished.folder)), done)
    told = here("watch", "--headless", "old")
    assert told.stderr == "" and f"report {finished.folder / 'report.md'}" in told.stdout


def test_who_watches_a_run_that_was_stopped_is_told_how_it_goes_on_if_it_can(here, tmp_path):
    append(tmp_path, *fake_events(4, "stopped"))
    assert here("watch", "--headless", str(tmp_path)).stdout.endswith("stopped: asked to stop; all is saved\n")
    (tmp_path / "checkpoint.pt").touch()
    told = here("watch", "--headless", str(tmp_path)).stdout
    assert told.endswith(f"saved\npick it up with `noodle run --headless --load-dir {shlex.quote(str(tmp_path))}`\n")


def test_who_watches_is_told_of_lines_that_can_not_be_read(here, tmp_path):
    folder = tmp_path / "\x1b[2J"  # which would clear the screen
    folder.mkdir()
    append(folder, *fake_events(4, "done"))
    with (folder / "events.jsonl").open("a") as file:
        file.write("torn\n")
    told = here("watch", "--headless", "--json", str(folder)).stderr
    assert told == f"noodle: left out of {tmp_path}/\\x1b[2J/events.jsonl: 1 line that can't be read\n"


def test_a_run_that_was_picked_up_after_its_end_and_killed_is_told_as_interrupted(here, tmp_path):
    def watched() -> "subprocess.CompletedProcess[str]":
        return here("watch", "--headless", "--json", str(tmp_path))

    done = fake_events(4, "done")
    append(tmp_path, *done, done[0])
    told = watched()
    assert told.stderr.startswith("noodle: the run was interrupted: ") and told.stderr.count("\n") == 1
    assert all(json.loads(line) for line in told.stdout.splitlines())
    append(tmp_path, SaveRefused(file="checkpoint.pt", reason="No space left on device"))
    refused = watched().stderr
    assert "its disk took nothing any more (No space left on device), so look in " in refused and "rescued" in refused
    append(tmp_path, RunFailed(error="the card is full", seconds=1.0))
    told = watched()
    assert (told.returncode, told.stderr) == (1, "noodle: the run failed: the card is full\n")


def test_without_a_command_the_help_is_printed(tmp_path):
    done = noodle(cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    usage, _, commands = done.stdout.partition("Commands:")
    assert "Usage: noodle [OPTIONS] COMMAND" in usage and "\\n" not in usage and "..." not in commands


def test_the_app_has_a_help_of_its_own(tmp_path):
    app = Path(sys.executable).with_name("noodle-tui")
    done = subprocess.run([app, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.lstrip().startswith("Usage: noodle-tui [OPTIONS]")
    wrong = subprocess.run([app, "--n_epochs", "0"], cwd=tmp_path, capture_output=True, text=True)
    assert wrong.returncode == 2 and wrong.stderr.startswith("noodle-tui: --n-epochs: 0 is out of bounds")


def test_commands_and_options_are_completed(tmp_path):
    for words, at, wanted in (("noodle ru", 1, {"run", "runs"}), ("noodle run --split", 2, {"--split-by", "--split_by"})):
        done = noodle(cwd=tmp_path, env={**os.environ, "_NOODLE_COMPLETE": "complete_bash", "COMP_WORDS": words,
                                         "COMP_CWORD": str(at)})
        assert wanted & set(done.stdout.split()), done


@pytest.mark.parametrize(("arguments", "code", "says"), [
    (["run", "--headless", "--n-epochs", "0"], 2, "--n-epochs: 0 is out of bounds"),
    (["run", "--headless", "--epochs", "3"], 2, "No such option: --epochs"),
    (["run", "--json"], 2, "--json goes with --headless"),
    (["run"], 2, "the app needs a terminal"),
    (["run", "--headless", "--data-dir", "nowhere"], 1, "nowhere/train is missing"),
    (["run", "--headless", "--load-dir", "nowhere"], 2, "--load-dir nowhere: there is no such file or folder"),
    (["run", "--headless", "--rejig-data", "--stimuli", "nowhere"], 1, "nowhere"),
    (["run", "--headless", "--data-dir", "d", "--save-dir", "d/val/runs"], 1, "--save-dir d/val/runs: is in d/val, where each"),
    (["run", "--headless", "--weights", "nowhere.pth"], 1, "nowhere.pth: there is no such weights file"),
    (["rejig", "--stimuli", "nowhere"], 1, "nowhere"),
    (["rejig", "--val-fraction", "1"], 2, "--val-fraction: 1 is out of bounds"),
    (["predict", "x.jpg", "--load-dir", "nowhere"], 1, "nowhere"),
    (["predict", "--load-dir", "nowhere"], 2, "(see `noodle predict --help`)"),
    (["run", "--headless", "--weights", "none", "--load-dir", "."], 2, "--load-dir .: neither a run folder"),
    (["rejig", "--class", "a/b=-a", "--class", "c=-c"], 2, "a folder is named after the class: 'a/b' can't be its name"),
    (["predict", "x", "--load-dir", "y", "--device", "banana"], 2, "--device: 'banana' is none of auto"),
    (["predict", "x", "--load-dir", "y", "--format", "xml"], 2, "'xml' is none of table, csv, json"),
    (["watch"], 1, "no runs in weights"),
    (["stop", "nowhere"], 1, "nowhere: no run folder, and no run of weights is called so; see `noodle runs`"),
    (["runs", "--format", "xml"], 2, "'xml' is none of table, json"),
    (["stop"], 2, "Missing argument 'RUN' (see `noodle stop --help`)"),
    (["verify-resume", "--kills", "9"], 2, "--kills: 9 is out of bounds: at least 1, at most 5"),
])
def test_wrong_use_is_one_line_and_a_code(arguments, code, says, here, tmp_path):
    done = here(*arguments)
    assert done.returncode == code, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("noodle: ") and says in lines[0], done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []  # no folder of a run that could not be


def test_a_save_folder_that_isnt_there_is_said_not_to_be(here):
    assert "no runs in wieghts, there is no such folder" in here("runs", "--save-dir", "wieghts").stdout
    assert "no runs in .; start one" in here("runs", "--save-dir", ".").stdout


def test_the_help_of_predict_and_of_commands_without_comet_says_what_is_so_there(here):
    predict = here("predict", "--help").stdout
    assert "[default: the run's]" in " ".join(predict.split()) and "([^_/]+)" not in predict
    assert "Comet" not in here("runs", "--help").stdout


def test_broken_settings_are_said_before_anything_is_made(data_dir, tmp_path):
    (tmp_path / "settings.json").write_text('{"apikey": ')
    done = noodle("run", "--headless", "--comet", "--data-dir", str(data_dir), *SMALL, cwd=tmp_path)
    assert done.returncode == 1 and "settings.json" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "weights").exists()


def test_a_signal_stops_and_saves_and_the_run_is_picked_up(data_dir, tmp_path, monkeypatch):
    """As Slurm's requeue does it. The other signals: test_signals.py"""
    process = start("run", "--headless", "--data-dir", str(data_dir), "--n-epochs", "500", "--batch-size", "8",
                    "--namestr", "two words", *SMALL, cwd=tmp_path)
    folder = wait_for_epoch(tmp_path / "weights", 1)
    process.send_signal(signal.SIGUSR1)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "\nstopped by SIGUSR1; all is saved\n" in out and not err
    [command] = re.findall(r"^pick it up with `noodle (.+)`$", out, re.M)
    assert command == f"run --headless --load-dir '{folder.relative_to(tmp_path)}'"
    state = read_state(folder)
    assert state.status == "stopped" and isinstance(state.ended, RunStopped)
    assert (folder / "model.pth").is_file()
    monkeypatch.chdir(tmp_path)
    assert noodle_here(*shlex.split(command), "--n-epochs", str(state.epoch + 1)) == 0
    assert [e.epoch for e in read_state(folder).epochs] == list(range(1, state.epoch + 2))


@pytest.mark.parametrize(("library", "command"), [
    ("typer", "runs"), ("torch", "verify-resume"), ("torch", "bench"), ("torch", "doctor"),
    ("torch", "predict --load-dir model.pth .")])
def test_ctrl_c_while_libraries_are_imported_ends_without_a_word(library, command, tmp_path, finished: FinishedRun):
    """As torch's import turns an exception into a core dump, or loses it."""
    for name in ("model.json", "model.pth"):
        (tmp_path / name).symlink_to(finished.folder / name)
    (tmp_path / "stubs").mkdir()
    (tmp_path / "stubs" / f"{library}.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\nos._exit(3)")
    done = noodle(*shlex.split(command), cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path / "stubs")})
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


def test_a_model_that_is_not_there_is_said_before_torch_is_imported(tmp_path):
    (tmp_path / "torch.py").write_text("raise SystemExit('imported')")
    done = noodle("predict", "--load-dir", "nowhere", ".", cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1 and done.stderr.startswith("noodle: --load-dir nowhere: there is no such folder")


def test_a_folder_that_was_removed_is_said_to_be(tmp_path):
    """A library of torch's would end the process there in a word of its own."""
    command = [sys.executable, "-P", "-m", "noodle_tui", "doctor"]
    done = subprocess.run(["sh", "-c", 'mkdir gone && cd gone && rmdir "$PWD" && exec "$@"', "sh", *command], cwd=tmp_path,
                          capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "noodle: the folder that you are in was removed: change to another\n")


def test_stop_from_another_process(data_dir, here, tmp_path):
    process = start("run", "--headless", "--data-dir", str(data_dir), "--n-epochs", "500", *SMALL, cwd=tmp_path)
    folder = wait_for_epoch(tmp_path / "weights", 1)
    asked = here("stop", folder.name)
    assert asked.returncode == 0, asked.stderr
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert here("stop", folder.name).returncode == 1  # nobody runs it any more


def test_a_run_is_named_as_it_was_where_only_one_is_meant(here, tmp_path):
    folder = tmp_path / "weights" / "long run-20260131-120000"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    shown = folder.relative_to(tmp_path)
    with locked(folder):
        assert here("stop", "long run").stdout == f"{shown} is asked to stop; it saves first\n"
    assert (folder / "stop").exists()
    for arguments in (["predict", "x.jpg"], ["run", "--headless"]):
        done = here(*arguments, "--load-dir", "lon")
        assert str(shown) in done.stderr, "it has no model yet"
    shutil.copytree(folder, tmp_path / "weights" / "long run-20260131-120001")
    for arguments in (["watch", "--headless"], ["run", "--headless", "--load-dir"]):
        done = here(*arguments, "lon")
        assert done.returncode == 2 and "lon: 2 runs in weights have such a name" in done.stderr


def test_a_reader_that_leaves_does_not_end_the_run(data_dir, tmp_path):
    """noodle run --headless | head -1"""
    process = start("run", "--headless", "--data-dir", str(data_dir), "--n-epochs", "2", *SMALL, cwd=tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=120) == 0
    [folder] = list_runs(tmp_path / "weights")
    assert read_state(folder).status == "done"


def test_rejig_dry_run_apply_and_undo(here, tmp_path):
    draw_seed_like(tmp_path / "photos")
    before = sorted(p.relative_to(tmp_path) for p in (tmp_path / "photos").rglob("*.JPG"))
    options = ["--stimuli", "photos", "--data-dir", "sorted", "--split-by", "person"]
    dry = here("rejig", "--dry-run", *options)
    assert dry.returncode == 0 and "nothing was changed" in dry.stdout and not (tmp_path / "sorted").exists()
    done = noodle("rejig", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "photos").rglob("*.JPG"))
    again = here("rejig", *options).stdout
    assert again.count("nothing") == 1 and "nothing to do: the data folder is arranged so already\n" in again
    undone = here("rejig", "--undo", *options)
    assert undone.returncode == 0, undone.stderr
    assert sorted(p.relative_to(tmp_path) for p in (tmp_path / "photos").rglob("*.JPG")) == before


def test_predict_answers_the_others_and_names_what_it_cannot_read(finished: FinishedRun, data_dir, here, tmp_path):
    (tmp_path / "[red]x[bold].jpg").write_text("no photo")
    good = next((data_dir / "val" / "sad").iterdir())
    done = here("predict", "--load-dir", finished.folder.name, "--save-dir", str(finished.folder.parent), "--format", "csv",
                str(good), str(tmp_path))
    assert done.returncode == 1
    said = done.stderr.strip().splitlines()
    assert said[-1] == f"noodle: {tmp_path}/[red]x[bold].jpg: not an image, whatever its ending says"
    assert len(said) == 3  # the score
    assert str(good) in done.stdout


def test_an_unset_variable_is_not_the_current_folder(here, tmp_path, monkeypatch):
    draw_stimuli(tmp_path / "home", people=1)
    monkeypatch.chdir(tmp_path / "home")
    for command in (["rejig", "--stimuli", "", "--data-dir", "../sorted"], ["predict", "--load-dir", "run", ""], ["demo", ""]):
        refused = here(*command)
        assert refused.returncode == 2 and "is empty, and no path: is a variable of your script unset?" in refused.stderr
    assert not (tmp_path / "sorted").exists()


def test_an_undo_that_is_only_tried_changes_nothing(here, tmp_path):
    draw_stimuli(tmp_path / "photos", people=2)
    place = ["--stimuli", "photos", "--data-dir", "sorted"]
    assert here("rejig", *place).returncode == 0
    before = sorted(tmp_path.rglob("*"))
    done = here("rejig", *place, "--undo", "--dry-run")
    assert done.returncode == 0 and "nothing was changed (--dry-run)" in done.stdout
    assert "80 photos would be taken out of sorted, moved ones back to where they came from" in done.stdout
    refused = here("rejig", "--stimuli", "others", "--data-dir", "sorted", "--undo", "--dry-run")
    assert refused.returncode == 1 and "came from" in refused.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_runs_lists_what_is_there(finished: FinishedRun, here):
    table = here("runs", "--save-dir", str(finished.config.save_dir))
    assert table.returncode == 0 and finished.folder.name in table.stdout and "3/3" in table.stdout
    listed = json.loads(here("runs", "--save-dir", str(finished.config.save_dir), "--format", "json").stdout)
    assert [(run["status"], run["epoch"]) for run in listed] == [("done", 3)]


def test_doctor_names_the_weights_file_and_says_where_the_app_can_not_be_drawn_and_never_shows_a_key(
    here, tmp_path, monkeypatch
):
    secret = "abcdefgh" + "0123456789" * 3
    for name, value in {"COMET_API_KEY": secret, "TORCH_HOME": str(tmp_path / "torch"), "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    done = here("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resnet18-f37072fd.pth" in done.stdout and str(tmp_path / "torch") in done.stdout
    assert "! terminal" in done.stdout and "TERM=dumb: the app can't be drawn on it" in done.stdout
    assert f"({len(secret)} characters)" in done.stdout and secret[:4] not in done.stdout and secret[4:] not in done.stdout


def test_debug_opens_the_debugger_where_it_broke(tmp_path):
    import pexpect

    child = pexpect.spawn(sys.executable, ["-m", "noodle_tui", "run", "--headless", "--debug", "--data-dir", "nowhere"],
                          cwd=str(tmp_path), encoding="utf-8", timeout=60,
                          env=os.environ | {"HOME": str(tmp_path)})  # it writes a history
    child.expect("nowhere/train is missing")
    child.expect("ipdb>|Pdb")
    child.sendline("q")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1


def test_where_ipdb_can_not_keep_its_history_the_plain_debugger_opens(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """In a read-only home it ends with an error of its own."""
    def refuse(_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/home/me/.pdbhistory")

    opened: list[object] = []
    monkeypatch.setitem(sys.modules, "ipdb", SimpleNamespace(post_mortem=refuse))
    monkeypatch.setattr("pdb.post_mortem", opened.append)
    with pytest.raises(ValueError) as broke:
        raise ValueError("what broke")
    assert post_mortem(broke.value) == 1
    assert opened == [broke.value.__traceback__]
    assert "what broke" in capsys.readouterr().err


def test_an_error_that_nobody_can_be_told_leaves_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sys.stderr", Full())
    assert complain("noodle", "no", 2) == 2
