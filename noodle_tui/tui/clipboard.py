"""Copying through the terminal (OSC 52), over SSH, too; and through tmux, which by default lets no app's OSC 52 pass."""

import os
import subprocess
from pathlib import Path
from typing import Any

from textual.content import Content
from textual.screen import Screen

from noodle_tui.paths import working_folder
from noodle_tui.text import printable
from noodle_tui.tui.widgets.painting import clean

TMUX = ("tmux", "load-buffer", "-w", "-")  # -w: also to the clipboard of the terminal around it
PATIENCE = 5.0  # seconds that tmux has


def copy_text(screen: Screen[Any], text: str, what: str) -> None:
    """Copy a text; `what` says which."""
    app = screen.app
    try:
        app.copy_to_clipboard(text)
    except UnicodeEncodeError:
        app.notify("A path in it is not UTF-8: it can't be copied through the terminal.", severity="warning")
        return

    def tell() -> None:
        app.notify(f"Copied {printable(what)}", timeout=2, markup=False)

    def hand_to_tmux() -> None:
        """Runs in a thread: a process may take its time."""
        try:
            subprocess.run(TMUX, input=text.encode(), capture_output=True, check=True, timeout=PATIENCE)
        except (OSError, subprocess.SubprocessError):
            app.call_from_thread(app.notify, clean(Content(text)).plain, title="tmux doesn't take it; copy it by hand",
                                 severity="warning", timeout=20, markup=False)
        else:
            app.call_from_thread(tell)

    if os.environ.get("TMUX"):
        app.run_worker(hand_to_tmux, thread=True)
    else:
        tell()


def copy_path(screen: Screen[Any], folder: Path) -> None:
    """Copy a folder's whole path: it may be wanted elsewhere."""
    copy_text(screen, os.path.normpath(os.path.join(working_folder(), folder)), str(folder))
