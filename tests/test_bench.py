"""`noodle bench`: real photos, real epochs, in small; no time is asserted, only what is measured and said."""

import json
import math
import random
import shutil
import statistics
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import load_folder
from PIL import Image
from scipy import stats
from test_cli import noodle_here

from noodle_tui.bench import compare
from noodle_tui.bench.compare import CEILING, PLAIN, TRAINER, BatchResult, BenchResult, check_batches, take_turns
from noodle_tui.bench.options import MAX_SEEDS, bench_options, parity_options
from noodle_tui.bench.parity import FAST, ParityResult, Score, fast_arm, interval_of_mean, parity, pil_images, plain_arm
from noodle_tui.bench.parity import PLAIN as PLAIN_ARM
from noodle_tui.bench.parity import verdict as parity_verdict
from noodle_tui.bench.photos import DRAWN_BYTES, draw_photos, link_some
from noodle_tui.bench.plain import PlainLoop
from noodle_tui.bench.table import batch_that_pays, verdict
from noodle_tui.bench.trainer import TRAIN, VALIDATED, Trainer
from noodle_tui.config import DEFAULT_PERSON, RunConfig
from noodle_tui.control import Control
from noodle_tui.dataset import Dataset
from noodle_tui.device import Device, pick_device
from noodle_tui.errors import NoodleError, UsageError
from noodle_tui.events import EpochDone
from noodle_tui.fit import fit
from noodle_tui.model import build_model
from noodle_tui.samples import Sample, find_samples
from noodle_tui.session import Session, new_session


