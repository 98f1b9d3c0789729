"""Seconds from a process's start to its painted screen: noodle-tui beside a bare Textual app, in turn.

    python tests/measure_paint.py [ROUNDS]
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from terminal import Terminal

BARE = """
from textual.app import App
from textual.widgets import Footer, Input, Static
class Bare(App):
    def compose(self):
        yield Static("painted")
        yield Input()
        yield Footer()
Bare().run()
"""
OURS = "from noodle_tui.__main__ import main_tui; main_tui()"


def seconds_to(code: str, text: str, folder: Path) -> float:
    began = time.monotonic()
    terminal = Terminal([sys.executable, "-c", code], folder, 160, 50, XDG_STATE_HOME=str(folder / "state"))
    while text not in terminal.screen():
        terminal.read(0.005)
        if time.monotonic() - began > 60:
            raise AssertionError(terminal.screen())
    took = time.monotonic() - began
    terminal.process.close(force=True)
    return took


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pairs = [(seconds_to(BARE, "painted", folder), seconds_to(OURS, "batch size", folder)) for _ in range(rounds + 1)][1:]
    bare, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"bare Textual {bare:.2f} s, noodle-tui {ours:.2f} s, ratio {ratio:.2f} (medians of {rounds} pairs)")


if __name__ == "__main__":
    main()
