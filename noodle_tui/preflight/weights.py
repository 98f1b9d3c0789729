"""Looks at the weights that a run would start from, and whether they could be fetched. Both may take seconds."""

import socket
import urllib.parse
from functools import lru_cache
from pathlib import Path

from noodle_tui.errors import NoodleError
from noodle_tui.weights import check_place, checksum_ok, imagenet_file, imagenet_url, proxy_for

CONNECT_TIMEOUT = 3.0  # seconds


def look_for_imagenet() -> str:
    """Where the ImageNet weights would come from, in words. NoodleError if they aren't here, and can't be kept or no server is
    in reach."""
    file = imagenet_file()
    if file.exists() and _checksum_ok(file, file.stat().st_mtime_ns, file.stat().st_size):
        return "ImageNet, on this machine"
    check_place(file)
    problem = connection_problem(imagenet_url())
    if problem:
        raise NoodleError(f"the ImageNet weights are not on this machine and can't be fetched ({problem}): `noodle doctor` "
                          "says which file to put where; or take --weights FILE or none")
    return "ImageNet, to be downloaded (45 MB)"


def connection_problem(url: str) -> str:
    """Why no connection to `url`'s server (or to the proxy that leads there) can be opened; "" if it can."""
    try:
        target = proxy_for(url) or urllib.parse.urlsplit(url)
        default_port = 443 if target.scheme == "https" else 80
        socket.create_connection((target.hostname or "", target.port or default_port), CONNECT_TIMEOUT).close()
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ""


def look_at_file(file: Path) -> str:
    """A weights file in words. NoodleError if it is missing or no ResNet18's."""
    if not file.is_file():
        raise NoodleError(f"--weights {file}: there is no such file; imagenet, none, or a ResNet18 state-dict file is wanted")
    about = file.stat()
    _check_fits(file, about.st_mtime_ns, about.st_size)
    return f"{file.name}, fits"


@lru_cache(maxsize=8)
def _checksum_ok(file: Path, mtime: int, size: int) -> bool:
    """`checksum_ok`, once for each state of the file."""
    return checksum_ok(file)


@lru_cache(maxsize=8)
def _check_fits(file: Path, mtime: int, size: int) -> None:
    """Load the file as a run would, once for each good state of it. NoodleError if it doesn't fit."""
    from noodle_tui.model import check_fits

    check_fits(file)