@pytest.fixture
def short_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step to warm up, and one that is measured."""
    for name in ("WARM_UP", "FEWEST"):
        monkeypatch.setattr(f"noodle_tui.bench.ceiling.{name}", 1)


@pytest.mark.usefixtures("short_ceiling")
def test_a_comparison_on_drawn_photos_as_json(capsys: pytest.CaptureFixture[str]):
    code = noodle_here("bench", "--count", "40", "--size", "48x64", "--input-size", "32", "--batch-size", "12,18",
                       "--rounds", "1", "--seconds", "0.01", "--workers", "1", "--device", "cpu", "--precision", "fp32",
                       "--json")
    output = capsys.readouterr()
    assert code == 0, output.err
    result = json.loads(output.out)
    small, large = result["batches"]
    assert (small["batch_size"], large["batch_size"]) == (12, 18)
    rates = small["images_per_second"]
    assert rates[CEILING]["eager"] > 0 and rates[PLAIN]["0 workers, fp32"] > 0 and rates[PLAIN]["1 workers, fp32"] > 0
    assert small["train_only_to_ceiling"] == pytest.approx(rates[TRAINER][TRAIN] / rates[CEILING]["eager"])
    assert small["with_validation_to_plain"]["0 workers, fp32"] == pytest.approx(
        rates[TRAINER][VALIDATED] / rates[PLAIN]["0 workers, fp32"])
    assert PLAIN not in large["images_per_second"]
    assert result["decode_rate"] > 0
    start = result["start_up"]
    assert 0 < start["first_word"] < min(start["photos_decoded"], start["network_ready"])
    assert max(start["photos_decoded"], start["network_ready"]) < start["first_epoch_done"]
    assert start["whole_job"] > 0 and start["imports"] > 0
    assert any("with 0 workers, fp32 are over a sample: 24 of 36 photos" in note for note in result["notes"])
    assert "batch" in result["verdict"] or "Not to be relied on" in result["verdict"]  # of one short round
    assert "round 1 of 1: trainer, train only" in output.err  # progress


@pytest.mark.parametrize(("arguments", "complaint"), [
    (["--size", "12"], "--size: '12' is not WIDTHxHEIGHT"),
    (["--batch-size", "24,x"], "--batch-size: 'x' is not a whole number"),
    (["--rounds", "2.5"], "'--rounds': '2.5' is not a whole number"),
    (["--seconds", "few"], "'--seconds': 'few' is not a number"),
    (["--count", "3"], "--count: 3 is out of bounds"),
    (["--seconds", "0"], "--seconds: 0 is out of bounds"),
    (["--seeds", "3"], "--seeds goes with --parity"),
    (["--weights", "none"], "--weights goes with --parity"),
    (["--parity", "--rounds", "3"], "--rounds does not go with --parity"),
    (["--data-dir", "photos", "--count", "100"], "--count is for drawn photos"),
    (["--precision", "fp8"], "--precision: 'fp8' is none of"),
])
def test_a_wrong_option_is_named_at_once(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]):
    assert noodle_here("bench", *arguments) == 2
    assert complaint in capsys.readouterr().err


def test_options_have_the_defaults_that_the_help_says():
    options = bench_options({})
    assert (options.width, options.height, options.count, options.batch_sizes) == (562, 762, 2400, (24,))
    assert (options.run.input_size, options.run.weights, options.rounds, options.workers) == (224, "none", 3, None)
    learning = parity_options({})
    assert (learning.seeds, learning.run.n_epochs, learning.run.input_size, learning.run.lr) == (5, 12, 64, 0.002)
    trained = parity_options({"weights": "imagenet"}).run
    assert (learning.run.weights, trained.weights, trained.lr) == ("none", "imagenet", 0.001)
    assert bench_options({"batch_size": ["24,64", "24"]}).batch_sizes == (24, 64)


def test_a_batch_larger_than_the_training_split_is_refused():
    with pytest.raises(UsageError, match="64 is more than the 36 training photos"):
        check_batches(bench_options({"batch_size": ["64"]}), 36)


def test_a_temporary_folder_without_room_is_told_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000 * 2**20))
    said: list[str] = []
    with pytest.raises(NoodleError, match=r"1000 MiB are free there, and up to 1194 are needed for a while: .*TMPDIR"):
        compare.bench(bench_options({}), said.append)
    assert not said


def test_parity_without_a_temporary_folder_asks_for_one_only_where_it_draws(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    def no_folder(*_: Any, **__: Any) -> None:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", no_folder)
    monkeypatch.setattr("tempfile.TemporaryDirectory", no_folder)
    with pytest.raises(NoodleError, match=r"no folder for temporary files can be written.*TMPDIR"):
        parity(parity_options({"device": "cpu"}), lambda text: None)
    given = parity_options({"device": "cpu", "data_dir": data_dir, "seeds": 2, "epochs": 1, "batch_size": ["8"],
                            "input_size": 32})
    assert parity(given, lambda text: None).n_val == 8


def test_drawn_photos_are_jpegs_as_large_as_a_photo_of_a_face(tmp_path: Path):
    draw_photos(tmp_path, 24, 562, 762)
    photos = sorted(tmp_path.rglob("*.jpg"))
    assert len(photos) == 24
    assert all(len(list((tmp_path / split / name).iterdir())) == number
               for split, number in (("train", 10), ("val", 2)) for name in ("happy", "sad"))
    assert 90_000 < statistics.mean(path.stat().st_size for path in photos) < 562 * 762 * DRAWN_BYTES
    with Image.open(photos[0]) as one, Image.open(photos[1]) as other:
        assert (one.format, one.size) == ("JPEG", (562, 762))
        assert not np.array_equal(np.asarray(one), np.asarray(other))


def test_a_sample_is_spread_evenly_over_the_classes(data_dir: Path, tmp_path: Path):
    classes, samples, *_ = find_samples(data_dir, DEFAULT_PERSON)
    assert link_some(samples, classes, 12, tmp_path) == (12, 4)
    found = find_samples(tmp_path, DEFAULT_PERSON).samples
    assert [sum(s.label == label for s in found["train"]) for label in (0, 1)] == [6, 6]
    assert [sum(s.label == label for s in found["val"]) for label in (0, 1)] == [2, 2]
    originals = {s.path.read_bytes() for s in samples["train"]}
    assert {s.path.read_bytes() for s in found["train"]} <= originals


def test_a_sample_has_every_class(tmp_path: Path):
    """Of which one may be a hundredth of all."""
    classes, labels = ["a", "b", "c"], [0] * 99 + [1] + [2] * 99
    photos = [Sample(tmp_path / f"{n}.jpg", f"{n}.jpg", label, None, None) for n, label in enumerate(labels)]
    samples = {"train": photos, "val": photos}
    assert link_some(samples, classes, 6, tmp_path / "some") == (7, 7)
    assert all(any((tmp_path / "some" / split / name).iterdir()) for split in samples for name in classes)


def test_everyone_takes_turns():
    turns: list[str] = []

    def contender(*names: str) -> Callable[[], dict[str, float]]:
        return lambda: {name: float(turns.append(name) or len(turns)) for name in names}

    rates = take_turns({"a": [contender("x"), contender("y")], "b": [contender("z", "w")]}, 2, 8, lambda text: None)
    assert turns == ["x", "y", "z", "w", "x", "y", "z", "w"]
    assert rates == {"a": {"x": [1, 5], "y": [2, 6]}, "b": {"z": [3, 7], "w": [4, 8]}}


@pytest.fixture
def trainer_for(data_dir: Path, config_for: Any, tmp_path: Path) -> Callable[..., Trainer]:
    """A Trainer on the drawn data, all of it a batch, with changed options."""
    device = pick_device("cpu", "fp32")

    def make(**changes: Any) -> Trainer:
        config = config_for(tmp_path, batch_size=24, **changes)
        return Trainer(load_folder(data_dir, config.input_size, device), config, device)

    return make


def fit_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "fit"]


def test_the_trainers_turns_are_one_fit_that_stands_still_between_them(
    trainer_for: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
):
    sessions: list[Session] = []

    def watched(session: Session, *others: Any, **named: Any) -> None:
        sessions.append(session)
        fit(session, *others, **named)

    monkeypatch.setattr("noodle_tui.bench.trainer.fit", watched)
    with trainer_for() as trainer:
        assert not sessions
        assert min(trainer.turn(2).values()) > 0
        history = sessions[0].history
        # the first is left out; of the others every other one is train only
        assert [epoch.val_loss is None for epoch in history] == [False, False, True, False, True]
        weights = sessions[0].model.state_dict()["fc.weight"].clone()
        fit_threads()[0].join(0.2)
        assert torch.equal(weights, sessions[0].model.state_dict()["fc.weight"]) and len(history) == 5
        assert trainer.turn(1).keys() == {TRAIN, VALIDATED}
    assert [epoch.val_loss is None for epoch in history[5:]] == [False, True, False]
    assert len(sessions) == 1 and len({epoch.train_loss for epoch in history}) == 8  # it trains
    assert not fit_threads()


def test_the_trainers_rates_leave_the_first_epoch_out(trainer_for: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch):
    clock = 0.0

    def timed(session: Session, data: Dataset, config: RunConfig, device: Device, *, emit: Any, control: Control, save: Any):
        nonlocal clock
        for epoch in range(1, 100):
            control.check()
            validated = epoch % config.test_every == 0
            clock += 100 if epoch in (1, 6) else 4 if validated else 2  # seconds
            emit(EpochDone(epoch, 100, 0.5, 1, 24, 0.5 if validated else None, 1, 8, 0.1, 1.0, 1.0, False))

    monkeypatch.setattr("noodle_tui.bench.trainer.fit", timed)
    monkeypatch.setattr("noodle_tui.bench.trainer.time.perf_counter", lambda: clock)
    with trainer_for() as trainer:
        assert [trainer.turn(2), trainer.turn(2)] == [{TRAIN: 12.0, VALIDATED: 8.0}] * 2  # 24 and 24 + 8 images


def test_what_ends_the_trainers_fit_is_told_and_it_ends_with_the_bench(
    trainer_for: Callable[..., Trainer], monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(NoodleError, match="loss is not a number"), trainer_for(lr=100) as trainer:
        trainer.turn(40)
    with pytest.raises(ZeroDivisionError), trainer_for() as trainer:
        print(trainer.turn(1)[TRAIN] / 0)
    with trainer_for():
        pass
    assert not fit_threads()


@pytest.mark.usefixtures("short_ceiling")
def test_nothing_is_compiled_anew_in_a_round_and_each_takes_its_turn_as_it_would_alone(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    compiled: list[torch.nn.Module] = []
    said: list[str] = []
    kept = False
    calls: Counter[str] = Counter()

    def keep_in_ceiling(_: torch.device) -> AbstractContextManager[None]:
        calls["memory kept at the ceiling"] += 1
        return nullcontext()

    def compile_nothing(model: Any, **_: Any) -> Any:
        if isinstance(model, torch.nn.Module):
            compiled.append(model)
        return model

    @contextmanager
    def keep(device: torch.device) -> Iterator[None]:
        nonlocal kept
        kept = True
        yield
        kept = False

    def watched(*arguments: Any, **named: Any) -> None:
        said.append(f"trainer: memory kept {kept}, deterministic {torch.backends.cudnn.deterministic}")
        fit(*arguments, **named)

    real_epoch = PlainLoop.epoch

    def epoch(self: PlainLoop, n_train: int) -> float:
        said.append(f"plain: memory kept {kept}, deterministic {torch.backends.cudnn.deterministic}")
        return real_epoch(self, n_train)

    monkeypatch.setattr(torch, "compile", compile_nothing)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)  # as pick_device sets it on a GPU
    threads: list[str] = []
    for room in ("compare", "trainer"):
        monkeypatch.setattr(f"noodle_tui.bench.{room}.set_up", lambda _: threads.append(threading.current_thread().name))
    monkeypatch.setattr("noodle_tui.bench.trainer.freed_memory_kept", keep)
    monkeypatch.setattr("noodle_tui.bench.trainer.share_one_heap", lambda: calls.update(["one heap"]))
    monkeypatch.setattr("noodle_tui.bench.ceiling.freed_memory_kept", keep_in_ceiling)
    monkeypatch.setattr(compare, "check_compiler", lambda _: calls.update(["compiler checked"]))
    monkeypatch.setattr("noodle_tui.bench.trainer.fit", watched)
    monkeypatch.setattr(PlainLoop, "epoch", epoch)
    monkeypatch.setattr(compare, "start_up", lambda *_: {})
    monkeypatch.setattr(compare, "computes_bf16", lambda _: False)  # half as many plain loops
    options = bench_options({"data_dir": data_dir, "compile": True, "rounds": 2, "batch_size": ["24"], "input_size": 32,
                             "device": "cpu", "precision": "fp32", "seconds": 0.01, "workers": 1})
    result = compare.bench(options, lambda text: None)
    assert result.batches[0].rates[CEILING].keys() == {"eager", "inductor"}
    assert len(result.batches[0].rates[TRAINER][TRAIN]) == 2
    assert len(compiled) == 2  # the trainer's network and the ceiling's
    assert set(said) == {"trainer: memory kept True, deterministic True", "plain: memory kept False, deterministic False"}
    assert torch.backends.cudnn.deterministic and not fit_threads()
    # two fits; two ceilings in two rounds
    assert calls == {"compiler checked": 1, "one heap": 2, "memory kept at the ceiling": 4}
    assert threads == ["MainThread", "fit", "fit"]  # each has its GPU as the current one; the first look is a fit, too


def test_the_plain_loop_trains_on_as_many_photos_as_it_is_asked_to(data_dir: Path):
    loop = PlainLoop(data_dir, 8, 32, torch.device("cpu"), workers=0, bf16=False)
    before = loop._model.fc.weight.detach().clone()
    assert loop.n_train == 24
    assert loop.epoch(12) > 0
    assert (len(loop._samplers["train"]), len(loop._samplers["val"])) == (12, 4)
    assert len(set(loop._samplers["train"])) == 12
    assert not torch.equal(before, loop._model.fc.weight)


def batch(size: int, train: float, validated: float, ceiling: float) -> BatchResult:
    return BatchResult(size, {CEILING: {"eager": [ceiling / 2], "CUDA graph": [ceiling]},
                              TRAINER: {TRAIN: [train], VALIDATED: [validated]}, PLAIN: {"0 workers, fp32": [validated / 5]}})


def result_of(*batches: BatchResult) -> BenchResult:
    return BenchResult("2.9", "0.24", "cuda:0", "a GPU", "bf16", 224, 1, "photos", "memory", list(batches), 100.0, {})


def test_the_verdict_says_whether_the_device_is_busy_and_which_batch_pays():
    slow, quick, no_quicker = batch(24, 950, 900, 1000), batch(64, 2000, 1900, 2100), batch(256, 2050, 1950, 4000)
    assert slow.best_ceiling == "CUDA graph"
    assert slow.busy == pytest.approx(0.95) and slow.times_plain("0 workers, fp32") == pytest.approx(5)
    assert batch_that_pays([no_quicker, slow, quick]) is quick
    said = verdict(result_of(no_quicker, slow, quick))
    assert "is kept busy" in said and "batch 64 pays: 2.1 times as many images a second as batch 24" in said
    assert "is not kept busy (50%" in verdict(result_of(batch(24, 500, 450, 1000)))
    assert "name several" in verdict(result_of(slow))


def test_a_disturbed_measurement_is_no_verdict_and_ratios_are_of_the_same_round():
    steady = batch(24, 950, 900, 1000)
    slowed = BatchResult(24, {group: {name: [rate[0], rate[0] / 4, rate[0] / 8] for name, rate in members.items()}
                              for group, members in steady.rates.items()})
    assert slowed.busy == pytest.approx(0.95) and slowed.times_plain("0 workers, fp32") == pytest.approx(5)
    slowed.rates[CEILING]["CUDA graph"][1] = 1000.0  # one turn that nothing slowed
    assert slowed.busy == pytest.approx(0.95)
    assert "Not to be relied on: the rounds of one contender differ by 8.0 times" in verdict(result_of(steady, slowed))
    above = batch(64, 1500, 1400, 1000)  # of one round
    assert "Not to be relied on: this trainer comes to 150% of the ceiling" in verdict(result_of(steady, above))


def test_the_table_shows_every_rate_and_ratio(capsys: pytest.CaptureFixture[str]):
    from noodle_tui.bench.table import print_result

    seconds = {"photos": 40, "first_word": 0.2, "photos_decoded": 3.0, "network_ready": 3.5, "first_epoch_done": 4.0,
               "whole_job": 2.4, "whole_job_epochs": 40, "imports": 3.3}
    result = result_of(batch(24, 950, 900, 1000), batch(64, 2000, 1900, 2100))
    result.start_up.update(seconds)
    result.notes.append("a sample was taken")
    print_result(result)
    text = capsys.readouterr().out
    for words in ("this trainer, train only", "950.0", "0.95 (CUDA graph)", "2,000.0", "with validation / plain loop",
                  "medians of 1 round ", "first epoch done after", "40 epochs", "note: a sample was taken", "batch 64 pays"):
        assert words in text, words


def draw_colours(folder: Path) -> None:
    """Red and blue noise, which anybody tells apart."""
    noise = np.random.default_rng(0)
    for split, count in (("train", 16), ("val", 8)):
        for channel, name in ((0, "red"), (2, "blue")):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = noise.integers(0, 100, (36, 36, 3), dtype=np.uint8)
                pixels[..., channel] += 150
                Image.fromarray(pixels).save(folder / split / name / f"{number}.png")


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of red and blue noise."""
    folder = tmp_path_factory.mktemp("colours")
    draw_colours(folder)
    return folder


