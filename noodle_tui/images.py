"""Pillow's readers, opened to files of anybody: those that decode by themselves, and none that talks to the terminal. And what
a photo can't be, by its header, for all who look at photos: rejig, the app, the run."""

import ctypes
import logging
import math
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from PIL import Image, _imaging

from noodle_tui.errors import one_line

# Pillow knows these formats but can't decode them by itself: it runs another program on the file (Ghostscript, which would
# run what an EPS file called .jpg says), or needs a handler that nobody installs.
NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
MOST_PHOTOS = ("JPEG", "PNG")  # tried before the others
MIN_SIDE = 2  # pixels: trackers and placeholders have one
MAX_ASPECT = 100  # Resize brings the short side to the input size: at 1:1000 the long one would fill the memory
ANIMATIONS = ("AVIF", "FLI", "GIF", "PNG", "WEBP")  # in MPO and TIFF, more pictures are previews or pages


class BadImage(Exception):
    """One image that can't be used; the text is the reason."""


class NoPhoto(BadImage):
    """An image that is sound, and no photo."""


@cache
def image_formats() -> tuple[str, ...]:
    """The formats, in Pillow's names, that `open_image` takes."""
    Image.init()  # loads all of Pillow's readers
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # else its warnings of odd files go to stderr
    _silence_libtiff()
    return tuple(sorted(set(Image.OPEN) - NOT_DECODED, key=lambda name: (name not in MOST_PHOTOS, name)))


def open_image(source: Path | str | IO[bytes]) -> Image.Image:
    """`Image.open` for files that may be anything. It raises anything, too: see Pillow's decoders."""
    return Image.open(source, formats=image_formats())


@contextmanager
def open_photo(path: Path) -> Iterator[Image.Image]:
    """A file's image, its header checked and its pixels not read yet. BadImage if it can't be used, and for whatever goes wrong
    with it until it is closed."""
    with errors_as_bad_image(path):
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for, a device never ends
            raise BadImage("not a file")
        with open_image(path) as image:
            check_is_photo(image)
            yield image


@contextmanager
def errors_as_bad_image(path: Path) -> Iterator[None]:
    """What Pillow raises as BadImage, with the reason in words; MemoryError, which says nothing of the photo, as it is."""
    try:
        yield
    except (BadImage, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise anything on broken files; each is one bad image
        raise BadImage(_reason(path, error)) from None


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return "a link that leads nowhere"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if path.is_file() and path.stat().st_size == 0:
        return "the file is empty"
    if "cannot identify" in str(error):
        return "not an image, whatever its ending says"
    if "truncated" in str(error).lower():
        return "the file is truncated: its end is missing"
    return (str(error) if isinstance(error, OSError) else one_line(error)).replace(str(path), "the file")


def check_is_photo(image: Image.Image) -> None:
    """BadImage for what a photo can't be, by its header."""
    check_size(image.width, image.height)
    if image.format in ANIMATIONS and getattr(image, "is_animated", False):  # which of its pictures is meant, nobody says
        raise NoPhoto("an animation, not a photo")


def check_size(width: int, height: int) -> None:
    """BadImage where there is nothing to see, or where decoding or resizing would fill the memory: Pillow itself refuses only
    twice its own limit."""
    if min(width, height) < MIN_SIDE:
        raise NoPhoto(f"{width} x {height} pixels are too few")
    if width * height > (Image.MAX_IMAGE_PIXELS or math.inf):
        raise BadImage(f"{width} x {height} pixels are too many")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise NoPhoto(f"{width} x {height} pixels: too narrow for a photo")


def _silence_libtiff() -> None:
    """libtiff prints what it dislikes in a file to stderr, which would tear a screen; Pillow says the same by an exception."""
    library = ctypes.CDLL(_imaging.__file__)  # what it is linked with is found by its handle
    set_handler = getattr(library, "TIFFSetErrorHandler", None)  # None where Pillow was built without libtiff
    if set_handler is not None:
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        set_handler(None)
