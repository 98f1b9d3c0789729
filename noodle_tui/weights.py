"""Where the weights to start from come from: torchvision's ImageNet file, or a state dict of the user's own."""

import concurrent.futures
import contextlib
import errno
import hashlib
import http.client
import os
import pickle
import secrets
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
from concurrent.futures import Future
from pathlib import Path
from typing import Any, BinaryIO

from noodle_tui.config import NAMED_WEIGHTS
from noodle_tui.disk import nearest_existing
from noodle_tui.errors import NoodleError
from noodle_tui.progress import Check, Progress, nothing

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of its images' red, green and blue, 0 to 1
TIMEOUT = 15  # seconds without a byte before a download counts as cut
LARGEST = 2**29  # bytes: ten times what is asked for; whoever sends more sends something else, maybe without end
DEAD_AFTER = 10  # times TIMEOUT without a byte, and the process that wrote a .part file is gone
ZIP, PICKLE = b"PK\x03\x04", b"\x80"  # how a file of torch.save begins, and one of before torch 1.6
LOOK_EVERY = 0.1  # seconds between two looks for a request to stop
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # said of an open file, whose name such an error lacks


def imagenet_url() -> str:
    """The address of torchvision's ResNet18 weights, from its own enum."""
    from torchvision.models import ResNet18_Weights

    return ResNet18_Weights.IMAGENET1K_V1.url


def imagenet_file() -> Path:
    """Where torch keeps (or will keep) the ImageNet weights: <torch hub folder>/checkpoints/resnet18-<checksum>.pth.

    NoodleError for a user without a home folder: torch would make one that is called ~.
    """
    import torch

    hub = torch.hub.get_dir()
    if hub.startswith("~"):
        raise NoodleError("no place for the ImageNet weights: this user has no home folder; set HOME or TORCH_HOME, or take "
                          "--weights FILE or none")
    return Path(hub) / "checkpoints" / imagenet_url().rsplit("/", 1)[1]


def checksum_ok(file: Path) -> bool:
    """Whether a weights file's SHA-256 begins as its own name says (torchvision's convention: name-<8 hex digits>.pth)."""
    wanted = file.stem.rsplit("-", 1)[1]
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest().startswith(wanted)


def fetch_imagenet(progress: Progress = nothing, check: Check = nothing) -> Path:
    """The ImageNet weights' file, downloaded if it isn't there. NoodleError says what an offline node's user can do.

    `check` is asked all the while, however long the network is silent; what it raises ends the download.
    """
    file, there = imagenet_file(), False
    try:
        remove_dead_parts(file)
        there = file.exists()
        if not (there and checksum_ok(file)):
            _download(imagenet_url(), file, progress, check)
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        if trouble := _of_the_disk(error):
            raise NoodleError(no_place_for_imagenet(file, trouble)) from None
        try:
            way = f"{_by_proxy(imagenet_url())} ({getattr(error, 'reason', None) or error})"
        except ValueError as no_address:  # then the first error may repeat a piece of it, perhaps of its password
            way = f" ({no_address})"
        raise NoodleError(
            ("the file of the ImageNet weights is damaged, and a whole one" if there else "the ImageNet weights") +
            f" could not be downloaded{way}: on a machine with internet get {imagenet_url()} "
            f"and put it at {file}, or use --weights FILE or --weights none"
        ) from None
    return file


def no_place_for_imagenet(file: Path, trouble: str) -> str:
    """What to say where the disk, and not the network, keeps the ImageNet weights from us."""
    return (f"the ImageNet weights can't be read or kept as {file} ({trouble}): make room or rights there, set TORCH_HOME to "
            "another folder, or use --weights FILE or --weights none")


def check_place(file: Path) -> None:
    """NoodleError where the ImageNet weights, which aren't there, couldn't be kept as `file`."""
    place = nearest_existing(file.parent)
    if not os.access(place, os.W_OK | os.X_OK):
        raise NoodleError(no_place_for_imagenet(file, f"no right to write in {place}"))


def _of_the_disk(error: Exception) -> str:
    """What the disk refused, if that is what an error of `fetch_imagenet` says; else ""."""
    if isinstance(error, urllib.error.URLError) or not isinstance(error, OSError):
        return ""
    return (error.strerror or "") if error.filename is not None or error.errno in DISK_FULL else ""


def remove_dead_parts(file: Path) -> None:
    """Remove what downloads of `file` left that were killed: a living one writes, or is cut, every TIMEOUT seconds."""
    for part in file.parent.glob(f"{file.name}.*.part"):
        with contextlib.suppress(OSError):  # another process was quicker; or it is another user's to remove
            if time.time() - part.stat().st_mtime > DEAD_AFTER * TIMEOUT:
                part.unlink()