def both_arms(folder: Path, config: RunConfig) -> list[Score]:
    device = pick_device("cpu", "fp32")
    photos = {split: pil_images(folder, split) for split in ("train", "val")}
    return [fast_arm(load_folder(folder, 48, device), config, device),
            plain_arm(photos, 2, config, torch.device("cpu"))]


def test_both_arms_learn_what_is_easy(colours: Path):
    for score in both_arms(colours, RunConfig(weights="none", batch_size=8, input_size=48, n_epochs=3, lr=0.003, seed=1)):
        assert len(score.accuracies) == len(score.losses) == 3
        assert score.best >= max(score.final, 0.9)  # chance is a half
        assert 0 < score.loss < math.log(2)


def test_both_arms_start_from_the_given_weights(colours: Path, tmp_path: Path):
    config = RunConfig(weights="none", batch_size=8, input_size=48, n_epochs=3, lr=0.003, seed=1)
    device = pick_device("cpu", "fp32")
    session = new_session(build_model("none", 2, 1), config, device.torch_device)
    fit(session, load_folder(colours, 48, device), config, device, emit=lambda event: None, control=Control(),
        save=lambda session: None)
    torch.save(session.model.state_dict(), tmp_path / "trained.pth")
    still = {"n_epochs": 1, "lr": 1e-9, "batch_size": 32}
    for start, well in ((str(tmp_path / "trained.pth"), True), ("none", False)):
        scores = both_arms(colours, config.model_copy(update={**still, "weights": start}))
        assert [score.best >= 0.9 for score in scores] == [well, well]


