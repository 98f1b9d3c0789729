"""Pillow's readers, opened to files of anybody: those that decode by themselves, and none that talks to the terminal."""

import ctypes
import logging
from functools import cache
from pathlib import Path
from typing import IO

from PIL import Image, _imaging

# Pillow knows these formats but can't decode them by itself: it runs another program on the file (Ghostscript, which would
# run what an EPS file called .jpg says), or needs a handler that nobody installs.
NOT_DECODED = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}


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


def _silence_libtiff() -> None:
    """libtiff prints what it dislikes in a file to stderr, which would tear a screen; Pillow says the same by an exception."""
    library = ctypes.CDLL(_imaging.__file__)  # what it is linked with is found by its handle
    set_handler = getattr(library, "TIFFSetErrorHandler", None)  # None where Pillow was built without libtiff
    if set_handler is not None:
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        set_handler(None)
