"""python -m noodle_tui: the same as noodle."""

from noodle_tui.cli import main

main()
