"""Comet: a run's numbers and options on comet.com, or in an archive in the run folder that `comet upload` takes.

Comet's SDK runs in a process of its own (`comet_process.py`), so that nothing it does can hold up, silence or end the
training. What it is to send stands in `comet/journal.jsonl` in the run folder, written anew from the checkpoint's epochs
when a run is picked up, as metrics.csv is; an archive is made of that. `comet/delivered.jsonl` is what the server has
acknowledged and isn't sent again; `comet/experiment` is the experiment's key.

Comet gets numbers and options only: no path, file name, code, environment, command line, output or image.
"""

import contextlib
import json
import math
import os
import queue
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import noodle_tui
from noodle_tui.atomic import write_atomic
from noodle_tui.config import NAMED_WEIGHTS, RunConfig, options
from noodle_tui.errors import one_line
from noodle_tui.events import Emit, EpochDone, Event, Message, ModelReady, RunMoved
from noodle_tui.listeners.comet_process import HALF_MADE, JOURNAL, TEMPORARY
from noodle_tui.listeners.record import AppendFile
from noodle_tui.progress import is_due
from noodle_tui.run_folder import read_plain
from noodle_tui.samples import options_told
from noodle_tui.settings import Settings

SILENCE_S = 5.0  # no sign of progress for so long at the run's end, and the archive is made instead
HURRY_S = 5.0  # for sending, once somebody has asked the process to end: batch systems kill soon after they ask
ARCHIVE_S = 30.0  # importing Comet's SDK, making the archive: local work, 1 to 3 s
KEY = "experiment"  # file in the folder `comet`
SAFE_TEXTS = ("device", "namestr", "classes")  # texts that are no paths; any other text stays here


def new_experiment_key() -> str:
    """A key for one run's experiment, 32 letters and digits."""
    return uuid.uuid4().hex


def experiment_key(run_dir: Path, stored: str) -> str:
    """The key of a run's experiment: the one noted in its folder, else what its checkpoint has, else a new one.

    It is noted because a checkpoint has it only once an epoch more is done.
    """
    with contextlib.suppress(OSError, ValueError):
        noted = read_plain(run_dir / "comet" / KEY, 50).decode()
        if noted.isascii() and noted.isalnum():  # it becomes part of a file's name
            return noted
    return stored or new_experiment_key()


def parameters(config: RunConfig) -> dict[str, int | float | str | bool]:
    """The options that Comet may see: numbers, switches, choices, and texts that can't be a path or a person's name."""
    values = options_told(config)
    safe = [o.name for o in options() if o.kind in ("bool", "int", "float", "choice") or o.name in SAFE_TEXTS]
    shown = [name for name in safe if name in values]
    sent = {name: " ".join(values[name]) if isinstance(values[name], list) else values[name] for name in shown}
    return sent | {"weights": config.weights if config.weights in NAMED_WEIGHTS else "a file"}


def computed_by(ready: ModelReady) -> dict[str, str]:
    """What stands in these options' place: they may be "auto"."""
    return {"device": ready.device.partition(":")[0], "precision": ready.precision}


def clear_half_made(folder: Path) -> None:
    """Remove the archives that were being made when their process was killed, up to 45 MB each."""
    for half_made in folder.glob(f"{HALF_MADE}*"):
        shutil.rmtree(half_made, ignore_errors=True)


