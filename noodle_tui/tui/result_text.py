"""The Result screen's words and bars: from a report or a run's state to lines. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len
from textual.content import Content

from noodle_tui.evaluate import Prediction
from noodle_tui.events import RunFailed, RunStopped
from noodle_tui.report import Report, Result, Score
from noodle_tui.run_folder import CHECKPOINT, PREVIOUS
from noodle_tui.run_state import RunState
from noodle_tui.stats import interval_in_words, wilson_interval
from noodle_tui.summaries import ENDED_EARLY
from noodle_tui.text import as_argument, number_of, printable
from noodle_tui.tui import words
from noodle_tui.tui.status import MARKS
from noodle_tui.tui.widgets.sheet import paragraph, side_by_side

Part = str | Content | tuple[str, str]

@dataclass(frozen=True)
class ResultFacts:
    """What the Result screen shows of a run folder."""

    folder: Path
    state: RunState
    report: Report | None  # None: `report_error` says why
    report_error: str
    classes: list[str]
    mistakes: list[Prediction]  # all wrong answers, the most confident first
    mistakes_error: str  # why there are none to show
    files: list[tuple[str, int]]  # (name, bytes), the largest first
    data_dir: Path  # where its photos lie now


def accuracy_of(facts: ResultFacts) -> tuple[int, int] | None:
    """(correct, count) that the screen is headed by: the report's, else of the best epoch so far."""
    if facts.report is not None:
        overall = facts.report.result.overall
        return overall.correct, overall.count
    best = facts.state.best
    return None if best is None or best.val_correct is None else (best.val_correct, best.val_count)


def is_resumable(facts: ResultFacts) -> bool:
    """Whether it ended early, and has left a checkpoint to go on from."""
    return facts.state.status in ENDED_EARLY and not {CHECKPOINT, PREVIOUS}.isdisjoint(name for name, _ in facts.files)


def big_number(correct: int, count: int) -> str:
    """The accuracy with no more digits than its interval is said with; only all right is 1.00, only all wrong 0.00."""
    low, high = wilson_interval(correct, count)
    digits = 2 if high - low >= 0.05 else 3
    accuracy, step = correct / max(count, 1), 10.0**-digits
    if 0 < correct < count:
        accuracy = min(max(accuracy, step), 1 - step)
    return f"{accuracy:.{digits}f}"


def head_lines(facts: ResultFacts, width: int) -> list[Content]:
    """Name and state, the verdict in a sentence, and the interval drawn."""
    state = facts.state
    mark, colour = MARKS[state.status]
    name = printable(state.started.name if state.started else facts.folder.name)
    parts: list[Part] = [(name, "bold"), (f"  {mark} {state.status}", f"{colour} bold")]
    if state.ended is not None:
        parts.append((f"  {number_of(state.epoch, 'epoch')} in {words.duration(state.seconds)}", "$quiet"))
    if state.model is not None:
        parts.append((f"  {printable(state.model.device_name or state.model.device)} {state.model.precision}", "$quiet"))
    lines = [Content.assemble(*parts)]
    lines += [line.stylize("bold") for line in paragraph(verdict(facts), width)]
    if (counts := accuracy_of(facts)) is not None:
        lines.append(whisker_bar(*counts, width))
    if facts.report is None and (older := older_model(state)):
        lines += [line.stylize("$warning") for line in paragraph(older, width, "! ")]
    if state.status in ENDED_EARLY:
        lines += [line.stylize(colour) for line in paragraph(what_happened(state), width, f"{mark} ")]
        lines.append(Content.styled(how_to_go_on(facts, width), "$quiet"))
    return lines


