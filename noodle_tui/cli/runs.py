"""The commands for run folders: list them, watch one, stop one."""

from typing import Annotated, Any

import typer

from noodle_tui.cli.flags import Mouse, given, with_options
from noodle_tui.config import make_config
from noodle_tui.errors import NoodleError, UsageError


@with_options(["save_dir", "debug"])
def runs_command(
    *,
    format: Annotated[str, typer.Option("--format", help="of the list", metavar="table|json")] = "table",
    **values: Any,
) -> None:
    """All run folders: state, epochs, best accuracy, when."""
    from noodle_tui.answers import print_runs

    if format not in ("table", "json"):
        raise UsageError(f"--format: {format!r} is none of table, json")
    print_runs(make_config(given(values)).save_dir, format)


@with_options(["save_dir", "log_every", "debug"])
def watch_command(
    run: Annotated[str | None, typer.Argument(help="a run's name or folder; else one that goes on, or the newest",
                                                      metavar="RUN")] = None,
    *,
    headless: Annotated[bool, typer.Option("--headless", help="follow it as plain lines")] = False,
    json: Annotated[bool, typer.Option("--json", help="one event a line as JSON (with --headless)")] = False,
    mouse: Mouse = True,
    **values: Any,
) -> None:
    """Watch a run, wherever it goes on. Another process' or another node's of the same file system, too."""
    from noodle_tui.run_folder import find_run

    config = make_config(given(values))
    folder = find_run(config.save_dir, run)
    if headless or json:
        from noodle_tui.answers import follow

        asked = config.log_every if "log_every" in config.model_fields_set else None
        raise typer.Exit(follow(folder, asked, json))
    from noodle_tui.tui.launch import launch

    raise typer.Exit(launch(given(values), watch=folder, mouse=mouse))


@with_options(["save_dir", "debug"])
def stop_command(
    run: Annotated[str, typer.Argument(help="a run's name or folder", metavar="RUN")],
    **values: Any,
) -> None:
    """Ask a run to save and stop."""
    from noodle_tui.control import request_stop
    from noodle_tui.run_folder import find_run, is_alive

    folder = find_run(make_config(given(values)).save_dir, run)
    if not is_alive(folder):
        raise NoodleError(f"{folder}: no process runs it, there is nothing to stop")
    request_stop(folder)
    print(f"{folder} is asked to stop; it saves first")
