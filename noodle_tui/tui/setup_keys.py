"""The Setup screen's keys: what each does, and how the help says it."""

from textual.binding import Binding

from noodle_tui.tui.widgets.dialogs import ANYWHERE

BINDINGS = (
    Binding("ctrl+r", "start", "Start"),
    Binding("ctrl+r", "app.live", "To the run"),
    Binding("f1,question_mark", "help", "Help", key_display="f1"),
    Binding("ctrl+o", "browse", "Browse"),
    Binding("f2", "rejig_only", "Rejig"),
    Binding("f3", "undo_rejig", "Undo"),
    Binding("f4", "demo", "Demo"),
    Binding("f5", "app.runs", "Runs"),
    Binding("f6", "command", "Command"),
    Binding("f7", "photos", "Photos"),
    Binding("f8", "reset", "Reset"),
    Binding("f9", "look_again", "Look again", show=False),
    Binding("f2", "say_why_not('rejig_only')", show=False),  # where the same key's binding above does nothing
    Binding("f6", "say_why_not('command')", show=False),
    Binding("pagedown", "page(1)", "Panel down", show=False, priority=True),
    Binding("pageup", "page(-1)", "Panel up", show=False, priority=True),
)
KEYS = (
    ("The form", (("tab ↑ ↓", "from field to field (enter goes on, too)"), ("← → space", "choose"),
                  ("typing", "replaces what a field holds; after → or end it goes on from that, or from a faint default"),
                  ("^o", "browse for a folder or a file"), ("empty", "a field without text means its default"),
                  ("• ✗", "set here, to something else than the default; to be mended"))),
    ("What to do", (("^r", "start; while a run goes on in this app: to that"),
                    ("f2", "only sort the photos (rejig)"), ("f3", "put sorted photos back"),
                    ("f4", "demo: draw people who don't exist, fill the form in for them"), ("f5", "the runs in save dir"),
                    ("f6", "this form as a command line and as a Slurm script"), ("f7", "sample photos, here in the terminal"),
                    ("f8", "all options back to their defaults"), ("f9", "look at folders and device again"),
                    ("page ↑ ↓", "scroll what will happen"))),
    ("Anywhere", tuple((key.removeprefix("? "), text) for key, text in ANYWHERE)),  # in a field ? is typed
)  # fmt: skip
