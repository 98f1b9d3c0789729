"""The Result screen's keys: what each does, and how the help says it."""

from textual.binding import Binding

from noodle_tui.tui.widgets.dialogs import ANYWHERE

BINDINGS = (
    Binding("escape", "app.back", "Back", key_display="esc"),
    Binding("space,enter", "photo", "Photo"),
    Binding("p", "predict", "Predict"),
    Binding("v", "curves", "Curves"),
    Binding("r", "resume", "Resume"),
    Binding("r", "more_epochs", "More epochs", show=False),  # of a run that is done; the one above of others
    Binding("c", "copy_options", "To Setup"),
    Binding("d", "doubts", "Distrust"),
    Binding("f5", "app.runs", "Runs", show=False),
    Binding("question_mark,f1", "help", "Help", key_display="?"),
    Binding("y", "copy_path", "Copy path"),
    Binding("l", "log_scale", "Log scale", show=False),
    Binding("r", "say_why_not", show=False),
)
KEYS = (
    ("The result", (("↑ ↓", "scroll (page up, page down, home, end)"), ("tab", "the worst mistakes, and back"),
                    ("d", "in a low window: what to distrust, in full or in brief"),
                    ("space enter", "the picked mistake's photo in the terminal: on, off"),
                    ("v", "the curves in full, with cursor and zoom"), ("l", "loss on a linear or a logarithmic scale"))),
    ("The run", (("p", "predict: a file or a folder with this model"),
                 ("r", "resume a run that ended early; in Setup, one that is done"),
                 ("c", "copy its options to Setup"), ("y", "copy the folder's path"),
                 ("f5", "the runs beside it"))),
    ("Anywhere", (("esc", "back"), *ANYWHERE)),
)  # fmt: skip
