"""The `noodle` and `noodle-tui` commands: thin. What they do is imported where it is used, so that `noodle --help` is quick."""

import sys
from typing import Annotated, Any, NoReturn

import typer

from noodle_tui import __version__
from noodle_tui.cli.endings import exit_code
from noodle_tui.cli.machine import bench_command, doctor_command, verify_resume_command
from noodle_tui.cli.photos import demo_command, predict_command, rejig_command
from noodle_tui.cli.runs import runs_command, stop_command, watch_command
from noodle_tui.cli.train import run_command
from noodle_tui.paths import check_working_folder
from noodle_tui.terminal import end_at_interrupt, open_closed_streams, print_everything, raise_at_interrupt

COMMANDS = {  # in the order of the help
    "run": run_command,
    "rejig": rejig_command,
    "predict": predict_command,
    "runs": runs_command,
    "watch": watch_command,
    "stop": stop_command,
    "demo": demo_command,
    "doctor": doctor_command,
    "bench": bench_command,
    "verify-resume": verify_resume_command,
}

CONTEXT = {  # --n_epochs is --n-epochs
    "token_normalize_func": lambda name: name.replace("_", "-"), "help_option_names": ["-h", "--help"]}
app = typer.Typer(
    name="noodle", add_completion=True, pretty_exceptions_enable=False, rich_markup_mode=None, context_settings=CONTEXT,
    help="Fine-tune a face classifier from the terminal. `noodle-tui` opens the app; `noodle run --headless` is for scripts.",
)
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="print the version and leave")] = False
) -> None:
    if version:
        print(f"noodle-tui {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


def call(arguments: list[str], name: str = "noodle", only: str = "") -> NoReturn:
    """Run the command line of the program `name`, all of it or that of one command; errors become one line on stderr and an
    exit code."""
    open_closed_streams()
    print_everything()

    def run() -> Any:
        raise_at_interrupt()
        check_working_folder()
        command: Any = typer.main.get_command(app)
        if only:
            command = command.commands[only]
            command.context_settings = CONTEXT
        return command(arguments, prog_name=name, standalone_mode=False)

    code = exit_code(run, name, "--debug" in arguments)
    end_at_interrupt()
    sys.exit(code)
