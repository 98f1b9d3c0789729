"""Help with the paths in the Setup form: completed as they are typed, or picked in a window."""

import asyncio
import os
from pathlib import Path

from textual.screen import Screen

from noodle_tui.tui.setup_form import label_of
from noodle_tui.tui.widgets.option_field import TAKES_A_FILE, OptionInput


def complete_paths(screen: Screen[None], editor: OptionInput) -> None:
    """Have the paths that are typed here completed, once this field has had the focus."""
    from noodle_tui.tui.widgets.path_completion import PathCompletion

    if editor.completion is None:
        editor.completion = PathCompletion(editor, folders_only=editor.option.name not in TAKES_A_FILE)
        screen.mount(editor.completion)


def close_completions(screen: Screen[None]) -> None:
    """Close the list of names that is open, if any: its field has moved, say."""
    for editor in screen.query(OptionInput):
        if editor.completion is not None:
            editor.completion.close()


async def pick_path(screen: Screen[None], editor: OptionInput, folder: Path) -> None:
    """Let the user choose in a window and put that into the field; within the working folder `folder` a path that begins there.

    Waits for the user: call it in a worker.
    """
    from noodle_tui.tui.widgets.path_picker import PickFile, PickFolder

    start = await asyncio.to_thread(nearest_folder, Path(editor.raw or editor.base or "."))
    picker = PickFile if editor.option.name == "weights" else PickFolder
    path = await screen.app.push_screen_wait(picker(start, title=label_of(editor.option.name)))
    if path is not None:
        editor.put(str(path.relative_to(folder) if path.is_relative_to(folder) else path))
        editor.call_after_refresh(editor.show_end)  # it has its new length then


def nearest_folder(place: Path) -> Path:
    """`place`, or the first of the folders above it that there is."""
    return next((folder for folder in (place, *place.parents) if os.path.isdir(folder)), Path("."))