def proxy_for(url: str) -> urllib.parse.SplitResult | None:
    """The proxy through which the environment leads to `url`; None if through none. ValueError if that is no address."""
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if not proxy or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    found = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
    try:
        found.port  # noqa: B018 - reading it is the check
    except ValueError:
        raise ValueError(f"{parts.scheme}_proxy holds no address") from None
    return found


def _by_proxy(url: str) -> str:
    """In words, without its password; "" if there is none."""
    proxy = proxy_for(url)
    return f" by way of {urllib.parse.urlsplit(url).scheme}_proxy, {proxy.hostname}:{proxy.port or 80}" if proxy else ""


def _download(url: str, file: Path, progress: Progress, check: Check) -> None:
    """Download to a temporary file next to `file`; rename it only when it is whole.

    OSError, HTTPException or ValueError otherwise.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")  # a name of its own: two downloads never share one
    wanted = file.stem.rsplit("-", 1)[1]
    try:
        with part.open("xb") as out:
            transfer = Transfer(url, out)
            while not transfer.wait(LOOK_EVERY):
                check()
                if transfer.done:
                    progress(transfer.done, transfer.total)
            checksum = transfer.result()
            out.flush()
            os.fsync(out.fileno())
        if not checksum.startswith(wanted):
            raise ValueError(f"the download is damaged: {transfer.done} bytes arrived, their checksum is not {wanted}…")
        progress(transfer.done, transfer.total)
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


class Transfer:
    """A download into an open file, in a thread of its own: names that don't resolve and servers that fall silent block it,
    but not whoever waits. It ends by itself once the file is closed, at the latest after TIMEOUT."""

    def __init__(self, url: str, out: BinaryIO):
        self.done = 0  # bytes
        self.total: int | None = None  # bytes, where the server says
        self._answer: Future[str] = Future()
        threading.Thread(target=self._work, args=(url, out), name="download", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Whether it ended, after waiting for that a while."""
        return bool(concurrent.futures.wait([self._answer], seconds).done)

    def result(self) -> str:
        """The SHA-256 of what arrived, in hexadecimal. OSError or HTTPException where it broke off."""
        return self._answer.result()

    def _work(self, url: str, out: BinaryIO) -> None:
        digest = hashlib.sha256()
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
                length = response.headers["Content-Length"]
                self.total = int(length) if length else None
                while block := response.read1(1 << 18):
                    out.write(block)
                    digest.update(block)
                    self.done += len(block)
                    if self.done > LARGEST:
                        raise ValueError(f"the server sends something else: more than {LARGEST // 2**20} MiB")
            self._answer.set_result(digest.hexdigest())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            self._answer.set_exception(error)


def check_file(file: Path) -> None:
    """NoodleError if there is no such file, or its first bytes are none of torch.save's: a look without torch."""
    if not file.is_file():
        raise NoodleError(f"{file}: there is no such weights file")
    try:
        with open(file, "rb") as content:
            begins = content.read(4)
    except OSError as error:
        raise NoodleError(f"{file}: can't be read ({error.strerror})") from None
    if begins != ZIP and not begins.startswith(PICKLE):
        raise NoodleError(f"{file}: damaged, or not a file of torch.save; get it once more, or a file that was saved with "
                          "torch.save(model.state_dict(), …)")


def digest_of(weights: str) -> str:
    """SHA-256 of a weights file; "" for the names "imagenet" and "none", and where the file is gone since."""
    if weights in NAMED_WEIGHTS:
        return ""
    try:
        with open(weights, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def load_state_dict(file: Path) -> dict[str, Any]:
    """A plain state dict {name: tensor} from a .pth file, on the CPU. Only tensors are unpickled, no code is run.

    NoodleError if the file is missing, is no torch file, or holds anything else.
    """
    import torch

    check_file(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns on stderr of files that it then refuses
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise NoodleError(f"{file}: not loaded, since it holds more than tensors and could run code (or is damaged); get a "
                          "file that was saved with torch.save(model.state_dict(), …)") from None
    except Exception as error:  # noqa: BLE001 - unpickling foreign bytes raises anything; each means: not our kind of file
        raise NoodleError(f"{file}: damaged, or not a file of torch.save ({type(error).__name__}); get it once more") from None
    if not isinstance(content, dict) or not all(isinstance(t, torch.Tensor) for t in content.values()):
        raise NoodleError(f"{file}: not a plain state dict (names to tensors); save one with torch.save(model.state_dict(), …)")
    return {str(name): tensor for name, tensor in content.items()}
