"""What a run had to say, newest first. Warnings are told by their "!", errors by their "✗", not by colour alone."""

import time
from collections.abc import Sequence
from functools import lru_cache

from textual.content import Content

from noodle_tui.events import Message, Saved, StageDone
from noodle_tui.text import number_of
from noodle_tui.tui import words
from noodle_tui.tui.status import LEVELS
from noodle_tui.tui.widgets.listing import Listing

Entry = Message | Saved | StageDone

MAX_ENTRIES = 500  # older ones are in the run folder's events.jsonl
TEXT_AT = 11  # the column where the text begins: time, mark


def entry_text(entry: Entry) -> tuple[str, str]:
    """(level, text) of one entry."""
    match entry:
        case Message(level=level, text=text):
            return (level if level in LEVELS else "info"), text
        case Saved(file=file, epoch=epoch):
            return "info", f"saved {file} (epoch {epoch})"
        case StageDone(stage=stage, seconds=seconds, text=text):
            return "info", f"{stage} done in {words.duration(seconds)}" + (f": {text}" if text else "")


class EventLog(Listing):
    """The log; long entries go on below, indented. A single line high it is the rule alone, with how much went wrong."""

    _entries: Sequence[Entry] = ()

    def show(self, entries: Sequence[Entry]) -> None:
        """Show these entries (in the order they came)."""
        self._entries = entries[-MAX_ENTRIES:]
        self._title = Content("log")
        parts: list[Content] = []
        for level in ("error", "warning"):
            if n := sum(1 for e in self._entries if entry_text(e)[0] == level):
                mark, colour = LEVELS[level]
                parts.append(Content.styled(f"{mark} {number_of(n, level)}", colour))
        self._detail = Content("  ").join(parts)
        if len(entries) > MAX_ENTRIES:
            self._title = Content(f"log (the last {MAX_ENTRIES})")
        self.repaint()

    def count(self, width: int) -> int:
        return sum(len(_wrapped(entry, width)) for entry in self._entries)

    def rows(self, width: int, start: int, stop: int) -> list[Content]:
        lines = [line for entry in reversed(self._entries) for line in _wrapped(entry, width)]
        shown = lines[start:stop]
        if shown and stop < len(lines) and lines[stop].plain.startswith(" " * TEXT_AT):  # it goes on out of sight
            shown[-1] = Content.assemble(shown[-1].rstrip().truncate(width - 2), " …")
        return shown


@lru_cache(2 * MAX_ENTRIES)
def _wrapped(entry: Entry, width: int) -> Sequence[Content]:
    level, text = entry_text(entry)
    mark, colour = LEVELS[level]
    clock = time.strftime("%H:%M:%S", time.localtime(entry.time))
    is_trouble = level != "info"
    first, *more = Content.styled(text, colour if is_trouble else "").wrap(max(width - TEXT_AT, 20)) or [Content("")]
    head = Content.assemble((clock, "$quiet"), " ", (mark, f"{colour} bold" if is_trouble else colour), " ", first)
    return [head, *(Content.assemble(" " * TEXT_AT, line) for line in more)]
