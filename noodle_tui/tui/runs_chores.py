"""What the Runs screen does to run folders, in words afterwards, and what it asks before."""

from pathlib import Path

from noodle_tui.control import request_stop
from noodle_tui.names import printable
from noodle_tui.summaries import RunSummary
from noodle_tui.trash import move_to_trash, restore
from noodle_tui.tui.widgets.dialogs import Question


def stop(folder: Path) -> str:
    """NoodleError if the folder refuses."""
    request_stop(folder)
    return f"{folder.name} was asked to save and stop"


class Trash:
    """Where deleted runs of a save folder go. It remembers the last one."""

    def __init__(self, save_dir: Path):
        self._save_dir = save_dir
        self.last: Path | None = None

    def put(self, folder: Path) -> str:
        """Move a run there. NoodleError if that can't be done."""
        self.last = move_to_trash(self._save_dir, folder)
        return f"{folder.name} is in the trash; u takes it back"

    def take_back(self) -> str:
        """Put the last one back. NoodleError if that can't be done."""
        if self.last is None:  # pressed twice
            return ""
        folder = restore(self._save_dir, self.last)
        self.last = None
        return f"{folder.name} is back"

    def question(self, run: RunSummary) -> Question:
        return Question(
            "Delete this run?",
            f"{printable(str(run.folder))}\nmoves, with its model, to {printable(str(self._save_dir / '.trash'))}; "
            "u takes it back.",
            yes="Move to trash (y)", no="Keep it (n)",
        )  # fmt: skip