def verdict(facts: ResultFacts) -> str:
    """The report's verdict; without a report, how good the best epoch so far is."""
    if facts.report is not None:
        return printable(facts.report.verdict)
    best = facts.state.best
    if best is None or best.val_correct is None:
        return "No epoch was validated: nothing is known of this run's accuracy."
    interval = interval_in_words(wilson_interval(best.val_correct, best.val_count))
    return (f"{words.accuracy(best.val_accuracy)} of the validation images were right in the best epoch so far "
            f"({best.val_correct}/{best.val_count}, 95% interval {interval}, epoch {best.epoch}).")


def model_in_words(state: RunState) -> str:
    """NAME, epoch 28: 0.967 (29/30)."""
    name = state.started.name if state.started else "this model"
    epoch = next((e for e in state.epochs if e.epoch == state.model_epoch), None)
    if epoch is None or epoch.val_correct is None:
        return name
    accuracy = epoch.val_correct / max(epoch.val_count, 1)
    return f"{name}, epoch {epoch.epoch}: {words.accuracy(accuracy)} ({epoch.val_correct}/{epoch.val_count})"


def older_model(state: RunState) -> str:
    """What to say of a model.pth that isn't of the best epoch so far; "" if it is, or there is none."""
    if state.best is None or state.model_epoch in (None, state.best.epoch):
        return ""
    return f"model.pth holds an earlier one: {model_in_words(state).partition(', ')[2] or f'epoch {state.model_epoch}'}."


def what_happened(state: RunState) -> str:
    at = f"epoch {state.epoch} of {state.n_epochs}"
    match state.ended:
        case RunFailed(error=error):
            return f"failed after {at}: {printable(error)}"
        case RunStopped(reason=reason):
            return f"stopped after {at}: {printable(reason)}"
    return f"interrupted after {at}: its process was killed, or the machine went down"


def how_to_go_on(facts: ResultFacts, width: int) -> str:
    """With the command line where it fits."""
    if not is_resumable(facts):
        return f"{words.saved_no_checkpoint(facts.state.model_epoch)}: copy its options to Setup (c) and start again."
    epoch = facts.state.saved_epoch
    text = f"{'A checkpoint is there' if epoch is None else words.saved(epoch)}; r resumes it"
    command = f", as does noodle run --load-dir {as_argument(facts.folder)}"
    return text + command if len(text + command) <= width else text + "."


def no_report_yet(facts: ResultFacts) -> str:
    text = "none: it is written when a run is done"
    if not is_resumable(facts) or not facts.state.epoch:
        return text
    folder, epoch = facts.folder, facts.state.epoch
    return (f"{text}. To have this one judged as it is: in Setup, load dir {printable(str(folder))} and n epochs {epoch}; or "
            f"noodle run --headless --load-dir {as_argument(folder)} --n-epochs {epoch}")


def distrust_lines(facts: ResultFacts, width: int, brief: bool = False) -> list[Content]:
    """What the report says to distrust, or why there is no report. brief: a line a sentence, cut where it is longer."""
    if facts.report is None:
        if facts.state.status != "done":
            return [line.stylize("$quiet") for line in paragraph(no_report_yet(facts), width)]
        return paragraph(printable(facts.report_error), width, "! ", "$error bold")
    sentences = facts.report.distrust
    if not sentences:
        return [Content.styled("nothing that the numbers could tell", "$quiet")]
    if brief:
        return [Content.assemble(("! ", "$warning bold"), printable(sentence)).truncate(width, ellipsis=True)
                for sentence in sentences]
    return [line for sentence in sentences for line in paragraph(printable(sentence), width, "! ", "$warning bold")]


# Bars -----------------------------------------------------------------------------------------------------------------

MOST_BARS = 200  # of a kind: thousands would keep the screen from answering