def test_weights_that_are_not_there_are_told_before_anything_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert noodle_here("bench", "--parity", "--weights", str(tmp_path / "missing.pth")) != 0
    said = capsys.readouterr().err
    assert "missing.pth" in said and "drawing" not in said and len(said.splitlines()) == 1


def test_parity_as_json_on_a_folder(data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    made_current: list[str] = []
    monkeypatch.setattr("noodle_tui.bench.parity.set_up", lambda device: made_current.append(str(device.torch_device)))
    code = noodle_here("bench", "--parity", "--data-dir", str(data_dir), "--seeds", "2", "--epochs", "1", "--input-size", "32",
                  "--device", "cpu", "--batch-size", "24", "--json")
    output = capsys.readouterr()
    assert code == 0, output.err
    result = json.loads(output.out)
    assert [len(result["scores"][arm]) for arm in (FAST, PLAIN_ARM)] == [2, 2]
    a, b = result["scores"][FAST][0]["best"], result["scores"][PLAIN_ARM][0]["best"]
    assert result["differences"]["best"]["each"][0] == pytest.approx(a - b)
    assert "seed 2 of 2" in output.err
    assert made_current == ["cpu"]


def test_the_interval_of_the_mean_is_students():
    chance = random.Random(1)
    for n in (2, 5, MAX_SEEDS):
        values = [chance.gauss(0.5, 0.1) for _ in range(n)]
        expected = stats.t.interval(0.95, n - 1, statistics.mean(values), stats.sem(values))
        assert interval_of_mean(values) == pytest.approx(expected, rel=1e-3)
    assert all(math.isclose(low, 0.1) for low in interval_of_mean([0.1, 0.1]))


def scores(*best: float, loss: float = 0.5) -> list[Score]:
    return [Score([0.25, value], [loss + 0.1, loss - value / 100]) for value in best]


def result_of_parity(fast: list[Score], plain: list[Score]) -> ParityResult:
    options = {"epochs": 2, "weights": "none"}
    return ParityResult("drawn", "CPU", "bf16", 20, 10, options, [1, 2, 3], {FAST: fast, PLAIN_ARM: plain})


def test_a_score_is_of_the_validations_of_all_epochs():
    score = Score([0.1, 0.8, 0.9, 0.3, 0.5, 0.6, 0.7], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.45])
    assert (score.best, score.final, score.late, score.loss) == (0.9, 0.7, pytest.approx(0.65), 0.45)
    assert score.as_json["late"] == score.late and score.as_json["accuracies"] == score.accuracies


