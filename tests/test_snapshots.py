"""What each screen looks like, cell by cell: tests/__snapshots__/test_snapshots/*.svg, and the README's three pictures.

After a change that is meant:  pytest tests/test_snapshots.py --snapshot-update  (look at every picture that changed)
                               NOODLE_UPDATE_SCREENS=1 pytest tests/test_snapshots.py  (the README's)

Nothing of the machine is in a picture: clock and zone are set, and what a screen reads from outside (CPU, disk,
folders, versions) is replaced by invented values at the place where it is read.
"""

import contextlib
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import fake_folders
import pytest
from fake_folders import fake_folder
from fake_runs import FOLDER, ReplaySource, fake_events
from pytest_textual_snapshot import normalize_svg
from small_app import until
from textual.pilot import Pilot
from textual.screen import Screen

from noodle_tui.config import RunConfig
from noodle_tui.export import sbatch_script
from noodle_tui.preflight.checks import Preflight
from noodle_tui.preflight.estimate import Cost, Machine
from noodle_tui.preflight.photos import Photos
from noodle_tui.report import environment
from noodle_tui.run_folder import locked
from noodle_tui.summaries import RunSummary, Summaries
from noodle_tui.tui.app import NoodleApp
from noodle_tui.tui.command import CommandLine
from noodle_tui.tui.compare import CompareScreen
from noodle_tui.tui.live import LiveScreen
from noodle_tui.tui.result import ResultScreen
from noodle_tui.tui.runs import RunsScreen
from noodle_tui.tui.setup import SetupScreen
from noodle_tui.tui.widgets.dialogs import ChoiceDialog, Help
from noodle_tui.tui.widgets.path_completion import PathCompletion

SCREENS = Path(__file__).parent.parent / "Resources" / "screens"
SIZES = [(80, 24), (160, 50)]
HOME = Path("/home/ada/faces")  # the invented working folder
SAVE_DIR = Path("weights")
LIVE_STATES = ("starting", "running", "paused", "done", "stopped", "failed", "interrupted")

Wait = Callable[[Pilot[Any]], Awaitable[None]]
in_both_sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


# -- an invented machine -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with a run in each state in weights/; the one that goes on is locked, as a live one is."""
    place = tmp_path_factory.mktemp("snapshots")
    with contextlib.chdir(place), contextlib.ExitStack() as held, pytest.MonkeyPatch.context() as patch:
        patch.setattr(fake_folders, "environment", lambda: dict.fromkeys(environment().keys() - {"cuda", "cudnn"}, "1.2.3"))
        made = partial(fake_folder, SAVE_DIR)
        made("first_try", "failed", stamp="20251009-085320", lr=0.5)
        made("by_file", "done", stamp="20251009-101500", later=4900, seed=1, n_epochs=12, report=True, lr=0.01)
        made("slow", "stopped", stamp="20251009-113000", later=9400, seed=2, lr=0.0001)
        made("by_person", "done", stamp="20251009-141000", later=19000, seed=3, split_by="person", lr=0.01)
        made("overnight", "interrupted", stamp="20251009-230000", later=50800, seed=4, n_epochs=400)
        held.enter_context(locked(made("by_person_2", "running", stamp="20251010-090000", later=86800, seed=5,
                                       split_by="person", batch_size=48)))  # fmt: skip
        yield place


