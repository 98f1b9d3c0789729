"""What the Runs screen does to run folders, in words afterwards, and what it asks before."""

from collections.abc import Sequence
from pathlib import Path

from noodle_tui.control import request_stop
from noodle_tui.text import number_of, printable
from noodle_tui.trash import TRASH, deletions, empty_trash, move_to_trash, restore_last, runs_in, size_of
from noodle_tui.tui.widgets.dialogs import Question
from noodle_tui.tui.words import shortened, size

NAME_WIDTH = 38  # cells of a name in a list, so that each has a line


def stop(folder: Path) -> str:
    """NoodleError if the folder refuses."""
    request_stop(folder)
    return f"{folder.name} was asked to save and stop"


class Trash:
    """Where deleted runs of a save folder go. What it does, and asks, looks at the disk: for a thread; NoodleError or OSError
    if that refuses."""

    def __init__(self, save_dir: Path):
        self._save_dir = save_dir
        self.is_used = False  # something was deleted here, and not brought back

    def put(self, folders: Sequence[Path]) -> str:
        """Move runs there."""
        move_to_trash(self._save_dir, folders)
        self.is_used = True
        return f"{_named(folders)} in the trash; u takes {'it' if len(folders) == 1 else 'them'} back"

    def take_back(self) -> tuple[str, list[Path]]:
        """Put back what was deleted last, here or before: in words, and which."""
        self.is_used = False
        folders = restore_last(self._save_dir)
        return f"{_named(folders)} back" if folders else "Nothing in the trash: there is nothing to take back", folders

    def question(self, folders: Sequence[Path], hidden: int) -> Question:
        """Before runs are deleted: which, how many of them the list's filter hides, and how much room they take."""
        one, sizes = len(folders) == 1, [size_of(folder) for folder in folders]
        names = [printable(folder.name) if one else shortened(printable(folder.name), NAME_WIDTH) for folder in folders]
        title = "Delete this run" if one else f"Delete these {len(folders)} runs"
        title += "" if not hidden else ", which the filter hides" if one else f", of which the filter hides {hidden}"
        which = "\n".join(f"{name}  {size(count)}" for name, count in zip(names, sizes, strict=True))
        return Question(
            f"{title}?",
            f"{which}\n\n{'It moves, with its model,' if one else 'They move, with their models,'} to {self._place}; u takes "
            f"{'it' if one else 'them'} back. The {size(sum(sizes))} are free only once the trash is emptied (E).",
            yes="Move to trash (y)", no="Keep it (n)" if one else "Keep them (n)",
        )  # fmt: skip

    def in_it(self) -> list[Path]:
        """See `deletions`."""
        return deletions(self._save_dir)

    def question_to_empty(self, gone: Sequence[Path]) -> Question:
        """Before these deletions are removed for good."""
        runs = [run for deletion in gone for run in runs_in(deletion)]
        return Question(
            "Empty the trash?",
            f"Removed for good, with models and reports: {number_of(len(runs), 'run')} in {self._place}, "
            f"{size(sum(map(size_of, gone)))}. Nothing takes that back.",
            yes="Remove for good (y)", no="Keep (n)",
        )  # fmt: skip

    def empty(self, gone: Sequence[Path]) -> str:
        """Remove these deletions for good."""
        freed = sum(map(size_of, gone))
        empty_trash(self._save_dir, gone)
        self.is_used = False
        return f"The trash is empty; {size(freed)} are free again"

    @property
    def _place(self) -> str:
        return printable(str(self._save_dir / TRASH))


def _named(folders: Sequence[Path]) -> str:
    """by_file-20260131-120000 is; 2 runs are"""
    return f"{folders[0].name} is" if len(folders) == 1 else f"{len(folders)} runs are"
