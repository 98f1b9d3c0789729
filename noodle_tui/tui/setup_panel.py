"""The right side of the Setup screen: what will happen, looked up as the form changes, and sample photos on request."""

import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static
from textual.worker import get_current_worker

from noodle_tui.config import RunConfig
from noodle_tui.errors import StopRun
from noodle_tui.imports import import_all
from noodle_tui.remember import remember
from noodle_tui.tui import setup_text
from noodle_tui.tui.widgets.painting import Lines, clean, headed_rule
from noodle_tui.tui.widgets.photo import Photo

if TYPE_CHECKING:  # imported in the worker thread: it brings numpy along, and the first paint waits for as little as can be
    from noodle_tui.preflight.checks import Preflight

FRESH = 30.0  # seconds that a look at the photos is good for


class Panel(Vertical):
    """Looks up, in a thread, what a run would do, and shows it. What comes late for the form is dropped.

    Photos are hidden at first: they are faces, and others may look at this screen.
    """

    class Looked(Message):
        """A look at what the form asks for has found this, whole or in part: to be taken with `take`."""

        def __init__(self, number: int, result: "Preflight", note: str):
            super().__init__()
            self.number, self.result, self.note = number, result, note

    def __init__(self, folder: Path, notes: list[str]):
        """folder: the working folder, for which the form's values are remembered; notes: things to know about the form"""
        super().__init__(id="side")
        self.notes = notes
        self.result: Preflight | None = None  # what the last look found
        self.is_settled = False  # it is all that there is to find of the form as it stands
        self.is_due = False  # a look was put off: another screen covers this one
        self.number = 0  # of the last look that was asked for: answers to earlier ones are dropped
        self._folder = folder
        self._looked_at = 0.0
        self._timer: Timer | None = None
        self._shown: tuple[Preflight | None, Mapping[str, str]] = (None, {})  # and the form's problems
        self._found_shown: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        yield Lines(id="heading")
        with VerticalScroll(id="panel", can_focus=False):  # page up and page down scroll it from the form
            yield Static(id="facts")
            yield Horizontal(id="photos")

    # -- looking up ---------------------------------------------------------------------------------------------------

    @property
    def is_fresh(self) -> bool:
        """Whether what was looked up last is good enough to start on."""
        return time.monotonic() - self._looked_at < FRESH

    @property
    def is_waiting(self) -> bool:
        """Whether only a part is known as yet."""
        return self.result is not None and bool(self.result.waiting_for)

    @property
    def has_errors(self) -> bool:
        return self.is_settled and self.result is not None and bool(self.result.errors)

    def outdate(self) -> None:
        """Something outside of the form may have changed: folders, weights, the device."""
        self._looked_at = 0.0

    def look_at(self, config: RunConfig | None, to_remember: Mapping[str, Any] | None, wait: float) -> None:
        """Look up what `config` would do, in `wait` seconds if nothing else is asked for until then.

        What was found before is about an earlier form now. config: None where nothing can be said; to_remember: the form's raw
        values, for the next time
        """
        if self._timer is not None:
            self._timer.stop()
        self.number += 1
        self.is_settled = False
        if config is None:
            return
        start = partial(self._start_look, config, None if to_remember is None else dict(to_remember))
        self._timer = self.set_timer(wait, start) if wait else None
        if not wait:
            start()

    def _start_look(self, config: RunConfig, to_remember: dict[str, Any] | None) -> None:
        self.is_due = not self.screen.is_current  # nobody waits for the answer
        if not self.is_due:
            self._look(self.number, config, to_remember, self.result if self.is_fresh else None)

    @work(thread=True, exclusive=True, group="look")
    def _look(self, number: int, config: RunConfig, to_remember: dict[str, Any] | None, before: "Preflight | None") -> None:
        """In a thread: it only posts messages. The next look cancels it."""
        from noodle_tui.preflight.checks import preflight

        worker = get_current_worker()
        note = ""
        try:
            if to_remember is not None:
                remember(to_remember, self._folder)
        except OSError as error:
            note = f"these values can't be remembered ({error.strerror})"

        def check() -> None:
            if worker.is_cancelled:
                raise StopRun

        def report(result: "Preflight") -> None:
            if not worker.is_cancelled:
                self.post_message(self.Looked(number, result, note))

        with suppress(StopRun):
            report(preflight(config, check, report, before))
            import_all("noodle_tui")  # torch is there by now

    def take(self, looked: Looked) -> bool:
        """Keep what a look has found. False if it is about an earlier form."""
        if looked.number != self.number:
            return False
        self.result, self.is_settled = looked.result, not looked.result.waiting_for
        if self.is_settled:
            self._looked_at = time.monotonic()
        if looked.note and looked.note not in self.notes:
            self.notes.append(looked.note)
        return True

    # -- showing it ---------------------------------------------------------------------------------------------------

    def show(self, problems: Mapping[str, str]) -> None:
        """Show what was found, or the form's `problems`. While it is looked up anew, what was found before stays."""
        if self.result is None or self.is_settled or self.is_waiting or problems:
            self._shown = (self.result, dict(problems))
            self._write()

    def on_mount(self) -> None:
        scroll = self.query_one("#panel", VerticalScroll)
        self.watch(scroll, "scroll_y", self._write_heading, init=False)
        self.watch(scroll, "virtual_size", self._write_heading, init=False)

    def on_resize(self) -> None:
        self._write()

    def page(self, direction: int) -> None:
        """Scroll by most of what is in sight, down (1) or up (-1)."""
        scroll = self.query_one("#panel", VerticalScroll)
        scroll.scroll_relative(y=direction * max(scroll.size.height - 2, 1), animate=False)

    def to_top(self) -> None:
        """Show the beginning of what will happen."""
        self.query_one("#panel", VerticalScroll).scroll_home(animate=False)

    def _write(self) -> None:
        result, problems = self._shown
        found = (tuple(problems), tuple(one for one in result.findings if one.level != "info") if result else ())
        if found != self._found_shown:  # what is wrong or to be weighed stands at the top
            self._found_shown = found
            self.to_top()
        width = max(self.query_one("#panel", VerticalScroll).scrollable_content_region.width, 20)
        update(self.query_one("#facts", Static), setup_text.panel(result, list(problems.items()), self.notes, width))
        self._write_heading()
        self._show_photos()

    def _write_heading(self) -> None:
        """With the key that leads to what is out of sight."""
        heading, scroll = self.query_one("#heading", Lines), self.query_one("#panel", VerticalScroll)
        arrows = "↑" * (scroll.scroll_y > 0) + "↓" * (scroll.scroll_y < scroll.max_scroll_y)
        more = f"page {arrows}" if arrows else ""
        title = Content.styled("What will happen", "bold")
        heading.show(headed_rule(title, heading.size.width, Content.styled(more, "$quiet")))

    def headline(self, problems: Mapping[str, str], start_wanted: bool) -> Content:
        """One line: can it start?"""
        found = self.result if self.is_settled or self.is_waiting else None
        return setup_text.headline(found, problems, start_wanted)

    def toggle_photos(self) -> None:
        """Show sample photos of each class, or hide them."""
        box = self.query_one("#photos", Horizontal)
        box.display = not box.display
        self._show_photos()
        if box.display:
            self.call_after_refresh(box.scroll_visible, animate=False)

    def _show_photos(self) -> None:
        box, result = self.query_one("#photos", Horizontal), self.result
        examples = result.photos.examples if box.display and result and result.photos else ()
        if [photo.path for photo in box.query(Photo)] != [path for _, path in examples]:
            box.remove_children()
            box.mount(*(Vertical(Photo(path), Static(clean(Content(label))), classes="sample") for label, path in examples))


def update(place: Static, content: Content) -> None:
    """Show `content` if it isn't shown already: what doesn't change isn't sent."""
    content = clean(content)
    if place.content != content:
        place.update(content)
