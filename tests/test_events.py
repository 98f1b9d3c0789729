"""Events survive JSON; RunState follows from them alone."""

import dataclasses
import json
import math
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noodle_tui.events import (
    KINDS,
    LAST_TIME,
    DataReady,
    EpochDone,
    Event,
    Message,
    ModelReady,
    Paused,
    Resumed,
    RunDone,
    RunFailed,
    RunMoved,
    RunStarted,
    RunStopped,
    Saved,
    SaveRefused,
    StageDone,
    StageProgress,
    StageStarted,
    from_json,
    to_json,
)
from noodle_tui.run_state import RunState


def started(n_epochs: int = 3, resumed_at: int = 0) -> RunStarted:
    return RunStarted(name="x", folder="w/x", config={"lr": 0.1}, n_epochs=n_epochs, pid=1, host="h", resumed_at=resumed_at)


def epoch(number: int, correct: int | None = 5, is_best: bool = False, seconds: float = 2.0) -> EpochDone:
    val_count = 0 if correct is None else 8
    return EpochDone(epoch=number, n_epochs=3, train_loss=0.5, train_correct=7, train_count=10,
                     val_loss=None if correct is None else 0.4, val_correct=correct, val_count=val_count,
                     lr=0.001, seconds=seconds, images_per_second=(10 + val_count) / seconds, is_best=is_best)


EXAMPLES = [
    started(), StageStarted(stage="decode", text="reading"), StageProgress(stage="decode", done=1, total=2),
    StageDone(stage="decode", seconds=1.5), Message(level="warning", text="[red]x[/]\n\udc80"),
    DataReady(classes=["a", "b"], train_counts=[1, 2], val_counts=[3, 4], people=5, people_in_both=1, skipped=0,
              fingerprint="f", where="memory"),
    ModelReady(architecture="resnet18", weights="none", device="cpu", device_name="CPU", precision="fp32"),
    epoch(1, is_best=True), epoch(2, None), Saved(what="model", file="model.pth", epoch=1), Paused(epoch=1), Resumed(epoch=1),
    RunDone(best_epoch=1, best_correct=5, best_count=8, seconds=9.0), RunStopped(reason="asked", seconds=1.0),
    RunFailed(error="no", seconds=1.0), SaveRefused(file="model.pth", reason="No space left"), RunMoved(folder="elsewhere"),
]


def test_there_is_an_example_of_each_kind():
    assert {type(e).__name__ for e in EXAMPLES} == set(KINDS)


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda e: type(e).__name__)
def test_json_round_trip(event):
    line = to_json(event)
    assert "\n" not in line
    assert from_json(line) == event


def test_not_a_number_becomes_null_and_comes_back():
    bad = dataclasses.replace(epoch(1), train_loss=math.nan, val_loss=math.inf)
    values = json.loads(to_json(bad))
    assert values["train_loss"] is None and values["val_loss"] is None
    back = from_json(to_json(bad))
    assert isinstance(back, EpochDone) and math.isnan(back.train_loss) and back.val_loss is None


@given(st.one_of(st.binary(), st.text(), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(sorted(KINDS)),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["event", "time", "epoch", "classes", "config"]), inner),
).map(json.dumps)))
def test_anything_else_is_a_value_error(line):
    try:
        event = from_json(line)
    except ValueError:
        return
    assert type(event).__name__ in KINDS


def test_a_key_that_is_no_text_is_refused():
    with pytest.raises(ValueError, match="not an event: Paused: "):
        from_json('{"event": "Paused", "epoch": 1, "\\ud800": 1}')


@pytest.mark.parametrize("change", [{"epoch": "1"}, {"epoch": True}, {"is_best": 1}, {"train_loss": "x"}, {"val_correct": 1.5}])
def test_a_mistyped_value_is_refused(change):
    values = json.loads(to_json(epoch(1))) | change
    with pytest.raises(ValueError, match=next(iter(change))):
        from_json(json.dumps(values))


def test_the_last_time_has_a_date_in_every_time_zone():
    assert from_json(to_json(Paused(epoch=1, time=LAST_TIME))).time == LAST_TIME
    assert datetime.fromtimestamp(LAST_TIME, timezone(timedelta(hours=24) - timedelta.resolution)).year == 9999


