"""From a job's options to all that training works on: photos and network, the one read while the other is built.

torch is imported on the way: what is wrong with the folders is said before.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from noodle_tui.distributed import own_device
from noodle_tui.errors import NoodleError
from noodle_tui.events import DataReady, Emit, Message, ModelReady
from noodle_tui.gpu import holders_in_words, others_on_gpu
from noodle_tui.imports import uncollected
from noodle_tui.job import Job
from noodle_tui.meanwhile import Meanwhile
from noodle_tui.model_card import ARCHITECTURE, origin_of, other_classes, other_size
from noodle_tui.progress import Check, Progress
from noodle_tui.samples import find_samples, order_fingerprint
from noodle_tui.stage import stage
from noodle_tui.text import printable
from noodle_tui.weights import digest_of, fetch_imagenet
from noodle_tui.world import World

if TYPE_CHECKING:
    from torch import nn

    from noodle_tui.dataset import Dataset
    from noodle_tui.device import Device
    from noodle_tui.session import Session

MOST_NAMED = 1000  # bad images, one by one
DECIDE_BITS = ("noodle-tui", "torch", "torchvision", "numpy", "pillow", "cuda", "cudnn")  # of the report's environment


@dataclass(frozen=True)
class Loaded:
    """All that training works on."""

    data: "Dataset"
    device: "Device"
    session: "Session"


def check_weights(job: Job) -> None:
    """Have the weights of a new run at hand. NoodleError where they can't be had or used: for a run that can't begin no photo
    is moved."""
    weights = job.config.weights
    if job.before or weights == "none":
        return
    with stage("weights", "looking at the weights", job.emit) as progress:
        if weights == "imagenet":
            fetch_imagenet(progress, job.control.check)
        else:
            from noodle_tui.model import check_fits

            check_fits(Path(weights))


def load(job: Job) -> Loaded:
    """Photos and network, on the device. NoodleError for what can't be used, StopRun if the run is stopped meanwhile."""
    with Meanwhile("network", job.control.check) as network:  # built in a thread while the photos are decoded
        data, device = load_data(job, network)
        return Loaded(data, device, start_session(job, data, device, network))


def load_data(job: Job, network: "Meanwhile[tuple[nn.Module, str]]") -> "tuple[Dataset, Device]":
    """Find and decode every image, with `network` under way from the moment that it is known what for, and on which device.

    NoodleError if a run that is picked up saw other photos.
    """
    config = job.config
    with stage("decode", f"reading the photos in {config.data_dir}", job.emit) as progress:
        found = find_samples(config.data_dir, config.person)
        with uncollected():
            from noodle_tui.dataset import BadImages, load_dataset
            from noodle_tui.device import pick_device, set_up

        device = pick_device(own_device(config.device, job.world), config.precision)
        set_up(device)
        network.start(lambda progress, check: build_network(job, found.classes, device, progress, check))
        try:
            data = load_dataset(config.data_dir, found, config.input_size, device, skip_bad_images=config.skip_bad_images,
                                keep_off_gpu=job.before is not None and job.before.stored.place == "host",
                                ranks=job.world.local_size,
                                progress=progress, check=job.control.check)
        except BadImages as bad:
            name_bad_images(bad.skipped, "can't be read", job.emit)
            raise
        if job.before:
            job.before.check_data(data.fingerprint, order_fingerprint(data.train.samples))
    job.emit(DataReady(
        classes=data.classes, train_counts=data.train.counts(len(data.classes)),
        val_counts=data.val.counts(len(data.classes)), people=len(data.train.people | data.val.people),
        people_in_both=len(data.train.people & data.val.people), skipped=len(data.skipped), fingerprint=data.fingerprint,
        where=data.where, twins=data.twins, val_people=len(data.val.people),
    ))
    name_bad_images(data.skipped, "left out", job.emit)
    return data, device


def name_bad_images(bad: list[tuple[str, str]], what: str, emit: Emit) -> None:
    """Say of each of `bad` (name, reason) `what` is the matter with it; of thousands, how many more there are."""
    for name, reason in bad[:MOST_NAMED]:
        emit(Message(level="warning", text=f"{what}: {printable(name)} ({reason})"))
    if len(bad) > MOST_NAMED:
        emit(Message(level="warning", text=f"{what}: {len(bad) - MOST_NAMED} more images"))


