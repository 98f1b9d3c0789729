"""The `noodle` and `noodle-tui` commands: thin. What they do is imported where it is used, so that `noodle --help` is quick."""

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from noodle_tui import __version__
from noodle_tui.config import Option, RunConfig, class_tokens, make_config, options
from noodle_tui.errors import EXIT_STOPPED, NoodleError, UsageError, one_line
from noodle_tui.names import printable
from noodle_tui.terminal import open_closed_streams, print_everything

ClickException: type[Exception] = typer.BadParameter.__mro__[2]  # typer brings its own click since 0.26

app = typer.Typer(
    name="noodle", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Fine-tune a face classifier from the terminal. `noodle-tui` opens the app; `noodle run --headless` is for scripts.",
    # --n_epochs is --n-epochs
    context_settings={"token_normalize_func": lambda name: name.replace("_", "-"), "help_option_names": ["-h", "--help"]},
)


def main() -> NoReturn:
    """`noodle`"""
    call(sys.argv[1:])


def main_tui() -> NoReturn:
    """`noodle-tui [any run flag]`: the same as `noodle run` without --headless."""
    call(["run", *sys.argv[1:]], name="noodle-tui")


def call(arguments: list[str], name: str = "noodle") -> NoReturn:
    """Run the command line; errors become one line on stderr and an exit code."""
    open_closed_streams()
    print_everything()
    debug = "--debug" in arguments
    try:
        code = app(arguments, prog_name=name, standalone_mode=False)
    except typer.Exit as leave:
        code = leave.exit_code
    except typer.Abort:
        code = EXIT_STOPPED
    except ClickException as error:
        code = complain(name, f"{error.format_message()} (see `noodle --help`)", 2)  # type: ignore[attr-defined]
    except NoodleError as error:
        code = post_mortem(error) if debug else complain(name, str(error), error.exit_code)
    except KeyboardInterrupt:
        code = EXIT_STOPPED
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:  # a path that the system doesn't take, a disk that is gone: no bug
        code = post_mortem(error) if debug else complain(name, refusal(error), 1)
    except Exception as error:  # noqa: BLE001 - the last resort: one line instead of a traceback
        if debug:
            code = post_mortem(error)
        else:
            code = complain(name, f"{one_line(error)} (a bug, or a broken installation: --debug shows where)", 1)
    sys.exit(code or 0)


def refusal(error: OSError) -> str:
    """What the system refused, in a line: "name: File name too long"."""
    where = "" if error.filename is None else str(error.filename)
    where = where if len(where) <= 300 else f"{where[:100]}… ({len(where)} characters)"
    return f"{where}: {error.strerror}" if where and error.strerror else one_line(error)


def complain(name: str, text: str, code: int) -> int:
    print(f"{name}: {printable(text)}", file=sys.stderr)
    return code


def post_mortem(error: BaseException) -> int:
    """--debug: the traceback and the interactive debugger where it happened (ipdb, or pdb where that isn't installed)."""
    import traceback

    code = getattr(error, "exit_code", 1)
    error = error.__cause__ or error  # where it really happened
    traceback.print_exception(error)
    try:
        import ipdb as debugger
    except ImportError:
        import pdb as debugger
    debugger.post_mortem(error.__traceback__)
    return code


# Options made from RunConfig. Values come as text and only where given: RunConfig checks them, and knows which were given.


def parameter(option: Option) -> inspect.Parameter:
    """A command's parameter for one option of RunConfig; its default is None: not given."""
    flags = [f"--{option.flag}/--no-{option.flag}"] if option.kind == "bool" else [f"--{option.flag}"]
    kind: Any = {"bool": bool | None, "list": list[str] | None}.get(option.kind, str | None)
    about = f"{option.help} [default: {default_in_words(option)}" + (f"; {option.bounds}]" if option.bounds else "]")
    metavar = None if option.kind == "bool" else "|".join(option.choices) or metavar_of(option)
    return inspect.Parameter(
        option.name, inspect.Parameter.KEYWORD_ONLY, default=None,
        annotation=Annotated[kind, typer.Option(*flags, help=about, metavar=metavar, rich_help_panel=option.group)],
    )


