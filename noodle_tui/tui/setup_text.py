"""The words of "What will happen": from a preflight to lines of text. Pure functions."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content

from noodle_tui.config import RunConfig
from noodle_tui.preflight.findings import Finding
from noodle_tui.text import number_of, printable
from noodle_tui.tui.setup_form import in_fields
from noodle_tui.tui.status import LEVELS
from noodle_tui.tui.words import end_of, size

if TYPE_CHECKING:
    from noodle_tui.preflight.checks import Preflight
    from noodle_tui.preflight.photos import Photos

LABEL = 9  # cells of a line's label
WAITING = "being looked up …"
BUSY = Content.assemble(("● a run goes on in this app", "$success bold"), ("  f6 has the command for another", "$quiet"))


def headline(result: "Preflight | None", problems: Collection[str], wanted: bool) -> Content:
    """One line above all: can it start? `problems`: options of the form itself; `wanted`: Start was pressed and waits."""
    errors = len(problems) + sum(finding.level == "error" for finding in _findings(result, problems))
    if errors:
        return Content.styled(f"✗ {number_of(errors, 'thing')} to mend before Start", "$error bold")
    if result is None or result.waiting_for:
        what = result.waiting_for if result else "looking"
        return Content.styled(f"○ starts when checked: {what} …" if wanted else f"○ {what} …", "$quiet")
    parts: list[Content | tuple[str, str]] = [("✓ ready", "$success bold")]
    if result.cost:
        parts.append(("  " + time_in_words(result), "$foreground"))
    if warnings := sum(finding.level == "warning" for finding in _findings(result, problems)):
        parts.append((f"  ! {number_of(warnings, 'warning')}", "$warning"))
    return Content.assemble(*parts)


def at_work(doing: str, wanted: bool) -> Content:
    """The same line while something is done to photos: what, in words."""
    return Content.assemble((f"… {doing}", "$accent bold"), (", then Start" if wanted else "", "$accent"))


def _findings(result: "Preflight | None", problems: Collection[str]) -> list[Finding]:
    """What was found, but for what was taken in the place of an option that has a problem."""
    return [finding for finding in result.findings if finding.option not in problems] if result else []


def time_in_words(result: "Preflight") -> str:
    """About how long: "about 3 s", "about 2 min"; what is known by a table only is given no more than its size."""
    if result.cost is None:
        return ""
    seconds = result.cost.seconds
    if seconds < 90:
        return f"about {max(round(seconds), 1)} s"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min"
    return f"about {round(seconds / 3600)} h" if seconds < 48 * 3600 else f"about {round(seconds / 86400)} days"


def panel(result: "Preflight | None", problems: Sequence[tuple[str, str]], notes: Sequence[str], width: int) -> Content:
    """Everything of the panel but its headline: what to mend, what to weigh, then what will be.

    problems  (option, what is wrong with it) of the form: what was looked up is about the others
    notes     things to know about the form
    width     cells that a line may have
    """
    lines: list[Content] = []
    for option, text in problems:
        lines += _finding(Finding("error", option, text), width)
    findings = _findings(result, [option for option, _ in problems])
    for level in ("error", "warning"):
        for finding in findings:
            if finding.level == level:
                lines += _finding(finding, width)
    if lines:
        lines.append(Content(""))
    if result is not None:
        lines += _facts(result, width)
    small = [*notes, *(in_fields(f.text) for f in findings if f.level == "info")]
    if findings and result is not None and result.photos is None and result.config.load_dir is None:
        small.append("no photos at hand? f4 draws people who don't exist and fills the form in for them")
    if small:
        lines.append(Content(""))
        for text in small:
            lines += _hanging(Content.styled("· ", "$quiet"), Content.styled(text, "$quiet"), width)
    return Content("\n").join(lines)


def _facts(result: "Preflight", width: int) -> list[Content]:
    lines: list[Content] = []
    photos, config, cost = result.photos, result.config, result.cost
    if result.resumed_at is not None:
        lines += _fact("pick up", f"after epoch {result.resumed_at} of {config.n_epochs}", width)
    if photos is not None:
        lines += _photo_facts(result, photos, width)
    waiting = WAITING if result.waiting_for else ""
    lines += _fact("model", f"ResNet18; {result.weights}" if result.weights else waiting, width)
    machine = result.machine
    lines += _fact("device", f"{machine.name}, {machine.precision}" if machine else waiting, width)
    if cost is not None:
        epochs = max(config.n_epochs - (result.resumed_at or 0), 0)
        basis = "as fast as your last run here" if cost.measured else "a rough guess"
        lines += _fact("time", f"{time_in_words(result)} for {epochs} epochs ({basis})", width)
        lines += _fact("memory", f"about {size(cost.photo_bytes)} for photos, {size(cost.training_bytes)} to train", width)
    elif waiting:
        lines += _fact("time", waiting, width)
    if result.disk_free is not None:
        place = _place(config.save_dir, width)
        lines += _fact("disk", f"up to {size(result.disk_needed)} in {place} ({size(result.disk_free)} free)", width)
    loggers = [name for name, on in (("Comet", config.logs_to_comet), ("TensorBoard", config.tensorboard)) if on]
    lines += _fact("log", " and ".join(["the run folder", *loggers]), width)
    return lines


def _photo_facts(result: "Preflight", photos: "Photos", width: int) -> list[Content]:
    total, config = sum(photos.train) + sum(photos.val), result.config
    of_people = f" of {number_of(photos.people, 'person')}" if photos.people else ""
    where = config.stimuli if photos.rejig == "needed" else config.data_dir
    lines = _hanging(Content.styled(f"{'photos':<{LABEL}}", "$quiet"),
                     Content.assemble((f"{total:,}", "bold"), f"{of_people} in {_place(where, width)}"), width)
    names = [*photos.classes, "all"]
    train_width, val_width = (max(len(f"{sum(counts):,}"), 5) + 2 for counts in (photos.train, photos.val))
    name_width = min(max(len("people"), *map(cell_len, names)), max(width - LABEL - train_width - val_width, 4))
    rows = [*zip(photos.train, photos.val, strict=True), (sum(photos.train), sum(photos.val))]
    lines.append(Content.styled(f"{'':<{LABEL}}{'':<{name_width}}{'train':>{train_width}}{'val':>{val_width}}", "$quiet"))
    for name, (train, val) in zip(names, rows, strict=True):
        shown = Content(name).truncate(name_width, ellipsis=True).pad_right(max(name_width - Content(name).cell_length, 0))
        lines.append(Content.assemble(" " * LABEL, shown, f"{train:>{train_width},}{val:>{val_width},}"))
    if photos.people:
        counts = f"{photos.people_train:>{train_width},}{photos.people_val:>{val_width},}"
        lines.append(Content.styled(f"{'':<{LABEL}}{'people':<{name_width}}{counts}", "$quiet"))
    if photos.rejig == "needed":
        stimuli = _place(config.stimuli, width)
        verb = {"move": "moved", "copy": "copied", "link": "linked"}[config.mode]
        to = _place(config.data_dir, width)
        parts = [f"{photos.new:,} {verb} to {to}"] if photos.new else []
        if photos.leaving:
            parts.append(f"{photos.leaving:,} put back")
        if result.made_by_rejig:
            parts.append("the others rearranged" if parts else f"those in {to} rearranged")
        if photos.originals:
            parts.append(f"{photos.originals:,} more leave {stimuli}, where they still are" if photos.new else
                         f"the {photos.originals:,} originals leave {stimuli}")
        lines += _fact("rejig", ", ".join(parts), width)
    elif photos.rejig == "done":
        lines += _fact("rejig", "done already: nothing will be touched", width)
    if photos.skipped:
        reasons = "; ".join(f"{count:,}: {reason}" + (f" ({printable(first)})" if count == 1 else "")
                            for reason, count, first in photos.skipped[:3])
        more = f"; and {len(photos.skipped) - 3} other reasons" if len(photos.skipped) > 3 else ""
        lines += _fact("left out", f"{reasons}{more}", width)
    return lines


def rejig_in_words(config: RunConfig, photos: "Photos", key: str = "f3") -> str:
    """What a rejig would do now, to be asked about before. key: what takes it back."""
    stimuli, data_dir = printable(str(config.stimuli)), printable(str(config.data_dir))
    how = {"move": "will be moved from {} to {}", "copy": "will be copied from {} to {}; the originals stay",
           "link": "of {} will be linked to from {}; the originals stay"}[config.mode]
    parts = [f"{number_of(photos.new, 'photo')} {how.format(stimuli, data_dir)}."] if photos.new else []
    if photos.leaving:
        parts.append(f"{number_of(photos.leaving, 'photo')} in {data_dir} will go back to the stimuli.")
    if not photos.new:
        parts.append(f"The {'others' if photos.leaving else 'photos'} in {data_dir} will be rearranged.")
    if photos.originals:
        parts.append(f"{number_of(photos.originals, 'original')} will leave {stimuli}: {data_dir} alone has them then.")
    return " ".join([*parts, f"{key} puts all of them back." if config.mode == "move" else f"{key} takes that back."])


def _place(path: Path, width: int) -> str:
    """A path that takes one line at most: a longer one loses its beginning."""
    return end_of(printable(str(path)), width - LABEL)


def _fact(label: str, text: str, width: int) -> list[Content]:
    return _hanging(Content.styled(f"{label:<{LABEL}}", "$quiet"), Content(text), width) if text else []


def _finding(finding: Finding, width: int) -> list[Content]:
    sign, colour = LEVELS[finding.level]
    return _hanging(Content.styled(f"{sign} ", f"{colour} bold"), Content.styled(in_fields(finding.text), colour), width)


def _hanging(label: Content, text: Content, width: int) -> list[Content]:
    """A label and a text beside it, wrapped within its own column."""
    first, *rest = text.wrap(max(width - label.cell_length, 8)) or [Content("")]
    return [Content.assemble(label, first), *(Content.assemble(" " * label.cell_length, line) for line in rest)]
