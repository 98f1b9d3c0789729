"""What the report is told of a run, and the best weights before the validation images once more."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from test_fit import CPU, DATA, network

from noodle_tui.config import RunConfig
from noodle_tui.control import Control
from noodle_tui.errors import NoodleError, StopRun
from noodle_tui.events import EpochDone, Event, Message
from noodle_tui.job import Job
from noodle_tui.judge import judge, known_facts, predict_validation, why_otherwise
from noodle_tui.listeners.fanout import Fanout
from noodle_tui.loading import Loaded
from noodle_tui.report import read_predictions
from noodle_tui.session import Best, new_session
from noodle_tui.world import ALONE


def job_and_data(**made: Any) -> tuple[Job, Loaded]:
    """A job on drawn noise, and what it has loaded; `made`: how rejig sorted it."""
    session = new_session(network(), RunConfig(lr=0.1), CPU.torch_device)
    return Job(RunConfig(), None, Fanout(), Control(), ALONE), Loaded(replace(DATA, rejig=made), CPU, session)


def test_a_stop_is_seen_while_the_best_weights_are_judged() -> None:
    job, loaded = job_and_data()
    assert len(predict_validation(job, loaded)) == len(DATA.val.samples)
    job.control.stop("the test asks")
    with pytest.raises(StopRun, match="the test asks"):
        predict_validation(job, loaded)


def test_the_report_has_the_options_by_which_the_photos_were_sorted_before() -> None:
    job, loaded = job_and_data(val_fraction=0.3, split_by="person")
    facts = known_facts(job, replace(loaded, data=replace(loaded.data, by_hand=2)), None)
    assert (facts.config["val_fraction"], facts.config["split_by"], facts.by_hand) == (0.3, "person", 2)


def test_a_report_that_the_rescue_folder_refuses_too_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, loaded = job_and_data()
    loaded.session.best = Best(1, 2, 4, 0.5, dict(loaded.session.model.state_dict()))
    (tmp_path / "report.md").mkdir(parents=True)
    (tmp_path / "rescued" / "report.md").mkdir(parents=True)
    saver = Mock(move=lambda: tmp_path / "rescued", finish=lambda: tmp_path)
    with pytest.raises(NoodleError, match=r"the report could not be written to .*rescued either .*pick the run up"):
        judge(job, loaded, known_facts(job, loaded, None), saver, tmp_path)


def test_the_best_weights_are_judged_and_not_the_last_ones(tmp_path: Path) -> None:
    job, loaded = job_and_data()
    said: list[Event] = []
    job.emit.add(said.append)
    session = loaded.session
    best, last = (({**network().state_dict(), "5.bias": torch.tensor(bias)}) for bias in ([99.0, 0.0], [0.0, 99.0]))
    session.model.load_state_dict(last)
    session.best = Best(1, 5, 10, 0.5, best)
    session.history = [EpochDone(epoch=number, n_epochs=2, train_loss=1.0, train_correct=9, train_count=20, val_loss=0.5,
                                 val_correct=5, val_count=10, lr=0.1, seconds=1.0, images_per_second=30.0, is_best=number == 1)
                       for number in (1, 2)]
    saver = Mock(finish=lambda: tmp_path)
    facts, evaluation = judge(job, loaded, known_facts(job, loaded, None), saver, tmp_path)
    assert {answer.predicted for answer in read_predictions(tmp_path)[1]} == {0}, "as the best ones answer"
    assert evaluation.confusion == [[5, 0], [5, 0]]
    assert (facts.best_epoch, facts.epochs) == (1, session.history)
    saver.save_model.assert_called_once_with(session, evaluation.overall)
    assert not any(isinstance(event, Message) for event in said), "the count is that of its epoch"


def test_why_weights_are_judged_otherwise_than_they_were_counted() -> None:
    job, loaded = job_and_data()
    terms = {"precision": "bf16", "processes": "2"}
    told = "judged with precision fp32, processes 1, counted with precision bf16, processes 2, which rounds otherwise"
    unknown = "this device does not compute the same thing twice"
    assert why_otherwise(job, loaded, 3) == unknown
    picked_up = replace(job, before=Mock(stored=Mock(epoch=3, terms=terms)))
    assert (why_otherwise(picked_up, loaded, 3), why_otherwise(picked_up, loaded, 4)) == (told, unknown)
    loaded.session.terms = terms
    assert why_otherwise(job, loaded, 3) == told


def test_where_no_epoch_was_validated_that_is_said(tmp_path: Path) -> None:
    """Of a checkpoint that was made up."""
    job, loaded = job_and_data()
    with pytest.raises(NoodleError, match="no epoch was validated"):
        judge(job, loaded, known_facts(job, loaded, None), Mock(), tmp_path)