class CometLogger:
    """Listens to a run and has Comet's process log it. Nothing raises; only `close` waits, and that briefly.

    That process is started at once, since it takes seconds to, and is told its task when the run is ready to train: a run that
    ends before leaves its folder, and what the server has of it, as they were.

    `emit` is called from within `__call__` and `close`, in their caller's thread.
    """

    def __init__(
        self, config: RunConfig, settings: Settings, run_dir: Path, experiment_key: str, emit: Emit,
        history: Sequence[EpochDone] = (),
    ) -> None:
        """history  the epochs that a run which is picked up remembers"""
        self._config, self._emit, self._history = config, emit, history
        self._folder = (run_dir / "comet").absolute()
        self._task: dict[str, Any] = {
            "reason": "",  # why not to try online
            "api_key": settings.apikey.get_secret_value() if settings.apikey else None,
            "workspace": settings.username,
            "project": settings.project,
            "experiment_key": experiment_key,
            "name": config.namestr,
            "folder": str(self._folder),
        }
        if not settings.apikey:
            self._task["reason"] = "there is no API key in settings.json or COMET_API_KEY"
        self._to_say = [Message(level="warning", text=text) for text in settings.warnings]
        self._lines: list[str] = []  # all that stands in the journal, or will once the disk takes it
        self._unlogged: EpochDone | None = None  # the last epoch, if `log_every` left it out
        self._best_epoch: int | None = None
        self._announced = self._begun = False
        # a full disk is the recorder's to tell; what isn't written is tried again with the next line, and told at the end
        self._journal = AppendFile(self._folder / JOURNAL, lambda file, error: None)
        self._process: CometProcess | None = None
        try:
            self._process = CometProcess()
        except OSError as error:
            self._warn(f"Comet can't be started ({one_line(error)}); the run goes on without it")

    def __call__(self, event: Event) -> None:
        """Take in one event of the run."""
        if isinstance(event, Message):  # its own, maybe
            return
        self._announce()
        if isinstance(event, ModelReady):
            self._begin(event)
        elif isinstance(event, EpochDone):
            self._journal.append(self._take(event))
        elif isinstance(event, RunMoved):
            self._folder = Path(event.folder, "comet").absolute()

    def close(
        self,
        model_file: Path | None = None,
        confusion: list[list[int]] | None = None,
        classes: list[str] | None = None,
        limit_s: float = 60.0,
        in_a_hurry: Callable[[], bool] = lambda: False,
    ) -> None:
        """Send what is left, with the weights and the confusion matrix (rows are true classes), and end the experiment.

        Waits while Comet gets on, at most `limit_s` seconds; after SILENCE_S without progress, or without a server, an
        archive is written instead and a message says how to upload it. Once `in_a_hurry` says so (somebody asks this process
        to end), HURRY_S is all that is left for sending. Doesn't raise.
        """
        if self._process is None or not self._begun:
            if self._process:
                self._process.end()
            self._announce()
            return
        if self._unlogged is not None:
            self._journal.append(self._line(self._unlogged.epoch, self._unlogged.measures))
        upload = model_file if self._config.comet_weights and model_file and model_file.is_file() else None
        last = {"folder": str(self._folder), "lines": self._lines, "model": str(upload.absolute()) if upload else None,
                "confusion": confusion, "classes": classes, "epoch": self._best_epoch}
        said = self._process.finish(last, limit_s, in_a_hurry)
        self._announce()
        if "delivered" not in said and "archive" not in said:
            said |= self._archive_anew(said["offline"], last)
        self._conclude(said)

    def _begin(self, ready: ModelReady) -> None:
        """Write the journal anew and tell Comet's process what to do."""
        if self._process is None:
            return
        self._begun = True
        sent = parameters(self._config) | computed_by(ready)
        if self._history and self._history[-1].epoch >= self._config.n_epochs:  # what judges it now hasn't trained it
            sent = {name: value for name, value in sent.items() if name not in computed_by(ready)}
        self._task["parameters"] = sent
        with contextlib.suppress(OSError):  # without a place to write, Comet gets everything at the end
            self._folder.mkdir(exist_ok=True)
            clear_half_made(self._folder)
            (self._folder / JOURNAL).unlink(missing_ok=True)  # a full disk lets go of what it wouldn't replace
            write_atomic(self._folder / KEY, self._task["experiment_key"])
        self._journal.restart("".join(map(self._take, self._history)))
        self._process.tell(self._task)

    def _take(self, event: EpochDone) -> str:
        """An epoch's line for the journal; "" where there is nothing to log."""
        due = is_due(event.epoch, self._config.log_every, event.n_epochs)
        self._unlogged = None if due else event
        metrics = event.measures if due else {}
        if event.is_best:
            self._best_epoch = event.epoch
            metrics["best_val_accuracy"] = event.val_accuracy
        return self._line(event.epoch, metrics) if metrics else ""

    def _line(self, epoch: int, metrics: dict[str, float | None]) -> str:
        known = {name: value for name, value in metrics.items() if value is not None and math.isfinite(value)}
        self._lines.append(json.dumps({"epoch": epoch, "metrics": known}))
        return self._lines[-1] + "\n"

    def _archive_anew(self, reason: str, last: dict[str, Any]) -> dict[str, str]:
        """Have a second process write the archive: the first one hung or died."""
        clear_half_made(self._folder)
        try:
            process = CometProcess()
        except OSError:
            return {}
        process.tell(self._task | {"reason": reason})
        return process.finish(last, ARCHIVE_S)

    def _announce(self) -> None:
        """Say what there is to say, and once where the numbers go."""
        said = self._process.said if self._process else {}
        if not self._announced and "offline" in said:
            self._warn(f"Comet can't be used: {said['offline']}; the run goes on and keeps everything for an upload")
        elif not self._announced and "online" in said:
            self._info(f"Comet: {said['online']}")
        self._announced = self._announced or bool(said)
        while self._to_say:
            self._emit(self._to_say.pop(0))

    def _conclude(self, said: dict[str, str]) -> None:
        """Say how it ended."""
        if "delivered" in said:
            self._info("Comet has everything")
        elif "archive" in said:
            self._warn(f"Comet didn't get this run ({said['offline']}). Upload it with: "
                       f"COMET_API_KEY=<your key> comet upload {shlex.quote(said['archive'])}")
        else:
            self._warn(f"Comet didn't get this run ({said['offline']}), and no archive of all of it could be written to "
                       f"{self._folder}: is the disk full? The numbers are in metrics.csv")
        self._announce()

    def _info(self, text: str) -> None:
        self._to_say.append(Message(level="info", text=text))

    def _warn(self, text: str) -> None:
        self._to_say.append(Message(level="warning", text=text))