def test_what_earlier_versions_did_not_say_is_nothing():
    first = json.loads(to_json(started(resumed_at=7)))
    del first["resumed_at"], first["cwd"]
    assert vars(from_json(json.dumps(first))).items() >= {"resumed_at": 0, "cwd": ""}.items()
    data = json.loads(to_json(EXAMPLES[5]))
    del data["twins"], data["val_people"]
    assert vars(from_json(json.dumps(data))).items() >= {"twins": 0, "val_people": 0}.items()


def test_the_log_has_the_last_saving_of_each_file_however_long_the_run():
    savings = [Saved(what="checkpoint" if file.endswith("pt") else "model", file=file, epoch=n)
               for n in range(1, 4) for file in ("checkpoint.pt", "model.pth")]
    word = Message(level="info", text="between")
    assert RunState.fold([started(), *savings[:2], word, *savings[2:]]).log == [word, *savings[-2:]]


def test_a_whole_run_folds_into_its_state():
    state = RunState.fold([started(), EXAMPLES[5], EXAMPLES[6], StageStarted(stage="train", text="training"),
                           epoch(1, 5, is_best=True, seconds=1.0), epoch(2, 5, seconds=3.0)])
    assert (state.status, state.epoch, state.n_epochs, state.stage) == ("running", 2, 3, "train")
    assert (state.data, state.model) == (EXAMPLES[5], EXAMPLES[6])
    assert state.best is not None and state.best.epoch == 1
    assert state.seconds_left == pytest.approx(2.0)
    state.apply(Paused(epoch=2, time=6.0))
    assert state.status == "paused"
    state.apply(Resumed(epoch=2, time=7.0))
    assert state.status == "running"
    state.apply(dataclasses.replace(started(resumed_at=2), time=8.0))
    assert [(entry.text, entry.time) for entry in state.log[-3:] if isinstance(entry, Message)] == [
        ("paused after epoch 2", 6), ("goes on", 7), ("picked up after epoch 2", 8)], "the times of then"
    assert state.best is not None and state.best.epoch == 1
    state.apply(RunDone(best_epoch=1, best_correct=5, best_count=8, seconds=4.0))
    assert (state.status, state.seconds_left) == ("done", None)


def test_the_time_that_is_left_counts_down_with_the_batches():
    def batches(done: int, time: float) -> Event:
        return StageProgress(stage="train", done=done, total=10, time=time)

    state = RunState.fold([started(), StageStarted(stage="train", text="training", time=100.0)])
    assert state.seconds_left is None
    state.apply(batches(5, 104.0))  # half an epoch in 4 seconds, and two and a half to come
    assert state.seconds_left == pytest.approx(20)
    state.apply(epoch(1, seconds=10.0))
    assert (state.stage_done, state.seconds_left) == (0, pytest.approx(20))  # not the batches of the last one
    state.apply(batches(5, 115.0))
    assert state.seconds_left == pytest.approx(15)
    state.apply(started(resumed_at=1))  # perhaps on another machine
    assert state.seconds_left is None
    state.apply(StageStarted(stage="train", text="training", time=200.0))
    state.apply(batches(5, 201.0))
    assert state.seconds_left == pytest.approx(3)
    last = RunState.fold([started(1), StageStarted(stage="train", text="t"), epoch(1), batches(5, 1.0)])
    assert last.seconds_left == 0, "and not below"


def test_the_time_of_a_run_that_was_picked_up_is_that_of_all_its_parts():
    def at(event: Event, time: float) -> Event:
        return dataclasses.replace(event, time=time)

    first = [at(started(), 100.0), at(RunStopped(reason="asked", seconds=7.0), 107.0)]
    killed = [at(started(), 1000.0), at(epoch(1), 1005.0)]
    last = [at(started(), 2000.0), at(epoch(2), 2001.0)]
    assert RunState.fold(first).seconds == 7
    assert RunState.fold([*first, *killed]).seconds == 12
    assert RunState.fold([*first, *killed, *last]).seconds == 13
    done = RunDone(best_epoch=1, best_correct=1, best_count=2, seconds=3.0)
    state = RunState.fold([*first, *killed, *last, done])
    assert (state.seconds, state.first_start) == (15, first[0].time)


def test_what_the_disk_refuses_is_known_until_it_takes_something_and_a_run_may_move():
    state = RunState.fold([started(), SaveRefused(file="model.pth", reason="No space left on device")])
    assert state.not_saved == "No space left on device"
    state.apply(Saved(what="checkpoint", file="checkpoint.pt", epoch=2))
    assert state.not_saved == ""
    before = state.started.folder if state.started else ""
    state.apply(RunMoved(folder="/rescued/x"))
    assert state.started is not None
    assert (state.started.folder, state.moved_from) == ("/rescued/x", before)


