"""Who is held out for validation: single photos, or whole people. Pure, and the same for the same seed."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from noodle_tui.errors import NoodleError
from noodle_tui.text import printable

if TYPE_CHECKING:
    import numpy as np


def hold_out_files(labels: Sequence[str], val_fraction: float, seed: int) -> set[int]:
    """Positions of the photos held out: of each class round(val_fraction * n), at least 1 and at most n - 1.

    `labels` must be in an order that doesn't depend on the disk (sorted paths). NoodleError if a class has one photo.
    """
    import numpy as np

    positions: dict[str, list[int]] = defaultdict(list)
    for position, label in enumerate(labels):
        positions[label].append(position)
    random, held_out = np.random.default_rng(seed), set[int]()
    for label in sorted(positions):
        count = len(positions[label])
        if count < 2:
            raise NoodleError(f"there is only one photo of class {label}: at least two are needed, "
                              "one to train on and one to validate on")
        wanted = min(max(round(val_fraction * count), 1), count - 1)
        held_out.update(positions[label][i] for i in random.permutation(count)[:wanted])
    return held_out


def hold_out_people(labels: Sequence[str], people: Sequence[str], val_fraction: float, seed: int) -> set[str]:
    """The people held out: of each class's photos a share as near `val_fraction` as whole people allow.

    `labels` and `people` go by photo. From many seeded orders of the people, each gone through once (a person is held
    out if that brings the shares nearer), the best is taken; near is the sum of the classes' squared distances.
    NoodleError if a class has photos of one person only, or if no choice leaves every class on both sides.
    """
    import numpy as np

    classes = sorted(set(labels))
    photos = Counter(zip(people, labels, strict=True))
    names = sorted(set(people))
    counts = np.array([[photos[name, label] for label in classes] for name in names], dtype=float)
    for column, label in enumerate(classes):
        if (holders := np.flatnonzero(counts[:, column])).size < 2:
            raise NoodleError(f"all photos of class {label} are of one person ({printable(names[holders[0]])}): to "
                              "split by person, every class needs two people at least. If that is no person's name, tell by "
                              "--person which part of a photo's path is; else use --split-by file")
    random = np.random.default_rng(seed)
    orders = max(10, min(200, 20_000 // len(names)))
    tries = [_held_out_in_order(counts, random.permutation(len(names)), val_fraction) for _ in range(orders)]
    best = min(tries, key=lambda held_out: _distance(counts[held_out].sum(axis=0), counts.sum(axis=0), val_fraction))
    if _missing(counts[best].sum(axis=0), counts.sum(axis=0)):
        raise NoodleError("no choice of whole people leaves photos of every class both to train and to validate on: "
                          "use --split-by file, or add photos")
    return {names[row] for row in best}


def _held_out_in_order(counts: "np.ndarray", order: "np.ndarray", val_fraction: float) -> list[int]:
    totals, held, chosen = counts.sum(axis=0), counts[:0].sum(axis=0), list[int]()
    distance = _distance(held, totals, val_fraction)
    for row in order:
        nearer = _distance(held + counts[row], totals, val_fraction)
        if nearer < distance - 1e-12:  # more than rounding
            held, distance = held + counts[row], nearer
            chosen.append(int(row))
    return chosen


def _distance(held: "np.ndarray", totals: "np.ndarray", val_fraction: float) -> float:
    shares = held / totals
    return 1000 * _missing(held, totals) + float(((shares - val_fraction) ** 2).sum())


def _missing(held: "np.ndarray", totals: "np.ndarray") -> int:
    """How many classes have no photo on one of the sides."""
    return int(((held == 0) | (held == totals)).sum())
