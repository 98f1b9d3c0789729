"""What training and the app cost each other: the event loop's lag while a run trains in the app, and the run's speed there
beside the same run headless.

    python tests/measure_lag.py DATA_DIR [INPUT_SIZE] [EPOCHS] [PAIRS]
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from terminal import Terminal

from noodle_tui.events import EpochDone
from noodle_tui.run_folder import Follower, list_runs

TICK = 0.05  # seconds between two looks at the loop


def options(data_dir: str, size: int, epochs: int, save_dir: Path) -> dict[str, str]:
    return {"data_dir": data_dir, "weights": "none", "input_size": str(size), "n_epochs": str(epochs), "device": "cpu",
            "save_dir": str(save_dir), "save_every": "1000"}


def inside(values: dict[str, str], out: str) -> None:
    """In the pty: the real app on a real run; the lags go to the file `out`."""
    from noodle_tui.config import make_config
    from noodle_tui.heap import share_one_heap
    from noodle_tui.tui.app import NoodleApp

    share_one_heap()  # as launch.py does
    app = NoodleApp(values, recall_last=False)
    lags: list[float] = []

    async def watch() -> None:
        while app.background is None or not any(isinstance(e, EpochDone) for e in app.background.events):
            await asyncio.sleep(TICK)
        while app.is_busy():
            due = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            lags.append(time.perf_counter() - due)
        Path(out).write_text(json.dumps(sorted(lags)))
        app.exit()

    def ready() -> None:
        app.start(make_config(values))
        app.tasks = [asyncio.ensure_future(watch())]  # type: ignore[attr-defined]

    app.call_later(ready)
    app.run()


def speed(save_dir: Path) -> float:
    """Images a second, the median of a run's epochs but the first."""
    rates = sorted(e.images_per_second for e in Follower(list_runs(save_dir)[0]).read() if isinstance(e, EpochDone))
    return rates[len(rates) // 2]


def main() -> None:
    data_dir, size = str(Path(sys.argv[1]).resolve()), int(sys.argv[2]) if len(sys.argv) > 2 else 96
    epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 6
    turns = int(sys.argv[4]) if len(sys.argv) > 4 else 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ratios, lags = [], []
        for turn in range(turns):
            alone, shown = folder / f"alone{turn}", folder / f"shown{turn}"
            flags = [f"--{key.replace('_', '-')}={value}" for key, value in options(data_dir, size, epochs, alone).items()]
            subprocess.run([sys.executable, "-m", "noodle_tui", "run", "--headless", *flags], check=True, capture_output=True)
            values, out = options(data_dir, size, epochs, shown), folder / "lags.json"
            code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import measure_lag; " \
                   f"measure_lag.inside({values!r}, {str(out)!r})"
            terminal = Terminal([sys.executable, "-c", code], folder, 160, 50)
            terminal.ended(600)
            lags += json.loads(out.read_text())
            ratios.append(speed(shown) / speed(alone))
            print(f"headless {speed(alone):.1f} img/s, in the app {speed(shown):.1f} img/s, ratio {ratios[-1]:.3f}", flush=True)
    lags.sort()
    at = {p: lags[min(int(len(lags) * p), len(lags) - 1)] * 1000 for p in (0.5, 0.9, 0.99, 1.0)}
    print("event-loop lag: " + ", ".join(f"p{p * 100:.0f} {ms:.0f} ms" for p, ms in at.items()) + f" ({len(lags)} looks)")
    print(f"speed in the app / headless: median {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
