"""On a CUDA GPU: graphs against eager code, exact resume, no wait within an epoch, and what happens when its memory is full.

Where there is none, test_emulated_gpu.py runs what it can of it on an emulated one.
"""

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MakeConfig
from PIL import Image
from test_fit import CONFIG, DATA, StopAt, network, without_times
from test_saving import FACTS
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.transforms import functional as tv

from noodle_tui import forward as forward_module
from noodle_tui import pixels as pixels_module
from noodle_tui import step as step_module
from noodle_tui.augment import GREY, crop_geometry, crop_padded_batch, plan_epoch
from noodle_tui.batches import DeviceBatches, PrefetchBatches, make_batches
from noodle_tui.bench.ceiling import ceilings
from noodle_tui.bench.options import parity_options
from noodle_tui.bench.parity import FAST, PLAIN, parity
from noodle_tui.checkpoint import read_checkpoint, restore, save_session, session_content, to_main_memory
from noodle_tui.config import RunConfig
from noodle_tui.control import Control
from noodle_tui.dataset import Dataset, Split
from noodle_tui.decode import decode_file, decode_in_batches, nvjpeg
from noodle_tui.device import Device, pick_device, release_memory, set_up, side_stream
from noodle_tui.errors import NoodleError, StopRun
from noodle_tui.events import DataReady, Event, Message, ModelReady
from noodle_tui.fit import fit
from noodle_tui.forward import repeated_forward
from noodle_tui.graphs import graphs_on
from noodle_tui.job import Job
from noodle_tui.listeners.fanout import Fanout
from noodle_tui.loading import Loaded
from noodle_tui.pixels import PaddedStore
from noodle_tui.run import run, train
from noodle_tui.run_folder import read_state
from noodle_tui.saving import Saver
from noodle_tui.session import Session, new_session
from noodle_tui.step import make_step
from noodle_tui.verify_resume import verify_resume
from noodle_tui.world import ALONE

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

PRECISIONS = ("fp32", "bf16")


@pytest.fixture(params=PRECISIONS)
def device(request: pytest.FixtureRequest) -> Device:
    return gpu(request.param)


@pytest.fixture(autouse=True)
def memory_given_back() -> Iterator[None]:
    yield
    release_memory()


def gpu(precision: str) -> Device:
    device = pick_device("cuda", precision)
    set_up(device)
    return device


def padded(split: Split, device: Device) -> Split:
    """The same images, on the GPU."""
    store = PaddedStore(split.sizes, device.torch_device)
    for image in split.pixels:
        store.keep(image)
    return replace(split, pixels=store.pixels())


def in_gpu_memory(device: Device) -> Dataset:
    return replace(DATA, train=padded(DATA.train, device), val=padded(DATA.val, device))


PLACES: dict[str, Callable[[Device], Dataset]] = {"GPU memory": in_gpu_memory, "main memory": lambda device: DATA}


def no_warning(event: Event) -> None:
    """A graph that was refused would be one: then only the slow way would be tested."""
    assert not (isinstance(event, Message) and event.level == "warning"), event


def fitted(device: Device, data: Dataset, config: RunConfig = CONFIG, *, session: Session | None = None,
           control: Control | None = None, save: Callable[[Session], None] = lambda s: None,
           model: nn.Module | None = None) -> Session:
    where = device.torch_device
    session = session or new_session((model or network()).to(where), config, where)
    fit(session, data, config, device, emit=no_warning, control=control or Control(), save=save)
    return session


def state_of(session: Session) -> dict[str, Tensor]:
    momentum = {f"momentum {i}": state["momentum_buffer"] for i, state in session.optimizer.state_dict()["state"].items()}
    return {name: value.cpu() for name, value in (session.model.state_dict() | momentum).items()}


def assert_same(one: Session, other: Session) -> None:
    ours, theirs = state_of(one), state_of(other)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert [without_times(e) for e in one.history] == [without_times(e) for e in other.history]


# the pictures


