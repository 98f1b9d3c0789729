"""Runs that are killed again and again: nothing may be lost. Not part of pytest; a short one runs in test_soak.py.

    python tests/soak.py KILLS [SEED]

Each round starts a small run (rejig included), kills it by SIGKILL at a random moment, picks it up and kills it again, until
it is done. Then its weights must be those of the undisturbed run, bit for bit, and every photo must be there, whole.
"""

import hashlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from conftest import EMOTIONS, PEOPLE, draw_face

from noodle_tui.checkpoint import has_checkpoint
from noodle_tui.run_folder import is_alive, list_runs, read_state
from noodle_tui.verify_resume import compare

MOST_KILLS = 8  # in one run: then it may end


def draw_stimuli(folder: Path) -> None:
    for person in PEOPLE:
        for emotion in EMOTIONS.values():
            for level in (3, 9, 15):
                draw_face(folder / person[:2] / f"{person}_Ne_to_{emotion}_C{level:02}.JPG", person, emotion, level)


def digests(*folders: Path) -> list[str]:
    """What the photos hold, wherever they are."""
    return sorted(hashlib.sha256(p.read_bytes()).hexdigest() for f in folders for p in f.rglob("*.JPG"))


def options(place: Path) -> list[str]:
    return ["--stimuli", str(place / "stimuli"), "--data-dir", str(place / "data"), "--save-dir", str(place / "runs"),
            "--rejig-data", "--weights", "none", "--input-size", "32", "--batch-size", "8", "--lr", "0.01", "--n-epochs", "3",
            "--save-every", "1", "--device", "cpu", "--precision", "fp32", "--val-fraction", "0.25"]


def start(arguments: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "noodle_tui", "run", "--headless", *arguments],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def undisturbed(place: Path) -> tuple[Path, float]:
    """A run that nobody kills, and how long it takes."""
    draw_stimuli(place / "stimuli")
    began = time.monotonic()
    process = start(options(place))
    _, complaint = process.communicate()
    assert process.returncode == 0, complaint.decode()
    return list_runs(place / "runs")[0], time.monotonic() - began


def killed_until_done(place: Path, whole: Path, seconds: float, chance: random.Random, most: int) -> int:
    """One run of the soak, killed at most so often; how often it was. AssertionError if anything is lost."""
    draw_stimuli(place / "stimuli")
    photos = digests(place / "stimuli")
    kills = 0
    while True:
        runs = [r for r in list_runs(place / "runs") if has_checkpoint(r)] if (place / "runs").exists() else []
        process = start(["--load-dir", str(runs[0])] if runs else options(place))
        if kills < most:
            try:
                process.wait(timeout=chance.uniform(0, 1.1 * seconds))
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
        _, complaint = process.communicate()
        # between publishing and clearing up a photo has two names; none may ever have none
        assert set(digests(place / "stimuli", place / "data")) == set(photos), "a photo is lost"
        if process.returncode == 0:
            break
        assert process.returncode == -9, complaint.decode()
    folder = list_runs(place / "runs")[0]
    assert not list(compare(whole, folder)), list(compare(whole, folder))
    assert read_state(folder).status == "done"
    assert not any(is_alive(run) for run in list_runs(place / "runs"))
    assert digests(place / "stimuli", place / "data") == photos, "a photo is doubled"
    assert not list(folder.glob(".*.tmp")), "a half-written file stayed"
    return kills


def soak(kills: int, seed: int, say: Callable[[str], None] = print, most: int = MOST_KILLS) -> int:
    """Kill at least `kills` times in all, one run at most `most` times; the number of kills."""
    chance, done = random.Random(seed), 0
    say(f"seed {seed}")
    with tempfile.TemporaryDirectory() as name:
        whole, seconds = undisturbed(Path(name) / "whole")
        number = 0
        while done < kills:
            number += 1
            done += killed_until_done(Path(name) / f"run{number}", whole, seconds, chance, most)
            say(f"run {number}: {done} kills, nothing lost")
    return done


if __name__ == "__main__":
    soak(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6))
