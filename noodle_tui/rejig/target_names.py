"""The names of photos in the data folder, where photos from many folders come together in one."""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from hashlib import sha1


def target_names(paths: Sequence[str]) -> list[str]:
    """A name for each photo, its own where no other photo has it.

    Photos of the same name in two folders (or that differ in case or Unicode form only, which some filesystems hold for
    the same) get a hash of their path behind the stem: a name depends on nothing but the photo's own path.
    """
    keys = [_same_on_some_disk(path[path.rfind("/") + 1:]) for path in paths]
    uses = Counter(keys)
    taken = {key for key, count in uses.items() if count == 1}
    names: list[str] = []
    for path, key in zip(paths, keys, strict=True):
        name = path[path.rfind("/") + 1:]
        if uses[key] > 1:
            digest = sha1(os.fsencode(path)).hexdigest()
            candidates = (_with_suffix(name, digest[:digits]) for digits in range(8, 41))
            name = next(one for one in candidates if _same_on_some_disk(one) not in taken)
            taken.add(_same_on_some_disk(name))
        names.append(name)
    return names


def _same_on_some_disk(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def _with_suffix(name: str, suffix: str) -> str:
    """`stem-suffix.ending`, the stem shortened so that the name fits a disk's 255 bytes."""
    stem, ending = os.path.splitext(name)
    while len(os.fsencode(f"{stem}-{suffix}{ending}")) > 255:
        stem = stem[:-1]
    return f"{stem}-{suffix}{ending}"