def metavar_of(option: Option) -> str:
    if option.name == "classes":
        return "NAME=TOKEN"
    return {"int": "N", "float": "X", "path": "PATH", "text": "TEXT"}[option.kind]


def default_in_words(option: Option) -> str:
    match option.default:
        case None:
            return "none"
        case bool():
            return "on" if option.default else "off"
        case tuple():
            return " ".join(option.default)
    return str(option.default)


def with_options(names: list[str] | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of RunConfig (all, or `names`), in front of its own. They arrive as keywords."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
        made = [parameter(o) for o in options() if names is None or o.name in names]
        command.__signature__ = inspect.Signature([*own, *made])  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in [*own, *made]}
        return command

    return decorate


Mouse = Annotated[bool, typer.Option("--mouse/--no-mouse", help="let the app see the mouse (then select text with shift)")]


def given(values: dict[str, Any]) -> dict[str, Any]:
    """The options that were given on the command line."""
    return {name: value for name, value in values.items() if value is not None and value != []}


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="print the version and leave")] = False) -> None:
    if version:
        print(f"noodle-tui {__version__}")
        raise typer.Exit()


@app.command("run")
@with_options()
def run_command(
    *,
    headless: Annotated[bool, typer.Option("--headless", help="in this terminal or a batch job, without the app")] = False,
    json: Annotated[bool, typer.Option("--json", help="print one event a line as JSON (with --headless)")] = False,
    mouse: Mouse = True,
    **values: Any,
) -> None:
    """Train: rejig (if asked) and fit. Opens the app, or runs in this terminal with --headless."""
    config = make_config(given(values))
    if headless:
        raise typer.Exit(run_headless(config, json))
    if json:
        raise UsageError("--json goes with --headless")
    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise UsageError("torchrun goes with --headless: the app trains in one process")
    from noodle_tui.tui.launch import launch

    raise typer.Exit(launch(given(values), mouse=mouse))


def run_headless(config: RunConfig, json: bool = False) -> int:
    """One run in this terminal: 0 when done, 130 when stopped on request. Under torchrun that is rank 0's code, and 0 the
    others', so that none is ended while rank 0 still saves."""
    from noodle_tui.control import Control, stop_on_signals
    from noodle_tui.distributed import joined, under_torchrun
    from noodle_tui.listeners.console import ConsoleListener
    from noodle_tui.ranks import accompany
    from noodle_tui.report import closing_lines
    from noodle_tui.run import run
    from noodle_tui.terminal import survive_hangup

    control = Control()
    survive_hangup()
    with stop_on_signals(control, hangup=under_torchrun()), joined() as world:
        if world.rank > 0:
            accompany(control, world)
            return 0
        console = ConsoleListener(config.log_every, json)
        try:
            outcome = run(config, [console], control, world)
            if outcome.facts and outcome.evaluation and not json:
                for line in closing_lines(outcome.facts, outcome.evaluation, outcome.folder):
                    console.say(line)
        finally:
            console.close()
    return 0 if outcome.status == "done" else EXIT_STOPPED


@app.command("rejig")
@with_options(["stimuli", "data_dir", "classes", "val_fraction", "split_by", "person", "mode", "seed"])
def rejig_command(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be done")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="put every photo back where it came from")] = False,
    **values: Any,
) -> None:
    """Sort stimuli into train/val x class folders, with a manifest that can take it back."""
    from noodle_tui.rejig import apply_rejig, plan_in_words, plan_rejig, undo_rejig

    config = make_config(given(values))
    if undo:
        count = undo_rejig(config.data_dir, stimuli=config.stimuli)
        print(f"{count} photos are taken out of {config.data_dir}; moved ones are back where they came from")
        return
    with progress_bar("looking at the photos") as progress:
        plan = plan_rejig(config.stimuli, config.data_dir, tokens=class_tokens(config.classes),
                          val_fraction=config.val_fraction, split_by=config.split_by, person=config.person,
                          mode=config.mode, seed=config.seed, progress=progress)
    for line in plan_in_words(plan):
        print(line)
    if dry_run:
        print("nothing was changed (--dry-run)")
    elif plan.already_done:
        print(f"{config.data_dir} is already as asked for; nothing was changed")
    else:
        with progress_bar("sorting") as progress:
            apply_rejig(plan, progress=progress)
        print(f"done: {len(plan.files)} photos are in {config.data_dir}")