@pytest.fixture(autouse=True)
def invented_machine(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(folders)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("noodle_tui.tui.live.read_machine", lambda device, host, pid: ("GPU 92%  1.8/80 GiB", 92))
    monkeypatch.setattr("noodle_tui.tui.live.load_line", lambda loads, width: "▃▅▇▇▆▇█▇▇▇▆▇▇█▇▇▇▆▇▇" if loads else "")
    monkeypatch.setattr("noodle_tui.tui.setup_panel.remember", lambda values, folder: None)
    monkeypatch.setattr("noodle_tui.preflight.checks.preflight", invented_preflight)
    script = partial(sbatch_script, folder=HOME, python=str(HOME / ".venv/bin/python"))
    monkeypatch.setattr("noodle_tui.tui.command.sbatch_script", script)
    monkeypatch.setattr("noodle_tui.tui.runs_text.now", lambda: datetime(2025, 10, 10, 9, 30))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def invented_preflight(config: RunConfig, *_: object) -> Preflight:
    """60 people of 40 photos each, to be sorted; a card that trains on them in about two minutes."""
    both = 60 if config.split_by == "file" else 0
    photos = Photos(
        asked=(), classes=("happy", "sad"), train=(1080, 1080), val=(120, 120), people=60, people_train=60 if both else 54,
        people_val=60 if both else 6, people_in_both=both,
        rejig="needed" if config.rejig_data else "off", new=2400, leaving=0, originals=0,
        n_broken=0, broken=(), skipped=(("no class's token in its name", 60, "34/34M_Ne.JPG"),),
        photo_bytes=562 * 762 * 3, examples=())  # fmt: skip
    return Preflight(
        config, tuple(photos.findings(config)), photos=photos, disk_free=512 * 2**30,
        weights="ImageNet, on this machine", machine=Machine("cuda:0", "NVIDIA H100 80GB HBM3", "bf16", 132),
        cost=Cost(118, True, 344 * 2**20, 1450 * 2**20))  # fmt: skip


# -- each screen, at rest ----------------------------------------------------------------------------------------------


def live(state: str = "running") -> tuple[NoodleApp, Wait]:
    alive = state in ("starting", "running", "paused")
    events = [] if state == "starting" else fake_events(40, state)
    return live_on(ReplaySource(events, alive=alive, folder=None if state == "starting" else Path(FOLDER)), state)


def live_on(source: ReplaySource, state: str) -> tuple[NoodleApp, Wait]:
    screen = LiveScreen(source, "neuro_ml")

    async def rest(pilot: Pilot[Any]) -> None:
        """Until all is read and painted: no painting is due, and the machine is told while the run goes on."""
        await until(pilot, lambda: screen.status == state and bool(screen._machine) == source.alive()
                    and (state == "starting" or screen.state.epoch > 0) and not screen._paint_is_due)

    return NoodleApp(first=screen), rest


def setup(values: dict[str, Any] | None = None) -> tuple[NoodleApp, Wait]:
    screen = SetupScreen({"rejig_data": True} if values is None else values, recall_last=False)
    screen.folder = HOME

    async def rest(pilot: Pilot[Any]) -> None:
        """Until the look has ended, or there is none because of the form, and the field's completion is at hand."""
        await until(pilot, lambda: screen.panel.is_settled or bool(screen.values.problems))
        await until(pilot, lambda: bool(screen.query(PathCompletion)))

    return NoodleApp(first=screen), rest


def runs() -> tuple[NoodleApp, Wait]:
    screen = RunsScreen(SAVE_DIR)

    async def rest(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: len(screen.selection.shown) == 6)

    return NoodleApp(first=screen), rest


def result(name: str) -> tuple[NoodleApp, Wait]:
    screen = ResultScreen(next(SAVE_DIR.glob(f"{name}-2*")))

    async def rest(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: screen.facts is not None)

    return NoodleApp(first=screen), rest


def compare() -> tuple[NoodleApp, Wait]:
    screen = CompareScreen([run for run in summaries() if run.name in ("by_file", "by_person", "slow")])

    async def rest(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: all(state.ended for state in screen.states))

    return NoodleApp(first=screen), rest


def summaries() -> list[RunSummary]:
    return Summaries().read(SAVE_DIR)


def then(rest: Wait, key: str, opens: type[Screen[Any]]) -> Wait:
    """At rest, `key` is pressed, which opens a window."""

    async def pressed(pilot: Pilot[Any]) -> None:
        await rest(pilot)
        await pilot.press(key)
        await until(pilot, lambda: isinstance(pilot.app.screen, opens))

    return pressed


# -- the snapshots -----------------------------------------------------------------------------------------------------


@in_both_sizes
@pytest.mark.parametrize("state", LIVE_STATES)
def test_live(snap_compare: Any, state: str, size: tuple[int, int]):
    app, rest = live(state)
    assert snap_compare(app, terminal_size=size, run_before=rest)


@in_both_sizes
def test_setup(snap_compare: Any, size: tuple[int, int]):
    app, rest = setup()
    assert snap_compare(app, terminal_size=size, run_before=rest)


@in_both_sizes
def test_setup_with_something_to_mend(snap_compare: Any, size: tuple[int, int]):
    app, rest = setup({"rejig_data": True, "lr": "-1", "val_fraction": "2"})
    assert snap_compare(app, terminal_size=size, run_before=rest)


@in_both_sizes
def test_runs(snap_compare: Any, size: tuple[int, int]):
    app, rest = runs()
    assert snap_compare(app, terminal_size=size, run_before=rest)


@in_both_sizes
def test_compare(snap_compare: Any, size: tuple[int, int]):
    app, rest = compare()
    assert snap_compare(app, terminal_size=size, run_before=rest)


@in_both_sizes
@pytest.mark.parametrize("name", ["by_file", "overnight"])
def test_result(snap_compare: Any, name: str, size: tuple[int, int]):
    app, rest = result(name)
    assert snap_compare(app, terminal_size=size, run_before=rest)


@in_both_sizes
def test_help(snap_compare: Any, size: tuple[int, int]):
    app, rest = live()
    assert snap_compare(app, terminal_size=size, run_before=then(rest, "question_mark", Help))


@in_both_sizes
def test_question_before_quitting(snap_compare: Any, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]):
    monkeypatch.setattr(NoodleApp, "is_busy", lambda self: True)
    app, rest = live()
    assert snap_compare(app, terminal_size=size, run_before=then(rest, "q", ChoiceDialog))


