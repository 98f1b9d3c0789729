"""Keys, clicks, pastes and windows at random, in every screen of the app: nothing may end it, or cost a photo. Not part of
pytest.

    python tests/monkey.py EPISODES [SEED] [NUMBER]     NUMBER: only this episode, to look at what went wrong

Each episode opens the app on drawn photos and made-up runs, on a screen of its own, and plays for half a minute; runs are
started and stopped, photos sorted and put back. It stays in a folder of its own: no window lists other folders, and what is
typed leads out of none. How many keys there is time for differs, so a failure may not come again.
"""

import asyncio
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from random import Random, randrange
from typing import Any

from conftest import draw_data_folder
from fake_folders import fake_folder
from fake_stimuli import draw_seed_like
from soak import digests
from textual.events import Key, MouseScrollDown, MouseScrollUp, Paste
from textual.pilot import OutOfBounds, Pilot

from noodle_tui.tui.app import NoodleApp
from noodle_tui.tui.live import LiveScreen
from noodle_tui.tui.setup import SetupScreen
from noodle_tui.tui.sources import FolderSource

SECONDS = 30.0  # of an episode
HANGS = 60.0  # seconds: so long no key may take
STATES = ("done", "failed", "stopped", "interrupted", "running", "paused")
OPENED_ON = ("setup", "watch", "runs", "result", "overlay", "a run", "a run")
SIZES = ((80, 24), (160, 50), (120, 30), (40, 12), (79, 23), (60, 20), (20, 5), (1, 1), (250, 80))
KEYS = ("up", "down", "left", "right", "tab", "shift+tab", "enter", "escape", "home", "end", "pageup", "pagedown", "space",
        "backspace", "delete", "ctrl+p", "ctrl+r", "f1", "f5", "y", "n", "s", "d", "c", "v", "p", "r", "u", "l")
TEXTS = ("stimuli", "sorted", "data", "runs", "1", "0", "3", "0.5", "-1", "1e9", "nan", "acc>0.9", "cfg.lr>=1e-3", "-test",
         "status:done", "[red]x[/]", "é😀", "cpu", "none", "  ", ".*", "(", "data/val", "happy=_Ha_,sad=_Sa_", "ä" * 50, "seed")
KINDS = ("bound", "key", "text", "burst", "click", "drag", "scroll", "resize", "wait")
WEIGHTS = (38, 24, 5, 9, 9, 4, 3, 3, 5)
LEAVING = {"ctrl+q", "q", "f10"}
BACK = {"escape", "d", "n", "c", "f5"}  # from most screens to Setup, where it would spend its life


def furnish(chance: Random, place: Path) -> dict[str, Any]:
    """Photos, sorted and not, and some runs; options of a run of seconds."""
    draw_data_folder(place / "data")
    draw_seed_like(place / "stimuli", steps=3)
    (place / "runs").mkdir()
    for i in range(chance.choice((0, 1, 3, 8))):
        state = chance.choice(STATES)
        fake_folder(place / "runs", chance.choice(("neuro_ml", "[b]x", "long" * 12)), state, stamp=f"20261123-1015{i:02}",
                    seed=i, report=state == "done" and chance.random() < 0.8, n_epochs=chance.choice((1, 3, 40)))
    sorting = {"rejig_data": True, "data_dir": "sorted", "mode": chance.choice(("move", "copy", "link"))}
    return {"save_dir": "runs", "data_dir": "data", "stimuli": "stimuli", "weights": "none", "input_size": 32, "batch_size": 8,
            "n_epochs": 30, "device": "cpu", **(sorting if chance.random() < 0.3 else {})}


