"""Looks at a save_dir's run folders, again and again, in a thread of the Runs screen's."""

import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from threading import Event as Flag

from noodle_tui.errors import NoodleError, one_line
from noodle_tui.summaries import RunSummary, Summaries, newest_first

LOOK_EVERY = 2.0  # seconds between two looks
FIRST = 60  # runs that are told before the others are read: more than a window holds
SLACK = 10  # of thousands of runs those that have ended long ago are asked again only after so many times what asking takes

Tell = Callable[[Sequence[RunSummary], str, bool], object]  # (runs, error in one line, whether these are all)


class RunWatch:
    """Tells what it finds where it differs from last time. `look_now`, `hidden` and `end` may come from any thread."""

    def __init__(self, save_dir: Path):
        self.save_dir = save_dir
        self.hidden = Flag()  # set while nobody sees the list: it isn't read then
        self._now, self._ended = Flag(), Flag()

    def look_now(self) -> None:
        """Don't wait for the next look."""
        self._now.set()

    def end(self) -> None:
        """Make `follow` return."""
        self._ended.set()
        self._now.set()

    def follow(self, tell: Tell) -> None:
        """Look until `end` is called. Blocks on the disk: for a thread."""
        summaries, last, whole_due = Summaries(), None, 0.0
        while not self._ended.is_set():
            began, wanted = time.monotonic(), self._now.is_set()
            self._now.clear()
            if not self.hidden.is_set():
                whole = wanted or began >= whole_due
                found = self._look(summaries, whole, tell if last is None else None)
                if whole:
                    whole_due = time.monotonic() + SLACK * (time.monotonic() - began)
                if found != last and not self._ended.is_set():
                    tell(*found, True)
                    last = found
            self._now.wait(LOOK_EVERY)

    def _look(self, summaries: Summaries, whole: bool, tell_first: Tell | None) -> tuple[list[RunSummary], str]:
        """The runs, newest first, and an error. Not `whole`: of old ones that have ended what was seen last."""
        try:
            folders = summaries.folders(self.save_dir)
        except NoodleError as error:
            return [], one_line(error)
        first = [summaries.summarise(folder) for folder in islice(folders, FIRST)]
        if tell_first is not None and len(folders) > FIRST:
            tell_first(newest_first(first), "", False)
        look = summaries.summarise if whole else summaries.remembered
        return newest_first([*first, *map(look, folders[FIRST:])]), ""
