"""Where the weights to start from come from: torchvision's ImageNet file, or a state dict of the user's own."""

import hashlib
import http.client
import os
import pickle
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from noodle_tui.errors import NoodleError

TIMEOUT = 15  # seconds without a byte before a download counts as cut


def imagenet_url() -> str:
    """The address of torchvision's ResNet18 weights, from its own enum."""
    from torchvision.models import ResNet18_Weights

    return ResNet18_Weights.IMAGENET1K_V1.url


def imagenet_file() -> Path:
    """Where torch keeps (or will keep) the ImageNet weights: <torch hub folder>/checkpoints/resnet18-<checksum>.pth."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / imagenet_url().rsplit("/", 1)[1]


def checksum_ok(file: Path) -> bool:
    """Whether a weights file's SHA-256 begins as its own name says (torchvision's convention: name-<8 hex digits>.pth)."""
    wanted = file.stem.rsplit("-", 1)[1]
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest().startswith(wanted)


def fetch_imagenet(
    progress: Callable[[int, int | None], None] = lambda done, total: None, check: Callable[[], None] = lambda: None
) -> Path:
    """The ImageNet weights' file, downloaded if it isn't there. NoodleError says what an offline node's user can do."""
    file = imagenet_file()
    try:
        if not (file.exists() and checksum_ok(file)):
            _download(imagenet_url(), file, progress, check)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise NoodleError(
            f"the ImageNet weights could not be downloaded ({reason}): on a machine with internet get {imagenet_url()} "
            f"and put it at {file}, or use --weights FILE or --weights none"
        ) from None
    return file


def _download(
    url: str, file: Path, progress: Callable[[int, int | None], None], check: Callable[[], None]
) -> None:
    """Download to a temporary file next to `file`; rename it only when it is whole.

    OSError, HTTPException or ValueError otherwise.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")  # a name of its own: two downloads never share one
    wanted = file.stem.rsplit("-", 1)[1]
    digest = hashlib.sha256()
    try:
        with part.open("xb") as out, urllib.request.urlopen(url, timeout=TIMEOUT) as response:
            total = int(response.headers["Content-Length"]) if response.headers["Content-Length"] else None
            done, last = 0, 0.0
            while block := response.read1(1 << 18):
                check()
                out.write(block)
                digest.update(block)
                done += len(block)
                if time.monotonic() - last > 0.2:
                    last = time.monotonic()
                    progress(done, total)
            out.flush()
            os.fsync(out.fileno())
        if not digest.hexdigest().startswith(wanted):
            raise ValueError(f"the download is damaged: {done} bytes arrived, their checksum is not {wanted}…")
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def load_state_dict(file: Path) -> dict[str, Any]:
    """A plain state dict {name: tensor} from a .pth file, on the CPU. Only tensors are unpickled, no code is run.

    NoodleError if the file is missing, is no torch file, or holds anything else.
    """
    import torch

    if not file.is_file():
        raise NoodleError(f"{file}: there is no such weights file")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise NoodleError(f"{file}: not loaded, since it holds more than tensors and could run code (or is damaged); get a "
                          "file that was saved with torch.save(model.state_dict(), …)") from None
    except Exception as error:  # noqa: BLE001 - unpickling foreign bytes raises anything; each means: not our kind of file
        raise NoodleError(f"{file}: damaged, or not a file of torch.save ({type(error).__name__}); get it once more") from None
    if not isinstance(content, dict) or not all(isinstance(t, torch.Tensor) for t in content.values()):
        raise NoodleError(f"{file}: not a plain state dict (names to tensors); save one with torch.save(model.state_dict(), …)")
    return {str(name): tensor for name, tensor in content.items()}
