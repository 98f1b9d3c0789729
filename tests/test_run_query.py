"""The filter of a list of runs."""

from pathlib import Path

import pytest

from noodle_tui.errors import UsageError
from noodle_tui.events import EpochDone
from noodle_tui.run_query import parse_query
from noodle_tui.summaries import RunSummary

BEST = EpochDone(epoch=31, n_epochs=40, train_loss=0.2, train_correct=90, train_count=96, val_loss=0.3, val_correct=23,
                 val_count=24, lr=0.001, seconds=1.0, images_per_second=120.0, is_best=True)
RUN = RunSummary(
    Path("weights/sweep-20261123-101500"), "sweep", "done", epoch=40, n_epochs=40, best=BEST, started=1.76e9, seconds=99.0,
    config={"lr": 0.001, "split_by": "person", "comet": False, "tensorboard": True, "classes": ["sad=_Sa_", "happy=_Ha_"],
            "load_dir": None},
)  # fmt: skip
BEGUN = RunSummary(Path("weights/begun"), "begun", "running")  # nothing is known of it yet


@pytest.mark.parametrize("query", [
    "", "sweep", "SWEEP 2026", "status:done", "acc>0.9", "acc<=0.96", "cfg.lr>=1e-3", "lr:0.001", "lr<1", "split_by:pers",
    "split-by=person", "comet:no", "comet=false", "-status:failed", "-other", "cfg.load_dir!=x", "epoch=40 best_epoch>30",
    "best>0.9", "classes:_sa_", "started:2025-10", "-acc<0.9", "name=sweep", "seconds<100", "lr!=0.1",
    "'sweep' \"status:done\"", "folder:20261123", "-error:nan", "tensorboard:yes", "tensorboard!=off", "-", "best_epoch=31",
    "state:done", "acc=0.958", "acc>=0.958", "acc<=0.958", "started=2025-10", "started<=2025-10", "started>=2025",
    "classes='sad=_Sa_, happy=_Ha_'",
])  # fmt: skip
def test_fits(query: str) -> None:
    assert parse_query(query)(RUN)


@pytest.mark.parametrize("query", [
    "other", "sweep other", "status:failed", "acc>0.96", "cfg.lr>1e-3", "-sweep", "comet:yes", "load_dir:x", "lr:abc",
    "comet>0", "split_by=pers", "error:x", "pinned:yes", "tensorboard:no", "tensorboard=1.5", "load_dir:none", "best_epoch<31",
    "acc>0.958", "acc!=0.958", "started>2025-10", "started<2025-10", "started!=2025",
])  # fmt: skip
def test_does_not_fit(query: str) -> None:
    assert not parse_query(query)(RUN)


@pytest.mark.parametrize("query", ["epoch<5", "epochs<5", "seconds<5", "acc<1", "started<2027"])
def test_what_a_run_does_not_tell_is_no_number(query: str) -> None:
    assert not parse_query(query)(RunSummary(Path("weights/broken"), "broken", "broken"))


@pytest.mark.parametrize("key", ["acc", "best_epoch", "started", "error", "cfg.lr"])
def test_what_a_run_lacks_is_neither_less_nor_more_than_anything(key: str) -> None:
    assert not any(parse_query(f"{key}{sign}0")(BEGUN) for sign in ("<", "<=", ">", ">=", "=", ":"))
    assert parse_query(f"{key}!=0")(BEGUN) and parse_query(f"-{key}<0")(BEGUN)


@pytest.mark.parametrize(("query", "said"), [
    ("note:y", "note: no such key"), ("acc>", "acc>: a value is missing"),
    ("-best>high", "best>high: best is a number"), ("'open", "a quote is open"), ("-cfg.x=1", "cfg.x"),
])
def test_says_what_cannot_be_understood(query: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_query(query)
