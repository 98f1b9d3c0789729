"""Shows a run in the terminal: a live bar where it is one, a plain line an epoch elsewhere, or an event a line as JSON."""

import os
import sys
from typing import TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from noodle_tui.events import (
    ENDINGS,
    DataReady,
    EpochDone,
    Event,
    Message,
    ModelReady,
    Paused,
    Resumed,
    RunDone,
    RunFailed,
    RunStarted,
    RunStopped,
    Saved,
    StageProgress,
    StageStarted,
    to_json,
)
from noodle_tui.progress import is_due
from noodle_tui.stats import share_in_words
from noodle_tui.terminal import UnblockedStream, columns_of, folded
from noodle_tui.text import number_of, printable

MARKS = {"info": "·", "warning": "!", "error": "x"}


class ConsoleListener:
    """Listens to a run. When nobody reads any more (a closed pipe), it falls silent and the run goes on; a reader that only
    pauses gets it all later."""

    def __init__(self, json: bool = False, log_every: int | None = None, out: TextIO | None = None):
        """log_every: None takes the run's own."""
        self._json = json
        self._log_every, self._asked_every = log_every or 1, log_every
        self._stdout = UnblockedStream(sys.stdout) if out is None else None
        self._out = cast(TextIO, self._stdout or out)
        self._console = Console(file=self._out, markup=False, highlight=False, emoji=False)
        self._bar = StageBar(self._console) if self._console.is_terminal and not self._console.is_dumb_terminal else None
        self._silent = False
        self._ended = self._saved = False
        self._last_words: list[str] = []  # said after the run's end, e.g. how to upload an archive

    def __call__(self, event: Event) -> None:
        if self._silent:
            return
        try:
            self._show(event)
        except OSError:
            self._fall_silent()

    def say(self, line: str) -> None:
        """One line of text, above the bar."""
        if self._silent:
            return
        try:
            self._print(line)
        except OSError:
            self._fall_silent()

    @property
    def reader_is_gone(self) -> bool:
        """Whether nobody reads any more: for whom there is nothing else to do than to print."""
        return self._silent or (self._stdout is not None and self._stdout.reader_is_gone())

    def close(self) -> None:
        """Print what was said after the run's end, and wait a little for a reader that paused."""
        if self._bar is not None:
            self._bar.close()
        self._say_last_words()
        if self._stdout is None or self._silent:
            return
        try:
            if not self._stdout.drain() or self._stdout.left_out:
                left_out = "noodle: what nobody read in time, or no disk took, is left out here; it is all in the run folder"
                print(folded(left_out, sys.stderr), file=sys.stderr)
        except OSError:
            self._fall_silent()

    def _say_last_words(self) -> None:
        for line in self._last_words:
            self.say(line)
        self._last_words.clear()

    def _show(self, event: Event) -> None:
        if self._json:
            self._out.write(to_json(event) + "\n")
            self._out.flush()
            return
        if self._bar is not None:
            self._bar(event)
        if isinstance(event, EpochDone) and not is_due(event.epoch, self._log_every, event.n_epochs):
            return
        if isinstance(event, StageStarted) and self._bar is not None:
            return  # the bar says it
        line = in_words(event, columns_of(self._out))
        self._saved = self._saved or isinstance(event, Saved) or (isinstance(event, RunStarted) and event.resumed_at > 0)
        if isinstance(event, RunStopped):
            line += "; all is saved" if self._saved else "; nothing had been learnt yet"
        if isinstance(event, RunStarted):
            self._log_every = self._asked_every or logged_every(event)
            self._say_last_words()  # a run that is followed may be picked up after its end
        self._ended = isinstance(event, ENDINGS) or (self._ended and not isinstance(event, RunStarted))
        if line and self._ended and isinstance(event, Message):
            self._last_words.append(line)
        elif line:
            self._print(line)

    def _print(self, line: str) -> None:
        line = folded(printable(line), self._out)  # names of files, and what a run folder of somebody else says
        if self._bar is not None:
            self._console.print(Text(line), soft_wrap=True)
            return
        self._out.write(line + "\n")  # not by rich, which ends the process when the reader is gone
        self._out.flush()

    def _fall_silent(self) -> None:
        """The reader is gone: also keep Python from failing on its last flush."""
        self._silent = True
        if self._stdout is not None:
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), self._out.fileno())


