"""All that wants a GPU, in some ten minutes: the bench's figures, a batch that is too large, several runs at once, the tests
(exact resume is one of them), and a run in the app. What is asked for stands beside what was found.

    python tests/measure_gpu.py [PART…] [--device cuda] [--log FILE]

PARTs: bench memory together tests app (all). Needs no network and, but for `app`, no Textual. Asks for an H100's
figures; elsewhere they are only numbers to read. With `--device cpu` it shows that the script itself works, and no more.
What the process under way has said so far is in FILE.out and FILE.err, should it come to no end.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SMALL, LARGE = 24, 256  # batch sizes of the bench
TOO_LARGE, PIXELS = 400, 1024  # a batch and an input size that no card holds: 200 GiB, twice for a graph
JOB_EPOCHS = 40
PATIENCE = 400  # seconds for any one process


@dataclass(frozen=True)
class Row:
    """One figure: `good` is None where nothing is asked for."""

    what: str
    asked: str
    found: str
    good: bool | None


@dataclass(frozen=True)
class Place:
    """Where it is measured."""

    device: str
    folder: Path  # for data and runs, empty at first
    log: Callable[[str], None]
    said: Path  # beside this, what a process says while it runs

    def noodle(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "noodle_tui", *arguments)

    def python(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """A fresh process, whose output is logged when it has ended."""
        command = [sys.executable, *map(str, arguments)]
        self.log(f"$ {' '.join(command[1:])}")
        began = time.perf_counter()
        code: int | None = None
        out, err = self.said.with_name(self.said.name + ".out"), self.said.with_name(self.said.name + ".err")
        try:
            with out.open("w") as stdout, err.open("w") as stderr:
                code = subprocess.run(command, cwd=ROOT, stdout=stdout, stderr=stderr, timeout=PATIENCE).returncode
        finally:
            self.log(f"{out.read_text()}{err.read_text()}[exit code {code} after {time.perf_counter() - began:.1f} s]")
        assert code is not None
        return subprocess.CompletedProcess(command, code, out.read_text(), err.read_text())

    def data(self, people: int) -> Path:
        """A sorted folder of drawn people, 40 photos each, drawn once."""
        folder = self.folder / f"people{people}"
        if not folder.exists():
            from noodle_tui.demo import draw_stimuli

            draw_stimuli(folder / "stimuli", people=people)
            self.noodle("rejig", "--stimuli", folder / "stimuli", "--data-dir", folder / "sorted", "--mode", "link")
        return folder / "sorted"

    def run_flags(self, people: int, *more: object) -> list[str]:
        return list(map(str, ["--data-dir", self.data(people), "--save-dir", self.folder / "runs", "--weights", "none",
                              "--device", self.device, *more]))


def tests(place: Place) -> Iterator[Row]:
    """tests/test_cuda.py."""
    done = place.python("-m", "pytest", "tests/test_cuda.py", "-o", "addopts=", "-p", "no:cacheprovider", "-q", "-rfEs")
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "no output"
    yield Row("tests/test_cuda.py", "all pass", last.strip("= "), done.returncode == 0 and "passed" in last)


def bench(place: Place) -> Iterator[Row]:
    """The figures that `noodle bench` gives."""
    cpu = ["--count", 2 * LARGE, "--input-size", 32, "--seconds", 0.5, "--rounds", 1] if place.device == "cpu" else []
    done = place.noodle("bench", "--device", place.device, "--batch-size", f"{SMALL},{LARGE}", "--json", *cpu)
    if done.returncode:
        yield Row("noodle bench", "figures", one_line(done.stderr), False)
        return
    found = json.loads(done.stdout)
    yield Row("decoding, images/s", "", f"{found['decode_rate']:,.0f} (pixels in {found['where']})", None)
    for batch in found["batches"]:
        name, rates = f"batch {batch['batch_size']}", batch["images_per_second"]
        for group, members in rates.items():
            for member, rate in members.items():
                yield Row(f"{name}, {group}, {member}, images/s", "", f"{rate:,.0f}", None)
        least = 0.92 if batch["batch_size"] == SMALL else 0.90
        share = batch["train_only_to_ceiling"]
        yield Row(f"{name}, train only / best ceiling", f">= {least}", f"{share:.3f} ({batch['best_ceiling']})", share >= least)
        for plain, ratio in batch["with_validation_to_plain"].items():
            wanted = 50 if plain == "0 workers, fp32" else 5 if plain == "12 workers, bf16" else None
            yield Row(f"{name}, with validation / plain loop, {plain}", f">= {wanted}" if wanted else "", f"{ratio:.1f}",
                      None if wanted is None else ratio >= wanted)
    job = found["start_up"]
    yield Row(f"whole job, {job['photos']:.0f} photos x {job['whole_job_epochs']:.0f} epochs, imports apart", "< 2.5 s",
              f"{job['whole_job']:.2f} s", job["whole_job"] < 2.5)
    yield Row("first word of `noodle run`, its first epoch", "",
              f"{job['first_word']:.1f} s, {job['first_epoch_done']:.1f} s", None)
    yield Row("verdict", "", found["verdict"], None)


def memory(place: Place) -> Iterator[Row]:
    """A batch that is too large: one line with the largest that fits, and that one does fit."""
    if place.device == "cpu":
        yield Row("a batch that is too large", "", "not tried: it would take this machine's own memory", None)
        return
    too_large = ["--input-size", PIXELS, "--n-epochs", 1, "--namestr", "large"]
    done = place.noodle("run", "--headless", *place.run_flags(30, *too_large, "--batch-size", TOO_LARGE))
    said = one_line(done.stderr)
    fits = said.partition("the largest batch that fits now is ")[2].split()
    yield Row(f"--batch-size {TOO_LARGE} --input-size {PIXELS}", "a line with the largest that fits", said,
              done.returncode == 1 and bool(fits))
    if fits:
        again = place.noodle("run", "--headless", *place.run_flags(30, *too_large, "--batch-size", fits[0]))
        yield Row(f"--batch-size {fits[0]}", "fits", one_line(again.stderr) or "fits", again.returncode == 0)


def together(place: Place) -> Iterator[Row]:
    """Three runs side by side: each comes to what it comes to alone, and how long that takes beside one alone."""
    place.data(6)
    alone = _at_once(place, 1)
    three = _at_once(place, 3)
    yield Row(f"one run, 240 photos x {JOB_EPOCHS} epochs, process and all", "", f"{alone[0]:.1f} s", None)
    yield Row("three at once", "all done", f"{three[0]:.1f} s, exit codes {three[1]}", not any(three[1]))
    models = [path.read_bytes() for path in sorted((place.folder / "runs").glob("beside*/model.pth"))]
    found = len(set(models))
    yield Row("their weights", "the same, bit for bit", "the same" if found == 1 else f"{found} different",
              len(models) == 4 and found == 1)


def _at_once(place: Place, count: int) -> tuple[float, list[int]]:
    short = ["--input-size", 32, "--n-epochs", 2] if place.device == "cpu" else ["--n-epochs", JOB_EPOCHS]
    began = time.perf_counter()
    runs = [
        subprocess.Popen([sys.executable, "-m", "noodle_tui", "run", "--headless",
                          *place.run_flags(6, *short, "--namestr", f"beside{count}-{number}")],
                         cwd=ROOT, stdout=subprocess.DEVNULL)
        for number in range(count)
    ]
    try:
        codes = [run.wait(PATIENCE) for run in runs]
    finally:
        for run in runs:
            run.kill()
    return time.perf_counter() - began, codes


def app(place: Place) -> Iterator[Row]:
    """A run started with a key in the app, shown until its result."""
    try:
        import textual  # noqa: F401 - only whether it is there
    except ImportError as missing:
        yield Row("a run in the app", "done", f"not tried: {missing}", None)
        return
    values: dict[str, Any] = {"data_dir": str(place.data(6)), "save_dir": str(place.folder / "runs"), "weights": "none",
                              "device": place.device, "namestr": "inside", "n_epochs": "40"}
    if place.device == "cpu":
        values |= {"input_size": "32", "n_epochs": "3"}
    os.environ["XDG_STATE_HOME"] = str(place.folder / "state")
    said, picture = asyncio.run(_in_app(values))
    place.log(picture)
    yield Row("a run in the app", "done", said, said.startswith("done"))


async def _in_app(values: dict[str, Any]) -> tuple[str, str]:
    """How the run ended, and what the screen then showed."""
    from noodle_tui.events import ENDINGS, RunDone
    from noodle_tui.tui.app import NoodleApp

    app = NoodleApp(values, recall_last=False)
    async with app.run_test(size=(120, 40)) as pilot:
        began = time.perf_counter()
        while app.background is None and time.perf_counter() - began < PATIENCE:
            await pilot.press("ctrl+r")  # Start, once Setup has looked at the photos and the machine
            await pilot.pause(0.5)
        began = time.perf_counter()
        while app.is_busy() and time.perf_counter() - began < PATIENCE:
            await pilot.pause(0.1)
        events = app.background.events if app.background else []
        await pilot.pause(1)
        ending = next((event for event in events if isinstance(event, ENDINGS)), None)
        picture = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        if not isinstance(ending, RunDone):
            return f"not done: {ending}", picture
        return f"done in {time.perf_counter() - began:.1f} s, best {ending.best_correct}/{ending.best_count}", picture


PARTS: dict[str, Callable[[Place], Iterator[Row]]] = {
    "bench": bench, "memory": memory, "together": together, "tests": tests, "app": app,
}


def one_line(text: str) -> str:
    """The last line that says something."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--log", type=Path, help="file that takes every process's whole output")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="noodle-gpu-") as name:

        def log(text: str) -> None:
            if options.log:
                with options.log.open("a") as file:
                    file.write(text + "\n")

        place = Place(options.device, Path(name), log, options.log or Path(name) / "process")
        for part in options.parts or PARTS:
            began = time.perf_counter()
            try:
                found = list(PARTS[part](place))
            except Exception as error:  # noqa: BLE001 - the other parts are worth having all the same
                found = [Row(part, "", f"{type(error).__name__}: {error}", False)]
            print(f"\n{part} ({time.perf_counter() - began:.0f} s)", flush=True)
            for row in found:
                mark = {True: "ok  ", False: "NOT ", None: "    "}[row.good]
                print(f"{mark}{row.what}: {row.found}" + (f"  (asked: {row.asked})" if row.asked else ""), flush=True)
            rows += found
    missed = [row.what for row in rows if row.good is False]
    print("\n" + (f"{len(missed)} not as asked: " + "; ".join(missed) if missed else "all as asked"))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
