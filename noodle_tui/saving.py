"""Saving in a thread of its own, so that no epoch waits for the disk: the session as checkpoint.pt, the best as model.pth."""

import contextlib
import json
import queue
import shutil
import threading
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from noodle_tui.atomic import write_atomic
from noodle_tui.checkpoint import (
    has_diverged,
    how_far,
    rehearse_saving,
    save_session,
    session_content,
    to_main_memory,
    weights_file,
)
from noodle_tui.config import RunConfig
from noodle_tui.disk import make_rescue_folder, rescue_places
from noodle_tui.errors import NoodleError, StopRun
from noodle_tui.evaluate import Count
from noodle_tui.events import Emit, Message, Saved, SaveRefused
from noodle_tui.model_card import ModelCard
from noodle_tui.report import RunFacts, facts_now, model_card
from noodle_tui.run_folder import CARD, CHECKPOINT, MODEL, has_checkpoint, how_to_pick_up
from noodle_tui.session import Best, Session


@dataclass(frozen=True)
class Save:
    """What is to be written. On CUDA its tensors are copies on the GPU, until the writing thread has brought them home."""

    content: dict[str, Any] | None  # of checkpoint.pt; None leaves the file as it is
    best: Best | None
    card: ModelCard | None  # where there is a best epoch
    copied: "torch.cuda.Event | None"  # on CUDA: when the copies have been made

    def bring_home(self) -> None:
        """Have its tensors in main memory. They come on a stream of their own: on training's they would wait for what is queued
        there, and training for them."""
        if self.copied is None:
            return
        self.copied.synchronize()
        torch.cuda.set_device(self.copied.device)  # else leaving the stream would claim memory on cuda:0
        with torch.cuda.stream(_way_home(self.copied.device)):
            if self.content is not None:
                to_main_memory(self.content)
            if self.best is not None:
                to_main_memory(self.best.weights)


@cache
def _way_home(device: torch.device) -> torch.cuda.Stream:
    """One stream for all saves: torch hands out a ring of them, and the copies of photos have one, too."""
    return torch.cuda.Stream(device)


