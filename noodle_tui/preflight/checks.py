"""What a run would do and what it would stumble over, looked up before it starts. Touches nothing but what rejig's plan does.

`preflight` looks in this order: the run to pick up (if any), disk and loggers, photos, then, after torch is imported,
weights and device. It reports after the quick half, so that a form has counts to show while torch is on its way.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from noodle_tui import disk
from noodle_tui.config import RunConfig, options
from noodle_tui.errors import NoodleError, one_line
from noodle_tui.imports import uncollected
from noodle_tui.listeners.tensorboard import check_installed
from noodle_tui.model_card import origin_of, other_size
from noodle_tui.pick_up import folder_to_pick_up, pick_up, sorts_first, weights_left_out, weights_to_start_from
from noodle_tui.preflight.estimate import GIB, Cost, Machine, cost_of
from noodle_tui.preflight.findings import Finding
from noodle_tui.preflight.photos import Photos, look_at_photos
from noodle_tui.progress import Check, nothing
from noodle_tui.rejig.manifest import manifest_stamp
from noodle_tui.run_folder import is_alive
from noodle_tui.samples import check_apart, unread_options
from noodle_tui.settings import load_settings
from noodle_tui.text import number_of

Found = TypeVar("Found")


@dataclass(frozen=True)
class Preflight:
    """What is known of a run before it starts."""

    config: RunConfig  # as it would run: a picked-up run's own options where none were given
    findings: tuple[Finding, ...] = ()
    resumed_at: int | None = None  # whole epochs that the picked-up run has done; None for a new run
    photos: Photos | None = None
    made_by_rejig: bool = False  # the data folder as it stands: then rejig can be undone
    disk_needed: int = disk.RUN_BYTES
    disk_free: int | None = None  # bytes where the run folder would be
    weights: str = ""  # in words
    machine: Machine | None = None
    cost: Cost | None = None
    waiting_for: str = ""  # what is still being looked up, in words; "" when all is known

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.level == "error")

    def with_findings(self, *more: Finding) -> "Preflight":
        return replace(self, findings=self.findings + more)


def preflight(
    config: RunConfig,
    check: Check = nothing,
    report: Callable[[Preflight], None] = lambda result: None,
    before: Preflight | None = None,
) -> Preflight:
    """Look at everything that `config` asks for. Blocks for disk, network and the import of torch: call it in a thread.

    check   called between steps and files; may raise StopRun, which is passed on
    report  called with what is known so far before something slow
    before  an earlier result: its photos are taken over where no option that decides about them differs
    What goes wrong becomes a finding.
    """
    result = Preflight(config)
    if config.load_dir is not None:
        if "torch" not in sys.modules:
            report(replace(result, waiting_for="opening the run"))
        result = _look_at_load_dir(result)
        if result.errors:  # that is to be mended first: what follows depends on the run's own options
            return result
    check()
    result = _look_at_disk(_look_at_loggers(_look_at_manifest(result)))
    result = _look_at_photos(result, check, before)
    if "torch" not in sys.modules:
        report(replace(result, waiting_for="loading torch"))
    check()
    result = _look_at_machine(result)
    check()
    result = _look_at_weights(result)
    check()
    return _look_at_cost(result)


def _try(result: Preflight, option: str, look: Callable[[], Found]) -> tuple[Preflight, Found | None]:
    """`look`'s answer; an error meant for people becomes a finding: at the option that its text begins with, at `option` if it
    names that one or none, else at the first that it names."""
    try:
        return result, look()
    except (NoodleError, OSError, ImportError, RuntimeError) as error:  # torch speaks of drivers by RuntimeErrors
        text = one_line(error)
        flags = {o.flag: o.name for o in options()}
        named = [flags[flag] for flag in re.findall(r"(?<!\S)--([a-z][a-z-]*)", text) if flag in flags]
        if named and (text.startswith("--") or option not in named):
            option = named[0]
        return result.with_findings(Finding("error", option, text)), None


def _look_at_load_dir(result: Preflight) -> Preflight:
    """Which run would be picked up, or which weights started from."""
    result, folder = _try(result, "load_dir", lambda: folder_to_pick_up(result.config))
    if folder is None:
        if result.errors:
            return result
        two = weights_left_out(result.config)
        result = result.with_findings(*([Finding("warning", "weights", two)] if two else []))
        return replace(result, config=weights_to_start_from(result.config))
    if is_alive(folder):
        return result.with_findings(Finding("error", "load_dir", f"{folder}: a run is going on in it; watch or stop it first"))
    result, run = _try(result, "load_dir", lambda: pick_up(folder, result.config))
    if run is None:
        return result
    result = result.with_findings(*(Finding("warning", "load_dir", text) for text in run.warnings))
    if run.stored.epoch >= run.config.n_epochs:
        epochs = number_of(run.config.n_epochs, "epoch")
        result = result.with_findings(
            Finding("warning", "n_epochs", f"nothing is left of this run's {epochs}: ask for more to train on")
            if (folder / "report.json").exists() else
            Finding("info", "n_epochs", f"nothing is left to train of this run's {epochs}: it is judged and reported"))
    return replace(result, config=run.config, resumed_at=run.stored.epoch)


def _look_at_loggers(result: Preflight) -> Preflight:
    config = result.config
    findings: list[Finding] = []
    if config.logs_to_comet:
        result, settings = _try(result, "comet", load_settings)
        if settings is not None:
            findings += [Finding("warning", "comet", text) for text in settings.warnings]
            if settings.apikey is None:
                findings.append(Finding("warning", "comet", "no Comet key in settings.json or COMET_API_KEY: an archive is "
                                        "written into the run folder, to be uploaded later"))
    if config.comet and not config.logs_to_comet:
        findings.append(Finding("info", "comet", "Comet stays off with debug"))
    if config.debug:
        findings.append(Finding("info", "debug", "only noodle run --headless opens the debugger; the app can't"))
    if config.tensorboard:
        result, _ = _try(result, "tensorboard", check_installed)
    return result.with_findings(*findings)


def _look_at_disk(result: Preflight) -> Preflight:
    """Can the run folder be made, and is there room for it?"""
    config, is_new = result.config, result.resumed_at is None
    needed = disk.RUN_BYTES if is_new else disk.RESUME_BYTES
    if is_new:
        result, _ = _try(result, "save_dir", lambda: check_apart(config.save_dir, config.data_dir))
    result, free = _try(result, "save_dir", lambda: disk.free_room(config.save_dir, needed))
    return replace(result, disk_needed=needed, disk_free=free)


def _look_at_photos(result: Preflight, check: Check, before: Preflight | None) -> Preflight:
    config = result.config
    result, sorts = _try(result, "data_dir", lambda: sorts_first(config, result.resumed_at is not None))
    if sorts is None:
        return result
    config = config.model_copy(update={"rejig_data": sorts})
    if before is not None and before.photos is not None and before.photos.answers(config):
        photos = before.photos
    else:
        wanted = "stimuli" if config.rejig_data else "data_dir"
        result, photos = _try(result, wanted, lambda: look_at_photos(config, check))
    if photos is None:
        return result
    return replace(result.with_findings(*photos.findings(config), *_unread(result)), photos=photos)


def _unread(result: Preflight) -> list[Finding]:
    """Options of rejig's that were given for nothing. A run that is picked up brings all of its own."""
    text = unread_options(result.config) if result.resumed_at is None else ""
    return [Finding("info", "rejig_data", text)] if text else []


