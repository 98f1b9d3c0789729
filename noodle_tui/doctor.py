"""`noodle doctor`: is everything there that a run needs? Device, versions, weights, settings, disk, terminal."""

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console

from noodle_tui.config import RunConfig
from noodle_tui.disk import MIB, RUN_BYTES, check_room
from noodle_tui.errors import one_line
from noodle_tui.gpu import GIB, holders_in_words, others_on_gpu
from noodle_tui.terminal import INCAPABLE, ended_at_interrupt, folded
from noodle_tui.text import as_argument, printable

MARKS = {"ok": "✓", "warning": "!", "error": "✗"}


@dataclass(frozen=True)
class Finding:
    level: str  # "ok", "warning" or "error"
    what: str
    text: str


def examine(config: RunConfig) -> list[Finding]:
    """Look at everything; each look that fails is a finding of its own."""
    looks: list[tuple[str, Callable[[], list[Finding]]]] = [
        ("versions", _versions),
        ("device", lambda: _device(config)),
        ("weights", _weights),
        ("settings", _settings),
        ("disk", lambda: _disk(config.save_dir)),
        ("terminal", _terminal),
    ]
    findings: list[Finding] = []
    for what, look in looks:
        try:
            findings += look()
        except Exception as error:  # noqa: BLE001 - a doctor names what is broken, and goes on with the rest
            findings.append(Finding("error", what, one_line(error)))
    return findings


def _versions() -> list[Finding]:
    packages = ("noodle-tui", "torch", "torchvision", "textual", "comet_ml", "numpy", "pillow")
    found = [f"{name} {_version(name)}" for name in packages]
    return [Finding("ok", "versions", f"Python {platform.python_version()}, " + ", ".join(found)),
            Finding("ok" if _version("tensorboard") else "warning", "tensorboard",
                    _version("tensorboard") or "not installed; --tensorboard needs it: pip install 'noodle-tui[tensorboard]'")]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _device(config: RunConfig) -> list[Finding]:
    with ended_at_interrupt():
        import torch

        from noodle_tui.device import computes_bf16, pick_device

    device = pick_device(config.device, config.precision)
    findings = [Finding("ok", "device", f"{device.name} ({device.torch_device}), training in {device.precision}")]
    if device.torch_device.type == "cpu" and config.device == "auto":
        findings.append(Finding("warning", "device", "no GPU that torch can use: training on the processor takes minutes "
                                "where a GPU takes seconds" + _why_no_cuda()))
    if device.torch_device.type == "cuda":
        shared = holders_in_words(others_on_gpu(device.torch_device))  # before the next line makes us one of them
        free, total = torch.cuda.mem_get_info(device.torch_device)
        findings.append(Finding("ok" if free > 2 * GIB else "warning", "GPU memory",
                                f"{free / GIB:.1f} of {total / GIB:.1f} GiB free" + (f"; {shared}" if shared else "")))
    if not computes_bf16(device.torch_device):
        findings.append(Finding("ok", "precision", "no bfloat16 in this device's hardware: --precision auto is fp32"))
    return findings


def _why_no_cuda() -> str:
    import torch

    if shutil.which("nvidia-smi") is None:
        return " (there is no NVIDIA driver here)"
    return f" (there is an NVIDIA driver; torch {torch.__version__} was built for CUDA {torch.version.cuda})"


def _weights() -> list[Finding]:
    from noodle_tui.weights import check_place, checksum_ok, imagenet_file, imagenet_url, no_place_for_imagenet

    file = imagenet_file()
    place = as_argument(file)
    if not file.exists():
        check_place(file)
        return [Finding("warning", "ImageNet weights", f"not here yet: the first run downloads {imagenet_url()}; for a node "
                        f"without internet put that file at {place} (its SHA-256 begins with {file.stem.rsplit('-', 1)[1]}), "
                        "or use --weights FILE or --weights none")]
    try:
        whole = checksum_ok(file)
    except OSError as error:
        return [Finding("error", "ImageNet weights", no_place_for_imagenet(file, error.strerror or str(error)))]
    if not whole:
        return [Finding("warning", "ImageNet weights", f"{place} is damaged (wrong checksum): the next run downloads it anew")]
    return [Finding("ok", "ImageNet weights", f"{place}, checksum right")]


def _settings() -> list[Finding]:
    from noodle_tui.settings import load_settings, masked

    settings = load_settings()
    findings = [Finding("warning", "settings", text) for text in settings.warnings]
    if settings.apikey is None:
        return [*findings, Finding("ok", "Comet", "no key in settings.json or COMET_API_KEY; only --comet needs one")]
    return [*findings, Finding("ok", "Comet", f"key {masked(settings.apikey)}")]


def _disk(save_dir: Path) -> list[Finding]:
    free = check_room(save_dir, RUN_BYTES)
    return [Finding("ok" if free > 10 * RUN_BYTES else "warning", "disk",
                    f"{free / GIB:.1f} GiB free for {as_argument(save_dir)}; a run takes up to {RUN_BYTES / MIB:.0f} MiB")]


def _terminal() -> list[Finding]:
    console = Console()
    size, kind = shutil.get_terminal_size(), os.environ.get("TERM", "")
    if kind in INCAPABLE:
        return [Finding("warning", "terminal", f"TERM={kind}: the app can't be drawn on it (`noodle run --headless` can do "
                        "without); set TERM to what it is, e.g. TERM=xterm-256color")]
    colours = {"truecolor": "16 million colours", "256": "256 colours", "standard": "16 colours", None: "no colours"}
    return [Finding("ok" if size.columns >= 60 and size.lines >= 20 else "warning", "terminal",
                    f"{kind}, {colours.get(console.color_system, console.color_system)}, {size.columns} x {size.lines} "
                    "(the app wants 60 x 20 at least)")]


def print_findings(findings: list[Finding]) -> int:
    """One line a finding, folded where a terminal has no room for it; 1 if one is an error."""
    width = max(len(f.what) for f in findings)
    for finding in findings:
        line = f"{MARKS[finding.level]} {finding.what:{width}}  {printable(finding.text)}"
        print(folded(line, sys.stdout, indent=width + 4))
    return 1 if any(f.level == "error" for f in findings) else 0