class Saver:
    """Takes a copy of the session between two batches and writes it while training goes on.

    One save is written at a time and one waits at most: a newer takes the place of one that hasn't begun. A disk that refuses
    is said, and tried again at the next save point; what it refuses at the end goes elsewhere. As a context it ends when all
    is written.
    """

    def __init__(self, folder: Path, config: RunConfig, facts: RunFacts, emit: Emit):
        """`emit` is called in the writing thread."""
        self._folder, self._config, self._facts, self._emit = folder, config.model_dump(mode="json"), facts, emit
        self._saves: queue.Queue[Save | None] = queue.Queue()  # None: no more will come
        self._trouble: Exception | None = None
        self._card: ModelCard | None = None  # what model.json holds, of the weights in model.pth
        self._refused: dict[str, str] = {}  # files whose newest content the disk did not take, and why, as it was said
        self._moving = False  # what refuses then is said all at once
        self._last: Save | None = None  # stays in memory until the end: the disk may go at any time
        rehearse_saving()
        # a plain thread and no executor: those refuse work while the process waits for a run without an app to end
        self._thread = threading.Thread(target=self._work, name="save")
        self._thread.start()

    def __enter__(self) -> "Saver":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._saves.put(None)
        self._thread.join()
        if kind is None or issubclass(kind, StopRun):  # who stops a run is told that all is saved
            self._raise_trouble()

    def save(self, session: Session) -> None:
        """Save the session and its best weights. Returns once they are copied; on CUDA, once that is under way.

        Raises what went wrong with an earlier save, the disk's refusals aside: NoodleError where training has diverged.
        """
        self._raise_trouble()
        with contextlib.suppress(queue.Empty):
            self._saves.get_nowait()  # it hasn't begun, and this one is newer
            self._saves.task_done()
        self._hand_over(session, session_content(session, self._config))

    def save_model(self, session: Session, judged: Count | None = None) -> None:
        """Save its best weights alone. What waits to be written still is. `judged`: what they came to since; model.json has
        else what their epoch counted."""
        self._hand_over(session, None, judged)

    def wait(self) -> None:
        """Return when all is written or refused by the disk. Raises whatever else went wrong."""
        self._saves.join()
        self._raise_trouble()

    def finish(self) -> Path:
        """Wait until all is written; the folder that holds it: the run's own, or what `move` finds where that refuses."""
        self.wait()
        return self.move() if self._refused else self._folder

    def move(self) -> Path:
        """Write the last save into a new folder, since the run's own takes no files any more, and say where.

        NoodleError if no place takes it.
        """
        self.wait()  # what is being written belongs to the old folder
        refusing, lost = self._folder, " and ".join(self._refused) or "report"
        self._moving, refusals = True, list[str]()
        for place in rescue_places():
            try:
                self._folder = make_rescue_folder(place, refusing.name)
            except OSError as error:
                refusals.append(f"{place} ({error.strerror})")
                continue  # the next place may take it
            self._card, self._refused = None, {}
            if self._last is not None:
                self._saves.put(self._last)
            self.wait()
            if not self._refused:
                self._emit(Message(level="error", text=f"{refusing} takes no files: the run is saved in "
                                   f"{self._folder} instead"))
                return self._folder
            refusals.append(f"{place} ({', '.join(dict.fromkeys(self._refused.values()))})")
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder, self._refused = refusing, {}  # it is said now, once
        nowhere = f"nor do {' and '.join(refusals)}" if refusals else "and there is neither a home nor a temporary folder"
        raise NoodleError(f"{refusing} takes no {lost}, {nowhere}: what would have been there is lost; make room or rights "
                          "there, then start again")

    def _hand_over(self, session: Session, content: dict[str, Any] | None, judged: Count | None = None) -> None:
        best, card = None, None
        if session.best is not None:
            weights = content["best"]["weights"] if content is not None else dict(session.best.weights)
            best = replace(session.best, weights=weights)
            card = model_card(facts_now(self._facts, session), judged or Count("all", best.correct, best.count))
        copied = None
        if session.totals.is_cuda:
            copied = torch.cuda.Event()
            copied.record(torch.cuda.current_stream(session.totals.device))
        else:  # nothing to do on a CPU; Apple's GPUs bear one thread only
            for tree in (content, best.weights if best else None):
                to_main_memory(tree or {})
        before = self._last.content if self._last is not None else None
        self._last = Save(content or before, best, card, copied)
        self._saves.put(Save(content, best, card, copied))

    def _raise_trouble(self) -> None:
        if self._trouble is not None:
            raise self._trouble

    def _work(self) -> None:
        while (save := self._saves.get()) is not None:
            try:
                self._write(save)
            except Exception as error:  # noqa: BLE001 - it ends the run, not this thread: the next save or `wait` raises it
                self._trouble = error
            finally:
                self._saves.task_done()

    def _write(self, save: Save) -> None:
        save.bring_home()
        content = save.content
        lost = content is not None and has_diverged(content["model"], content["totals"])
        if content is not None and not lost:
            self._write_checkpoint(content)
        if save.best is not None and save.card is not None and save.card != self._card:
            self._write_model(save.best, save.card)
        if content is not None and lost:
            raise NoodleError(diverged_in_words(self._folder, content))

    def _write_checkpoint(self, content: dict[str, Any]) -> None:
        try:
            save_session(self._folder, content)
        except OSError as error:
            self._say_refused(CHECKPOINT, error)
            return
        self._refused.pop(CHECKPOINT, None)
        self._emit(Saved(what="checkpoint", file=CHECKPOINT, epoch=content["epoch"]))

    def _write_model(self, best: Best, card: ModelCard) -> None:
        try:
            write_atomic(self._folder / MODEL, weights_file(best.weights))
            write_atomic(self._folder / CARD, json.dumps(card.model_dump(), indent=1) + "\n")
        except OSError as error:
            self._say_refused(MODEL, error)
            return
        self._refused.pop(MODEL, None)
        self._card = card
        self._emit(Saved(what="model", file=MODEL, epoch=best.epoch))

    def _say_refused(self, name: str, error: OSError) -> None:
        reason = error.strerror or str(error)
        if self._refused.get(name) == reason:
            return  # the same as at the save point before
        self._refused[name] = reason
        if self._moving:
            return
        self._emit(SaveRefused(file=name, reason=reason))
        self._emit(Message(level="error", text=f"{self._folder / name} could not be saved ({reason}): make room or "
                           "rights there; it stays in memory, is tried again at each save point, and elsewhere at the end"))


def diverged_in_words(folder: Path, content: dict[str, Any]) -> str:
    """Why a session is not saved whose weights are lost, and how to go on from the one before."""
    way_on = f"; with a lower one {how_to_pick_up(folder)}: its last checkpoint is whole" if has_checkpoint(folder) else ""
    return (f"the weights are no numbers after {how_far(content['epoch'], content['step'])}, and are not saved: training "
            f"diverged; lower --lr (it is {content['lr']:g}){way_on}")
