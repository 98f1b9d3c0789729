"""A session on disk: everything that picking a run up again needs, in one file that is whole or isn't there.

`checkpoint.pt` is replaced by one rename, and the one before stays as `checkpoint.prev.pt` until the next save. It is torch's
zip format, so each record carries a CRC-32; all are verified before anything is loaded, and a damaged file gives way to the
previous one, with a warning. Only tensors and plain values are unpickled (`weights_only=True`): no code is run.
"""

import io
import os
import warnings
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError, field_validator, model_validator
from torch import Tensor, nn

from noodle_tui.atomic import write_atomic
from noodle_tui.errors import NoodleError, first_problem, one_line
from noodle_tui.events import Clock, EpochDone
from noodle_tui.model_card import Origin
from noodle_tui.paths import working_folder
from noodle_tui.run_folder import CHECKPOINT, MODEL, PREVIOUS, has_checkpoint
from noodle_tui.session import Best, Session

VERSION = 1


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True, defer_build=True)


class StoredBest(_Stored):
    """`Best` in a file."""

    epoch: NonNegativeInt
    correct: NonNegativeInt
    count: NonNegativeInt
    loss: float
    weights: dict[str, Any]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.correct > self.count:
            raise ValueError("more right answers than images")
        return self


class StoredOrigin(_Stored):
    """What training started from: the file's digest, an `Origin` where one is known, and what became of the last layer."""

    digest: str = ""
    run: str | None = None
    input_size: int = 0
    fingerprint: str = ""
    classes: tuple[str, ...] = ()
    weights: str = ""
    head: Literal["", "kept", "new"] = ""


class Checkpoint(_Stored):
    """What checkpoint.pt holds, checked but for the tensors, which are when they meet their model. What a later version adds is
    in `model_extra`."""

    model_config = ConfigDict(extra="allow")
    version: Literal[1]
    model: dict[str, Any]
    optimizer: dict[str, Any]
    totals: Tensor
    best: StoredBest | None
    fingerprint: str
    order: str
    start: StoredOrigin = StoredOrigin()
    terms: dict[str, str] = {}
    place: str = ""
    comet_key: str = Field(pattern=r"^[0-9a-zA-Z]{0,50}$")  # it becomes part of a file's name
    times: NonNegativeInt
    changes: list[str] = []
    started: Clock = 0.0
    epoch: NonNegativeInt
    step: NonNegativeInt
    seconds: Clock = 0.0
    lr: float = Field(0.0, ge=0, le=1e100)
    history: list[EpochDone]
    config: dict[str, Any]
    cwd: str = ""

    @field_validator("terms")
    @classmethod
    def _check_terms(cls, terms: dict[str, str]) -> dict[str, str]:
        if terms.get("precision", "fp32") not in ("fp32", "bf16") or not terms.get("processes", "1").isdecimal():
            raise ValueError("no run has these")
        return terms

    @property
    def so_far(self) -> str:
        """How far its run had come: "epoch 3", "batch 6 of epoch 4"."""
        return how_far(self.epoch, self.step)


def how_far(epoch: int, step: int) -> str:
    """Whole epochs, and batches of the next one, in words."""
    return f"batch {step} of epoch {epoch + 1}" if step else f"epoch {epoch}"


