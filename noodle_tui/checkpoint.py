"""A session on disk: everything that picking a run up again needs, in one file that is whole or isn't there.

`checkpoint.pt` is replaced by one rename, and the one before stays as `checkpoint.prev.pt` until the next save. It is torch's
zip format, so each record carries a CRC-32; all are verified before anything is loaded, and a damaged file gives way to the
previous one, with a warning. Only tensors and plain values are unpickled (`weights_only=True`): no code is run.
"""

import io
import os
import re
import warnings
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from noodle_tui.atomic import write_atomic
from noodle_tui.errors import NoodleError, one_line
from noodle_tui.events import LAST_TIME, EpochDone
from noodle_tui.model_card import Origin
from noodle_tui.run_folder import CHECKPOINT, MODEL, PREVIOUS, has_checkpoint, working_folder

VERSION = 1
COMET_KEY = re.compile(r"[0-9a-zA-Z]{0,50}")  # it becomes part of a file's name
CONTENT: dict[str, Any] = {  # what a checkpoint holds, and of which type
    "version": int, "model": dict, "optimizer": dict, "fingerprint": str, "order": str, "comet_key": str, "times": int,
    "epoch": int, "step": int, "totals": Tensor, "best": dict | None, "history": list, "config": dict,
}


@dataclass
class Best:
    """The epoch with the highest validation accuracy so far; the earlier one keeps a tie."""

    epoch: int
    correct: int
    count: int
    loss: float
    weights: dict[str, Tensor]  # a state dict, on the training device


@dataclass
class Session:
    """Training in progress. `fit` moves it forward, batch by batch; it can be saved between any two."""

    model: nn.Module
    optimizer: torch.optim.SGD
    totals: Tensor  # [2], on the device: summed loss and correct count of the unfinished epoch's batches
    fingerprint: str = ""  # of the data it was trained on
    order: str = ""  # fingerprint of their names in order: it decides which photos make up a batch
    weights_digest: str = ""  # SHA-256 of the file that training started from
    origin: Origin | None = None  # the run that this came from, where one is known
    terms: dict[str, str] = field(default_factory=dict)  # what trains it: "device" (name), "precision", "processes"
    place: str = ""  # on a GPU: of the photos' pixels, which decides how crops are rounded, see Dataset.place
    comet_key: str = ""  # the Comet experiment to go on in
    times: int = 0  # how often it was picked up again
    changes: list[str] = field(default_factory=list)  # with which other options, where they decide what is learnt
    started: float = 0.0  # seconds since 1970
    epoch: int = 0  # whole epochs done
    step: int = 0  # batches of the next epoch that are done, too
    seconds: float = 0.0  # that they took
    best: Best | None = None
    history: list[EpochDone] = field(default_factory=list)


def new_session(model: nn.Module, lr: float, momentum: float, device: torch.device) -> Session:
    """A session before its first batch: plain SGD on `device`."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, fused=device.type in ("cpu", "cuda"))
    # sums of thousands of losses want float64, which Apple's GPUs lack
    totals = torch.zeros(2, dtype=torch.float32 if device.type == "mps" else torch.float64, device=device)
    return Session(model, optimizer, totals)


def session_content(session: Session, config: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint of the session holds: copies, which stay as they are while training goes on.

    They lie where the session does, and on CUDA are under way when this returns; `to_main_memory` brings them home.
    """
    return {
        "version": VERSION,
        "model": copied(session.model.state_dict()),
        "optimizer": copied(session.optimizer.state_dict()),
        "fingerprint": session.fingerprint,
        "order": session.order,
        "start": {"digest": session.weights_digest, **(asdict(session.origin) if session.origin else {})},
        "terms": dict(session.terms),
        "place": session.place,
        "comet_key": session.comet_key,
        "times": session.times,
        "changes": list(session.changes),
        "started": session.started,
        "epoch": session.epoch,
        "step": session.step,
        "seconds": session.seconds,
        "totals": session.totals.clone(),
        # nothing changes the weights in place: a better epoch brings others
        "best": None if session.best is None else {**vars(session.best), "weights": dict(session.best.weights)},
        "history": [asdict(event) for event in session.history],
        "config": config,
        "cwd": working_folder(),  # that its relative paths start from
    }


def copied(tree: Any) -> Any:
    """Nested dicts and lists with copies of their tensors."""
    if isinstance(tree, Tensor):
        return tree.detach().clone()
    if isinstance(tree, dict):
        return {key: copied(value) for key, value in tree.items()}
    return [copied(value) for value in tree] if isinstance(tree, list) else tree