def build_network(
    job: Job, classes: Sequence[str], device: "Device", progress: Progress, check: Check
) -> "tuple[nn.Module, str]":
    """The network, on its device, and whether its last layer is kept, see `build_model_and_head`. For a thread of its own.
    Rank 0's weights are the ones that count: the others get them."""
    from noodle_tui.device import set_up
    from noodle_tui.model import build_model_and_head, synchronised
    from noodle_tui.step import check_compiler

    set_up(device)
    config = job.config
    weights = "none" if job.before or job.world.rank > 0 else config.weights
    origin = origin_of(weights)
    keep_head = origin is None or origin.tells(classes)
    model, head = build_model_and_head(weights, len(classes), config.seed, progress, check, keep_head)
    if config.sync_bn and job.world.size > 1:
        model = synchronised(model)
    model = model.to(device.torch_device)
    if config.compile:
        check_compiler(device)
    return model, head


def check_alike(world: World, device: "Device", data_dir: Path, photos: tuple[str, str]) -> None:
    """NoodleError where this rank computes otherwise than rank 0, or sees other `photos` (their fingerprints): each computes a
    share of each batch, and nobody could say what the whole was computed in."""
    own = f"on {device.torch_device.type} in {device.precision}"
    first, first_photos = world.broadcast((own, photos))
    if own != first:
        raise NoodleError(f"process {world.rank} would compute {own} and process 0 {first}: give a --device and a --precision "
                          "that every node has")
    if photos != first_photos:
        raise NoodleError(f"process {world.rank} finds other photos in {data_dir} than process 0: every node needs the same")


def start_session(job: Job, data: "Dataset", device: "Device", network: "Meanwhile[tuple[nn.Module, str]]") -> "Session":
    """Training before its first batch, or as the checkpoint left it. NoodleError if rank 0 sees other photos or computes
    otherwise."""
    from noodle_tui.checkpoint import restore
    from noodle_tui.device import processor
    from noodle_tui.report import environment
    from noodle_tui.session import new_session

    config, before, world = job.config, job.before, job.world
    versions = environment()
    terms = {"device": device.name, "precision": device.precision, "processes": str(world.size),
             **{name: versions[name] for name in DECIDE_BITS if name in versions},
             "photos by nvJPEG": str(data.by_nvjpeg)}
    if device.torch_device.type == "cpu":
        terms["processor"] = processor()
    with stage("weights", "loading the network", job.emit) as progress:
        model, head = network.result(progress)
        session = new_session(model, config, device.torch_device)
        session.fingerprint, session.order = data.fingerprint, order_fingerprint(data.train.samples)
        session.place = data.place if device.torch_device.type == "cuda" else ""
        if before:
            restore(session, before.stored)
            session.times = before.times
            if session.epoch < config.n_epochs:
                session.changes += before.changes + before.other_terms(terms)
                session.terms = terms
        else:
            session.terms, session.head = terms, head
            session.weights_digest, session.origin = digest_of(config.weights), origin_of(config.weights)
        session.started = session.started or time.time() - job.seconds
        if world.rank > 0:
            session.totals.zero_()  # rank 0 has the sum of all
        check_alike(world, device, config.data_dir, (session.fingerprint, session.order))
    say_what_is_trained(job, data, device, session, before.other_terms(terms) if before else [])
    return session


def say_what_is_trained(job: Job, data: "Dataset", device: "Device", session: "Session", other_terms: Sequence[str]) -> None:
    """The network and its device, and what isn't as one might think: of a new run its weights, of one that is picked up what it
    is trained on (`other_terms`) and where its photos lie."""
    config, before, origin = job.config, job.before, session.origin
    job.emit(ModelReady(architecture=ARCHITECTURE, weights="checkpoint" if before else config.weights,
                        device=str(device.torch_device), device_name=device.name, precision=device.precision))
    if before:
        for change in other_terms:
            job.emit(Message(level="warning", text=f"picked up on other terms: {change}"))
        if before.stored.place == "gpu" and data.place == "host":
            job.emit(Message(level="warning", text="the photos lay in GPU memory before and don't now, where crops are rounded "
                             "otherwise: the result will be close to that of an undisturbed run, but not the same bit for bit"))
    else:
        if origin and origin.input_size != config.input_size:
            job.emit(Message(level="warning", text=other_size(origin, config.input_size)))
        if origin and not origin.tells(data.classes):
            job.emit(Message(level="warning", text=other_classes(origin, data.classes)))
        elif session.head == "new" and config.weights != "imagenet":
            job.emit(Message(level="info", text=f"the last layer in {printable(Path(config.weights).name)} isn't for "
                             f"{len(data.classes)} classes: it starts anew"))
    if shared := holders_in_words(others_on_gpu(device.torch_device)):
        job.emit(Message(level="info", text=f"{device.name} is {shared}"))
