"""The overlay's keys: what each does, and how the help says it."""

from textual.binding import Binding

from noodle_tui.tui import curve_keys
from noodle_tui.tui.widgets.dialogs import ANYWHERE

BINDINGS = (
    Binding("escape", "back", "Back", key_display="esc"),
    Binding("t", "phase", "Train/val"),
    *curve_keys.bindings(priority=True),
    Binding("question_mark,f1", "help", "Help", key_display="?"),
)
KEYS = (
    ("The curves", (("t", "validation or training"), *curve_keys.KEYS)),
    ("Anywhere", (("esc", "back to the runs"), ("↑ ↓", "scroll the table"), *ANYWHERE)),
)