def test_the_verdict_of_parity():
    same = result_of_parity(scores(0.9, 0.89, 0.88), scores(0.89, 0.89, 0.89))
    said = parity_verdict(same)
    assert "Best accuracy: no difference is seen (-0.025 to +0.025)." in said and "coarse" not in said
    worse = parity_verdict(result_of_parity(scores(0.5, 0.51, 0.5), scores(0.9, 0.9, 0.91)))
    assert "Best accuracy: plain fp32 is better (-0.425 to -0.375)" in worse
    # a small loss is a good one
    slower = parity_verdict(result_of_parity(scores(0.9, 0.89, 0.88, loss=0.6), scores(0.89, 0.89, 0.89)))
    assert "Best accuracy: no difference" in slower and "Final loss: plain fp32 is better (+0.100 to +0.100)" in slower
    coarse = parity_verdict(result_of_parity(scores(0.9, 0.8, 0.7), scores(0.8, 0.8, 0.8)))
    assert "This is coarse: 0.248 more or less in accuracy would go unseen" in coarse and "photos than 10" in coarse


def test_the_table_of_parity(capsys: pytest.CaptureFixture[str]):
    from noodle_tui.bench.parity import parity_as_json, print_parity

    result = result_of_parity(scores(0.9, 0.8, 0.7), scores(0.8, 0.8, 0.8, loss=0.7))
    print_parity(result)
    text = capsys.readouterr().out
    for words in ("best accuracy, difference", "late accuracy, plain fp32", "0.900 0.800 0.700", "-0.248 to +0.248",
                  "final loss, difference", "mean accuracy by epoch, this trainer: 1: 0.250, 2: 0.800", "weights none"):
        assert words in text, words
    found = json.loads(parity_as_json(result))
    assert found["differences"]["loss"]["mean"] == pytest.approx(-0.2)
    assert found["scores"][FAST][0] == {"best": 0.9, "final": 0.9, "late": 0.9, "loss": pytest.approx(0.491),
                                        "accuracies": [0.25, 0.9], "losses": [0.6, pytest.approx(0.491)]}