class CometProcess:
    """Comet's process and what it has said so far."""

    def __init__(self) -> None:
        """Start it; it waits for its task. OSError if no process can be had."""
        package = str(Path(noodle_tui.__file__).parents[1])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._temporary = tempfile.mkdtemp(prefix=TEMPORARY)  # comet_ml leaves weights behind when it is cut short
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "noodle_tui.listeners.comet_process"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the run, which then tells this process
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "TMPDIR": self._temporary},
            )
        except OSError:
            os.rmdir(self._temporary)
            raise
        self.said: dict[str, str] = {}  # "online": URL, "trouble", "offline": reason, "delivered": "", "archive": file
        self._imported = False  # comet_ml, which takes seconds where the machine is busy, the disk slow or nothing compiled
        self._heard = time.monotonic()
        self._words: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()  # to tell it; None: no more
        threading.Thread(target=self._talk, name="to Comet", daemon=True).start()
        self._listener = threading.Thread(target=self._listen, name="comet", daemon=True)
        self._listener.start()

    def tell(self, words: dict[str, Any]) -> None:
        """One line to its stdin. Doesn't wait until it is read. If it has died, whoever waits for its end will notice."""
        self._words.put(words)

    def finish(
        self, last: dict[str, Any], limit_s: float, in_a_hurry: Callable[[], bool] = lambda: False
    ) -> dict[str, str]:
        """Tell it that the run has ended, wait while it gets on, kill it otherwise. What it said."""
        hurried = in_a_hurry()  # a stopped run's limit is short already
        self.tell(last)
        self._words.put(None)
        start = time.monotonic()
        if self.said:  # it has been waiting for the end; otherwise it still tries to connect
            self._heard = start
        while self._child.poll() is None and time.monotonic() - start < limit_s:
            patience = ARCHIVE_S if "offline" in self.said or not self._imported else SILENCE_S
            if time.monotonic() - self._heard > patience:
                break
            if in_a_hurry() and not hurried:
                hurried, limit_s = True, min(limit_s, time.monotonic() - start + HURRY_S)
            time.sleep(0.05)
        hung = self._child.poll() is None
        self.end()
        if not self.said.keys() & {"delivered", "archive"}:
            reason = self.said.get("trouble", "the server doesn't answer") if hung else "Comet's process broke off"
            self.said.setdefault("offline", reason)
        return self.said

    def end(self) -> None:
        """Have it end at once, if it hasn't ended yet."""
        self._words.put(None)
        self._child.kill()
        self._child.wait()
        self._listener.join(1.0)
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _talk(self) -> None:
        """For a thread of its own: what is longer than a pipe holds waits until it is read, which may be never."""
        assert self._child.stdin
        with contextlib.suppress(OSError), self._child.stdin as stdin:
            while (words := self._words.get()) is not None:
                stdin.write(json.dumps(words).encode() + b"\n")
                stdin.flush()

    def _listen(self) -> None:
        assert self._child.stdout
        for line in self._child.stdout:
            word, _, text = line.decode(errors="replace").strip().partition(" ")
            if word != "trouble":
                self._heard = time.monotonic()
            if word == "imported":
                self._imported = True
            elif word != "progress":
                self.said[word] = text
