"""Photos that were moved away by a rejig and then, within the data folder, to another place by hand."""

import os
from collections.abc import Collection, Mapping
from itertools import chain
from pathlib import Path

from noodle_tui.rejig.manifest import SPLITS, Manifest, PlannedFile


def places_by_hand(data_dir: Path, made: Manifest, missing: Collection[PlannedFile]) -> Mapping[str, str]:
    """{source: where it stands now, relative to the data folder} of those among `missing`, rows whose photo stands neither in
    its place nor at its source, that are still in the data folder: in another class, where a label was put right, or in a class
    folder of another name.

    They are known by their files' names, each of which rejig gives once; one that is found twice is left out, and what lies
    elsewhere than in train/ and val/ is not looked at.
    """
    if made.mode != "move" or not missing:
        return {}
    wanted = {os.path.basename(file.target): file.source for file in missing}
    found: dict[str, list[str]] = {}
    for parent, _, names in chain.from_iterable(os.walk(data_dir / split) for split in SPLITS):
        for name in wanted.keys() & set(names):
            place = os.path.join(parent, name)
            if not os.path.islink(place):
                found.setdefault(wanted[name], []).append(os.path.relpath(place, data_dir))
    return {source: places[0] for source, places in found.items() if len(places) == 1}
