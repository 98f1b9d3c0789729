"""Where the commands begin: `noodle` (also `python -m noodle_tui`) and `noodle-tui`. What they do takes a moment to import."""

import gc
import sys
from typing import NoReturn

from noodle_tui.imports import keep_compiled_code_at_home
from noodle_tui.terminal import end_at_interrupt


def main() -> NoReturn:
    """`noodle`"""
    end_at_interrupt()
    keep_compiled_code_at_home()
    from noodle_tui.cli import call

    try:
        call(sys.argv[1:])
    finally:
        gc.freeze()  # else Python, on its way out, looks for garbage in all of torch: the prompt would stay away for a second


def main_tui() -> NoReturn:
    """`noodle-tui [any run flag]`: the same as `noodle run` without --headless. Without a flag it needs no command line, whose
    import would delay the first paint."""
    end_at_interrupt()
    keep_compiled_code_at_home()
    if len(sys.argv) > 1:
        from noodle_tui.cli import call

        call(sys.argv[1:], "noodle-tui", "run")
    from noodle_tui.tui.launch import main

    main()


if __name__ == "__main__":
    main()
