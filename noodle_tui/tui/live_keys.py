"""The Live screen's keys: what each does, and how the help says it."""

from textual.binding import Binding

from noodle_tui.tui import curve_keys
from noodle_tui.tui.widgets.dialogs import ANYWHERE

BINDINGS = (
    Binding("enter", "result", "Result"),
    Binding("r", "resume", "Resume"),
    Binding("s", "stop", "Stop & save"),
    Binding("p", "pause", "Pause"),
    Binding("p", "go_on", "Go on"),
    Binding("d", "detach", "Detach"),
    Binding("d", "close", "Close"),
    Binding("f5", "app.runs", "Runs"),
    Binding("question_mark,f1", "help", "Help", key_display="?"),
    *curve_keys.bindings(priority=False),
    Binding("f", "full", "Full"),
    Binding("i", "overview", "Info"),
    Binding("y", "copy", "Copy path", show=False),
    Binding("escape", "back_out", "Back", show=False),
)
KEYS = (
    ("The run", (("s", "stop and save; asks first"), ("p", "pause after the current batch, or go on"),
                 ("d", "detach: the run goes on; of one that was started here the app ends, as in noodle watch; once it has "
                       "ended: close this screen"),
                 ("enter", "its result, once it has ended"), ("r", "resume it, where it was stopped or died"),
                 ("f5", "all runs; this one goes on"), ("esc", "the screen before, out of noodle watch; this run goes on"),
                 ("y", "copy the run folder's path"), ("i", "all its options, and where it runs"))),
    ("The curves", (*curve_keys.KEYS, ("f", "curves alone, without table and log"))),
    ("Table and log", (("tab", "from one to the other"), ("↑ ↓", "older, newer; page up, page down, home, end"))),
    ("Anywhere", ANYWHERE),
)  # fmt: skip
