"""A screen that lies below another one stands still until it is on top again.

Textual takes it for visible, even below one that covers it: for every cell that changes there it would write the whole
upper screen anew, 20 to 30 kB, several times a second while a run trains.
"""

from textual.screen import Screen

# for a screen's class: `is_current = only_on_top`
only_on_top = property(Screen.is_active.fget, doc="Whether the screen repaints itself: nothing lies above it.")  # type: ignore[arg-type]
