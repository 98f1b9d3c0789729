"""Pillow's readers, opened to files of anybody: those that decode by themselves, and none that talks to the terminal. And what
a photo can't be, by its header, for all who look at photos: rejig, the app, the run."""

import ctypes
import logging
import math
from functools import cache
from pathlib import Path
from typing import IO

from PIL import Image, _imaging

# Pillow knows these formats but can't decode them by itself: it runs another program on the file (Ghostscript, which would
# run what an EPS file called .jpg says), or needs a handler that nobody installs.
NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
MIN_SIDE = 2  # pixels: trackers and placeholders have one
MAX_ASPECT = 100  # Resize brings the short side to the input size: at 1:1000 the long one would fill the memory
ANIMATIONS = ("AVIF", "FLI", "GIF", "PNG", "WEBP")  # in MPO and TIFF, more pictures are previews or pages


class BadImage(Exception):
    """One image that can't be used; the text is the reason."""


@cache
def image_formats() -> tuple[str, ...]:
    """The formats, in Pillow's names, that `open_image` takes."""
    Image.init()  # loads all of Pillow's readers
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # else its warnings of odd files go to stderr
    _silence_libtiff()
    return tuple(sorted(set(Image.OPEN) - NOT_DECODED))


def open_image(source: Path | str | IO[bytes]) -> Image.Image:
    """`Image.open` for files that may be anything. It raises anything, too: see Pillow's decoders."""
    return Image.open(source, formats=image_formats())


def check_is_photo(image: Image.Image) -> None:
    """BadImage for what a photo can't be, by its header."""
    check_size(image.width, image.height)
    if image.format in ANIMATIONS and getattr(image, "is_animated", False):  # which of its pictures is meant, nobody says
        raise BadImage("an animation, not a photo")


def check_size(width: int, height: int) -> None:
    """BadImage where there is nothing to see, or where decoding or resizing would fill the memory: Pillow itself refuses only
    twice its own limit."""
    if min(width, height) < MIN_SIDE:
        raise BadImage(f"{width} x {height} pixels are too few")
    if width * height > (Image.MAX_IMAGE_PIXELS or math.inf):
        raise BadImage(f"{width} x {height} pixels are too many")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise BadImage(f"{width} x {height} pixels: too narrow for a photo")


def _silence_libtiff() -> None:
    """libtiff prints what it dislikes in a file to stderr, which would tear a screen; Pillow says the same by an exception."""
    library = ctypes.CDLL(_imaging.__file__)  # what it is linked with is found by its handle
    set_handler = getattr(library, "TIFFSetErrorHandler", None)  # None where Pillow was built without libtiff
    if set_handler is not None:
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        set_handler(None)
