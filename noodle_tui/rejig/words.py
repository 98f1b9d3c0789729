"""A plan as plain lines, for `noodle rejig --dry-run` and wherever else there is no screen."""

from collections.abc import Sequence
from pathlib import Path

from noodle_tui.rejig.plan import RejigPlan
from noodle_tui.rejig.scan import SkippedFile, by_reason
from noodle_tui.rejig.undo import Undone
from noodle_tui.text import are, number_of, printable

FAR = 0.1  # a share of the photos


def plan_in_words(plan: RejigPlan) -> list[str]:
    """The plan as plain lines, for --dry-run: counts by class, split and person; what is skipped and why; leaks."""
    people = plan.people("train") | plan.people("val")
    of_people = f" of {number_of(len(people), 'person')}" if people else ""
    verb = {"move": "moved", "copy": "copied", "link": "linked"}[plan.mode]
    lines = [
        f"{len(plan.files):,} photos{of_people} from {printable(str(plan.stimuli))}, "
        f"{'' if plan.already_done else 'to be '}{verb} to {printable(str(plan.data_dir))}",
        *_table(plan),
    ]
    if plan.already_done:
        lines.append("nothing to do: the data folder is arranged so already")
    elif again := rearranged_in_words(plan):
        lines.append(again)
    if far := far_from_asked(plan.count("train"), plan.count("val"), plan.options["val_fraction"]):
        lines.append(f"! {far}")
    lines += _leak(plan, people)
    if held := plan.by_hand:
        lines.append(f"{number_of(len(held), 'photo')} {are(len(held))} in another place than rejig's by hand, and "
                     f"{'stays' if len(held) == 1 else 'stay'} there: {printable(next(iter(held.values())))}"
                     + (", …" if len(held) > 1 else ""))
    if plan.skipped:
        lines.append(f"left out: {number_of(len(plan.skipped), 'file')}")
        lines += [f"  {line}" for line in left_out_in_words(plan.skipped)]
    return lines


def undone_in_words(undone: Undone, data_dir: Path, dry_run: bool) -> list[str]:
    """What an undo did, or would do, as plain lines."""
    photos, folder = number_of(undone.count, "photo"), printable(str(data_dir))
    if dry_run:
        lines = [f"{photos} would be taken out of {folder}, moved ones back to where they came from"]
    else:
        lines = [f"{photos} {are(undone.count)} taken out of {folder}; moved ones are back where they came from"]
    if missing := undone.missing:
        lines.append(f"! {number_of(len(missing), 'moved photo')} {are(len(missing))} neither there nor at the old place (e.g. "
                     f"{printable(missing[0].target)}): rejig.csv {'would stay' if dry_run else 'stays'}, for an undo once "
                     f"{'it stands' if len(missing) == 1 else 'they stand'} there again; if gone for good, remove rejig.csv "
                     "and rejig.json")
    if dry_run:
        lines.append("nothing was changed (--dry-run)")
    return lines


def rearranged_in_words(plan: RejigPlan) -> str:
    """What changes in a data folder that rejig made before; "" where nothing does, or there was none."""
    if plan.before is None or plan.arranged:
        return ""
    return (f"the data folder is re-arranged: {number_of(plan.new, 'new photo')}, {plan.leaving:,} leave it, "
            f"{plan.switching:,} change between train and val")


def _table(plan: RejigPlan) -> list[str]:
    width = max(len("class"), *(len(label) for label in plan.classes))
    rows = [(label, plan.count("train", label), plan.count("val", label)) for label in plan.classes]
    rows.append(("all", plan.count("train"), plan.count("val")))
    return [f"  {'class':<{width}}  {'train':>7}  {'val':>7}",
            *(f"  {label:<{width}}  {train:>7}  {val:>7}" for label, train, val in rows)]


def far_from_asked(train: int, val: int, asked: float) -> str:
    """What to say where much more or less is held out than was asked for; "" where it isn't."""
    share = val / (train + val)
    if abs(share - asked) <= FAR:
        return ""
    return (f"{share:.0%} of the photos are held out for validation, where {asked:.0%} were asked for: whole people, or few "
            "photos of a class, can't be divided otherwise")


def _leak(plan: RejigPlan, people: set[str]) -> list[str]:
    nameless = sum(file.person is None for file in plan.files)
    if not people:
        return ["! no name tells who is on a photo: nobody can say whether the same faces are in train and val; tell by "
                "--person which part of a photo's path is the person"]
    lines = [f"people: {len(plan.people('train'))} in train, {len(plan.people('val'))} in val" +
             (f"; {number_of(nameless, 'photo')} of nobody known" if nameless else "")]
    if both := len(plan.people_in_both):
        lines.append(f"! {both} of {number_of(len(people), 'person')} {are(both)} in both train and val: validation accuracy "
                     "then measures memory for known faces; --split-by person holds out whole people")
    return lines


def left_out_in_words(skipped: Sequence[SkippedFile]) -> list[str]:
    """A line for each reason: how many files, and a few of them."""
    found = by_reason((one.reason, one.path) for one in skipped)
    return [f"{number_of(len(paths), 'file')}, {reason}: {', '.join(map(printable, paths[:5]))}" +
            (", …" if len(paths) > 5 else "") for reason, paths in found.items()]