@contextmanager
def progress_bar(text: str) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on stderr while something lasts, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
                  refresh_per_second=4) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@app.command("predict")
def predict_command(
    paths: Annotated[list[Path], typer.Argument(help="image files, or folders of them", metavar="PATH…")],
    load_dir: Annotated[Path, typer.Option("--load-dir", help="the run folder (or its model.pth)", metavar="RUN")],
    format: Annotated[str, typer.Option("--format", help="table, csv or json", metavar="table|csv|json")] = "table",
    device: Annotated[str, typer.Option("--device", help="auto, cuda, cuda:N, mps or cpu")] = "auto",
) -> None:
    """Class and probabilities of new images, by a trained model."""
    from noodle_tui.answers import print_answers
    from noodle_tui.predict import predict

    if format not in ("table", "csv", "json"):
        raise UsageError(f"--format: {format!r} is none of table, csv, json")
    with progress_bar("predicting") as progress:
        outcome = predict(load_dir, paths, device=device, progress=progress)
    print_answers(outcome, format)
    for path, reason in outcome.failures:
        complain("noodle", f"{path}: {reason}", 1)
    if outcome.failures:
        raise typer.Exit(1)


@app.command("runs")
@with_options(["save_dir"])
def runs_command(
    *,
    format: Annotated[str, typer.Option("--format", help="table or json", metavar="table|json")] = "table",
    **values: Any,
) -> None:
    """All run folders: state, epochs, best accuracy, when."""
    from noodle_tui.answers import print_runs

    if format not in ("table", "json"):
        raise UsageError(f"--format: {format!r} is none of table, json")
    print_runs(make_config(given(values)).save_dir, format)


@app.command("watch")
@with_options(["save_dir", "log_every"])
def watch_command(
    run: Annotated[str | None, typer.Argument(help="a run folder or its name; the newest where none is given")] = None,
    *,
    headless: Annotated[bool, typer.Option("--headless", help="follow it as plain lines")] = False,
    json: Annotated[bool, typer.Option("--json", help="one event a line as JSON (with --headless)")] = False,
    mouse: Mouse = True,
    **values: Any,
) -> None:
    """Watch a run, also one that another process or another node of the same file system runs."""
    from noodle_tui.run_folder import find_run

    config = make_config(given(values))
    folder = find_run(config.save_dir, run)
    if headless or json:
        from noodle_tui.answers import follow

        raise typer.Exit(follow(folder, config.log_every, json))
    from noodle_tui.tui.launch import launch

    raise typer.Exit(launch(given(values), watch=folder, mouse=mouse))


@app.command("stop")
@with_options(["save_dir"])
def stop_command(
    run: Annotated[str, typer.Argument(help="a run folder or its name")],
    **values: Any,
) -> None:
    """Ask a run to stop after the batch it is at, saving all."""
    from noodle_tui.run_folder import find_run, is_alive, request_stop

    folder = find_run(make_config(given(values)).save_dir, run)
    if not is_alive(folder):
        raise NoodleError(f"{folder}: no process runs it, there is nothing to stop")
    request_stop(folder)
    print(f"{folder} is asked to stop; it saves first")


@app.command("demo")
def demo_command(
    folder: Annotated[Path | None, typer.Argument(help="where to draw; a new folder by default", metavar="[DIR]")] = None,
    draw_only: Annotated[bool, typer.Option("--draw-only", help="draw the photos and leave")] = False,
    tui: Annotated[bool, typer.Option("--tui", help="go on in the app")] = False,
) -> None:
    """Draw photos of invented people, then sort them and train on them."""
    from noodle_tui.demo import demo_config_values, draw_stimuli, new_demo_folder

    folder = folder or new_demo_folder()
    values = demo_config_values(folder)
    if not (values["data_dir"] / "train").is_dir():  # a second demo there goes on with the photos it has
        with progress_bar("drawing invented people") as progress:
            count = draw_stimuli(values["stimuli"], progress=progress)
        print(f"{count} photos of invented people are in {values['stimuli']}")
    if draw_only:
        return
    if tui:
        from noodle_tui.tui.launch import launch

        raise typer.Exit(launch(values, recall_last=False))
    raise typer.Exit(run_headless(make_config(values)))


