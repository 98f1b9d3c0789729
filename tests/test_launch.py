"""The app in a real terminal: start, watch, stop, result, leave; and the terminal that goes away in mid-run."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from terminal import Terminal
from test_cli import wait_for_epoch

from noodle_tui.control import request_stop
from noodle_tui.run_folder import is_alive, list_runs, read_config, read_state

APP = [sys.executable, "-c", "from noodle_tui.__main__ import main_tui; main_tui()"]
SMALL = ["--weights", "none", "--input-size", "32", "--lr", "0.01", "--device", "cpu", "--batch-size", "8"]


def going_on(n_epochs: int) -> list[str]:
    """What Live says of some epoch but the first: which one it paints next depends on how quick the machine is."""
    return [f"epoch {epoch}/{n_epochs}" for epoch in range(2, n_epochs + 1)]


def wait_until(holds, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)


def has_ended(process: int) -> bool:
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE  # its new parent may be slow to notice
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def app(data_dir, tmp_path):
    """Opens the app in tmp_path on the small data; what it left running is killed afterwards."""
    terminals = []

    def open_app(*arguments: str, width: int = 100, height: int = 30, start: list[str] = APP[1:]) -> Terminal:
        state = {"XDG_STATE_HOME": str(tmp_path / "state")}  # what the form remembers
        command = [sys.executable, *start, "--data-dir", str(data_dir), *SMALL, *arguments]
        terminal = Terminal(command, tmp_path, width, height, **state)
        terminals.append(terminal)
        return terminal

    yield open_app
    for terminal in terminals:
        terminal.process.close(force=True)
    for folder in list_runs(tmp_path / "weights"):
        if is_alive(folder):
            request_stop(folder)
    wait_until(lambda: not any(is_alive(folder) for folder in list_runs(tmp_path / "weights")))


def test_from_setup_to_result(app, tmp_path):
    terminal = app("--n-epochs", "300")
    terminal.until("ready")
    terminal.press("ctrl+r")
    terminal.until(*going_on(300))
    terminal.press("f5")  # the others, while it goes on
    terminal.until("─ Runs ")  # and not the key's name at the foot
    terminal.until("neuro_ml")
    terminal.press("enter")
    terminal.until(*going_on(300))
    terminal.press("s")
    terminal.until("Stop this run?")
    terminal.press("y")
    terminal.until("■ stopped", "stopped")
    [folder] = list_runs(tmp_path / "weights")
    assert read_state(folder).status == "stopped"
    terminal.press("r")
    terminal.until(*going_on(300))
    assert len(list_runs(tmp_path / "weights")) == 1
    terminal.press("s")
    terminal.until("Stop this run?")
    terminal.press("y")
    terminal.until("■ stopped", "stopped")
    terminal.press("enter")
    terminal.until("confusion", "best so far", "so far")
    terminal.press("esc")
    terminal.until("To go on: noodle run")
    terminal.press("d")
    terminal.until("What will happen")
    terminal.press("f5")
    terminal.until(folder.name[:12])
    terminal.press("q")
    assert terminal.ended() == 0


def test_options_that_are_given_are_not_mixed_with_those_of_the_last_time(app, tmp_path):
    def momentum() -> str:
        [row] = [row for row in terminal.until("ready").splitlines() if row.strip().startswith("momentum")]
        return row.split()[-1]

    terminal = app("--n-epochs", "1", "--momentum", "0.5", height=50)
    assert momentum() == "0.5"
    terminal.press("ctrl+r")
    terminal.until("✓ done")
    terminal.press("ctrl+q")
    assert terminal.ended() == 0
    assert read_config(list_runs(tmp_path / "weights")[0])["momentum"] == 0.5
    terminal = app("--n-epochs", "1", height=50)
    assert momentum() == "0.9"
    terminal.press("ctrl+q")
    assert terminal.ended() == 0


def test_quitting_by_a_stop_says_where_the_run_stands(app, tmp_path):
    terminal = app("--n-epochs", "300")
    terminal.until("ready")
    terminal.press("ctrl+r")
    folder = wait_for_epoch(tmp_path / "weights", 1)
    terminal.press("ctrl+q")
    terminal.until("A run is going on")
    terminal.press("s")
    terminal.until("The run is stopped and saved. Go on with it: noodle run --load-dir")
    assert terminal.ended() == 130
    assert read_state(folder).status == "stopped"


def test_keys_that_a_slow_line_brings_at_once_go_to_their_fields(app):
    terminal = app("--n-epochs", "3")
    terminal.until("ready")
    terminal.process.send("\t" * 6 + "\x1b[F0\t16\r\x1b[F5\x1b[B\x1b[B\x1b[Z\x1b[F9")  # end, enter, twice down, shift+tab

    def typed() -> list[str]:
        terminal.read()
        form = [row[:45].split() for row in terminal.screen().splitlines()]
        names = (["n", "epochs"], ["batch", "size"], ["lr"], ["device"])
        return [next((row[-1] for row in form if row[: len(name)] == name), "") for name in names]  # the hint names one, too

    wait_until(lambda: typed() == ["30", "16", "0.015", "cpu9"])
    terminal.press("ctrl+q")
    assert terminal.ended() == 0


def test_no_control_code_of_a_name_reaches_the_terminal(app, tmp_path):
    """Not even from widgets that draw it as it is: an input line, a window of another package."""
    code = "\x1b]0;PWNED\x07"
    (tmp_path / f"{code}folder").mkdir()
    terminal = app("--save-dir", f"{code}weights")
    terminal.until("]0;PWNEDweights")
    terminal.press("\x0f")  # ctrl+o
    terminal.until("]0;PWNEDfolder")
    terminal.press("esc")
    terminal.gone("]0;PWNEDfolder")
    terminal.press("ctrl+q")
    assert terminal.ended() == 0
    assert "\x1b]0" not in terminal.text


def test_quit_asks_what_becomes_of_a_run_and_detaching_lets_it_go_on(app, tmp_path):
    terminal = app("--n-epochs", "30")
    terminal.until("ready")
    terminal.press("ctrl+r")
    folder = wait_for_epoch(tmp_path / "weights", 1)
    terminal.press("ctrl+q")
    terminal.until("A run is going on")
    terminal.press("esc")
    terminal.gone("A run is going on")
    terminal.press("q")
    terminal.until("A run is going on")
    terminal.press("d")
    left = terminal.until("The run goes on without this terminal")
    assert terminal.ended() == 0
    assert is_alive(folder)
    [process] = re.findall(r"process (\d+)", left)
    [caught] = re.findall(r"SigCgt:\s*(\w+)", Path(f"/proc/{process}/status").read_text())
    assert not int(caught, 16) >> (signal.SIGCONT - 1) & 1, "suspended and resumed, it looks for no terminal"
    again = app()  # shows it at once
    again.until(*going_on(30))
    wait_until(lambda: not is_alive(folder))
    assert read_state(folder).status == "done"
    again.until("images are right", "done")
    again.press("q")
    assert again.ended() == 0


@pytest.mark.parametrize("how", ["hang-up", "closed terminal"])
def test_a_terminal_that_goes_away_does_not_end_the_run(how, app, tmp_path):
    terminal = app("--n-epochs", "5")
    terminal.until("ready")
    terminal.press("ctrl+r")
    folder = wait_for_epoch(tmp_path / "weights", 1)
    if how == "hang-up":
        os.killpg(terminal.process.pid, signal.SIGHUP)
    else:
        terminal.vanish()
    process = int((folder / "run.lock").read_text().split()[1])
    wait_until(lambda: not is_alive(folder), 120)
    assert read_state(folder).status == "done"
    assert (folder / "report.md").is_file()
    wait_until(lambda: has_ended(process), 20)  # nothing stays behind


HANGS = [sys.executable, "-c", "import time, noodle_tui.summaries as s; s.list_runs = lambda *_: time.sleep(600); "
         "from noodle_tui.__main__ import main_tui; main_tui()"]


@pytest.mark.parametrize("with_a_run", [False, True])
def test_a_disk_that_hangs_keeps_nobody_from_leaving(with_a_run, data_dir, tmp_path):
    terminal = Terminal([*HANGS, "--data-dir", str(data_dir), *SMALL, "--n-epochs", "30"], tmp_path,
                        XDG_STATE_HOME=str(tmp_path / "state"))
    terminal.until("ready")
    if not with_a_run:
        terminal.press("f5")
        terminal.until("reading …")
        terminal.press("ctrl+q")
        assert terminal.ended() == 0
        return
    terminal.press("ctrl+r")
    folder = wait_for_epoch(tmp_path / "weights", 1)
    process = int((folder / "run.lock").read_text().split()[1])
    terminal.press("f5")
    terminal.until("reading …")
    terminal.press("esc")
    terminal.gone("reading …")
    terminal.press("d")
    terminal.until("The run goes on without this terminal")
    assert terminal.ended() == 0
    wait_until(lambda: not is_alive(folder), 120)
    assert read_state(folder).status == "done" and (folder / "report.md").is_file()
    wait_until(lambda: has_ended(process))


def test_a_folder_that_was_removed_is_said_to_be(tmp_path):
    (tmp_path / "gone").mkdir()
    app = [APP[0], "-P", *APP[1:]]  # as the installed command: Python itself doesn't look for modules there
    terminal = Terminal(["sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *app], tmp_path / "gone")
    terminal.until("noodle-tui: the folder that you are in was removed: change to another")
    assert terminal.ended() == 2


def sshd_command() -> str | None:
    return shutil.which("sshd") or ("/usr/sbin/sshd" if Path("/usr/sbin/sshd").exists() else None)


@pytest.mark.skipif(sshd_command() is None or shutil.which("ssh") is None, reason="needs openssh-server")
def test_a_killed_ssh_connection_does_not_end_the_run(data_dir, tmp_path):
    """A real sshd on loopback: the connection is killed in mid-run, the run finishes, a second connection shows it."""
    port, key = _start_sshd(tmp_path)
    ssh = ["ssh", "-tt", "-p", str(port), "-i", str(key), "-o", "StrictHostKeyChecking=no",
           "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "127.0.0.1"]
    settings = [f"XDG_STATE_HOME={tmp_path}/state", "OMP_NUM_THREADS=1", "TERM=xterm-256color"]
    inside = f"cd {shlex.quote(str(tmp_path))} && {shlex.join(['env', *settings, *APP])} "
    first = Terminal([*ssh, inside + shlex.join(["--data-dir", str(data_dir), "--n-epochs", "30", *SMALL])], tmp_path)
    first.until("ready")
    first.press("ctrl+r")
    folder = wait_for_epoch(tmp_path / "weights", 1)
    first.process.kill(signal.SIGKILL)
    time.sleep(1)
    assert is_alive(folder)
    second = Terminal([*ssh, inside], tmp_path)
    second.until(*going_on(30))
    wait_until(lambda: not is_alive(folder), 180)
    assert read_state(folder).status == "done"
    second.press("q")
    second.ended()


def _start_sshd(tmp_path: Path) -> tuple[int, Path]:
    """A server of this user's on a free loopback port, with a key made for it; it ends with the test's process."""
    sshd = sshd_command()
    assert sshd is not None
    host_key, key = tmp_path / "host_key", tmp_path / "key"
    for file in (host_key, key):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    (tmp_path / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "sshd_config"
    config.write_text(f'ListenAddress 127.0.0.1\nPort {port}\nHostKey "{host_key}"\n'
                      f'AuthorizedKeysFile "{tmp_path}/authorized_keys"\nStrictModes no\nPidFile "{tmp_path}/sshd.pid"\n'
                      "UsePAM no\nPermitRootLogin yes\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    subprocess.run([sshd, "-f", str(config)], check=True)
    return port, key


@pytest.fixture(autouse=True)
def _no_server_stays(tmp_path):
    yield
    pid = tmp_path / "sshd.pid"
    if pid.exists():
        os.kill(int(pid.read_text()), signal.SIGTERM)


def test_a_run_that_dies_leaves_a_usable_app(app, own_data_dir, tmp_path):
    """A truncated photo is found while decoding: one line, no traceback, and the app goes on."""
    photo = next((own_data_dir / "train" / "sad").iterdir())
    photo.write_bytes(photo.read_bytes()[:-100])  # the header, all that the form looks at, is whole
    terminal = app("--data-dir", str(own_data_dir))
    terminal.until("ready")
    terminal.press("ctrl+r")
    screen = terminal.until("✗")
    assert "can't be read" in screen
    assert "Traceback" not in screen
    terminal.press("d")
    terminal.until("What will happen")
    terminal.press("ctrl+q")
    assert terminal.ended() == 0


def test_an_app_that_was_stopped_is_there_again_after_fg(tmp_path):
    terminal = Terminal(["bash", "--norc", "-i"], tmp_path, XDG_STATE_HOME=str(tmp_path), HISTFILE="")
    terminal.process.send(f"{shlex.join(APP)}\r")
    terminal.until("─ Setup ─", seconds=30)
    [app] = psutil.Process(terminal.process.pid).children()
    os.killpg(app.pid, signal.SIGTSTP)
    wait_until(lambda: all(one.status() == psutil.STATUS_STOPPED for one in (app, *app.children())))
    terminal.process.send("clear; echo cleared\r")
    terminal.until("cleared\n", seconds=30)
    terminal.process.send("fg\r")
    assert "cleared" not in terminal.until("─ Setup ─", seconds=30), "all is drawn anew"
    terminal.press("f5")
    terminal.until("─ Runs ", seconds=30)
    terminal.press("ctrl+q")
    wait_until(lambda: not app.is_running())
    terminal.process.close(force=True)


def test_an_app_that_dies_says_so_in_a_line_and_its_run_goes_on(app, tmp_path):
    dying = "from noodle_tui.tui.app import NoodleApp as App; App.action_help_quit = lambda self: 1 // 0; "
    terminal = app("--n-epochs", "300", start=["-c", dying + APP[2]])
    terminal.until("ready")
    terminal.press("ctrl+r")
    terminal.until(*going_on(300))
    terminal.press("ctrl+c")
    terminal.until("See it again with")
    log = tmp_path / "state" / "noodle-tui" / "error.log"
    for said in ("noodle-tui: a fault of its own ended the app: ZeroDivisionError", "The run goes on without this terminal"):
        assert said in terminal.text
    assert "Traceback" not in terminal.text and "ZeroDivisionError" in log.read_text()
    assert is_alive(list_runs(tmp_path / "weights")[0])


def test_watch_opens_live_on_a_batch_job_and_stops_it(app, data_dir, tmp_path):
    job = subprocess.Popen([sys.executable, "-m", "noodle_tui", "run", "--headless", "--data-dir", str(data_dir), *SMALL,
                            "--n-epochs", "300"], cwd=tmp_path, stdout=subprocess.DEVNULL)
    folder = wait_for_epoch(tmp_path / "weights", 1)
    terminal = Terminal([sys.executable, "-m", "noodle_tui", "watch", folder.name], tmp_path, 80, 24)
    terminal.until(*going_on(300))
    terminal.press("p")
    terminal.until("paused")
    terminal.press("p")
    terminal.until("▶")
    terminal.press("s")
    terminal.until("Stop this run?")
    terminal.press("y")
    assert job.wait(60) == 130
    terminal.until("stopped")
    terminal.press("q")
    assert terminal.ended() == 0


@pytest.mark.parametrize(("kill", "number"), [(os.killpg, signal.SIGINT), (os.kill, signal.SIGTERM)])
def test_a_signal_by_hand_stops_and_saves(kill, number, app, tmp_path):
    terminal = app("--n-epochs", "300")
    terminal.until("ready")
    terminal.press("ctrl+r")
    folder = wait_for_epoch(tmp_path / "weights", 1)
    kill(terminal.process.pid, number)
    terminal.until("The run is stopped and saved")
    assert terminal.ended() == 130
    assert read_state(folder).status == "stopped"


def test_a_killed_app_leaves_a_usable_terminal_and_says_so(app, tmp_path):
    terminal = app("--n-epochs", "300")
    terminal.until("ready")
    terminal.press("ctrl+r")
    folder = wait_for_epoch(tmp_path / "weights", 1)
    os.kill(int((folder / "run.lock").read_text().split()[1]), signal.SIGKILL)
    assert terminal.ended() == 137
    assert "noodle-tui: its process was ended by SIGKILL" in terminal.text  # anywhere: the app may have died within a line
    assert "\x1b[?1049l" in terminal.text and terminal.text.rindex("\x1b[?1003l") > terminal.text.rindex("\x1b[?1003h")


def test_a_hang_up_by_hand_leaves_a_usable_terminal(app, tmp_path):
    terminal = app("--n-epochs", "15")
    terminal.until("ready")
    terminal.press("ctrl+r")
    folder = wait_for_epoch(tmp_path / "weights", 1)
    os.kill(int((folder / "run.lock").read_text().split()[1]), signal.SIGHUP)
    terminal.until("The run goes on without this terminal")
    assert terminal.ended() == 0
    assert terminal.text.rindex("\x1b[?1049l") > terminal.text.rindex("\x1b[?1049h")
    wait_until(lambda: not is_alive(folder))
    assert read_state(folder).status == "done"


def test_a_hang_up_by_hand_without_a_run_leaves_a_usable_terminal(app):
    terminal = app()
    terminal.until("What will happen")
    [child] = psutil.Process(terminal.process.pid).children()
    child.send_signal(signal.SIGHUP)
    assert terminal.ended() == 0
    assert terminal.text.rindex("\x1b[?1049l") > terminal.text.rindex("\x1b[?1049h")


def test_a_paused_run_that_is_detached_is_said_to_wait(app, tmp_path):
    terminal = app("--n-epochs", "300")
    terminal.until("ready")
    terminal.press("ctrl+r")
    folder = wait_for_epoch(tmp_path / "weights", 1)
    terminal.press("p")
    terminal.until("paused")
    terminal.press("d")
    terminal.until("The run is paused and waits without this terminal")
    assert terminal.ended() == 0
    assert read_state(folder).status == "paused"
    request_stop(folder)
    wait_until(lambda: not is_alive(folder))


def test_a_headless_run_outlives_its_terminal(data_dir, tmp_path):
    terminal = Terminal([sys.executable, "-m", "noodle_tui", "run", "--headless", "--data-dir", str(data_dir), *SMALL,
                         "--n-epochs", "4"], tmp_path)
    folder = wait_for_epoch(tmp_path / "weights", 1)
    terminal.vanish()
    wait_until(lambda: not is_alive(folder), 120)
    assert read_state(folder).status == "done"


def test_ctrl_c_stops_and_saves_and_twice_ends_at_once(data_dir, tmp_path):
    for times, status in ((1, "stopped"), (2, "failed")):
        save_dir = tmp_path / str(times)
        terminal = Terminal([sys.executable, "-m", "noodle_tui", "run", "--headless", "--data-dir", str(data_dir), *SMALL,
                             "--n-epochs", "300", "--save-dir", str(save_dir)], tmp_path)
        terminal.until("epoch 1/300", *going_on(300))
        [folder] = list_runs(save_dir)
        terminal.process.send("\x03" * times)
        assert terminal.ended() == 130
        assert (read_state(folder).status == status) or times == 2  # the second may come after the first has done its work
        assert not is_alive(folder)
