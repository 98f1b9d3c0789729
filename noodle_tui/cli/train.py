"""`noodle run`: a run in this terminal, or in the app."""

import os
from typing import Annotated, Any

import typer

from noodle_tui.cli.flags import Mouse, given, with_options
from noodle_tui.config import RunConfig, make_config
from noodle_tui.errors import EXIT_STOPPED, UsageError
from noodle_tui.pick_up import weights_left_out
from noodle_tui.run_folder import path_or_run
from noodle_tui.terminal import ended_at_interrupt, survive_hangup


@with_options()
def run_command(
    *,
    headless: Annotated[bool, typer.Option("--headless", help="in this terminal or a batch job, without the app")] = False,
    json: Annotated[bool, typer.Option("--json", help="print one event a line as JSON (with --headless)")] = False,
    mouse: Mouse = True,
    **values: Any,
) -> None:
    """Train: rejig (if asked) and fit. Opens the app, or runs in this terminal with --headless."""
    values = given(values)
    config = make_config(values)
    if config.load_dir is not None:
        values["load_dir"] = path_or_run(config.save_dir, config.load_dir)
        config = make_config(values)
    if two := weights_left_out(config):
        raise UsageError(two)
    if headless:
        raise typer.Exit(run_headless(config, json))
    if json:
        raise UsageError("--json goes with --headless")
    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise UsageError("torchrun goes with --headless: the app trains in one process")
    from noodle_tui.tui.launch import launch

    raise typer.Exit(launch(values, mouse=mouse))


def run_headless(config: RunConfig, json: bool = False) -> int:
    """One run in this terminal: 0 when done, 130 when stopped on request. Under torchrun that is rank 0's code, and 0 the
    others', so that none is ended while rank 0 still saves."""
    with ended_at_interrupt():
        from noodle_tui.control import Control, stop_on_signals
        from noodle_tui.distributed import joined, under_torchrun
        from noodle_tui.listeners.console import ConsoleListener
        from noodle_tui.ranks import accompany
        from noodle_tui.report import closing_lines
        from noodle_tui.run import run
        from noodle_tui.run_folder import has_checkpoint, how_to_pick_up

    control = Control()
    survive_hangup()
    with joined() as world, stop_on_signals(control, hangup=under_torchrun()):
        if world.rank > 0:
            accompany(control, world)
            return 0
        console = ConsoleListener(json)
        try:
            outcome = run(config, [console], control, world)
            if outcome.status == "done" and not json:
                for line in closing_lines(outcome.folder):
                    console.say(line)
            elif not json and has_checkpoint(outcome.folder):
                console.say(how_to_pick_up(outcome.folder))
        finally:
            console.close()
    return 0 if outcome.status == "done" else EXIT_STOPPED
