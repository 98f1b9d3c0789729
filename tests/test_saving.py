"""Saves in a thread of their own: training doesn't wait for them, and none is lost."""

import errno
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest
import torch
from test_checkpoint import assert_same, trained, weights
from torch import Tensor

from noodle_tui import saving
from noodle_tui.checkpoint import read_checkpoint
from noodle_tui.config import RunConfig
from noodle_tui.errors import NoodleError, StopRun
from noodle_tui.events import Event, Message, Saved
from noodle_tui.report import RunFacts, facts_now
from noodle_tui.run_folder import CARD, CHECKPOINT, MODEL
from noodle_tui.saving import Saver
from noodle_tui.session import Best, Session

SOON = 60.0  # seconds after which something counts as never
CONFIG = RunConfig()
FACTS = RunFacts(
    name="a run", config=CONFIG.model_dump(mode="json"), classes=["happy", "sad"], epochs=[], best_epoch=0,
    train_counts=[2, 2], val_counts=[4, 4], train_people=set(), val_people=set(), unknown_people=12, split_by=None, skipped=[],
    fingerprint="abc", weights="none", device="cpu", device_name="CPU", precision="fp32", environment={}, started=0.0,
    finished=0.0, seconds=0.0,
)


class SlowDisk:
    """A listener that holds the writing thread up at its first event until it is let go, as a slow disk would."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.writing, self.go_on = threading.Event(), threading.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self.writing.set()
        assert self.go_on.wait(SOON)

    @property
    def saved(self) -> list[tuple[str, int]]:
        return [(e.file, e.epoch) for e in self.events if isinstance(e, Saved)]


@pytest.fixture
def disk() -> Iterator[SlowDisk]:
    disk = SlowDisk()
    yield disk
    disk.go_on.set()  # a test that failed leaves no thread behind


def at_epoch(session: Session, epoch: int) -> Session:
    session.epoch = epoch
    return session


def better(session: Session, epoch: int) -> None:
    """Another best epoch, with weights of its own."""
    assert session.best is not None
    session.best = Best(epoch, 8, 8, 0.1, {name: value + epoch for name, value in session.best.weights.items()})


def test_saving_waits_for_nothing_and_a_newer_one_takes_the_place_of_one_that_waits(tmp_path: Path, disk: SlowDisk) -> None:
    session = trained()
    with Saver(tmp_path, CONFIG, FACTS, disk) as saver:
        saver.save(at_epoch(session, 1))
        assert disk.writing.wait(SOON)
        for epoch in (2, 3, 4):
            saver.save(at_epoch(session, epoch))  # comes back though the first isn't done
        assert disk.saved == [(CHECKPOINT, 1)]
        disk.go_on.set()
    assert disk.saved == [(CHECKPOINT, 1), (MODEL, 1), (CHECKPOINT, 4)]
    assert read_checkpoint(tmp_path)[0].epoch == 4


def test_what_is_written_is_the_session_as_it_was(tmp_path: Path, disk: SlowDisk) -> None:
    session = trained()
    with Saver(tmp_path, CONFIG, FACTS, disk) as saver:
        saver.save(session)
        assert disk.writing.wait(SOON)
        before = {name: value.clone() for name, value in weights(session).items()}
        totals = session.totals.clone()
        saver.save(at_epoch(session, 3))
        with torch.no_grad():  # training goes on
            for value in weights(session).values():
                value.zero_()
        session.totals.zero_()
        session.epoch, session.history = 9, []
        disk.go_on.set()
    content, _ = read_checkpoint(tmp_path)
    momentum = {f"momentum {i}": s["momentum_buffer"] for i, s in content.optimizer["state"].items()}
    assert_same({**content.model, **momentum}, before)
    assert torch.equal(content.totals, totals)
    assert (content.epoch, len(content.history)) == (3, 2)
    assert content.config == CONFIG.model_dump(mode="json")


def test_saved_is_said_when_the_file_is_there(tmp_path: Path) -> None:
    epochs: dict[str, int] = {}
    threads: set[str] = set()

    def look(event: Event) -> None:
        if isinstance(event, Saved) and event.what == "checkpoint":
            epochs[event.file] = read_checkpoint(tmp_path)[0].epoch
        if isinstance(event, Saved) and event.what == "model":
            assert (tmp_path / CARD).is_file()
            epochs[event.file] = event.epoch
        threads.add(threading.current_thread().name)

    session = trained()
    with Saver(tmp_path, CONFIG, FACTS, look) as saver:
        saver.save(session)
    assert epochs == {CHECKPOINT: 2, MODEL: 1}
    assert threads == {"save"}
    assert "save" not in {thread.name for thread in threading.enumerate()}


def read_model(folder: Path) -> dict[str, Tensor]:
    return dict(torch.load(folder / MODEL, weights_only=True))


def test_the_model_is_written_where_it_is_another(tmp_path: Path) -> None:
    said: list[Event] = []
    session = trained()
    with Saver(tmp_path, CONFIG, FACTS, said.append) as saver:
        saver.save(session)
        saver.wait()
        saver.save(session)
        saver.wait()
        better(session, 2)
        saver.save(session)
    assert [e.epoch for e in said if isinstance(e, Saved) and e.what == "model"] == [1, 2]
    assert session.best is not None
    assert_same(read_model(tmp_path), session.best.weights)


def test_the_best_alone_drops_no_checkpoint_that_waits(tmp_path: Path, disk: SlowDisk) -> None:
    session = trained()
    with Saver(tmp_path, CONFIG, FACTS, disk) as saver:
        saver.save(at_epoch(session, 1))
        assert disk.writing.wait(SOON)
        saver.save(at_epoch(session, 2))
        better(session, 3)
        saver.save_model(at_epoch(session, 3))  # the loss of epoch 3 was no number: its weights must not be saved
        disk.go_on.set()
    assert disk.saved == [(CHECKPOINT, 1), (MODEL, 1), (CHECKPOINT, 2), (MODEL, 3)]
    assert read_checkpoint(tmp_path)[0].epoch == 2


def errors_in(events: list[Event]) -> list[str]:
    return [e.text.split(" (")[0] for e in events if isinstance(e, Message) and e.level == "error"]


def test_a_disk_that_refuses_is_said_once_tried_again_and_said_anew_after_a_success(tmp_path: Path) -> None:
    said: list[Event] = []
    session, folder = trained(), tmp_path / "run"
    once = [f"{folder / name} could not be saved" for name in (CHECKPOINT, MODEL)]
    with Saver(folder, CONFIG, FACTS, said.append) as saver:
        for epoch in range(1, 5):
            saver.save(at_epoch(session, epoch))
            saver.wait()
        assert errors_in(said) == once
        folder.mkdir()
        saver.save(session)
        saver.wait()
        assert [e.file for e in said if isinstance(e, Saved)] == [CHECKPOINT, MODEL]
        shutil.rmtree(folder)
        better(session, 5)
        saver.save(session)
        saver.wait()
        assert errors_in(said) == 2 * once
        folder.write_text("a file in the folder's place refuses for another reason")
        saver.save(session)
    assert errors_in(said) == 3 * once


def test_a_move_waits_for_what_is_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the report is refused while the last save is under way: two folders must not get mixed up."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    said: list[Event] = []

    def slowly(event: Event) -> None:
        said.append(event)
        time.sleep(0.3)

    folder = tmp_path / "run"
    with Saver(folder, CONFIG, FACTS, slowly) as saver:
        saver.save(trained())
        time.sleep(0.1)
        home = saver.move()
    assert errors_in(said) == [*(f"{folder / name} could not be saved" for name in (CHECKPOINT, MODEL)),
                               f"{folder} takes no files: the run is saved in {home} instead"]
    assert [e.file for e in said if isinstance(e, Saved)] == [CHECKPOINT, MODEL]
    assert {CHECKPOINT, MODEL, CARD} == {f.name for f in home.iterdir()}


def break_it(session: Session) -> None:
    session.comet_key = threading.Lock()  # type: ignore[assignment] - a bug: nothing that a file can hold


def test_a_session_that_has_diverged_does_not_take_the_place_of_one_that_has_not(tmp_path: Path) -> None:
    session = trained()
    saver = Saver(tmp_path, CONFIG, FACTS, lambda event: None)
    saver.save(at_epoch(session, 1))
    saver.wait()
    better(session, 2)
    session.totals.fill_(float("nan"))
    session.lr = 0.5
    saver.save(at_epoch(session, 2))
    with pytest.raises(NoodleError, match=r"no numbers after batch 3 of epoch 3, .*lower --lr \(it is 0.5\); .*--load-dir"), \
            saver:
        raise StopRun("who stops a run is told")
    stored, warning = read_checkpoint(tmp_path)
    assert (stored.epoch, warning) == (1, ""), "of the newest file, not of the one that it would give way to"
    assert session.best is not None
    assert_same(read_model(tmp_path), session.best.weights)


def test_another_error_in_the_thread_is_raised_at_the_next_save(tmp_path: Path) -> None:
    session = trained()
    break_it(session)
    saver = Saver(tmp_path, CONFIG, FACTS, lambda event: None)
    saver.save(session)
    with pytest.raises(TypeError, match="cannot pickle"):
        saver.wait()
    with pytest.raises(TypeError, match="cannot pickle"):
        saver.save(trained())
    with pytest.raises(TypeError, match="cannot pickle"), saver:
        raise StopRun("a stop would be told that all is saved")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The places where a run may go whose own folder refuses; none of them is there yet."""
    found = [tmp_path / "first", tmp_path / "second"]
    monkeypatch.setattr(saving, "rescue_places", lambda: found)
    return found