def logged_every(event: RunStarted) -> int:
    """--log-every of a run; a record that was written by hand may hold anything there."""
    every = event.config.get("log_every")
    return every if type(every) is int and every > 0 else 1


class StageBar:
    """The stage that is going on, as a bar at the bottom of the terminal."""

    def __init__(self, console: Console):
        self._progress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:3.0f}%"),
            TimeRemainingColumn(), console=console, transient=True, refresh_per_second=4,
        )
        self._task: TaskID | None = None
        self._epoch = self._n_epochs = 0

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._epoch, self._n_epochs = event.resumed_at, event.n_epochs
            case StageStarted(stage="train"):
                self._restart("training", self._n_epochs)
            case StageStarted():
                self._restart(printable(event.text), 1)
            case StageProgress(stage="train") if self._task is not None:  # batches of the epoch
                self._progress.update(self._task, completed=self._epoch + event.done / max(event.total or 1, 1),
                                      description=f"epoch {self._epoch + 1}/{self._n_epochs}")
            case StageProgress() if self._task is not None:
                self._progress.update(self._task, completed=event.done, total=event.total)
            case EpochDone() if self._task is not None:
                self._epoch = event.epoch
                self._progress.update(self._task, completed=event.epoch)
            case RunDone() | RunStopped() | RunFailed():
                self.close()

    def _restart(self, text: str, total: int) -> None:
        if self._task is None:
            self._progress.start()
        else:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(text, total=total)

    def close(self) -> None:
        self._progress.stop()
        self._task = None


def in_words(event: Event, width: int | None) -> str:
    """One plain line for an event; "" for what needs none. width: the cells of a line, where they are few."""
    match event:
        case RunStarted():
            again = f", goes on after epoch {event.resumed_at}" if event.resumed_at else ""
            return f"run {event.name} in {event.folder}{again}"
        case StageStarted():
            return event.text
        case DataReady():
            return data_in_words(event)
        case ModelReady():
            return (f"{event.architecture}, weights {event.weights}, on {event.device_name} ({event.device}) in "
                    f"{event.precision}")
        case EpochDone():
            return epoch_in_words(event, width)
        case Message():
            return f"{MARKS.get(event.level, '·')} {event.text}"
        case Paused():
            return f"paused after epoch {event.epoch}; remove the file `pause` from the run folder to go on"
        case Resumed():
            return "goes on"
        case RunStopped():
            return event.in_words
        case RunFailed():
            return ""  # the command line prints its error
    return ""


def data_in_words(event: DataReady) -> str:
    def side(counts: list[int]) -> str:
        each = ", ".join(f"{count} {name}" for name, count in zip(event.classes, counts, strict=True))
        return f"{sum(counts)} ({each})"

    people = f"; {number_of(event.people, 'person')}, {event.people_in_both} in both" if event.people else ""
    skipped = f"; {number_of(event.skipped, 'image')} left out" if event.skipped else ""
    return f"train {side(event.train_counts)}, val {side(event.val_counts)}{people}{skipped}; pixels in {event.where}"


def epoch_in_words(event: EpochDone, width: int | None) -> str:
    """An epoch's line; where it has no room in `width` cells, without its speed, or its time, either."""
    digits = len(str(event.n_epochs))
    train = f"train loss {event.train_loss:.4f} acc {share_in_words(event.train_accuracy)}"
    line = f"epoch {event.epoch:{digits}d}/{event.n_epochs}  {train}"
    if event.val_loss is not None and event.val_accuracy is not None:
        accuracy = f"{share_in_words(event.val_accuracy)} ({event.val_correct}/{event.val_count})"
        line += f"  val loss {event.val_loss:.4f} acc {accuracy}"
    time, speed = f"  {event.seconds:.1f} s", f"  {event.images_per_second:.0f} img/s"
    best = "  * best" if event.is_best else ""
    if width is None or len(line + time + speed + best) <= width:
        return line + time + speed + best
    return line + time + best if len(line + time + best) <= width else line + best[:3]
