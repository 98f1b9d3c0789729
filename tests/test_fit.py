"""The training loop, on a small network and drawn noise: its numbers against a loop written plainly here."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import transforms

from noodle_tui.augment import IMAGENET_MEAN, IMAGENET_STD, crop_batch, plan_epoch
from noodle_tui.checkpoint import read_checkpoint, restore, save_session, session_content
from noodle_tui.config import RunConfig
from noodle_tui.control import Control, request_go_on, request_pause
from noodle_tui.dataset import Dataset, Split
from noodle_tui.device import Device
from noodle_tui.errors import NoodleError, StopRun
from noodle_tui.events import EpochDone, Event, Paused, Resumed, StageProgress
from noodle_tui.fit import check_loss, check_start, fit
from noodle_tui.forward import predict_logits
from noodle_tui.pixels import Ragged
from noodle_tui.samples import Sample
from noodle_tui.session import Session, new_session
from noodle_tui.world import World

CPU = Device(torch.device("cpu"), "CPU", "fp32")
CONFIG = RunConfig(n_epochs=3, batch_size=8, lr=0.05, input_size=64)
N_TRAIN, N_VAL = 20, 10  # batches of 8, 8 and 4


def network() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 5, stride=4), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                          nn.Linear(16, 2))
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def split(n: int, seed: int, size: tuple[int, int] | None = None) -> Split:
    random = np.random.default_rng(seed)
    labels = torch.arange(n) % 2
    shapes = [size or tuple(random.integers(60, 90, 2)) for _ in range(n)]
    pixels = [torch.from_numpy(random.integers(0, 235 + 20 * label, (3, *shape), dtype=np.uint8))
              for label, shape in zip(labels.tolist(), shapes, strict=True)]
    return Split([Sample(Path(f"{i}.png"), f"{i}.png", int(labels[i]), None, None) for i in range(n)],
                 Ragged(torch.cat([image.flatten() for image in pixels]), shapes), labels)


DATA = Dataset(["a", "b"], split(N_TRAIN, 1), split(N_VAL, 2, (64, 64)), [], "", "memory", None)


@dataclass
class Fitted:
    session: Session
    events: list[Event] = field(default_factory=list)
    saved: list[tuple[int, int]] = field(default_factory=list)  # (epoch, step) at each save point

    @property
    def epochs(self) -> list[EpochDone]:
        return [e for e in self.events if isinstance(e, EpochDone)]


def fitted(config: RunConfig = CONFIG, data: Dataset = DATA, *, model: nn.Module | None = None, control: Control | None = None,
           listeners: Sequence[Callable[[Event], None]] = (), session: Session | None = None) -> Fitted:
    result = Fitted(session or new_session(model or network(), config, CPU.torch_device))

    def emit(event: Event) -> None:
        result.events.append(event)
        for listener in listeners:
            listener(event)

    fit(result.session, data, config, CPU, emit=emit, control=control or Control(),
        save=lambda s: result.saved.append((s.epoch, s.step)))
    return result


def plain_loop(n_epochs: int) -> tuple[nn.Module, list[dict[str, float]], list[dict[str, Tensor]]]:
    """The same training as anybody would write it: (model, numbers of each epoch, weights after each epoch)."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=CONFIG.lr, momentum=CONFIG.momentum)
    normalise = transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)
    numbers, weights = [], []
    for epoch in range(1, n_epochs + 1):
        plan = plan_epoch(CONFIG.seed, epoch, DATA.train.sizes)
        losses, sizes, correct = [], [], 0
        model.train()
        for first in range(0, N_TRAIN, CONFIG.batch_size):
            some = slice(first, first + CONFIG.batch_size)
            images = crop_batch([DATA.train.pixels[i] for i in plan.order[some]], plan.boxes[some], plan.flips[some], 64)
            labels = DATA.train.labels[torch.from_numpy(plan.order[some])]
            optimizer.zero_grad()
            logits = model(normalise(images / 255))
            loss = F.cross_entropy(logits, labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            sizes.append(len(labels))
            correct += int((logits.argmax(1) == labels).sum())
        model.eval()
        with torch.no_grad():
            logits = model(normalise(DATA.val.pixels.stacked() / 255))
        numbers.append({
            "train_loss": float(np.average(losses, weights=sizes)), "mean of batches": float(np.mean(losses)),
            "train_correct": correct, "val_loss": F.cross_entropy(logits, DATA.val.labels).item(),
            "val_correct": int((logits.argmax(1) == DATA.val.labels).sum()),
        })
        weights.append({name: value.clone() for name, value in model.state_dict().items()})
    return model, numbers, weights


def test_numbers_and_weights_are_those_of_the_plain_loop() -> None:
    result = fitted()
    model, numbers, _ = plain_loop(CONFIG.n_epochs)
    for epoch, wanted in zip(result.epochs, numbers, strict=True):
        assert epoch.train_loss == pytest.approx(wanted["train_loss"], abs=1e-5)
        assert abs(wanted["mean of batches"] - wanted["train_loss"]) > 1e-4  # the smaller last batch makes a difference
        assert epoch.train_correct == wanted["train_correct"]
        assert epoch.val_loss == pytest.approx(wanted["val_loss"], abs=1e-5)
        assert epoch.val_correct == wanted["val_correct"]
        assert (epoch.train_count, epoch.val_count, epoch.lr) == (N_TRAIN, N_VAL, CONFIG.lr)
    for name, value in result.session.model.state_dict().items():  # batch norm's running numbers too: none from validation
        torch.testing.assert_close(value, model.state_dict()[name], atol=1e-5, rtol=1e-4)


def test_the_best_weights_are_those_of_their_epoch() -> None:
    result = fitted(CONFIG.model_copy(update={"n_epochs": 6}))
    corrects = [e.val_correct or 0 for e in result.epochs]
    assert len(set(corrects)) > 1
    first_best = corrects.index(max(corrects)) + 1
    best = result.session.best
    assert best is not None
    assert (best.epoch, best.correct, best.count) == (first_best, max(corrects), N_VAL)
    wanted = plain_loop(first_best)[2][-1]
    for name, value in best.weights.items():
        torch.testing.assert_close(value, wanted[name], atol=1e-4, rtol=1e-3)
    network_of_best = network()
    network_of_best.load_state_dict(best.weights)
    logits = predict_logits(network_of_best, DATA.val.pixels.stacked(), CPU)
    assert int((logits.argmax(1) == DATA.val.labels).sum()) == best.correct


def test_ties_keep_the_earlier_epoch() -> None:
    result = fitted(CONFIG.model_copy(update={"lr": 1e-9, "n_epochs": 4}))
    assert len({e.val_correct for e in result.epochs}) == 1
    assert [e.is_best for e in result.epochs] == [True, False, False, False]
    assert result.session.best is not None
    assert result.session.best.epoch == 1


def test_when_is_validated_and_saved() -> None:
    counting = StopAt(0)
    result = fitted(CONFIG.model_copy(update={"n_epochs": 7, "test_every": 3, "save_every": 3}), control=counting)
    assert counting.looks == 7 * 3 + 4 * 2, "an epoch without validation doesn't take its time"
    assert [e.epoch for e in result.epochs] == [1, 2, 3, 4, 5, 6, 7]
    assert [e.epoch for e in result.epochs if e.val_loss is not None] == [1, 3, 6, 7]
    assert [e.val_count for e in result.epochs] == [10, 0, 10, 0, 0, 10, 10]
    assert result.saved == [(3, 0), (6, 0), (7, 0)]
    assert result.session.history == result.epochs


# losses that end a run --------------------------------------------------------------------------------------------------


def test_a_loss_that_is_not_a_number_ends_the_run_and_keeps_the_best() -> None:
    session = new_session(network(), CONFIG, CPU.torch_device)

    def break_it(event: Event) -> None:
        if isinstance(event, EpochDone) and event.epoch == 2:
            with torch.no_grad():
                next(session.model.parameters()).fill_(float("nan"))

    with pytest.raises(NoodleError, match=r"the training loss is not a number in epoch 3: .*--lr \(it is 0.05\)"):
        fitted(session=session, listeners=[break_it])
    assert session.epoch == 2
    assert session.best is not None
    assert all(torch.isfinite(value).all() for value in session.best.weights.values())


class LostInValidation(nn.Module):
    """Has no number where it isn't trained."""

    def forward(self, images: Tensor) -> Tensor:
        return images if self.training else images * float("nan")


def test_a_validation_loss_that_is_not_a_number_ends_the_run() -> None:
    with pytest.raises(NoodleError, match="the validation loss is not a number in epoch 1"):
        fitted(model=nn.Sequential(network(), LostInValidation()))


class Sure(nn.Module):
    """Sure of class 0, whatever it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([500.0, -500.0]))

    def forward(self, images: Tensor) -> Tensor:
        return self.logits.expand(len(images), 2)


def test_a_loss_of_zero_ends_the_run() -> None:
    labels = torch.zeros(N_TRAIN, dtype=torch.long)
    with pytest.raises(NoodleError, match=r"the training loss is exactly zero in epoch 1: .*class folders"):
        fitted(data=replace(DATA, train=replace(DATA.train, labels=labels)), model=Sure())


def test_a_loss_of_zero_is_no_failure_of_weights_that_have_learnt_already(tmp_path: Path) -> None:
    labels, val_labels = torch.zeros(N_TRAIN, dtype=torch.long), torch.zeros(N_VAL, dtype=torch.long)
    data = replace(DATA, train=replace(DATA.train, labels=labels), val=replace(DATA.val, labels=val_labels))
    config = CONFIG.model_copy(update={"weights": str(tmp_path / "model.pth")})
    session = fitted(config, data, model=Sure()).session
    assert [(epoch.train_loss, epoch.train_accuracy) for epoch in session.history] == [(0.0, 1.0)] * CONFIG.n_epochs


@pytest.mark.parametrize(("total", "words"), [(0.0, "exactly zero"), (float("nan"), "not a number"),
                                              (float("inf"), "not a number")])
def test_both_phases_are_looked_at(total: float, words: str) -> None:
    with pytest.raises(NoodleError, match=f"the validation loss is {words} in epoch 4"):
        check_loss("validation", 4, torch.tensor([total, 3.0]), 10, 0.1)


def test_a_perfect_fit_is_no_failure() -> None:
    """float32 rounds the loss of answers that are sure and right to zero."""
    nothing_left = torch.tensor([0.0, 10.0])
    assert check_loss("training", 5, nothing_left, 10, 0.1) == (0.0, 10)
    assert check_loss("validation", 1, nothing_left, 10, 0.1) == (0.0, 10)
    with pytest.raises(NoodleError, match="the training loss is exactly zero in epoch 1"):
        check_loss("training", 1, nothing_left, 10, 0.1, new=True)
    assert check_loss("training", 1, nothing_left, 10, 0.1) == (0.0, 10), "from weights that know it all"


def test_a_batch_of_one_at_the_smallest_input_is_said_before_the_first_step() -> None:
    config = CONFIG.model_copy(update={"input_size": 32, "batch_size": 19})
    with pytest.raises(NoodleError, match="--batch-size 19: the last batch of 20 photos is a single one"):
        fitted(config)
    with pytest.raises(NoodleError, match="--batch-size 1: "):
        fitted(config.model_copy(update={"batch_size": 1}))
    session = new_session(network(), CONFIG, CPU.torch_device)
    with pytest.raises(NoodleError, match=r"--batch-size 3: .* one of 2 processes gets a single one"):
        check_start(session, N_TRAIN, config.model_copy(update={"batch_size": 3}), World(0, 2))
    check_start(session, N_TRAIN, config.model_copy(update={"batch_size": 8}), World())
    larger = config.model_copy(update={"input_size": 33})  # leaves more than a pixel
    check_start(session, N_TRAIN, larger, World())
    check_start(session, N_TRAIN, larger.model_copy(update={"batch_size": 3}), World(0, 2))


# stop, pause, resume ----------------------------------------------------------------------------------------------------


class StopAt(Control):
    """Asks for a stop at the given look: before a batch, before a validation, or within one."""

    def __init__(self, look: int):
        super().__init__()
        self.look, self.looks = look, 0

    def check(self) -> None:
        self.looks += 1
        if self.looks == self.look:
            self.stop("the test asks")
        super().check()


def all_weights(session: Session) -> list[Tensor]:
    buffers = [state["momentum_buffer"] for state in session.optimizer.state.values()]
    assert session.best is not None
    return [*session.model.state_dict().values(), *session.best.weights.values(), *buffers]


def without_times(epoch: EpochDone) -> dict[str, Any]:
    return {k: v for k, v in vars(epoch).items() if k not in ("time", "seconds", "images_per_second")}


def test_a_session_that_stands_beyond_its_epoch_is_refused() -> None:
    session = new_session(network(), CONFIG, CPU.torch_device)
    session.step = 4  # of three
    with pytest.raises(NoodleError, match="the checkpoint stands at batch 4 of an epoch of 3"):
        fitted(session=session)


def test_a_stop_at_any_moment_and_a_resume_give_the_same_bits(tmp_path: Path) -> None:
    counting = StopAt(0)
    whole = fitted(control=counting)
    assert counting.looks == CONFIG.n_epochs * (3 + 1 + 1)  # three batches, before the validation, within it
    for look in range(1, counting.looks + 1):
        session = new_session(network(), CONFIG, CPU.torch_device)
        with pytest.raises(StopRun):
            fitted(session=session, control=StopAt(look))
        save_session(tmp_path, session_content(session, {}))
        resumed = new_session(network(), CONFIG, CPU.torch_device)
        restore(resumed, read_checkpoint(tmp_path)[0])
        fitted(session=resumed)
        for one, other in zip(all_weights(whole.session), all_weights(resumed), strict=True):
            assert torch.equal(one, other), f"stopped at look {look}"
        assert list(map(without_times, resumed.history)) == list(map(without_times, whole.epochs))


def test_the_time_before_a_stop_counts(tmp_path: Path) -> None:
    session = new_session(network(), CONFIG, CPU.torch_device)
    with pytest.raises(StopRun):
        fitted(session=session, control=StopAt(3))  # of the first epoch two batches are done
    assert session.step == 2 and session.seconds > 0
    session.seconds += 100
    save_session(tmp_path, session_content(session, {}))
    resumed = new_session(network(), CONFIG, CPU.torch_device)
    restore(resumed, read_checkpoint(tmp_path)[0])
    first, second, _ = fitted(session=resumed).epochs
    assert first.seconds > 100 > second.seconds
    assert first.images_per_second == pytest.approx((N_TRAIN + N_VAL) / first.seconds)
    assert resumed.seconds == 0


def test_a_pause_is_said_and_ends(tmp_path: Path) -> None:
    control = Control()
    control.folder = tmp_path
    request_pause(tmp_path)

    def go_on(event: Event) -> None:
        if isinstance(event, Paused):
            threading.Timer(1.0, request_go_on, [tmp_path]).start()

    result = fitted(control=control, listeners=[go_on])
    assert [type(e) for e in result.events if isinstance(e, Paused | Resumed)] == [Paused, Resumed]
    assert len(result.epochs) == 3
    assert all(0 < e.seconds < 0.9 for e in result.epochs)  # the pause is no time of training


def test_a_session_that_has_had_its_epochs_is_left_alone() -> None:
    result = fitted()
    before = [value.clone() for value in all_weights(result.session)]
    again = fitted(session=result.session)
    assert again.events == []
    assert all(torch.equal(a, b) for a, b in zip(before, all_weights(result.session), strict=True))


def test_progress_is_said_a_few_times_a_second_only() -> None:
    result = fitted(CONFIG.model_copy(update={"n_epochs": 6, "batch_size": 1, "test_every": 6}))
    progress = [e for e in result.events if isinstance(e, StageProgress)]
    seconds = sum(e.seconds for e in result.epochs)
    assert 1 <= len(progress) <= 6 + seconds / 0.2
    assert all(0 < e.done <= N_TRAIN and e.total == N_TRAIN for e in progress)