def test_a_long_curve_is_shown_in_a_dozen_epochs():
    from noodle_tui.bench.parity import _curve_in_words

    shown = _curve_in_words([number / 100 for number in range(1, 31)]).split(", ")
    assert len(shown) == 10 and shown[0] == "3: 0.030" and shown[-1] == "30: 0.300"


def test_parity_compares_photos_turned_upright(tmp_path: Path) -> None:
    for place in ("train/happy", "train/sad", "val/happy", "val/sad"):
        (tmp_path / place).mkdir(parents=True)
        turned = Image.Exif()
        turned[0x0112] = 6  # as a phone on its side writes it
        Image.new("RGB", (60, 40)).save(tmp_path / place / "photo.jpg", exif=turned)
    assert [image.size for image, _ in pil_images(tmp_path, "train")] == [(40, 60)] * 2


def test_the_plain_loop_sees_the_photos_that_the_trainer_sees(data_dir: Path, tmp_path: Path) -> None:
    """ImageFolder knows nine endings, and takes a hidden folder for a class."""
    shutil.copytree(data_dir, tmp_path / "data")
    for split in ("train", "val"):
        (tmp_path / "data" / split / ".ipynb_checkpoints").mkdir()
        photo = next((tmp_path / "data" / split / "sad").iterdir())
        photo.rename(photo.with_suffix(".jfif"))
    loop = PlainLoop(tmp_path / "data", 8, 32, torch.device("cpu"), workers=0, bf16=False)
    assert loop.n_train == len(pil_images(tmp_path / "data", "train")) == 24
    assert loop.epoch(24) > 0