def session_content(session: Session, config: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint of the session holds: copies, which stay as they are while training goes on.

    They lie where the session does, and on CUDA are under way when this returns; `to_main_memory` brings them home. Weights
    that are the best ones are there once, under both names.
    """
    # nothing changes the best weights in place: a better epoch brings others
    best = None if session.best is None else {**vars(session.best), "weights": dict(session.best.weights)}
    are_best = best is not None and (best["epoch"], 0) == (session.epoch, session.step)
    return {
        "version": VERSION,
        "model": best["weights"] if best is not None and are_best else copied(session.model.state_dict()),
        "optimizer": copied(session.optimizer.state_dict()),
        "fingerprint": session.fingerprint,
        "order": session.order,
        "start": {"digest": session.weights_digest, "head": session.head,
                  **(asdict(session.origin) if session.origin else {})},
        "terms": dict(session.terms),
        "place": session.place,
        "comet_key": session.comet_key,
        "times": session.times,
        "changes": list(session.changes),
        "started": session.started,
        "epoch": session.epoch,
        "step": session.step,
        "seconds": session.seconds,
        "lr": session.lr,
        "totals": session.totals.clone(),
        "best": best,
        "history": [dict(vars(event)) for event in session.history],  # flat: `asdict` takes ten times as long
        "config": config,
        "cwd": working_folder(),  # that its relative paths start from
    }


def copied(tree: Any) -> Any:
    """Nested dicts with copies of their tensors."""
    if isinstance(tree, Tensor):
        return tree.detach().clone()
    if isinstance(tree, dict):
        return {key: copied(value) for key, value in tree.items()}
    return tree


def to_main_memory(tree: dict[Any, Any]) -> None:
    """Put tensors in main memory in the place of those elsewhere, in nested dicts; the lists, a history of thousands of epochs
    among them, hold none. From a GPU by way of the current stream; returns when they are there."""
    for key, value in tree.items():
        if isinstance(value, Tensor):
            tree[key] = value.detach().cpu()
        elif isinstance(value, dict):
            to_main_memory(value)


def has_diverged(model: dict[str, Any], totals: Any) -> bool:
    """Whether a number of a checkpoint's weights or sums isn't finite: no learning rate brings such weights back. Looks at what
    lies in main memory as it claims to; anything else a file may hold is for `restore` to refuse."""
    return not all(bool(tensor.isfinite().all()) for tensor in _plain([*model.values(), totals]))


def _plain(values: Iterable[Any]) -> Iterable[Tensor]:
    for value in values:
        if (isinstance(value, Tensor) and value.dtype in (torch.float32, torch.float64) and value.layout == torch.strided
                and value.device.type == "cpu" and not value.is_nested
                and value.numel() * value.element_size() <= value.untyped_storage().nbytes()):
            yield value


def rehearse_saving() -> None:
    """Have torch import now what it does when it first saves: by then an upgrade may have taken its files away."""
    torch.save({}, io.BytesIO())


def save_session(folder: Path, content: dict[str, Any]) -> None:
    """Write `folder`/checkpoint.pt. OSError if the disk refuses; then the file before it is still there, whole."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    current = folder / CHECKPOINT
    if current.exists():
        _keep_as_previous(current)
    write_atomic(current, buffer.getbuffer())


def weights_file(weights: dict[str, Tensor]) -> memoryview:
    """The content of a model.pth: a plain state dict on the CPU that torchvision's resnet18 loads strictly."""
    buffer = io.BytesIO()
    torch.save({name: value.detach().cpu() for name, value in weights.items()}, buffer)
    return buffer.getbuffer()


def _keep_as_previous(current: Path) -> None:
    """Give the current file a second name, so that it outlives its replacement."""
    spare = current.with_name(PREVIOUS + ".new")
    spare.unlink(missing_ok=True)
    # a file system without hard links says so in many ways (EPERM, ENOTSUP, ENOSYS). Nothing is lost: the write that follows
    # replaces the file with one rename, and speaks up itself where the disk is full or read-only
    with suppress(OSError):
        os.link(current, spare)
        os.replace(spare, current.with_name(PREVIOUS))
        spare.unlink(missing_ok=True)  # a rename leaves it where both were one file, as after a save that the disk refused


def read_checkpoint(folder: Path) -> tuple[Checkpoint, str]:
    """The newest whole checkpoint in `folder`, on the CPU, and a warning ("" if all is well).

    NoodleError if there is none, or each is damaged.
    """
    current, previous = folder / CHECKPOINT, folder / PREVIOUS
    if not has_checkpoint(folder):
        raise NoodleError(f"{folder}: no {CHECKPOINT} in it, nothing to pick up")
    try:
        if not current.is_file():
            raise NoodleError(f"{current} is missing")
        return _read(current), ""
    except NoodleError as error:
        if not previous.is_file():
            raise
        try:
            return _read(previous), f"{error}; {PREVIOUS}, the one saved before it, is used"
        except NoodleError as other:
            raise NoodleError(f"{error}, and so is the one before ({other}): start a new run from its weights with --load-dir "
                              f"{folder / MODEL}") from None


def _read(file: Path) -> Checkpoint:
    try:
        with zipfile.ZipFile(file) as archive:
            if any(record.compress_type != zipfile.ZIP_STORED for record in archive.infolist()):  # it could be without end
                raise NoodleError(f"{file} is compressed: no checkpoint of this program")
            if odd := [record.filename for record in archive.infolist() if record.external_attr]:
                # a bit of them says that it is a folder: torch then reads nothing, and takes what lies in memory
                raise NoodleError(f"{file} is damaged: {odd[0]} has attributes")
            damaged = archive.testzip()
        if damaged is not None:
            raise NoodleError(f"{file} is damaged: the checksum of {damaged} is wrong")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns on stderr of files that it then refuses
            content = torch.load(file, map_location="cpu", weights_only=True)
    except NoodleError:
        raise
    except Exception as error:  # noqa: BLE001 - foreign or torn bytes raise anything; each means: not usable
        raise NoodleError(f"{file} is damaged or no checkpoint of this program ({type(error).__name__})") from None
    try:
        stored = Checkpoint.model_validate(content)
    except ValidationError as error:
        raise NoodleError(f"{file}: not a checkpoint that this version can read ({first_problem(error)})") from None
    except RecursionError:
        raise NoodleError(f"{file}: not a checkpoint that this version can read (nested without end)") from None
    if has_diverged(stored.model, stored.totals):
        raise NoodleError(f"{file} is of no use: its weights are no numbers, since training had diverged (lower --lr)")
    return stored


def restore(session: Session, stored: Checkpoint) -> None:
    """Put a checkpoint into a freshly built session. Its weights and momentum go over: none is kept twice. NoodleError if it
    doesn't fit the model."""
    try:
        session.model.load_state_dict(_weights(stored.model, session.model))
        _restore_momentum(session.optimizer, stored.optimizer)
        if (best := stored.best) is not None:
            session.best = Best(best.epoch, best.correct, best.count, best.loss, _weights(best.weights, session.model))
        session.totals.copy_(stored.totals)
        session.lr = stored.lr or float(stored.config.get("lr", 0.0))  # not always was it kept
    except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise NoodleError(f"the checkpoint doesn't fit this model: {one_line(error)[:160]}") from None
    stored.model, stored.optimizer, stored.best = {}, {}, None
    session.fingerprint, session.order, session.comet_key = stored.fingerprint, stored.order, stored.comet_key
    session.epoch, session.step, session.seconds = stored.epoch, stored.step, stored.seconds
    session.started, session.times = stored.started, stored.times
    session.history, session.changes, session.terms = list(stored.history), list(stored.changes), dict(stored.terms)
    start = stored.start
    session.weights_digest, session.head = start.digest, start.head
    session.origin = None if start.run is None else Origin(start.run, start.input_size, start.fingerprint, start.classes,
                                                           start.weights)


def _weights(stored: dict[str, Any], model: nn.Module) -> dict[str, Tensor]:
    """A stored state dict, laid out as the model's. ValueError if it isn't one for it."""
    wanted = model.state_dict()
    if stored.keys() != wanted.keys():
        raise ValueError("its weights are of another model")
    return {name: _laid_out_as(value, stored[name]) for name, value in wanted.items()}


def _restore_momentum(optimizer: torch.optim.SGD, stored: dict[str, Any]) -> None:
    """Take over the momentum alone: what else an optimizer's state dict holds comes from the options. ValueError if it doesn't
    fit. Where none is used now it is left out: it would stay as it is, for a later pick-up that uses it again."""
    if optimizer.param_groups[0]["momentum"] == 0:
        return
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    buffers = {index: state.get("momentum_buffer") for index, state in stored["state"].items()}
    if all(buffer is None for buffer in buffers.values()):  # before the first step, and where none is used
        return
    if buffers.keys() != set(range(len(parameters))):
        raise ValueError("its momentum is of another model")
    for index, parameter in enumerate(parameters):
        optimizer.state[parameter] = {"momentum_buffer": _laid_out_as(parameter, buffers[index])}


def _laid_out_as(example: Tensor, stored: Any) -> Tensor:
    """A copy of `stored`, on the device and in the memory layout of `example`. ValueError if it is of another shape or type.

    A file may claim any strides; the optimizer's fused kernels believe them, and would read and write beyond the memory.
    """
    if not isinstance(stored, Tensor) or (stored.shape, stored.dtype, stored.layout) != (
            example.shape, example.dtype, example.layout):
        raise ValueError("a tensor in it is of another shape or type")
    return torch.empty_like(example, requires_grad=False).copy_(stored.detach())