def _look_at_manifest(result: Preflight) -> Preflight:
    result, stamp = _try(result, "data_dir", lambda: manifest_stamp(result.config.data_dir))
    return replace(result, made_by_rejig=stamp is not None)


def _look_at_machine(result: Preflight) -> Preflight:
    """The device and its precision. Imports torch."""
    config = result.config

    def look() -> Machine:
        with uncollected():
            import torch

            from noodle_tui.device import available_cpus, pick_device

        device = pick_device(config.device, config.precision)
        kind = device.torch_device.type
        card = torch.cuda.get_device_properties(device.torch_device) if kind == "cuda" else None
        return Machine(str(device.torch_device), device.name, device.precision,
                       card.multi_processor_count if card else available_cpus())

    result, machine = _try(result, "device", look)
    return replace(result, machine=machine)


def _look_at_weights(result: Preflight) -> Preflight:
    from noodle_tui.preflight.weights import look_at_file, look_for_imagenet

    if result.resumed_at is not None:
        return replace(result, weights="its own, as the checkpoint left them")
    weights = result.config.weights
    if weights == "none":
        return replace(result, weights="random (from scratch)").with_findings(
            Finding("info", "weights", "from scratch a few hundred photos teach the network little"))
    if weights == "imagenet":
        result, words = _try(result, "weights", look_for_imagenet)
    else:
        result, words = _try(result, "weights", lambda: look_at_file(Path(weights)))
        origin, size = origin_of(weights), result.config.input_size
        if origin and origin.input_size != size:
            result = result.with_findings(Finding("warning", "input_size", other_size(origin, size)))
    return replace(result, weights=words or "")


def _look_at_cost(result: Preflight) -> Preflight:
    config, photos, machine = result.config, result.photos, result.machine
    if photos is None or machine is None:
        return result
    epochs = max(config.n_epochs - (result.resumed_at or 0), 0)
    cost = cost_of(config, machine, epochs, sum(photos.train), sum(photos.val), photos.photo_bytes)
    return replace(result, cost=cost).with_findings(*_memory_findings(machine, cost.training_bytes))


def _memory_findings(machine: Machine, training: int) -> list[Finding]:
    """Would it fit? Only the training counts: photos that don't fit are kept elsewhere, and read more slowly."""
    from noodle_tui.device import available_memory
    from noodle_tui.gpu import free_gpu_memory, holders_in_words, others_on_gpu

    findings: list[Finding] = []
    free, place = available_memory(), "this machine's memory"
    if machine.device.startswith("cuda"):
        free, place = free_gpu_memory(machine.device), f"the memory of {machine.name}"
        if shared := holders_in_words(others_on_gpu(machine.device)):
            findings.append(Finding("info", "device", f"{machine.name} is {shared}"))
    if free is not None and training >= free:
        findings.append(Finding("warning", "batch_size", f"about {training / GIB:.1f} GiB are needed, {free / GIB:.1f} GiB of "
                                f"{place} are free: a smaller batch or input size helps"))
    return findings
