"""Where the commands begin: `noodle` (also `python -m noodle_tui`) and `noodle-tui`. What they do takes a moment to import."""

import atexit
import sys
from typing import NoReturn

from noodle_tui.imports import prepare_for_torch
from noodle_tui.terminal import end_at_interrupt, end_now


def main() -> NoReturn:
    """`noodle`"""
    end_at_interrupt()
    prepare_for_torch()
    code = 1

    def leave() -> None:
        if "torch" in sys.modules:
            end_now(code)

    # what is registered first comes last, when threads and all other hooks are done. Python would go on to take all of torch to
    # pieces, for a second, and what it is bound with may fill the screen with what is left of it then
    atexit.register(leave)
    from noodle_tui.cli import call

    try:
        call(sys.argv[1:])
    except SystemExit as ending:
        code = int(ending.code or 0)
        raise


def main_tui() -> NoReturn:
    """`noodle-tui [any run flag]`: the same as `noodle run` without --headless. Without a flag it needs no command line, whose
    import would delay the first paint."""
    end_at_interrupt()
    prepare_for_torch()
    if len(sys.argv) > 1:
        from noodle_tui.cli import call

        call(sys.argv[1:], "noodle-tui", "run")
    from noodle_tui.tui.launch import main

    main()


if __name__ == "__main__":
    main()
