"""How a command ends: with an exit code, and where it failed with one line on stderr that says why."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress

import typer

from noodle_tui.errors import EXIT_STOPPED, NoodleError, full_memory_in_words, one_line
from noodle_tui.terminal import folded
from noodle_tui.text import printable

ClickException: type[Exception] = typer.BadParameter.__mro__[2]  # typer brings its own click since 0.26


def exit_code(command: Callable[[], int | None], name: str, debug: bool) -> int:
    """Do `command`; its exit code. `name`: of the program, in front of an error; `debug`: rather the debugger than a line."""
    try:
        return command() or 0
    except typer.Exit as leave:
        return leave.exit_code
    except typer.Abort:
        return EXIT_STOPPED
    except ClickException as error:
        context = getattr(error, "ctx", None)
        help = f"{context.command_path if context else name} --help"
        return complain(name, f"{error.format_message().rstrip('.')} (see `{help}`)", 2)  # type: ignore[attr-defined]
    except NoodleError as error:
        return post_mortem(error) if debug else complain(name, str(error), error.exit_code)
    except KeyboardInterrupt:
        return EXIT_STOPPED
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a path that the system doesn't take, a disk that is gone: no bug
        return post_mortem(error) if debug else complain(name, refusal(error), 1)
    except Exception as error:  # noqa: BLE001 - the last resort: one line instead of a traceback
        if debug:
            return post_mortem(error)
        if full := full_memory_in_words(error):
            return complain(name, full, 1)
        return complain(name, f"{one_line(error)} (a bug, or a broken installation: --debug shows where)", 1)


def refusal(error: OSError) -> str:
    """What the system refused, in a line: "name: File name too long"."""
    where = "" if error.filename is None else str(error.filename)
    where = where if len(where) <= 300 else f"{where[:100]}… ({len(where)} characters)"
    return f"{where}: {error.strerror}" if where and error.strerror else one_line(error)


def complain(name: str, text: str, code: int) -> int:
    with suppress(OSError):  # stderr leads to a full disk: the code tells all the same
        print(folded(f"{name}: {printable(text)}", sys.stderr), file=sys.stderr)
    return code


def post_mortem(error: BaseException) -> int:
    """--debug: the traceback and the interactive debugger where it happened (ipdb, or pdb where that isn't installed, or can't
    keep its history in a read-only home)."""
    import pdb
    import traceback

    code = getattr(error, "exit_code", 1)
    error = error.__cause__ or error  # where it really happened
    traceback.print_exception(error)
    try:
        import ipdb

        ipdb.post_mortem(error.__traceback__)
    except (ImportError, OSError):
        pdb.post_mortem(error.__traceback__)
    return code
