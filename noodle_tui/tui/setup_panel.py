"""The right side of the Setup screen: what will happen, and sample photos where she asks for them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from noodle_tui.tui import setup_text
from noodle_tui.tui.widgets.painting import Lines, headed_rule
from noodle_tui.tui.widgets.photo import Photo

if TYPE_CHECKING:
    from noodle_tui.preflight.checks import Preflight


class Panel(Vertical):
    """Shows a preflight. Photos are hidden at first: they are faces, and others may look at this screen."""

    def compose(self) -> ComposeResult:
        yield Lines(id="heading")
        with VerticalScroll(id="panel"):
            yield Static(id="facts")
            yield Horizontal(id="photos")

    def show(self, result: "Preflight | None", problems: Mapping[str, str], notes: Sequence[str]) -> None:
        """Show what a look has found, or what the form's problems are."""
        heading, scroll = self.query_one("#heading", Lines), self.query_one("#panel", VerticalScroll)
        heading.show(headed_rule(Content.styled("What will happen", "bold"), heading.size.width))
        width = max(scroll.scrollable_content_region.width, 20)
        update(self.query_one("#facts", Static), setup_text.panel(result, list(problems.items()), notes, width))
        self._show_photos(result)

    def toggle_photos(self, result: "Preflight | None") -> None:
        """Show sample photos of each class, or hide them."""
        box = self.query_one("#photos", Horizontal)
        box.display = not box.display
        self._show_photos(result)
        if box.display:
            self.call_after_refresh(box.scroll_visible, animate=False)

    def _show_photos(self, result: "Preflight | None") -> None:
        box = self.query_one("#photos", Horizontal)
        examples = result.photos.examples if box.display and result and result.photos else ()
        if [photo.path for photo in box.query(Photo)] != [path for _, path in examples]:
            box.remove_children()
            box.mount(*(Vertical(Photo(path), Static(Content(label)), classes="sample") for label, path in examples))


def update(place: Static, content: Content) -> None:
    """Show `content` if it isn't shown already: what doesn't change isn't sent."""
    if place.content != content:
        place.update(content)
