"""The Live screen's words: from a run's state to lines of text. Pure functions."""

from collections.abc import Sequence

import numpy as np
from textual.content import Content

from noodle_tui.config import SORTING
from noodle_tui.events import STAGES, EpochDone, Message, RunDone, RunFailed, RunStopped
from noodle_tui.run_state import RunState
from noodle_tui.stats import accuracy_in_words
from noodle_tui.text import are, as_argument, number_of, printable
from noodle_tui.tui import words
from noodle_tui.tui.curves import Curves, View
from noodle_tui.tui.runs_text import in_words
from noodle_tui.tui.status import MARKS
from noodle_tui.tui.widgets.sparkline import sparkline

Part = str | Content | tuple[str, str]

BEST_AT = 118  # cells of the stage line from which it says the best epoch; in narrower ones the epoch table's head does
LEAST_BAR = 6  # cells of a progress bar
KEYS = {"train": ("┄ ", "$train"), "val": ("━ ", "$validation")}  # the line styles, everywhere the same


def status_of(state: RunState, alive: bool) -> str:
    """The run's status; one that nobody works on and that never said how it ended was interrupted, or can't be read at all."""
    if alive or state.ended:
        return state.status
    return "broken" if _unread(state) else "interrupted"


def stage_line(state: RunState, status: str, request: str, width: int, silence: float = 0.0) -> Content:
    """The state, what it does now, how far it is, how long it still takes, how fast. `request`: what it was asked; `silence`:
    seconds since its last word, if that is worth a line."""
    sign, colour = MARKS[status]
    stage = request or (state.stage if status == "running" else "") or status
    fraction, count = _progress(state, status)
    right: list[Part] = []
    if silence:
        right += ["  ", (f"! no word for {words.duration(silence)}", "$warning")]
    elif status == "running" and state.seconds_left is not None:
        right += ["  ", words.duration(state.seconds_left), (" left", "$quiet")]
    elif state.ended is not None:
        right += [("  in ", "$quiet"), words.duration(state.seconds)]
    if state.epochs and (state.stage in ("train", "") or status != "running"):
        right += ["  ", words.rate(state.epochs[-1].images_per_second), (" img/s", "$quiet")]
    if width >= BEST_AT and state.best is not None:
        right += ["    ", best_text(state.best)]
    head, end = Content.styled(f"{sign} {stage}", f"{colour} bold"), Content.assemble(*right)
    text = ""
    if status == "running" and state.stage_text and state.stage != "train" and not request:
        room = width - head.cell_length - len(count) - end.cell_length - 5 - LEAST_BAR - 6  # the text gives way, no number does
        text = f"  {words.shortened(printable(state.stage_text), room)}" if room > 0 else ""
    start = Content.assemble(head, (text, "$quiet"), "  ", count, "  " if count else "")
    room = width - start.cell_length - end.cell_length - 5
    if room < LEAST_BAR:
        start = start.truncate(max(width - end.cell_length - 12, 10), ellipsis=True)
        room = max(width - start.cell_length - end.cell_length - 5, 0)
    done, rest = words.bar(fraction, room)
    return Content.assemble(start, (done, colour), (rest, "$rule"), f" {fraction * 100:3.0f}%", end)


def _progress(state: RunState, status: str) -> tuple[float, str]:
    """(fraction, in words) of the current stage; of the whole training while it trains, and once it has ended."""
    within = state.stage_done / state.stage_total if state.stage_total else 0.0
    if state.stage in ("train", "") or status in ("done", "stopped", "failed", "interrupted", "paused"):
        n = max(state.n_epochs, 1)
        batches = within if state.stage == "train" and within < 1 and state.epoch < n else 0.0
        under_way = status == "running" and state.stage == "train" and state.epoch < state.n_epochs
        return (state.epoch + batches) / n, f"epoch {state.epoch + under_way}/{state.n_epochs}" if state.started else ""
    total = f"/{state.stage_total:,}" if state.stage_total else ""
    return min(within, 1.0), f"{state.stage_done:,}{total}" if state.stage_done or total else ""


def stages_line(state: RunState, status: str) -> Content:
    """All stages in order: done with its time, under way, or still to come."""
    parts: list[Part] = []
    ended = status in ("done", "stopped", "failed", "interrupted")
    asked = state.stage == "rejig" or state.started is None or state.started.config.get("rejig_data")
    for stage in STAGES:
        if stage == "rejig" and not asked and stage not in state.stages:
            continue
        parts.append(("  ", ""))
        if stage == state.stage and not ended:
            parts.append((f"▸ {stage}", "bold"))
        elif stage in state.stages:
            parts += [("✓ ", "$success"), stage, (f" {words.duration(state.stages[stage])}", "$quiet")]
        else:
            parts.append((f"· {stage}", "$quiet"))
    return Content.assemble(*parts[1:])


