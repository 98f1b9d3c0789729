"""The photos that a run would learn from: counts, people, what is left out. From rejig's plan, or from the data folder."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from noodle_tui.config import RunConfig, class_tokens
from noodle_tui.errors import NoodleError
from noodle_tui.preflight.estimate import photo_bytes
from noodle_tui.preflight.findings import Finding
from noodle_tui.progress import Check, nothing
from noodle_tui.rejig import RejigPlan, far_from_asked, plan_rejig
from noodle_tui.rejig.scan import by_reason, unreadable
from noodle_tui.samples import SPLITS, find_samples
from noodle_tui.stats import wilson_interval
from noodle_tui.text import are, number_of, printable

FEW_PHOTOS, FEW_PEOPLE = 20, 5  # in validation: below these an accuracy says little
NAMED = 3  # broken photos
EXAMPLES = 3  # photos of each class that can be shown
# The options that decide about photos. `skip_bad_images` is among them: it makes an error of a remark.
DECIDES = ("stimuli", "data_dir", "rejig_data", "classes", "val_fraction", "split_by", "person", "mode", "seed",
           "skip_bad_images")


@dataclass(frozen=True)
class Photos:
    """Counts of the photos that would be trained and validated on."""

    asked: tuple[object, ...]  # the values of DECIDES that these photos are the answer to
    classes: tuple[str, ...]  # sorted: the order of the model's outputs
    train: tuple[int, ...]  # a class each
    val: tuple[int, ...]
    people: int  # 0 where names tell none
    people_train: int
    people_val: int
    people_in_both: int
    rejig: Literal["off", "done", "needed"]
    new: int  # photos that rejig would take into the data folder
    leaving: int  # and that it would put back
    originals: int  # in the stimuli, that would leave them since the data folder has those photos already
    n_broken: int  # of those in the data folder, can't be read
    broken: tuple[str, ...]  # a few of them
    skipped: tuple[tuple[str, int, str], ...]  # reason, how many files and the first of them; the most frequent reason first
    photo_bytes: float  # of a decoded photo, the mean of a few
    examples: tuple[tuple[str, Path], ...]  # class and file of a few photos, to be shown on request

    def answers(self, config: RunConfig) -> bool:
        """Whether a look with this config would find the same, if nobody touched the photos."""
        return self.asked == _asked(config)

    def findings(self, config: RunConfig) -> list[Finding]:
        """What is to be weighed before a number made from these photos is believed."""
        found: list[Finding] = []
        if both := self.people_in_both:
            way_out = ("split by person holds out whole people" if self.rejig != "off" else
                       "rejig data on, with split by person, sorts them so that whole people are held out")
            found.append(Finding(
                "warning", "split_by", f"{both} of {number_of(self.people, 'person')} {are(both)} in both train and val: the "
                f"accuracy then measures memory for known faces; {way_out}"))
        if self.people == 0:
            found.append(Finding("warning", "person", "no photo's name tells its person: whether people are in both train and "
                                 "val can't be seen, and then accuracy may be memory for known faces; tell by person which "
                                 "part of a path it is"))
        if broken := self.n_broken:
            level = "warning" if config.skip_bad_images else "error"
            it, left_out = ("it", "it is left out") if broken == 1 else ("them", "they are left out")
            way_out = left_out if config.skip_bad_images else f"mend or remove {it}, or switch on skip bad images"
            named = ", ".join(map(printable, self.broken)) + (", …" if broken > len(self.broken) else "")
            found.append(Finding(level, "skip_bad_images", f"{number_of(broken, 'image')} can't be read ({named}): {way_out}"))
        found.append(self._how_well_known())
        train, val = sum(self.train), sum(self.val)
        if train < val:
            text = f"only {number_of(train, 'photo')} to train on, and {val} held out: hold out fewer"
            found.append(Finding("warning", "val_fraction", text))
        elif self.rejig != "off" and (far := far_from_asked(train, val, config.val_fraction)):
            found.append(Finding("warning", "val_fraction", far))
        if self.rejig == "off" and os.path.isdir(config.stimuli) and set(class_tokens(config.classes)) != set(self.classes):
            found.append(Finding("info", "classes", f"the data folder's own classes count: {', '.join(self.classes)}"))
        return found

    def _how_well_known(self) -> Finding:
        """What the validation photos are worth: a warning where they are few, or of few people."""
        count, people = sum(self.val), self.people_val
        low, high = wilson_interval(0.9 * count, count)
        few_people = 0 < people < FEW_PEOPLE
        of_people = f" of {number_of(people, 'person')}" if few_people else ""
        text = f"on {count:,} validation photos{of_people} an accuracy of 0.90 is known as {low:.2f} to {high:.2f}"
        way_out = "hold out more" if count < sum(self.train) else "more people are needed" if few_people else "more are needed"
        if few_people:
            text += f" for {'this person' if people == 1 else 'these people'}, and hardly for others: {way_out}"
        elif count < FEW_PHOTOS:
            text += f": {way_out}"
        return Finding("warning" if few_people or count < FEW_PHOTOS else "info", "val_fraction", text)


def look_at_photos(config: RunConfig, check: Check = nothing) -> Photos:
    """What a run with `config` would find. Reads folders and headers, not pixels; call it in a thread.

    check  called between files; may raise StopRun
    NoodleError says why there is nothing to train on.
    """
    if not config.rejig_data:
        return _of_folder(config, "off", (), check)
    plan = plan_rejig(config, check)
    skipped = _reasons((one.reason, one.path) for one in plan.skipped)
    return _of_folder(config, "done", skipped, check) if plan.already_done else _of_plan(config, plan, skipped)


def _reasons(left_out: Iterable[tuple[str, str]]) -> tuple[tuple[str, int, str], ...]:
    """From (reason, file) to (reason, how many files, the first of them)."""
    return tuple((reason, len(files), files[0]) for reason, files in by_reason(left_out).items())


def _of_plan(config: RunConfig, plan: RejigPlan, skipped: tuple[tuple[str, int, str], ...]) -> Photos:
    here = [Path(plan.standing_at.get(file.source, file.source)) for file in plan.files]
    return Photos(
        asked=_asked(config),
        classes=plan.classes,
        train=tuple(plan.count("train", label) for label in plan.classes),
        val=tuple(plan.count("val", label) for label in plan.classes),
        people=len(plan.people("train") | plan.people("val")),
        people_train=len(plan.people("train")),
        people_val=len(plan.people("val")),
        people_in_both=len(plan.people_in_both),
        rejig="needed",
        new=plan.new,
        leaving=plan.leaving,
        originals=max(plan.sources_left - plan.new, 0),
        n_broken=0,  # those stay where they are
        broken=(),
        skipped=skipped,
        photo_bytes=photo_bytes(here),
        examples=_examples([(file.label, path) for file, path in zip(plan.files, here, strict=True)]),
    )


def _of_folder(
    config: RunConfig, rejig: Literal["off", "done"], skipped: tuple[tuple[str, int, str], ...], check: Check
) -> Photos:
    names, splits, *_ = find_samples(config.data_dir, config.person)
    samples = [sample for split in SPLITS for sample in splits[split]]
    broken = unreadable(str(config.data_dir), [sample.name for sample in samples], check, nothing)
    usable = {split: [s for s in splits[split] if s.name not in broken] for split in SPLITS}
    counts = {split: Counter(s.label for s in usable[split]) for split in SPLITS}
    for split in SPLITS:
        for label, name in enumerate(names):
            if not counts[split][label]:
                raise NoodleError(f"{config.data_dir / split / name}: none of its images can be read")
    people = {split: {s.person for s in usable[split] if s.person is not None} for split in SPLITS}
    train, val = ([counts[split][label] for label in range(len(names))] for split in SPLITS)
    return Photos(
        asked=_asked(config),
        classes=tuple(names),
        train=tuple(train),
        val=tuple(val),
        people=len(people["train"] | people["val"]),
        people_train=len(people["train"]),
        people_val=len(people["val"]),
        people_in_both=len(people["train"] & people["val"]),
        rejig=rejig,
        new=0,
        leaving=0,
        originals=0,
        n_broken=len(broken),
        broken=tuple(sorted(broken)[:NAMED]),
        skipped=skipped + _reasons((reason, file) for file, reason in sorted(broken.items())),
        photo_bytes=photo_bytes([s.path for s in usable["train"]]),
        examples=_examples([(names[s.label], s.path) for s in usable["train"] + usable["val"]]),
    )


def _asked(config: RunConfig) -> tuple[object, ...]:
    return tuple(getattr(config, name) for name in DECIDES)


def _examples(photos: Sequence[tuple[str, Path]]) -> tuple[tuple[str, Path], ...]:
    """EXAMPLES photos of each class, far apart in the list, and each the last of its stretch: where names sort by person and
    morph level these are different people at full strength."""
    by_class: dict[str, list[Path]] = {}
    for label, path in photos:
        by_class.setdefault(label, []).append(path)
    return tuple((label, paths[len(paths) * (i + 1) // shown - 1])
                 for label, paths in sorted(by_class.items())
                 for shown in [min(EXAMPLES, len(paths))] for i in range(shown))