@pytest.mark.parametrize("size", [64, 224])
def test_crops_on_the_gpu_are_torchvisions(size: int, device: Device) -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 762, 562), dtype=np.uint8))
    plan = plan_epoch(1, 1, np.array([image.shape[1:]] * 12))
    store = PaddedStore(np.array([image.shape[1:]] * 12), device.torch_device)
    for _ in range(12):
        store.keep(image)
    geometry = torch.from_numpy(crop_geometry(plan.boxes, plan.flips, size)).to(device.torch_device)
    dtype = torch.float16 if device.bf16 else torch.float32
    crops = crop_padded_batch(store.pixels().tensor, geometry, size, dtype).float().cpu() + GREY
    for crop, (top, left, h, w), flip in zip(crops, plan.boxes.tolist(), plan.flips, strict=True):
        wanted = tv.resized_crop(image.float(), top, left, h, w, [size, size], antialias=True)
        difference = (crop - (wanted.flip(-1) if flip else wanted)).abs().max().item()
        assert difference < (0.25 if device.bf16 else 0.05)


def test_nvjpeg_decodes_what_pillow_decodes_and_leaves_it_the_rest(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    soft = Image.fromarray(random.integers(0, 256, (12, 9, 3), dtype=np.uint8)).resize((562, 762), Image.Resampling.BICUBIC)
    paths = [tmp_path / f"{i}.jpg" for i in range(150)]
    for i, path in enumerate(paths):
        mode = {40: "L", 90: "CMYK"}.get(i, "RGB")
        soft.resize((200 + i, 300)).convert(mode).save(path, quality=90, subsampling="4:2:0" if i % 2 else "4:4:4")
    paths[60].write_bytes(paths[60].read_bytes()[:2000])
    decode_batch = nvjpeg(torch.device("cuda", 0))
    assert decode_batch is not None
    images = list(decode_in_batches(paths, decode_batch, lambda: None))
    assert len(images) == 150
    for i, (path, image) in enumerate(zip(paths, images, strict=True)):
        if i == 60:
            assert isinstance(image, Exception)
            continue
        assert not isinstance(image, Exception)
        assert image.pixels.is_cuda == (i not in (40, 90))
        exact = decode_file(path)
        assert image.digest == exact.digest
        difference = (image.pixels.cpu().float() - exact.pixels.float()).abs().mean()
        assert difference < (4 if i % 2 else 1.5)  # grey levels; colour at half size is not smoothed by nvJPEG: 1.6 to 2.0


def test_crops_and_graphs_have_streams_of_their_own() -> None:
    """What is captured on a stream works in that stream's cuBLAS workspace, wherever it is replayed."""
    place = gpu("bf16").torch_device
    crops, captures = side_stream(place, "crops"), side_stream(place, "capture")
    assert crops is not None and captures is not None
    streams = {crops.cuda_stream, captures.cuda_stream, torch.cuda.current_stream(place).cuda_stream}
    assert len(streams) == 3 and side_stream(place, "crops") is crops


@pytest.mark.real_gpu
def test_crops_made_beside_training_are_those_made_alone(device: Device) -> None:
    data = in_gpu_memory(device)
    alone, beside = (make_batches(data.train, 8, 42, 64, device) for _ in range(2))
    wanted: list[Tensor] = []
    for epoch in range(1, 9):
        alone.start_epoch(epoch)
        for number in range(3):
            wanted += [value.clone() for value in alone.inputs(number)]
            torch.cuda.synchronize()
    model = resnet18(num_classes=2).to(device.torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    session = new_session(model, CONFIG, device.torch_device)
    graphs = graphs_on(device.torch_device, no_warning)
    step = make_step(model, session.optimizer, session.totals, device, full=8, graphs=graphs)
    found: list[Tensor] = []
    for epoch in range(1, 9):
        beside.start_epoch(epoch)
        for number in range(3):
            inputs = beside.inputs(number)
            step(inputs)
            found += [value.clone() for value in inputs]
    assert all(torch.equal(a, b) for a, b in zip(wanted, found, strict=True))


@pytest.mark.parametrize("place", PLACES)
def test_a_batch_waits_for_the_one_whose_room_it_takes(place: str, device: Device) -> None:
    """Seven batches an epoch, of which three are under way at a time."""
    config = CONFIG.model_copy(update={"batch_size": 3})
    runs = [fitted(device, PLACES[place](device), config) for _ in range(2)]
    assert_same(*runs)


# the numbers


@pytest.mark.parametrize("place", PLACES)
def test_the_gpu_learns_what_the_cpu_learns(place: str) -> None:
    cpu = Device(torch.device("cpu"), "CPU", "fp32")
    device = gpu("fp32")
    wanted = fitted(cpu, DATA).history
    found = fitted(device, PLACES[place](device)).history
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=0.02)
        assert ours.val_loss == pytest.approx(theirs.val_loss, rel=0.02)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["small", pytest.param("resnet18", marks=pytest.mark.real_gpu)])