def test_where_one_place_takes_no_folder_the_next_one_gets_all_of_the_run(tmp_path: Path, places: list[Path]) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    places[0].touch()  # a file stands there
    with Saver(folder, CONFIG, FACTS, lambda event: None) as saver:
        saver.save(session := trained())
        saver.save_model(session)  # once it was judged
        saver.wait()
        shutil.rmtree(folder)  # with the model in it
        home = saver.move()
    assert home.parent == places[1]
    assert {CHECKPOINT, MODEL, CARD} == {f.name for f in home.iterdir()}


def test_a_run_that_no_place_takes_leaves_no_half_folder_and_is_said_once(
    tmp_path: Path, places: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(saving, "save_session", refuse)
    said: list[Event] = []
    (tmp_path / "run").mkdir()
    places[0].touch()
    with Saver(tmp_path / "run", CONFIG, FACTS, said.append) as saver:
        saver.save(trained())
        with pytest.raises(NoodleError) as raised:
            saver.finish()
        assert saver.finish() == tmp_path / "run"
    assert str(raised.value) == (
        f"{tmp_path / 'run'} takes no checkpoint.pt, nor do {places[0]} (File exists) and {places[1]} (No space left on "
        "device): what would have been there is lost; make room or rights there, then start again")
    assert errors_in(said) == [f"{tmp_path / 'run' / CHECKPOINT} could not be saved"], "of the other places it is not said"
    assert list(places[1].iterdir()) == []


def test_a_run_that_has_no_other_place_is_said_to_have_none(tmp_path: Path, places: list[Path]) -> None:
    places.clear()
    with Saver(tmp_path / "run", CONFIG, FACTS, lambda event: None) as saver:
        saver.save(trained())
        with pytest.raises(NoodleError, match=r"model\.pth, and there is neither a home nor a temporary folder: what would"):
            saver.finish()


def test_the_facts_are_those_of_now_and_the_time_of_an_epoch_that_was_stopped_counts() -> None:
    session = trained()
    session.seconds = 0.5
    facts = facts_now(FACTS, session)
    assert (facts.seconds, facts.best_epoch, facts.finished) == (2.5, 1, session.history[-1].time)
    assert facts.epochs == session.history


class Gone(MetaPathFinder):
    """Nothing can be imported any more."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")


def test_an_environment_that_is_removed_while_a_run_trains_does_not_keep_its_first_save_from_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("torch.utils.serialization")]:
        monkeypatch.delitem(sys.modules, name)  # as before torch's first save in a process
    with Saver(tmp_path, CONFIG, FACTS, lambda event: None) as saver:
        monkeypatch.setattr(sys, "meta_path", [Gone()])
        saver.save(trained())
        saver.finish()
        monkeypatch.undo()
    assert (tmp_path / CHECKPOINT).exists() and (tmp_path / MODEL).exists()
