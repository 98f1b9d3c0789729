"""The colours: what is written can be read, with true colour and in a terminal of 256."""

import pytest
from rich.color import Color, ColorSystem
from small_app import SmallApp
from textual.app import ComposeResult
from textual.color import Color as Ink
from textual.screen import Screen
from textual.theme import Theme
from textual.widgets import Button, Input

from noodle_tui.tui.themes import THEMES

LEAST = 4.5  # the contrast of text that WCAG 2 asks for
TEXTS = ("foreground", "primary", "accent", "success", "warning", "error", "quiet", "star", "text-disabled")
SURFACES = ("background", "surface", "panel")


def contrast(text: Ink, surface: Ink) -> float:
    """The lower one of true colour and 256 colours."""
    inks = [(text, surface), (in_256(text), in_256(surface))]
    return min((max(a, b) + 0.05) / (min(a, b) + 0.05) for a, b in ((light(x), light(y)) for x, y in inks))


def light(ink: Ink) -> float:
    """WCAG's relative luminance."""
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in ink.normalized)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def in_256(ink: Ink) -> Ink:
    return Ink(*Color.from_rgb(*ink.rgb).downgrade(ColorSystem.EIGHT_BIT).get_truecolor())


class Faint(Screen[None]):
    """What Textual would have fainter than other text."""

    def compose(self) -> ComposeResult:
        yield Button("Start", variant="primary", compact=True, disabled=True)
        yield Input(placeholder="what can be typed", compact=True)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_texts_can_be_read_on_every_surface(theme: Theme) -> None:
    values = {**theme.variables, **{name: getattr(theme, name) for name in (*TEXTS[:6], *SURFACES)}}
    low = {(text, surface): found for text in TEXTS for surface in SURFACES
           if (found := contrast(Ink.parse(values[text]), Ink.parse(values[surface]))) < LEAST - 0.01}
    assert not low


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
async def test_a_button_that_cannot_be_pressed_and_what_a_field_suggests_can_be_read(theme: Theme) -> None:
    async with SmallApp(Faint(), theme.name).run_test(size=(40, 4)) as pilot:
        await pilot.pause()
        lines = pilot.app.screen._compositor.render_strips(pilot.app.size)
        for text in ("Start", "hat can be typed"):
            style = next(segment.style for line in lines for segment in line if text in segment.text)
            assert style is not None
            assert style.color is not None
            assert style.bgcolor is not None
            assert contrast(Ink(*style.color.get_truecolor()), Ink(*style.bgcolor.get_truecolor())) >= LEAST