def best_text(best: EpochDone | None) -> Content:
    """★ 0.958 (23/24, 95% 0.80–0.99) at epoch 12"""
    if best is None or best.val_correct is None:
        return Content("")
    counts = f" ({best.val_correct}/{best.val_count}, 95% {words.interval(best.val_interval)})"
    accuracy = (f"★ {words.accuracy(best.val_accuracy)}", "$star bold")
    return Content.assemble(accuracy, counts, (f" at epoch {best.epoch}", "$quiet"))


def sparks_line(curves: Curves, width: int) -> Content:
    """The four series, each as its latest value and a sparkline."""
    words_of = {"loss": "loss ", "accuracy": "accuracy " if width >= 100 else "acc "}
    cells = min(max((width - sum(map(len, words_of.values())) - 4 * 10) // 4, 3), 40)
    parts: list[Part] = []
    for what, name in words_of.items():
        in_digits = words.accuracy if what == "accuracy" else words.number
        parts.append((name, "$quiet"))
        for phase in ("train", "val"):
            series = curves.column(f"{phase}_{what}")
            known = series[np.isfinite(series)]
            last = in_digits(float(known[-1])) if len(known) else "–"
            sign, colour = KEYS[phase]
            parts += [(sign, colour), f"{last:<5} ", (sparkline(known, cells).ljust(cells), f"{colour}-soft"), "  "]
    return Content.assemble(*parts).rstrip()


def facts_line(state: RunState) -> Content:
    """That the disk refuses, if it does; what is trained, on what, with which images; people on both sides are named as what
    they are."""
    parts: list[Part] = []
    if state.not_saved and not state.moved_from:
        since = f"since epoch {state.saved_epoch}" if state.saved_epoch else "yet"
        parts.append((f"✗ not saved {since} ({printable(state.not_saved)})  ", "$error bold"))
    if (data := state.data) is not None:
        people = f" of {number_of(data.val_people, 'person')}" if data.val_people else ""
        counts = f"train {sum(data.train_counts)}  val {sum(data.val_counts)}{people}"
        parts.append((f"{counts}  {', '.join(data.classes)}", "$quiet"))
        if data.people_in_both:
            parts.append((f"  ! {number_of(data.people_in_both, 'person')} in both train and val", "$warning"))
        if data.twins:
            parts.append((f"  ! {number_of(data.twins, 'same photo')} in both", "$warning"))
        if data.skipped:
            parts.append((f"  ! {number_of(data.skipped, 'image')} left out", "$warning"))
    if (model := state.model) is not None:  # last: where the line is cut, the warnings stay
        device = model.device_name or model.device
        gap = "  " if parts else ""
        parts.append((f"{gap}{model.architecture}, {words.weights(model.weights)}  {device} {model.precision}", "$quiet"))
    return Content.assemble(*parts)


def plot_heading(
    what: str, curves: Curves, view: View, n_epochs: int = 0, terse: bool = False
) -> tuple[Content, tuple[Content, ...]]:
    """A plot's title (with how it is drawn) and its values, the latest or those at the cursor, in words or short.

    n_epochs: as the picture has it. terse: a narrow plot. There the cursor's values leave room for "log" and "~"
    (smoothed) only.
    """
    n = len(curves.column("epoch"))
    manner = manner_in_words(view, what, int(curves.column("epoch")[-1]) if n else 0, n_epochs)
    if terse and view.cursor is not None:
        manner = " log" * (view.log and what == "loss") + " ~" * (view.smoothing > 0)
    title = Content.assemble((what, "bold"), (manner, "$quiet"))
    i = n - 1 if view.cursor is None else curves.index(view.cursor)
    if i is None or n == 0:
        return title, ()
    train, val = (float(curves.column(f"{phase}_{what}")[i]) for phase in ("train", "val"))
    measured = np.isfinite(curves.column("low")[i])
    epoch = int(curves.column("epoch")[i])
    at = (f"│ epoch {epoch}  ", "$cursor-line bold") if view.cursor is not None else ""
    brief_at = (f"│ {epoch}  ", "$cursor-line bold") if view.cursor is not None else ""
    spread = ""
    if what == "accuracy" and measured:
        spread = words.interval((float(curves.column("low")[i]), float(curves.column("high")[i])))
    in_digits = words.accuracy if what == "accuracy" else words.number
    a, b = in_digits(train), in_digits(val if measured else None)
    full = Content.assemble(at, KEYS["train"], ("train ", "$train"), a, "  ", KEYS["val"], ("val ", "$validation"), b,
                            (f" {spread}" if spread else "", "$quiet"))
    short = Content.assemble(at, KEYS["train"], a, "  ", KEYS["val"], b, (f" {spread}" if spread else "", "$quiet"))
    tight = Content.assemble(brief_at, KEYS["train"], a, " ", KEYS["val"], b)
    return title, (full, short, tight, Content.assemble(brief_at, KEYS["val"], b))


def manner_in_words(view: View, what: str, epoch: int, n_epochs: int) -> str:
    """How a curve is drawn, behind its name: " (log, smooth 0.6, last 25)"; "" as it is."""
    manner = ["log"] if view.log and what == "loss" else []
    manner += [f"smooth {view.smoothing}"] if view.smoothing > 0 else []
    manner += [window] if (window := view.window_in_words(epoch, n_epochs)) else []
    return f" ({', '.join(manner)})" if manner else ""


def awaited(state: RunState, status: str) -> str:
    """What stands in a plot that has no epoch to show: what is awaited, or why nothing is; "" with epochs."""
    if state.epochs:
        return ""
    if status == "broken":
        return "the run can't be read"
    return "waiting for the first epoch" if status in ("starting", "running", "paused") else "no epoch was finished"


def overview(state: RunState) -> list[tuple[str, list[tuple[str, str]]]]:
    """All options of the run, and where it lives, in groups of (name, value). Of photos that it didn't sort, how they were
    sorted is no option of its."""
    started = state.started
    if started is None:
        return []
    options, sorted_by = list[tuple[str, str]](), list[tuple[str, str]]()
    for name, value in started.config.items():
        of_rejig = name in SORTING and not started.config.get("rejig_data")
        (sorted_by if of_rejig else options).append((printable(name.replace("_", " ")), printable(in_words(value))))
    place = [("folder", printable(started.folder)), ("host", printable(started.host)), ("process", str(started.pid))]
    if state.model is not None:
        model = state.model
        place += [("device", printable(f"{model.device_name or model.device} {model.precision}"))]
        place += [("model", printable(f"{model.architecture}, {words.weights(model.weights)}"))]
    if started.resumed_at:
        place.append(("picked up", f"after epoch {started.resumed_at}"))
    groups = [("Where it runs", place), ("Options", options), ("How rejig had sorted the photos", sorted_by)]
    return [group for group in groups if group[1]]


def verdict(state: RunState, status: str) -> Content | None:
    """How it ended, in a sentence or two, and what to do now; None while it runs."""
    sign, colour = MARKS[status]
    head, tail = "", ""
    match state.ended:
        case RunDone() as done:
            head = f"{sign} done in {words.duration(state.seconds)}: best validation accuracy " \
                   f"{accuracy_in_words(done.best_correct, done.best_count)} at epoch {done.best_epoch}."
        case RunStopped() as stopped:
            head = f"{sign} stopped after epoch {state.epoch} of {state.n_epochs}: {stopped.reason}."
            tail = _pick_up(state)
        case RunFailed() as failed:
            head = f"{sign} {failed.error}"
            tail = _pick_up(state)
        case None if status == "broken":
            head = f"{sign} {_unread(state)}"
        case None if status == "interrupted":
            head = f"{sign} interrupted after epoch {state.epoch} of {state.n_epochs}: the process is gone."
            tail = _pick_up(state)
    if not head:
        return None
    lines: list[Part] = [(head, f"{colour} bold")]
    if isinstance(state.ended, RunDone):
        lines += [("\n" + doubt, "$warning") for doubt in doubts(state)]
    if state.moved_from and state.started is not None:
        here = printable(state.started.folder)
        lines.append((f"\n✗ {printable(state.moved_from)} took no files: all of it is in {here}", "$error"))
    if tail:
        lines.append("\n" + tail)
    return Content.assemble(*lines)


def _unread(state: RunState) -> str:
    """Why nothing is known of the run, not even that it began; "" where something is."""
    last = state.log[-1] if state.log else None
    return last.text if state.started is None and isinstance(last, Message) and last.level == "error" else ""


def _pick_up(state: RunState) -> str:
    """What is saved, and how to go on from it; "" if the run never began: what an earlier start saved is unknown here."""
    if state.started is None:
        return ""
    if state.saved_epoch is None:
        return f"{words.saved_no_checkpoint(state.model_epoch)}."
    return f"{words.saved(state.saved_epoch)}. To go on: noodle run --load-dir {as_argument(state.started.folder)}"


def doubts(state: RunState) -> Sequence[str]:
    """What to distrust in the accuracy of a run that is done."""
    found = []
    if state.data is not None and state.data.people_in_both:
        both, people = state.data.people_in_both, number_of(state.data.people, "person")
        found.append(f"! {both} of {people} {are(both)} in both train and val: "
                     "for new faces, sort them by person (rejig data on, split by person).")
    elif state.data is not None and state.data.people == 0:
        found.append("! no photo's name tells its person: whether people are in both train and val can't be seen.")
    return found
