"""How quickly the Runs screen opens on many runs, and answers a key there: `python tests/measure_runs.py [RUNS] [EPOCHS]`.

In a pseudo-terminal of 160 x 50: from the key that opens it to the first rows and to the last one read; then each of ten pages
down, from the key to the new rows.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fake_folders import fake_folder
from terminal import Terminal

PAGES = 10


def seconds_until(terminal: Terminal, reached: Callable[[str], bool]) -> float:
    """Until the screen is such that `reached` says yes."""
    began = time.monotonic()
    while not reached(terminal.screen()):
        terminal.read(0.005)
        if time.monotonic() - began > 60:
            raise AssertionError(terminal.screen())
    return time.monotonic() - began


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i in range(runs):
            fake_folder(folder / "weights", f"run{i:04}", stamp=f"20261123-{i // 3600:02}{i // 60 % 60:02}{i % 60:02}",
                        n_epochs=epochs, seed=i, later=float(i))
        code = "from noodle_tui.__main__ import main_tui; main_tui()"
        terminal = Terminal([sys.executable, "-c", code], folder, 160, 50, XDG_STATE_HOME=str(folder / "state"))
        seconds_until(terminal, lambda screen: "batch size" in screen)
        terminal.read(3)  # its first look at the folders has ended
        terminal.process.send("\x1b[15~")  # f5
        first = seconds_until(terminal, lambda screen: f"run{runs - 1:04}" in screen)
        every = first + seconds_until(terminal, lambda screen: f"{runs} runs" in screen)
        pages = []
        for _ in range(PAGES):
            before = terminal.screen()
            terminal.process.send("\x1b[6~")  # page down
            pages.append(seconds_until(terminal, lambda screen, before=before: screen != before))
        terminal.process.close(force=True)
    print(f"{runs} runs of {epochs} epochs: first rows after {first:.2f} s, all after {every:.2f} s; a page down "
          f"{statistics.median(pages) * 1000:.0f} ms (longest {max(pages) * 1000:.0f} ms)")


if __name__ == "__main__":
    main()
