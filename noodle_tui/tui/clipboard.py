"""Copying through the terminal (OSC 52): over SSH and tmux, too."""

import os
from pathlib import Path
from typing import Any

from textual.screen import Screen

from noodle_tui.names import printable
from noodle_tui.run_folder import working_folder


def copy_text(screen: Screen[Any], text: str, what: str) -> None:
    """Copy a text; `what` says which."""
    try:
        screen.app.copy_to_clipboard(text)
    except UnicodeEncodeError:
        screen.notify("A path in it is not UTF-8: it can't be copied through the terminal.", severity="warning")
    else:
        screen.notify(f"Copied {printable(what)}", timeout=2, markup=False)


def copy_path(screen: Screen[Any], folder: Path) -> None:
    """Copy a folder's whole path: it may be wanted elsewhere."""
    copy_text(screen, os.path.normpath(os.path.join(working_folder(), folder)), str(folder))