@in_both_sizes
def test_command(snap_compare: Any, size: tuple[int, int]):
    app, rest = setup()
    assert snap_compare(app, terminal_size=size, run_before=then(rest, "f6", CommandLine))


# -- the README's ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "size"), [("live", (120, 36)), ("setup", (120, 36)), ("result", (120, 44))])
async def test_pictures_of_the_readme(name: str, size: tuple[int, int]):
    app, rest = {"live": readme_live, "setup": setup, "result": lambda: result("by_file")}[name]()
    async with app.run_test(size=size) as pilot:
        await rest(pilot)
        await pilot.pause()
        drawn = stand_alone(app.export_screenshot(simplify=True))
    assert len(drawn.encode()) < 150_000
    assert "url(http" not in drawn and "@font-face" not in drawn and "@import" not in drawn
    file = SCREENS / f"{name}.svg"
    if os.environ.get("NOODLE_UPDATE_SCREENS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(drawn)
    assert file.read_text() == drawn, f"{file.name} is of another look than the app: see the head of this file"


def readme_live() -> tuple[NoodleApp, Wait]:
    app, rest = live_on(ReplaySource(fake_events(100, seed=3), alive=True, folder=Path(FOLDER)), "running")

    async def smoothed(pilot: Pilot[Any]) -> None:
        await rest(pilot)
        await pilot.press("m")

    return app, smoothed


def stand_alone(svg: str) -> str:
    """A picture that loads nothing from elsewhere: Textual's web font gives way to the fonts that are there."""
    svg = re.sub(r"@font-face\s*\{.*?\}\s*", "", normalize_svg(svg), flags=re.S)
    return svg.replace("font-family: Fira Code, monospace",
                       "font-family: Fira Code, Menlo, Consolas, DejaVu Sans Mono, monospace")
