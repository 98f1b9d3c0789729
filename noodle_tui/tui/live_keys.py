"""The Live screen's keys: what each does, and how the help says it."""

from textual.binding import Binding

from noodle_tui.tui.widgets.dialogs import ANYWHERE

FAR = 10**9  # beyond any epoch
BINDINGS = (
    Binding("enter", "result", "Result"),
    Binding("r", "resume_run", "Resume"),
    Binding("s", "stop", "Stop & save"),
    Binding("p", "pause", "Pause"),
    Binding("p", "resume", "Go on"),
    Binding("d", "detach", "Detach"),
    Binding("d", "close", "Close"),
    Binding("f5", "app.runs", "Runs"),
    Binding("question_mark,f1", "help", "Help", key_display="?"),
    Binding("l", "log_scale", "Log y"),
    Binding("m", "smooth", "Smooth"),
    Binding("f", "full", "Full"),
    Binding("i", "overview", "Info"),
    Binding("c", "copy", "Copy", show=False),
    Binding("plus,equals_sign", "zoom(1)", "Zoom in", show=False),
    Binding("minus", "zoom(-1)", "Zoom out", show=False),
    Binding("0", "zoom(0)", "All epochs", show=False),
    Binding("left", "cursor(-1)", "Cursor left", show=False),
    Binding("right", "cursor(1)", "Cursor right", show=False),
    Binding("home", f"cursor_to({-FAR})", "Cursor to the first epoch", show=False),
    Binding("end", f"cursor_to({FAR})", "Cursor to the last epoch", show=False),
    Binding("escape", "back_out", "Back", show=False),
)
KEYS = (
    ("The run", (("s", "stop and save; asks first"), ("p", "pause after the current batch, or go on"),
                 ("d", "detach: the run goes on; of one that was started here the app ends"),
                 ("enter", "its result, once it has ended"), ("r", "resume it, where it was stopped or died"),
                 ("f5", "all runs; this one goes on"), ("esc", "the screen before; this run goes on"),
                 ("c", "copy the run folder's path"), ("i", "all its options, and where it runs"))),
    ("The curves", (("← →", "read the values at an epoch; or click"), ("home end", "those at the first, the last epoch"),
                    ("esc", "first puts the cursor away"),
                    ("l", "loss on a linear or a logarithmic scale"), ("m", "smoothing: off, light, strong"),
                    ("+ -", "the last half of the epochs, or at the cursor; wider"), ("0", "all epochs"),
                    ("f", "curves alone, without table and log"))),
    ("Table and log", (("tab", "from one to the other"), ("↑ ↓", "older, newer; page up, page down, home, end"))),
    ("Anywhere", ANYWHERE),
)  # fmt: skip
