"""Which of the runs the Runs screen shows, in which order, and which are marked. No screen in here."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from noodle_tui.errors import UsageError
from noodle_tui.run_query import parse_query
from noodle_tui.summaries import RunSummary
from noodle_tui.tui.runs_text import LETTERS, NEWEST, SORTABLE, Column, longest_texts, sorted_runs


class Selection:
    """Runs, the filter, the order and the marks. What they come to is in `shown` after `arrange`."""

    def __init__(self) -> None:
        self.runs: Sequence[RunSummary] = ()  # all of them
        self.shown: list[RunSummary] = []
        self.marked: list[Path] = []
        self.sort, self.reverse = NEWEST, True
        self.query_error = ""
        self.longest = longest_texts([])  # of all runs: filtering doesn't move columns
        self._fits = parse_query("")

    def arrange(self) -> None:
        """Filter and sort anew."""
        self.shown = sorted_runs([run for run in self.runs if self._fits(run)], self.sort, self.reverse)

    def take(self, runs: Sequence[RunSummary], whole: bool) -> None:
        """What there is now. `whole`: these are all runs, and not only the newest: folders that are gone lose their marks."""
        self.runs = runs
        self.longest = longest_texts(runs)
        if whole:
            folders = {run.folder for run in runs}
            self.marked = [folder for folder in self.marked if folder in folders]

    def count_in_words(self) -> str:
        """1 going on   2 marked   4 of 6"""
        n, live = len(self.runs), sum(run.alive for run in self.runs)
        count = f"{len(self.shown)} of {n}" if len(self.shown) != n else f"{n} run" if n == 1 else f"{n} runs"
        parts = [f"{live} going on"] if live else []
        parts += [f"{len(self.marked)} marked"] if self.marked else []
        return "   ".join([*parts, count])

    def filter(self, query: str) -> None:
        """See run_query.py. What is wrong with it is in `query_error`."""
        try:
            self._fits, self.query_error = parse_query(query), ""
        except UsageError as error:  # not typed to its end yet: what stands before the last word holds
            self.query_error = str(error)
            with contextlib.suppress(UsageError):
                self._fits = parse_query(query.rpartition(" ")[0])

    def sort_by(self, column: Column) -> None:
        self.sort, self.reverse = column, column.descending

    def sort_by_next(self, in_sight: Sequence[Column]) -> None:
        """By the next of the columns in sight, then by age again."""
        choice = [column for column in SORTABLE if column in in_sight or column is NEWEST]
        self.sort_by(choice[(choice.index(self.sort) + 1) % len(choice)] if self.sort in choice else NEWEST)

    def toggle_mark(self, folder: Path) -> bool:
        """Mark a run, or take its mark back. False if there are no more letters."""
        if folder in self.marked:
            self.marked.remove(folder)
        elif len(self.marked) == len(LETTERS):
            return False
        else:
            self.marked.append(folder)
        return True

    def letter(self, folder: Path) -> str:
        """A marked run's letter, here and in the overlay; "" for others."""
        return LETTERS[self.marked.index(folder)] if folder in self.marked else ""

    def to_delete(self, picked: RunSummary | None) -> list[RunSummary]:
        """The marked runs; without marks the picked one."""
        marked = [run for run in self.runs if run.folder in self.marked]
        return marked or ([picked] if picked else [])

    def to_compare(self) -> list[RunSummary]:
        """The marked runs, in the order of their letters, then pinned ones; an overlay may not hold them all."""
        by_folder = {run.folder: run for run in self.runs if run.status != "broken"}
        chosen = [*self.marked, *(folder for folder, run in by_folder.items() if run.pinned)]
        return [by_folder[folder] for folder in dict.fromkeys(chosen) if folder in by_folder]