async def play(chance: Random, place: Path, log: list[str]) -> None:
    """One episode; `log` tells what was done. What goes wrong in the app is raised."""
    values, opened_on = furnish(chance, place), chance.choice(OPENED_ON)
    photos = set(digests(place))
    folders = sorted((place / "runs").iterdir())
    first = LiveScreen(FolderSource(folders[0]), "run") if opened_on == "watch" and folders else None
    app = NoodleApp(values, first=first, recall_last=False)
    async with app.run_test(size=chance.choice(SIZES[:4])) as pilot:
        await pilot.pause(0.5)
        if opened_on in ("runs", "overlay"):
            app.show_runs(Path("runs"))
            await pilot.pause(0.5)
            await pilot.press(*["space", "space", "v"] * (opened_on == "overlay"))
        elif opened_on == "result" and folders:
            app.show_result(chance.choice(folders))
        elif opened_on == "a run":
            await pilot.press("ctrl+r")
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and app.is_running and app.return_code is None:
            assert len(app.screen_stack) > 1, "a bare screen"
            try:
                await asyncio.wait_for(act(chance, app, pilot, log), HANGS)
            except OutOfBounds:  # a window became smaller
                continue
        for work in (app.chore, app.background and app.background.control):
            if work is not None:
                work.stop()
        app.exit()
        await pilot.pause(0.3)
    for work in (app.chore, app.background):
        if work is not None:
            work.join()
    assert photos <= set(digests(place)), "photos are gone"


async def act(chance: Random, app: NoodleApp, pilot: Pilot[None], log: list[str]) -> None:
    """One thing that a hand or a line does."""
    width, height = app.size
    spot, spot_2 = [(chance.randrange(max(width, 1)), chance.randrange(max(height, 1))) for _ in range(2)]
    kind = chance.choices(KINDS, WEIGHTS)[0]
    screen = type(app.screen).__name__
    if kind in ("bound", "key"):
        keys = sorted(app.screen.active_bindings) if kind == "bound" else KEYS
        key = chance.choice(keys or KEYS)
        if (key in LEAVING and chance.random() < 0.97) or (key in BACK and screen != "SetupScreen" and chance.random() < 0.85):
            return
        log.append(f"{screen}: {key}")
        await pilot.press(key)
    elif kind == "text":
        log.append(f"{screen}: {(text := chance.choice(TEXTS))!r}")
        await pilot.press(*text) if chance.random() < 0.7 else app.post_message(Paste(text))
    elif kind == "burst":  # as a slow line delivers them
        log.append(f"{screen}: {(keys := chance.choices(KEYS, k=6))} at once")
        for key in keys:
            app.post_message(Key(key, key if len(key) == 1 else None))
    elif kind == "click":
        log.append(f"{screen}: click at {spot}")
        await pilot.click(offset=spot, times=chance.choice((1, 1, 1, 2)))
    elif kind == "drag":
        log.append(f"{screen}: drag from {spot} to {spot_2}")
        await pilot.mouse_down(offset=spot)
        await pilot.hover(offset=spot_2)
        await pilot.mouse_up(offset=spot_2)
        await pilot.press(*["ctrl+c"] * chance.choice((0, 1)))
    elif kind == "scroll":
        log.append(f"{screen}: scroll at {spot}")
        await pilot._post_mouse_events([chance.choice((MouseScrollUp, MouseScrollDown))], offset=spot)
    elif kind == "resize":
        log.append(f"window of {(size := chance.choice(SIZES))}")
        await pilot.resize_terminal(*size)
    else:
        await pilot.pause(chance.random() * 0.4)


def main(episodes: int, seed: int, only: int | None = None) -> int:
    """The number of failures."""
    print(f"seed {seed}")
    SetupScreen.action_browse = lambda self: None  # type: ignore[method-assign]
    failures, done = 0, 0
    for number in range(episodes) if only is None else [only]:
        log: list[str] = []
        with tempfile.TemporaryDirectory() as place:
            os.environ.update(HOME=place, XDG_STATE_HOME=f"{place}/state", XDG_CACHE_HOME=f"{place}/cache")
            os.chdir(place)
            try:
                asyncio.run(play(Random(f"{seed}/{number}"), Path(place), log))
            except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
                failures += 1
                print(f"episode {number} of seed {seed} failed, after", *log[-20:], traceback.format_exc(), sep="\n")
            os.chdir("/")
        done += len(log)
        print(f"episode {number}: {len(log)} actions", flush=True)
    print(f"{done} actions, {failures} failures")
    return failures


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(numbers[0], numbers[1] if len(numbers) > 1 else randrange(10**6), *numbers[2:]) > 0)
