"""The keys by which Live and the overlay show their curves: scale, smoothing, zoom, and a cursor that reads values.

A screen takes the functions over as its actions: `action_zoom = curve_keys.zoom`.
"""

from typing import Protocol

from textual.binding import Binding

from noodle_tui.tui.curves import View
from noodle_tui.tui.widgets.plot import Plot

FAR = 10**9  # beyond any epoch
KEYS = (  # for the help
    ("← →", "read the values at an epoch; or click"), ("home end", "those at the first, the last epoch"),
    ("esc", "first puts the cursor away"), ("l", "loss on a linear or a logarithmic scale"),
    ("m", "smoothing: off, light, strong"), ("+ -", "the last half of the epochs, or at the cursor; wider"),
    ("0", "all epochs"),
)  # fmt: skip


def bindings(*, priority: bool) -> tuple[Binding, ...]:
    """priority: the cursor's keys come before those of the widget in focus."""
    moves = (("left", "cursor(-1)", "Cursor left"), ("right", "cursor(1)", "Cursor right"),
             ("home", f"cursor_to({-FAR})", "Cursor to the first epoch"),
             ("end", f"cursor_to({FAR})", "Cursor to the last epoch"))
    return (
        Binding("l", "log_scale", "Scale"),
        Binding("m", "smooth", "Smooth"),
        Binding("plus,equals_sign", "zoom(1)", "Zoom in", show=False),
        Binding("minus", "zoom(-1)", "Zoom out", show=False),
        Binding("0", "zoom(0)", "All epochs", show=False),
        *(Binding(key, action, text, show=False, priority=priority) for key, action, text in moves),
    )


class CurveScreen(Protocol):
    """A screen with curves, as the functions below need it."""

    view: View

    @property
    def epoch_range(self) -> tuple[int, int]: ...  # the first that there is, and the last; (1, 0): none

    @property
    def axis_end(self) -> int: ...  # the last epoch of an axis that isn't zoomed

    @property
    def some_plot(self) -> Plot: ...  # all are of one width

    def paint_curves(self) -> None: ...  # as `view` has them now


def log_scale(screen: CurveScreen) -> None:
    screen.view.log = not screen.view.log
    screen.paint_curves()


def smooth(screen: CurveScreen) -> None:
    screen.view.next_smoothing()
    screen.paint_curves()


def zoom(screen: CurveScreen, direction: int) -> None:
    screen.view.zoom_by(direction, screen.axis_end)
    screen.paint_curves()


def move_cursor(screen: CurveScreen, direction: int) -> None:
    first, last = screen.epoch_range
    if first <= last:
        cells = screen.some_plot.cells
        screen.view.move_cursor(direction, cells.scales if cells else None, first, last)
        screen.paint_curves()


def cursor_to(screen: CurveScreen, epoch: int) -> None:
    first, last = screen.epoch_range
    if first <= last:
        screen.view.cursor_to(epoch, first, last)
        screen.paint_curves()


def clicked(screen: CurveScreen, message: Plot.EpochClicked) -> None:
    message.stop()
    cursor_to(screen, message.epoch)


def put_cursor_away(screen: CurveScreen) -> bool:
    """False where there is none."""
    if screen.view.cursor is None:
        return False
    screen.view.cursor = None
    screen.paint_curves()
    return True
