"""Sessions on disk: back bit for bit, and whatever happens to the files."""

import errno
import os
import re
import resource
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from noodle_tui.checkpoint import read_checkpoint, restore, save_session, session_content, to_main_memory
from noodle_tui.config import RunConfig
from noodle_tui.errors import NoodleError
from noodle_tui.events import EpochDone
from noodle_tui.model_card import Origin
from noodle_tui.run_folder import CHECKPOINT, PREVIOUS
from noodle_tui.session import Best, Session, new_session

CPU = torch.device("cpu")


def fresh() -> Session:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    return new_session(model.to(memory_format=torch.channels_last), RunConfig(lr=0.1), CPU)  # type: ignore[call-overload]


def trained(steps: int = 3) -> Session:
    session = fresh()
    for seed in range(steps):
        images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        session.optimizer.zero_grad()
        session.model(images).square().sum().backward()
        session.optimizer.step()
    session.totals += torch.tensor([1.25, 3.0])
    session.epoch, session.step = 2, steps
    session.fingerprint, session.comet_key = "abc", "k" * 32
    session.best = Best(1, 7, 8, 0.5, {name: value.clone() for name, value in fresh().model.state_dict().items()})
    session.history = [EpochDone(epoch=e, n_epochs=5, train_loss=0.1 + 0.2, train_correct=3, train_count=4, val_loss=None,
                                 val_correct=None, val_count=0, lr=0.1, seconds=1.0, images_per_second=4.0) for e in (1, 2)]
    return session


def weights(session: Session) -> dict[str, torch.Tensor]:
    buffers = {f"momentum {i}": s["momentum_buffer"] for i, s in enumerate(session.optimizer.state.values())}
    return {**session.model.state_dict(), **buffers}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_everything_comes_back(tmp_path: Path) -> None:
    before, after = trained(), fresh()
    before.order, before.weights_digest, before.head, before.place = "def", "9a", "new", "gpu"
    before.origin = Origin("happy-20260101-120000", 64, "fed", ("happy", "sad"), "imagenet")
    before.terms, before.times, before.changes = {"precision": "bf16"}, 3, ["lr 0.1 up to epoch 1, then 0.2"]
    before.started, before.seconds, before.lr = 1.76e9, 0.5, 0.2
    save_session(tmp_path, session_content(before, {"n_epochs": 5}))
    content, warning = read_checkpoint(tmp_path)
    restore(after, content)
    assert warning == ""
    assert content.config == {"n_epochs": 5}
    assert_same(weights(after), weights(before))
    assert torch.equal(after.totals, before.totals)
    assert after.best is not None
    assert before.best is not None
    assert_same(after.best.weights, before.best.weights)
    assert (after.best.epoch, after.best.correct, after.best.count, after.best.loss) == (1, 7, 8, 0.5)
    compared = vars(before).keys() - {"model", "optimizer", "totals", "best", "place"}
    assert {name: vars(after)[name] for name in compared} == {name: vars(before)[name] for name in compared}
    assert (content.place, content.cwd) == ("gpu", os.getcwd())
    assert not (content.model or content.optimizer or content.best)  # nothing large is kept twice
    assert [f.name for f in tmp_path.iterdir()] == [CHECKPOINT]


def test_the_learning_rate_that_an_earlier_version_did_not_keep_is_the_one_of_its_options(tmp_path: Path) -> None:
    content, after = session_content(trained(), {"lr": 0.02}), fresh()
    del content["lr"]
    save_session(tmp_path, content)
    restore(after, read_checkpoint(tmp_path)[0])
    assert after.lr == 0.02


def test_a_momentum_that_is_not_used_any_more_is_not_kept_for_later(tmp_path: Path) -> None:
    """Else a run picked up with --momentum 0, and later with 0.9, would move by a velocity from long ago."""
    save_session(tmp_path, session_content(trained(), {}))
    without = fresh()
    without.optimizer.param_groups[0]["momentum"] = 0
    restore(without, read_checkpoint(tmp_path)[0])
    save_session(tmp_path, session_content(without, {}))
    again = fresh()
    restore(again, read_checkpoint(tmp_path)[0])
    assert not any(state.get("momentum_buffer") is not None for state in again.optimizer.state.values())