def test_a_run_picked_up_forgets_the_epochs_that_it_had_not_saved():
    events = [started(), epoch(1, 3, True), epoch(2, 4, True), epoch(3, 6, True), started(resumed_at=2), epoch(3, 4)]
    assert RunState.fold(events[:-1]).epoch == 2
    state = RunState.fold(events)
    assert [e.epoch for e in state.epochs] == [1, 2, 3]
    assert state.best is not None and state.best.epoch == 2


def test_a_failure_keeps_its_line():
    state = RunState.fold([started(), RunFailed(error="the disk is full", seconds=1)])
    assert (state.status, state.error) == ("failed", "the disk is full")
    state.apply(started())
    assert (state.status, state.error) == ("running", ""), "until the run is picked up"


def test_what_is_asked_of_a_run_that_never_began_is_no_crash():
    assert RunState().n_epochs == 0
    assert RunState.fold([RunMoved(folder="x")]).started is None


def test_an_epoch_knows_its_accuracy_and_interval():
    assert epoch(1).val_accuracy == 5 / 8
    low, high = epoch(1).val_interval or (0, 0)
    assert low < 5 / 8 < high
    assert epoch(1, None).val_accuracy is None and epoch(1, None).val_interval is None


@pytest.mark.parametrize("change", [
    {"epoch": -1}, {"epoch": 0}, {"epoch": 2**53}, {"time": 1e300}, {"time": None}, {"seconds": 1e300}, {"train_correct": 11},
    {"val_correct": 9}, {"val_loss": 10**400}, {"train_loss": 10**400}, {"lr": 10**400},
    {"train_loss": 1e200}, {"val_loss": -math.inf}, {"time": -1.0}, {"time": LAST_TIME + 1}, {"seconds": -1e12}, {"lr": 1e101},
], ids=str)  # fmt: skip
def test_numbers_that_no_run_writes_are_refused(change):
    values = json.loads(to_json(epoch(1))) | change
    with pytest.raises(ValueError, match="not an event"):
        from_json(json.dumps(values))


@pytest.mark.parametrize(("kind", "change"), [
    (DataReady, {"val_counts": [1]}), (DataReady, {"train_counts": [1]}), (DataReady, {"classes": [1, 2]}),
    (RunDone, {"best_correct": 9}),
], ids=str)  # fmt: skip
def test_counts_and_classes_that_contradict_each_other_are_refused(kind, change):
    example = next(event for event in EXAMPLES if isinstance(event, kind))
    with pytest.raises(ValueError, match="not an event"):
        from_json(json.dumps(json.loads(to_json(example)) | change))


def test_what_a_later_version_says_besides_is_passed_over():
    event = epoch(1)
    assert from_json(json.dumps(json.loads(to_json(event)) | {"new": 1})) == event


def test_a_clock_set_back_meanwhile_loses_no_event():
    event = RunDone(best_epoch=1, best_correct=5, best_count=8, seconds=-3600.0)
    assert from_json(to_json(event)) == event


def test_epochs_of_a_file_that_goes_back_stay_in_order():
    state = RunState.fold([started(), epoch(1, 3), epoch(2, 8, True), epoch(3, 4), epoch(2, 5), epoch(3, 4, True)])
    assert [e.epoch for e in state.epochs] == [1, 2, 3]
    assert state.epochs[1].val_correct == 5
    assert state.best is state.epochs[2]
    state = RunState.fold([started(), epoch(1, 3, True), epoch(2, 8, True), epoch(2, 5)])
    assert state.best is state.epochs[0], "what is no longer there is no longer the best"


def test_a_run_is_saved_up_to_its_checkpoint_not_to_its_best_epoch() -> None:
    state = RunState()
    for what, file, at in (("checkpoint", "checkpoint.pt", 4), ("model", "model.pth", 2)):  # the order in which a stop saves
        state.apply(Saved(what=what, file=file, epoch=at))
    assert state.saved_epoch == 4


def test_the_log_tells_that_a_run_was_stopped_and_picked_up() -> None:
    state = RunState.fold([started(), epoch(1), RunStopped(reason="SIGTERM", seconds=1.0), started(resumed_at=1)])
    assert [entry.text for entry in state.log if isinstance(entry, Message)] == ["stopped: SIGTERM", "picked up after epoch 1"]
    assert RunStopped(reason="stopped by SIGTERM", seconds=1.0).in_words == "stopped by SIGTERM"