def test_graphs_compute_what_eager_code_computes(
    place: str, kind: str, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def model() -> nn.Module:
        torch.manual_seed(3)
        return (resnet18(num_classes=2) if kind == "resnet18" else network()).to(memory_format=torch.channels_last)

    captured = fitted(device, PLACES[place](device), model=model())
    for module in (step_module, forward_module):
        monkeypatch.setattr(module, "Captured", lambda work, graphs, rehearsal=None: work)
    assert_same(captured, fitted(device, PLACES[place](device), model=model()))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("batches", [1, 4, 7, 8])  # three an epoch
def test_a_run_picked_up_is_the_same_bit_for_bit(place: str, batches: int, device: Device, tmp_path: Path) -> None:
    data, where = PLACES[place](device), device.torch_device
    whole = fitted(device, data)
    session = new_session(network().to(where), CONFIG, where)
    with pytest.raises(StopRun):
        fitted(device, data, session=session, control=StopAt(batches))
    content = session_content(session, {})
    to_main_memory(content)
    save_session(tmp_path, content)
    resumed = new_session(network().to(where), CONFIG, where)
    restore(resumed, read_checkpoint(tmp_path)[0])
    assert_same(whole, fitted(device, data, session=resumed))


@pytest.mark.real_gpu
def test_verify_resume_on_this_gpu(device: Device) -> None:
    said: list[str] = []
    assert verify_resume("cuda", device.precision, 2, 0, said.append), said


# no waiting


def test_an_epoch_waits_for_the_gpu_nowhere(device: Device) -> None:
    where, data = device.torch_device, in_gpu_memory(device)
    model = network().to(where)
    session = new_session(model, CONFIG, where)
    batches = make_batches(data.train, 8, 42, 64, device)
    assert isinstance(batches, DeviceBatches)
    graphs = graphs_on(where, no_warning)
    step = make_step(model, session.optimizer, session.totals, device, full=8, graphs=graphs)
    forward = repeated_forward(model, device, graphs)
    images = data.val.pixels.stacked()

    def epoch(number: int) -> None:
        model.train()
        batches.start_epoch(number)
        for i in range(3):
            step(batches.inputs(i))
        model.eval()
        with torch.no_grad():
            forward([images])

    epoch(1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        epoch(2)
        epoch(3)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert session.totals[0].item() > 0


def test_photos_in_main_memory_come_through_pinned_buffers(device: Device) -> None:
    assert isinstance(make_batches(DATA.train, 8, 42, 64, device), PrefetchBatches)


def test_what_is_saved_is_the_session_as_it_was_though_training_goes_on(device: Device, tmp_path: Path) -> None:
    states: list[dict[str, Tensor]] = []
    config = CONFIG.model_copy(update={"n_epochs": 6, "save_every": 1})
    with Saver(tmp_path, config, FACTS, lambda event: None) as saver:

        def save(session: Session) -> None:
            saver.save(session)
            states.append(state_of(session))

        fitted(device, in_gpu_memory(device), config, save=save)
    content = read_checkpoint(tmp_path)[0]
    assert content.epoch == 6
    assert all(torch.equal(value, states[-1][name]) for name, value in content.model.items())
    assert all(torch.equal(state["momentum_buffer"], states[-1][f"momentum {i}"])
               for i, state in content.optimizer["state"].items())


# memory


@pytest.mark.real_gpu
def test_a_batch_that_does_not_fit_says_the_largest_that_does() -> None:
    device = gpu("bf16")
    total = torch.cuda.get_device_properties(device.torch_device).total_memory
    torch.cuda.set_per_process_memory_fraction(3 * 2**30 / total)
    try:
        data = in_gpu_memory(device)
        config = CONFIG.model_copy(update={"batch_size": 20, "input_size": 1024, "n_epochs": 1})
        val = torch.zeros(10, 3, 1024, 1024, dtype=torch.uint8, device=device.torch_device)
        store = PaddedStore(np.full((10, 2), 1024), device.torch_device)
        for image in val:
            store.keep(image)
        data = replace(data, val=replace(data.val, pixels=store.pixels()))

        def model() -> nn.Module:
            return resnet18(num_classes=2).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

        session = new_session(model().to(device.torch_device), config, device.torch_device)
        with pytest.raises(NoodleError) as raised:
            train(Job(config, None, Fanout([no_warning]), Control(), ALONE), Loaded(data, device, session), None)
        del session
        words = str(raised.value)
        assert "--batch-size 20: a step of training is too large for" in words
        largest = int(words.partition("the largest batch that fits now is ")[2].split()[0])
        assert 1 <= largest < 20
        release_memory()
        fitted(device, data, config.model_copy(update={"batch_size": largest}), model=model())  # it does fit
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.real_gpu
def test_a_run_that_has_ended_holds_no_memory(device: Device, runs_dir: Path, config_for: MakeConfig) -> None:
    config = config_for(runs_dir, device="cuda", precision=device.precision)
    run(config)  # from here on cuBLAS has for good what it works in on each stream, 32 MiB on an H100
    release_memory()
    before = torch.cuda.memory_reserved()
    run(config)
    release_memory()
    assert torch.cuda.memory_reserved() - before < 64 * 2**20


# whole runs


@pytest.mark.parametrize(("share", "where"), [(0.4, "GPU memory"), (0.0, "memory, ")])
def test_a_run_on_the_gpu(share: float, where: str, runs_dir: Path, config_for: MakeConfig,
                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels_module, "DEVICE_SHARE", share)
    events: list[Event] = []
    outcome = run(config_for(runs_dir, device="cuda", precision="auto", n_epochs=2), [events.append])
    assert outcome.status == "done"
    assert [e.text for e in events if isinstance(e, Message) and e.level == "warning"] == []
    assert next(e.where for e in events if isinstance(e, DataReady)).startswith(where)
    assert next(e.device for e in events if isinstance(e, ModelReady)) == "cuda:0"
    state = torch.load(outcome.folder / "model.pth", weights_only=True)
    resnet18(num_classes=2).load_state_dict(state)
    assert all(not value.is_cuda and math.isfinite(value.double().sum().item()) for value in state.values())


def test_the_benchs_ceilings_on_this_gpu(device: Device) -> None:
    measures = ceilings(4, 2, CONFIG, device, seconds=0.01)
    assert list(measures) == ["eager", "CUDA graph, deterministic", "CUDA graph"]
    assert all(measure() > 0 for measure in measures.values())


def test_parity_on_this_gpu(data_dir: Path) -> None:
    options = parity_options({"data_dir": data_dir, "seeds": 2, "epochs": 1, "batch_size": ["8"], "input_size": 32,
                              "device": "cuda"})
    scores = parity(options, lambda text: None).scores
    assert all(len(scores[arm]) == 2 for arm in (FAST, PLAIN))


@pytest.mark.real_gpu
def test_several_runs_share_a_gpu(runs_dir: Path, data_dir: Path) -> None:
    command = [sys.executable, "-m", "noodle_tui", "run", "--headless", "--data-dir", data_dir, "--save-dir", runs_dir,
               "--weights", "none", "--input-size", "32", "--device", "cuda", "--n-epochs", "20"]
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    runs = [subprocess.Popen([*command, "--namestr", f"run{i}"], **options) for i in range(3)]
    for one in runs:
        _, complaint = one.communicate(timeout=200)
        assert one.returncode == 0, complaint


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA GPUs")
def test_the_second_gpu_is_used_when_it_is_asked_for(runs_dir: Path, config_for: MakeConfig) -> None:
    runs = [run(config_for(runs_dir / name, device=name)) for name in ("cuda:0", "cuda:1")]
    assert all(outcome.status == "done" for outcome in runs)
    epochs = [read_state(outcome.folder).epochs for outcome in runs]
    assert [without_times(e) for e in epochs[0]] == [without_times(e) for e in epochs[1]]
