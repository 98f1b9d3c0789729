"""The Runs screen's keys: what each does, and how the help says it."""

from textual.binding import Binding

from noodle_tui.tui.runs_text import LETTERS
from noodle_tui.tui.widgets.dialogs import ANYWHERE

BINDINGS = (  # the most used first: the footer leaves out the last ones where it has no room
    Binding("enter", "open", "Open"),
    Binding("space", "mark", "Mark"),
    Binding("v", "overlay", "Overlay"),
    # before the list gets it: over a slow line the letters of the filter come along, and would be commands
    Binding("slash", "filter", "Filter", key_display="/", priority=True),
    Binding("r", "resume", "Resume"),
    Binding("r", "more_epochs", "More epochs", show=False),  # of a run that is done; the one above of others
    Binding("s", "stop", "Stop"),
    Binding("c", "copy_options", "To Setup"),
    Binding("u", "restore", "Undo delete"),
    Binding("question_mark,f1", "help", "Help", key_display="?"),
    Binding("n", "new_run", "New"),
    Binding("delete", "delete", "Delete", key_display="del"),
    Binding("o", "sort", "Sort"),
    Binding("p", "pin", "Pin"),
    Binding("O", "reverse", "Reverse", show=False),
    Binding("u", "restore(True)", "Undo delete", show=False),  # of an earlier day; the one above is in the footer
    Binding("E", "empty_trash", "Empty trash", show=False),
    Binding("y", "copy_path", "Copy path", show=False),
    Binding("escape", "back_out", "Back", show=False),
    *(Binding(key, f"say_why_not('{action}')", show=False)  # where the same key's binding above does nothing
      for key, action in (("r", "resume"), ("v", "overlay"), ("s", "stop"), ("delete", "delete"))),
)
ACTIONS = {binding.action.partition("(")[0] for binding in BINDINGS}
QUERY_BINDINGS = (
    Binding("enter", "submit", "Keep it, to the list"),
    Binding("escape", "screen.back_out", "No filter", key_display="esc"),
    Binding("f1", "screen.help", "Help", show=False),
)
KEYS = (
    ("Runs", (("enter", "open: live, or its result"),
              ("space", f"mark, up to {len(LETTERS)}, and go on to the next; esc takes all marks back"),
              ("v", "overlay the marked runs, compare options"),
              ("p", f"pin on top and into overlays, which hold {len(LETTERS)}; or unpin"),
              ("r", "resume a run that ended early; in Setup, one that is done"), ("s", "stop and save a live run; asks first"),
              ("c", "copy its options to Setup"), ("y", "copy the folder's path"),
              ("del", "move it, or the marked ones, to the trash; asks first"),
              ("u", "take back what was deleted last, today or before"),
              ("E", "empty the trash; asks first, and says what it frees"), ("n", "a new run"))),
    ("The list", (("/", "filter: words of the name; -word: without it"),
                  ("", "status:done  acc>0.9  cfg.lr>=1e-3  epoch<5"), ("esc", "no filter; then no marks; then back"),
                  ("o", "sort by the next column (or click on it)"), ("O", "the other way round"),
                  ("↑ ↓", "move (page up, page down, home, end)"))),
    ("Anywhere", ANYWHERE),
)  # fmt: skip