def whisker_bar(correct: int, count: int, width: int) -> Content:
    """An accuracy between 0 and 1 as a bar, with its 95% Wilson interval: ━━━━━━━━━├──●─┤"""
    if width < 4:
        return Content("")
    accuracy, (low, high) = correct / max(count, 1), wilson_interval(correct, count)
    at, start, end = (min(int(value * width), width - 1) for value in (accuracy, low, high))
    halves = round(accuracy * width * 2)
    parts: list[Part] = []
    for x in range(width):
        filled = x * 2 + 1 <= halves
        ink = "$validation" if filled else "$quiet"
        if count and start <= x <= end:
            char = "●" if x == at else "├" if x == start else "┤" if x == end else "─"
            parts.append((char, "$foreground bold" if x == at else "$foreground"))
        else:
            parts.append(("━" if x * 2 + 2 <= halves else "╸" if filled else "·", ink if filled else "$grid"))
    return Content.assemble(*parts).simplify()


def bar_lines(scores: Sequence[Score], width: int) -> list[Content]:
    """A line a person (a level, a class): its name, right answers, accuracy, and the bar with its interval. Of very many, those
    with the lowest accuracy."""
    if not scores:
        return []
    lines = []
    if len(scores) > MOST_BARS:
        lines = [Content.styled(f"the {MOST_BARS} lowest of {len(scores)}; all are in report.json", "$quiet")]
        scores = sorted(scores, key=lambda s: s.correct / max(s.count, 1))[:MOST_BARS]
    name_width = min(max(cell_len(printable(s.name)) for s in scores), max(width // 4, 6))
    numbers = max(len(f"{s.correct}/{s.count}") for s in scores)
    for s in scores:
        name = Content(words.shortened(printable(s.name), name_width)).truncate(name_width, pad=True)
        figures = f"  {s.correct}/{s.count}".rjust(numbers + 2)
        lines.append(Content.assemble(name, (figures, "$quiet"), (f"  {words.accuracy(s.accuracy)}  ", "bold"),
                                      whisker_bar(s.correct, s.count, width - name_width - numbers - 11)))
    return lines


def scores_line(result: Result, width: int) -> list[Content]:
    """The other scores, as many lines as they need."""
    shares = [("always answering the most frequent class", result.majority.accuracy),
              ("balanced accuracy", result.balanced_accuracy), ("ROC AUC", result.roc_auc)]
    others = [("log loss", result.log_loss), ("Brier", result.brier), ("calibration error", result.calibration_error)]
    parts = [f"{name} {words.accuracy(value)}" for name, value in shares if value is not None]
    parts += [f"{name} {words.number(value)}" for name, value in others]
    return [line.stylize("$quiet") for line in side_by_side(parts, width, "   ")]


# Mistakes and files ---------------------------------------------------------------------------------------------------


ANSWERED = "true → answer"


def mistake_header(classes: Sequence[str]) -> Content:
    return Content.styled("  " + "sure".ljust(6) + ANSWERED.ljust(_classes_width(classes)) + "file", "$quiet")


def mistake_row(mistake: Prediction, classes: Sequence[str], width: int) -> Content:
    """0.97  sad → happy   34M_Ne_to_Sa_C08.JPG; of a long path the end is kept."""
    room = _classes_width(classes)
    true, predicted = (words.shortened(printable(classes[i]), (room - 4) // 2) for i in (mistake.true, mistake.predicted))
    path = mistake.path.removeprefix(f"val/{classes[mistake.true]}/")
    file = words.end_of(printable(path), max(width - room - 8, 8))
    answered = Content(f"{true} → {predicted}").truncate(room - 1, ellipsis=True, pad=True)
    return Content.assemble((f" {mistake.confidence:.3f} ", "bold"), answered,
                            " ", (file, "$quiet"))


def _classes_width(classes: Sequence[str]) -> int:
    return min(max(2 * max((cell_len(printable(name)) for name in classes), default=4) + 5, len(ANSWERED) + 1), 30)


def file_lines(facts: ResultFacts, width: int) -> list[Content]:
    """The folder, and each file in it with its size."""
    lines = [Content.styled(printable(str(facts.folder)), "$quiet").truncate(width, ellipsis=True)]
    return lines + [Content.assemble(words.size(size).rjust(9) + "  ", printable(name)) for name, size in facts.files]