def to_main_memory(tree: dict[Any, Any] | list[Any]) -> None:
    """Put tensors in main memory in the place of those elsewhere, in nested dicts and lists. From a GPU by way of the current
    stream; returns when they are there."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if isinstance(value, Tensor):
            tree[key] = value.detach().cpu()
        elif isinstance(value, dict | list):
            to_main_memory(value)


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
    try:
        os.link(current, spare)
        os.replace(spare, current.with_name(PREVIOUS))
    except OSError:
        # a file system without hard links says so in many ways (EPERM, ENOTSUP, ENOSYS). Nothing is lost: the write that
        # follows replaces the file with one rename, and speaks up itself where the disk is full or read-only
        return


def load_session(folder: Path) -> tuple[dict[str, Any], str]:
    """The newest whole checkpoint in `folder` as saved, on the CPU, and a warning ("" if all is well).

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


def _read(file: Path) -> dict[str, Any]:
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
    if not _is_one(content):
        raise NoodleError(f"{file}: not a checkpoint that this version can read")
    return content


def _is_one(content: Any) -> bool:
    """Whether a loaded file has what a checkpoint has, with values that make sense without its model."""
    if not isinstance(content, dict) or not all(isinstance(content.get(key), kind) for key, kind in CONTENT.items()):
        return False
    counts = [content[key] for key in ("epoch", "step", "times")]
    return (content["version"] == VERSION and all(type(count) is int and count >= 0 for count in counts)
            and COMET_KEY.fullmatch(content["comet_key"]) is not None)


def restore(session: Session, content: dict[str, Any]) -> None:
    """Put a loaded checkpoint into a freshly built session, taking the large tensors out of `content`. NoodleError if it
    doesn't fit the model."""
    try:
        session.model.load_state_dict(_weights(content.pop("model"), session.model))
        _restore_momentum(session.optimizer, content.pop("optimizer"))
        session.epoch, session.step = content["epoch"], content["step"]
        session.totals.copy_(content["totals"])
        best = content.pop("best")
        session.best = None if best is None else _best(best, session.model)
        session.history = [EpochDone(**event) for event in content["history"]]
        session.times = content["times"]
        session.terms = _terms(content.get("terms", {}))
        session.changes = [str(change) for change in content.get("changes", ())]  # not always were they kept
        session.started = _time(content.get("started", 0.0))
        session.seconds = _time(content.get("seconds", 0.0))
        session.fingerprint, session.order = content["fingerprint"], content["order"]
        session.comet_key = content["comet_key"]
        session.weights_digest, session.origin = _start(content.get("start", {}))
    except (RuntimeError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise NoodleError(f"the checkpoint doesn't fit this model: {one_line(error)[:160]}") from None


def _time(stored: Any) -> float:
    """Seconds, also since 1970. ValueError for what no calendar knows."""
    if not 0 <= (time := float(stored)) <= LAST_TIME:
        raise ValueError("a time in it makes no sense")
    return time


def _terms(stored: Any) -> dict[str, str]:
    """Session.terms. ValueError where they make no sense."""
    terms = {str(name): str(value) for name, value in stored.items()}
    if terms.get("precision", "fp32") not in ("fp32", "bf16") or not terms.get("processes", "1").isdecimal():
        raise ValueError("what trained it makes no sense")
    return terms


def _start(stored: Any) -> tuple[str, Origin | None]:
    """What training started from: digest and origin of a weights file. Checkpoints did not always tell. ValueError where it
    makes no sense."""
    digest, run = stored.get("digest", ""), stored.get("run")
    origin = None if run is None else Origin(run, stored["input_size"], stored["fingerprint"], tuple(stored.get("classes", ())))
    texts = [digest] if origin is None else [digest, origin.run, origin.fingerprint, *origin.classes]
    if not all(isinstance(text, str) for text in texts) or (origin and not isinstance(origin.input_size, int)):
        raise ValueError("what it started from makes no sense")
    return digest, origin


def _best(stored: dict[str, Any], model: nn.Module) -> Best:
    """The best epoch as stored. TypeError or ValueError if it isn't one, or its weights don't fit `model`."""
    best = Best(**stored)
    numbers = (best.epoch, best.correct, best.count)
    if not all(type(n) is int and n >= 0 for n in numbers) or best.correct > best.count or not isinstance(best.loss, float):
        raise ValueError("its best epoch makes no sense")
    best.weights = _weights(best.weights, model)
    return best


def _weights(stored: dict[str, Any], model: nn.Module) -> dict[str, Tensor]:
    """A stored state dict, laid out as the model's. ValueError if it isn't one for it."""
    wanted = model.state_dict()
    if not isinstance(stored, dict) or stored.keys() != wanted.keys():
        raise ValueError("its weights are of another model")
    return {name: _laid_out_as(value, stored[name]) for name, value in wanted.items()}


def _restore_momentum(optimizer: torch.optim.SGD, stored: dict[str, Any]) -> None:
    """Take over the momentum alone: what else an optimizer's state dict holds comes from the options. ValueError if it doesn't
    fit."""
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