@app.command("doctor")
@with_options(["device", "precision", "save_dir"])
def doctor_command(**values: Any) -> None:
    """Is everything there? Device, versions, ImageNet weights, settings, disk, terminal."""
    from noodle_tui.doctor import examine, print_findings

    raise typer.Exit(print_findings(examine(make_config(given(values)))))



@app.command("bench")
@with_options(["device", "precision", "compile"])
def bench_command(
    *,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="measure on these photos [default: drawn ones]",
                                                  metavar="PATH")] = None,
    size: Annotated[str | None, typer.Option("--size", help="of the photos that are drawn where no --data-dir is given "
                                             "[default: 562x762]", metavar="WxH")] = None,
    count: Annotated[int | None, typer.Option("--count", help="how many are drawn [default: 2400]", metavar="N")] = None,
    batch_size: Annotated[list[str] | None, typer.Option("--batch-size", metavar="N,N…", help="images a step; several tell "
                                                         "which pays [default: 24; with --parity 32]")] = None,
    input_size: Annotated[int | None, typer.Option("--input-size", help="pixels a side that the network sees [default: 224; "
                                                   "with --parity 64]", metavar="N")] = None,
    rounds: Annotated[int | None, typer.Option("--rounds", help="turns of each contender [default: 3]", metavar="N")] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", help="a turn lasts, about [default: 2]", metavar="X")] = None,
    workers: Annotated[int | None, typer.Option("--workers", metavar="N", help="loader processes of the plain loop "
                                                "[default: one a processor, 12 at most]")] = None,
    parity: Annotated[bool, typer.Option("--parity", help="instead of speed: does it learn as well as a plain fp32 loop?")]
    = False,
    seeds: Annotated[int | None, typer.Option("--seeds", help="with --parity [default: 5]", metavar="N")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="with --parity [default: 8]", metavar="N")] = None,
    lr: Annotated[float | None, typer.Option("--lr", help="with --parity [default: 0.002]", metavar="X")] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    **values: Any,
) -> None:
    """How fast is it here? Against this device's ceiling and a plain loop. Progress goes to stderr."""
    from noodle_tui.bench.options import bench_options, parity_options

    asked = given({**values, "data_dir": data_dir, "size": size, "count": count, "batch_size": batch_size,
                   "input_size": input_size, "rounds": rounds, "seconds": seconds, "workers": workers, "seeds": seeds,
                   "epochs": epochs, "lr": lr})
    say = partial(print, file=sys.stderr, flush=True)
    if parity:
        learning = parity_options(asked)
        from noodle_tui.bench.parity import parity as compare_learning
        from noodle_tui.bench.parity import parity_as_json, print_parity

        learnt = compare_learning(learning, say)
        print(parity_as_json(learnt)) if json else print_parity(learnt)
        return
    options = bench_options(asked)
    from noodle_tui.bench.compare import bench
    from noodle_tui.bench.table import print_result, result_as_json

    result = bench(options, say)
    print(result_as_json(result)) if json else print_result(result)


@app.command("verify-resume")
@with_options(["device", "precision", "seed"])
def verify_resume_command(
    *,
    kills: Annotated[int, typer.Option("--kills", help="how often the run is killed", min=1, max=5)] = 3,
    **values: Any,
) -> None:
    """Prove on this device that a run killed and picked up again is bit for bit one that was not."""
    from noodle_tui.verify_resume import verify_resume

    config = make_config(given(values))
    same = verify_resume(config.device, config.precision, kills, config.seed, say=print)
    print("the same, bit for bit" if same else "NOT the same: don't pick runs up on this device where that matters")
    raise typer.Exit(0 if same else 1)
