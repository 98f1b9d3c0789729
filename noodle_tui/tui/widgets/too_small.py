"""What a screen says instead of itself where it can't be read any more."""

from textual.content import Content
from textual.widget import Widget

WIDTH, HEIGHT = 60, 20


class TooSmall(Widget):
    """Covers its screen below 60 x 20: yield one in a screen's `compose`; the app's breakpoints do the rest."""

    def render(self) -> Content:
        width, height = self.app.size
        needed = f"{WIDTH} x {HEIGHT} is needed: enlarge it, or use a smaller font."
        return Content(f"This window is {width} x {height}.\n{needed}")