def test_weights_that_are_the_best_ones_are_written_once_and_come_back_as_two(tmp_path: Path) -> None:
    before, after = trained(), fresh()
    before.best = Best(2, 7, 8, 0.5, {name: value.clone() for name, value in before.model.state_dict().items()})
    for step in (1, 0):  # within the next epoch the weights are others
        before.step = step
        save_session(tmp_path, session_content(before, {}))
        with zipfile.ZipFile(tmp_path / CHECKPOINT) as archive:
            tensors = sum("/data/" in name for name in archive.namelist())
        n = len(before.model.state_dict())
        assert tensors == len(before.optimizer.state) + 1 + (n if step == 0 else 2 * n)
    restore(after, read_checkpoint(tmp_path)[0])
    assert after.best is not None
    assert_same(after.best.weights, before.best.weights)
    assert_same(weights(after), weights(before))
    for parameter in after.model.parameters():
        parameter.data += 1
    assert_same(after.best.weights, before.best.weights)


def test_losses_are_summed_up_in_double_precision() -> None:
    assert fresh().totals.dtype == torch.float64


def test_a_long_history_is_not_searched_for_tensors() -> None:
    class Epochs(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            raise AssertionError("thousands of epochs at each save, in the thread that trains")

    history, weight = Epochs([{"epoch": 1}]), torch.ones(2, requires_grad=True)
    tree: dict[str, Any] = {"history": history, "model": {"weight": weight}}
    to_main_memory(tree)
    assert tree["history"] is history and not tree["model"]["weight"].requires_grad


def test_the_previous_one_is_kept(tmp_path: Path) -> None:
    for steps in (1, 2, 3):
        save_session(tmp_path, session_content(trained(steps), {}))
    assert sorted(f.name for f in tmp_path.iterdir()) == [PREVIOUS, CHECKPOINT]
    assert read_checkpoint(tmp_path)[0].step == 3
    (tmp_path / CHECKPOINT).unlink()
    content, warning = read_checkpoint(tmp_path)
    assert content.step == 2
    assert "checkpoint.pt is missing; checkpoint.prev.pt" in warning


def test_a_name_that_a_failed_save_left_does_not_keep_the_previous_one_away(tmp_path: Path) -> None:
    (tmp_path / f"{PREVIOUS}.new").touch()
    for steps in (1, 2):
        save_session(tmp_path, session_content(trained(steps), {}))
    assert sorted(f.name for f in tmp_path.iterdir()) == [PREVIOUS, CHECKPOINT]


def damaged(content: bytes, offset: int) -> bytes:
    return content[:offset] + bytes([content[offset] ^ 0xFF]) + content[offset + 1:]


def test_a_flipped_byte_anywhere_is_noticed_or_harmless(tmp_path: Path) -> None:
    save_session(tmp_path, session_content(trained(1), {}))
    save_session(tmp_path, session_content(trained(2), {}))
    whole = (tmp_path / CHECKPOINT).read_bytes()
    noticed = 0
    for offset in range(0, len(whole), len(whole) // 150):
        (tmp_path / CHECKPOINT).write_bytes(damaged(whole, offset))
        content, warning = read_checkpoint(tmp_path)
        noticed += bool(warning)
        assert content.step == (1 if warning else 2)
        assert "\n" not in warning
        if not warning:
            assert_same(content.model, trained(2).model.state_dict())
    assert noticed > 20


def test_a_record_that_claims_to_be_a_folder_is_damage(tmp_path: Path) -> None:
    """torch then reads nothing of it, and takes what happens to lie in memory for weights."""
    save_session(tmp_path, session_content(trained(1), {}))
    save_session(tmp_path, session_content(trained(2), {}))
    whole = (tmp_path / CHECKPOINT).read_bytes()
    entries = [match.start() for match in re.finditer(rb"PK\x01\x02", whole)]
    assert len(entries) > 10
    for entry in entries:
        (tmp_path / CHECKPOINT).write_bytes(damaged(whole, entry + 38))  # its attributes
        content, warning = read_checkpoint(tmp_path)
        assert content.step == 1 and "checkpoint.pt is damaged" in warning


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_a_broken_file_gives_way_to_the_previous_with_a_warning(content: bytes | None, tmp_path: Path) -> None:
    save_session(tmp_path, session_content(trained(1), {}))
    save_session(tmp_path, session_content(trained(2), {}))
    whole = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole[: len(whole) // 2] if content is None else content)
    loaded, warning = read_checkpoint(tmp_path)
    assert loaded.step == 1
    assert f"{tmp_path / CHECKPOINT} is damaged" in warning
    assert f"{PREVIOUS}, the one saved before it, is used" in warning


@pytest.mark.parametrize("where", ["0.weight", "1.running_var", "totals"])
def test_one_of_a_training_that_had_diverged_gives_way_to_the_previous_with_a_warning(where: str, tmp_path: Path) -> None:
    save_session(tmp_path, session_content(trained(1), {}))
    content = session_content(trained(2), {})
    (content["totals"] if where == "totals" else content["model"][where])[0] = float("inf")
    save_session(tmp_path, content)
    loaded, warning = read_checkpoint(tmp_path)
    assert loaded.step == 1
    assert "its weights are no numbers, since training had diverged (lower --lr); checkpoint.prev.pt" in warning


def test_both_damaged_is_one_line(tmp_path: Path) -> None:
    for name in (CHECKPOINT, PREVIOUS):
        (tmp_path / name).write_bytes(b"PK\x03\x04 garbage")
    with pytest.raises(NoodleError, match="is damaged or no checkpoint") as raised:
        read_checkpoint(tmp_path)
    assert "\n" not in str(raised.value)
    assert all(name in str(raised.value) for name in (CHECKPOINT, PREVIOUS, "--load-dir"))


def test_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(NoodleError, match="nothing to pick up"):
        read_checkpoint(tmp_path)


class RunsCode:
    def __init__(self, proof: Path):
        self.proof = proof

    def __reduce__(self) -> Any:
        return Path.touch, (self.proof,)


def test_a_checkpoint_that_runs_code_is_refused_and_did_not_run(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    torch.save({"version": 1, "model": RunsCode(proof)}, tmp_path / CHECKPOINT)
    with pytest.raises(NoodleError, match="damaged or no checkpoint of this program"):
        read_checkpoint(tmp_path)
    assert not proof.exists()
    torch.load(tmp_path / CHECKPOINT, weights_only=False)
    assert proof.exists()  # it was hostile


@pytest.mark.parametrize("change", [
    {"version": 2}, {"model": [1]}, {"epoch": "1"}, {"step": None}, {"config": "x"}, {"history": {}}, {"best": 1},
    {"fingerprint": 3}, {"totals": [0, 0]}, {"times": "many"}, {"comet_key": None}, {"comet_key": "../../settings"},
    {"epoch": -1}, {"step": True}, {"times": -1}, {"terms": {"precision": "fp8"}}, {"terms": {"processes": "many"}},
    {"start": {"digest": 3}}, {"version": torch.ones(3)},
])
def test_wrong_types_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    torch.save({**session_content(trained(), {}), **change}, tmp_path / CHECKPOINT)
    with pytest.raises(NoodleError, match="not a checkpoint that this version can read"):
        read_checkpoint(tmp_path)


def test_another_network_is_refused(tmp_path: Path) -> None:
    save_session(tmp_path, session_content(trained(), {}))
    other = new_session(nn.Linear(3, 3), RunConfig(lr=0.1), CPU)
    with pytest.raises(NoodleError, match="the checkpoint doesn't fit this model") as raised:
        restore(other, read_checkpoint(tmp_path)[0])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("change", [
    {"epoch": "1"}, {"epoch": -1}, {"correct": 9}, {"loss": None}, {"weights": {}}, {"weights": []},
    {"weights": {name: torch.zeros(1) for name in fresh().model.state_dict()}},
])
def test_a_best_epoch_that_makes_no_sense_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    content = session_content(trained(), {})
    content["best"] = {**content["best"], **change}
    torch.save(content, tmp_path / CHECKPOINT)
    with pytest.raises(NoodleError, match=r"the checkpoint doesn't fit this model|not a checkpoint that this version can read"):
        restore(fresh(), read_checkpoint(tmp_path)[0])


def first_momentum(content: dict[str, Any], value: Any) -> None:
    content["optimizer"]["state"][0]["momentum_buffer"] = value


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {  # most made torch read or write beyond its memory
    "momentum too short": lambda c: first_momentum(c, torch.zeros(3)),
    "momentum without end": lambda c: first_momentum(c, torch.zeros(1).expand(2**40)),
    "momentum of another type": lambda c: first_momentum(c, torch.zeros(4, 3, 3, 3, dtype=torch.int32)),
    "momentum is text": lambda c: first_momentum(c, "x"),
    "momentum is missing": lambda c: first_momentum(c, None),
    "momentum of a parameter more": lambda c: c["optimizer"]["state"].update({99: {"momentum_buffer": torch.zeros(3)}}),
    "momentum is a list": lambda c: c["optimizer"].update(state=[1]),
    "no optimizer": lambda c: c.update(optimizer={}),
    "sparse weights": lambda c: c["model"].update({"4.bias": torch.zeros(2).to_sparse()}),
    "a tensor too many": lambda c: c["model"].update({"5.bias": torch.zeros(2)}),
    "complex weights": lambda c: c["model"].update({"4.bias": torch.zeros(2, dtype=torch.complex64)}),
    "complex best weights": lambda c: c["best"]["weights"].update({"4.bias": torch.zeros(2, dtype=torch.complex64)}),
    "weights that are nowhere": lambda c: c["model"].update({"4.bias": torch.zeros(2, device="meta")}),
    "totals without end": lambda c: c.update(totals=torch.zeros(1).expand(2**40)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_tensors_that_do_not_fit_are_refused_in_a_line(kind: str, tmp_path: Path) -> None:
    content = session_content(trained(), {})
    HOSTILE[kind](content)
    torch.save(content, tmp_path / CHECKPOINT)
    with pytest.raises(NoodleError, match="the checkpoint doesn't fit this model") as raised:
        restore(fresh(), read_checkpoint(tmp_path)[0])
    assert "\n" not in str(raised.value)


def test_tensors_that_claim_more_memory_than_they_have_are_laid_out_anew(tmp_path: Path) -> None:
    """All elements are one in the file: kernels that take a tensor for dense would run past its end."""
    content = session_content(trained(), {"n_epochs": 5})
    first_momentum(content, torch.ones(1).expand(4, 3, 3, 3))
    content["model"]["0.weight"] = torch.ones(1).expand(4, 3, 3, 3)
    content["best"]["weights"]["0.weight"] = torch.ones(1).expand(4, 3, 3, 3)
    content["optimizer"]["param_groups"] = [{"lr": "x", "params": [7]}]  # no word of it is taken
    torch.save(content, tmp_path / CHECKPOINT)
    session = fresh()
    restore(session, read_checkpoint(tmp_path)[0])
    [first, *_] = session.optimizer.param_groups[0]["params"]
    assert session.best is not None
    for tensor in (session.optimizer.state[first]["momentum_buffer"], session.best.weights["0.weight"], first):
        assert tensor.stride() == first.stride() and tensor.untyped_storage().nbytes() == 4 * 4 * 3 * 3 * 3
        assert bool((tensor == 1).all())
    assert (session.optimizer.param_groups[0]["lr"], session.optimizer.param_groups[0]["momentum"]) == (0.1, 0.9)
    session.model(torch.randn(4, 3, 8, 8)).square().sum().backward()
    session.optimizer.step()


# a disk that refuses ----------------------------------------------------------------------------------------------------


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system refuses to write past `size` bytes of any file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_refuses_leaves_the_old_one_whole(tmp_path: Path) -> None:
    save_session(tmp_path, session_content(trained(1), {}))
    for _ in range(2):
        with files_of_at_most(1000), pytest.raises(OSError):
            save_session(tmp_path, session_content(trained(2), {}))
    content, warning = read_checkpoint(tmp_path)
    assert (content.step, warning) == (1, "")
    assert set(os.listdir(tmp_path)) <= {CHECKPOINT, PREVIOUS}  # nothing half is left
    save_session(tmp_path, session_content(trained(3), {}))
    assert read_checkpoint(tmp_path)[0].step == 3


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK])
def test_a_disk_without_hard_links_still_saves(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    save_session(tmp_path, session_content(trained(1), {}))
    monkeypatch.setattr(os, "link", refuse)
    save_session(tmp_path, session_content(trained(2), {}))
    assert read_checkpoint(tmp_path)[0].step == 2


def test_a_compressed_file_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "checkpoint.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    with pytest.raises(NoodleError, match="is compressed"):
        read_checkpoint(tmp_path)
