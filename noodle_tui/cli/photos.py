"""The commands for photos: sort them, draw some, have a trained model judge some."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from noodle_tui.cli.endings import complain
from noodle_tui.cli.flags import given, some_path, with_options
from noodle_tui.cli.train import run_headless
from noodle_tui.config import make_config
from noodle_tui.errors import UsageError
from noodle_tui.progress import Progress
from noodle_tui.terminal import ended_at_interrupt, folded


@with_options(["stimuli", "data_dir", "classes", "val_fraction", "split_by", "person", "mode", "seed", "debug"])
def rejig_command(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be done")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="put every photo back where it came from")] = False,
    **values: Any,
) -> None:
    """Sort stimuli into train/val x class folders. --undo takes it back."""
    with ended_at_interrupt():
        from noodle_tui.rejig import apply_rejig, plan_in_words, plan_rejig, undo_rejig, undone_in_words

    config = make_config(given(values))
    if undo:
        with progress_bar("putting back") as progress:
            undone = undo_rejig(config.data_dir, stimuli=config.stimuli, progress=progress, dry_run=dry_run)
        for line in undone_in_words(undone, config.data_dir, dry_run):
            print(folded(line, sys.stdout))
        return
    with progress_bar("looking at the photos") as progress:
        plan = plan_rejig(config, progress=progress)
    for line in plan_in_words(plan):
        print(folded(line, sys.stdout))
    if dry_run:
        print("nothing was changed (--dry-run)")
        return
    with progress_bar("sorting") as progress:
        apply_rejig(plan, progress=progress)
    if not plan.already_done:  # else the plan's words say so
        print(f"done: {len(plan.files):,} photos are in {config.data_dir}")


@with_options(["debug"])
def demo_command(
    folder: Annotated[Path | None, typer.Argument(help="where to draw; a new folder by default", metavar="DIR",
                                                          parser=some_path)] = None,
    draw_only: Annotated[bool, typer.Option("--draw-only", help="draw the photos and leave")] = False,
    tui: Annotated[bool, typer.Option("--tui", help="go on in the app")] = False,
    **values: Any,
) -> None:
    """Draw invented people, sort and train on them. For a first look, without photos of your own."""
    from noodle_tui.demo import demo_config_values, draw_stimuli, new_demo_folder, refuse_sorted_others

    folder = folder or new_demo_folder()
    values = demo_config_values(folder) | given(values)
    refuse_sorted_others(values["data_dir"])
    with progress_bar("drawing invented people") as progress:  # of a second demo there they are drawn already
        count = draw_stimuli(values["stimuli"], progress=progress)
    print(f"{count:,} photos of invented people are in {values['stimuli']}")
    if draw_only:
        return
    if tui:
        from noodle_tui.tui.launch import launch

        raise typer.Exit(launch(values))
    raise typer.Exit(run_headless(make_config(values)))


@with_options(["save_dir", "device", "debug"])
def predict_command(
    paths: Annotated[list[Path], typer.Argument(help="image files, or folders of them", metavar="PATH", parser=some_path)],
    load_dir: Annotated[Path, typer.Option("--load-dir", help="a run's name or folder (or its model.pth)", metavar="RUN",
                                            parser=some_path)],
    format: Annotated[str, typer.Option("--format", help="of the answers", metavar="table|csv|json")] = "table",
    person: Annotated[str | None, typer.Option("--person", help="regex of a photo's path; its first group is the person "
                                               "[default: the run's]", metavar="TEXT")] = None,
    **values: Any,
) -> None:
    """Let a trained model judge new images, and score it."""
    from noodle_tui.answers import print_answers
    from noodle_tui.predict import find_model, predict
    from noodle_tui.run_folder import path_or_run

    if format not in ("table", "csv", "json"):
        raise UsageError(f"--format: {format!r} is none of table, csv, json")
    values = given({**values, "person": person})
    config = make_config(values)
    model = path_or_run(config.save_dir, load_dir)
    find_model(model)  # what is wrong with it is said before the seconds that torch takes
    with ended_at_interrupt():
        import torchvision  # noqa: F401 - to have it imported
    with progress_bar("predicting") as progress:
        outcome = predict(model, paths, device=config.device, person=values.get("person", ""), progress=progress)
    print_answers(outcome, format)
    for path, reason in outcome.failures:
        complain("noodle", f"{path}: {reason}", 1)
    if outcome.failures:
        raise typer.Exit(1)


@contextmanager
def progress_bar(text: str) -> Iterator[Progress]:
    """A progress bar on stderr while something lasts, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
                  refresh_per_second=4) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
