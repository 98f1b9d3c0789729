"""How many bytes the Live screen writes to a terminal: `python tests/measure_bytes.py [WIDTH HEIGHT [SECONDS]] [covered]`.

Runs the app in a pseudo-terminal on a made-up run in which an epoch ends every second, then on the same run at rest.
covered: the help lies over it meanwhile.
Figures are of bytes, so they are the same on a slow machine.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pexpect

HERE = Path(__file__).parent


def app_in_terminal(seconds: int, covered: bool, signals: str) -> None:
    """Run the app on a half-done run. Once signals/go exists an epoch ends a second, then signals/rest is made."""
    import socket
    import threading

    from fake_runs import ReplaySource, fake_events

    from noodle_tui.events import EpochDone
    from noodle_tui.tui.app import NoodleApp

    events = fake_events(200, "done", host=socket.gethostname())
    start = next(i for i, e in enumerate(events) if isinstance(e, EpochDone) and e.epoch == 100)
    stop = next(i for i, e in enumerate(events) if isinstance(e, EpochDone) and e.epoch == 100 + seconds)
    source = ReplaySource(events[:start], alive=True, folder=Path("weights/neuro_ml"))

    def play() -> None:
        while not Path(signals, "go").exists():
            time.sleep(0.05)
        for event in events[start:stop]:
            source.add(event)
            if isinstance(event, EpochDone):
                time.sleep(1)
        Path(signals, "rest").touch()

    threading.Thread(target=play, daemon=True).start()
    app = NoodleApp(recall_last=False)
    app.call_later(app.show_live, source, "run")  # over Setup, as a run that is started there
    if covered:
        app.call_later(lambda: app.screen.run_action("help"))
    app.run()


def measure(width: int = 160, height: int = 50, seconds: int = 20, idle: int = 5, *, covered: bool = False) -> dict[str, float]:
    """Bytes of the first painting, a second while epochs end (one a second), and a second at rest."""
    env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": str(HERE.parent)}
    env.pop("NO_COLOR", None)
    with tempfile.TemporaryDirectory() as signals:
        command = [str(HERE / "measure_bytes.py"), "--app", str(seconds), str(int(covered)), signals]
        child = pexpect.spawn(sys.executable, command, dimensions=(height, width), env=env, timeout=None)
        try:
            first = _drain(child, lambda size, quiet: size > width * height and quiet > 1.5)
            Path(signals, "go").touch()
            epochs = _drain(child, lambda _, quiet: Path(signals, "rest").exists() and quiet > 1.2)
            rest = _drain(child, lambda _, quiet, start=time.monotonic(): time.monotonic() - start > idle)
        finally:
            child.close(force=True)
    return {"first": first, "a second": epochs / seconds, "idle": rest / idle}


def _drain(child: "pexpect.spawn[bytes]", enough: Callable[[int, float], bool]) -> int:
    """Read what the app writes until `enough` of (bytes so far, seconds since the last ones); their number."""
    size, last = 0, time.monotonic()
    while not enough(size, time.monotonic() - last):
        try:
            size += len(child.read_nonblocking(65536, timeout=0.1))
            last = time.monotonic()
        except pexpect.TIMEOUT:
            continue
    return size


if __name__ == "__main__":
    if sys.argv[1:2] == ["--app"]:
        app_in_terminal(int(sys.argv[2]), sys.argv[3] == "1", sys.argv[4])
    else:
        numbers = [int(argument) for argument in sys.argv[1:] if argument != "covered"]
        for name, size in measure(*numbers, covered="covered" in sys.argv).items():
            print(f"{name:>10} {size:10,.0f} bytes")
