"""The Setup screen's keys, in words."""

KEYS = (
    ("The form", (("tab ↑ ↓", "from field to field (enter goes on, too)"), ("← → space", "choose"),
                  ("→ end", "in an empty field: take the faint default over, to change it"),
                  ("^o", "browse for a folder or a file"), ("empty", "a field without text means its default"))),
    ("What to do", (("^r", "start"), ("f2", "only sort the photos (rejig)"), ("f3", "put sorted photos back"),
                    ("f4", "demo: draw people who don't exist, and train on them"), ("f5", "the runs in save dir"),
                    ("f6", "this form as a command line and as a Slurm script"), ("f7", "sample photos, here in the terminal"),
                    ("f8", "all options back to their defaults"), ("f9", "look at folders and device again"))),
    ("Anywhere", (("ctrl+p", "command palette"), ("f1 ?", "this help"))),
)  # fmt: skip
