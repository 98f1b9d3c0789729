"""Numbers, paths and names as they are read on a screen: short, of steady width, never more digits than they are worth."""

import os
import shlex
from math import isfinite, isnan

from rich.cells import cell_len

from noodle_tui.stats import interval_in_words, share_in_words


def unquoted(path: str) -> str:
    """A path as it is, where it was pasted as a shell would have it: in quotes, or with blanks behind backslashes."""
    if path[:1] in ("'", '"') or "\\" in path:
        try:
            parts = shlex.split(path)
        except ValueError:  # a quote that isn't closed (yet)
            return path
        return parts[0] if len(parts) == 1 else path
    return path


def home_in_full(path: str) -> str:
    """`~` and `~name` as in a shell; a path of a user whom nobody knows stays as it is."""
    try:
        return os.path.expanduser(path)
    except ValueError:  # a NUL in the name
        return path


def number(value: float | None) -> str:
    """A loss or an accuracy in 7 characters: 0.412, 12.30, 4.1e-05; "–" where there is none, "nan" where it broke."""
    if value is None:
        return "–"
    if not isfinite(value):
        return "nan" if isnan(value) else f"{value:+.0f}"
    size = abs(value)
    if size != 0 and (size < 0.0005 or size >= 100_000):
        return f"{value:.1e}"
    return f"{value:.3f}" if size < 10 else f"{value:.2f}" if size < 100 else f"{value:.0f}"


def accuracy(share: float | None) -> str:
    """An accuracy: 0.958; "–" where there is none."""
    return "–" if share is None else share_in_words(share)


def interval(bounds: tuple[float, float] | None) -> str:
    """An interval of an accuracy: 0.80–0.99, 0.946–0.954; in at most 11 characters."""
    return "–" if bounds is None else interval_in_words(bounds).replace(" to ", "–")


def duration(seconds: float) -> str:
    """A length of time: 0.3s, 0:12, 1:39, 2:03:10, 3d 04:10."""
    if 0 < seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(max(seconds, 0))
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    if hours == 0:
        return f"{m}:{s:02}"
    days, h = divmod(hours, 24)
    return f"{days}d {h:02}:{m:02}" if days else f"{h}:{m:02}:{s:02}"


def weights(name: str) -> str:
    """What a network starts from: as in ModelReady."""
    known = {"imagenet": "ImageNet weights", "none": "random weights", "checkpoint": "its own weights"}
    return known.get(name, f"weights of {name}")


def end_of(path: str, width: int) -> str:
    """A path in at most `width` cells: of a long one the end, which tells it from others: …/photos/anna.jpg."""
    if cell_len(path) <= width:
        return path
    end = path[-width:]
    while end and cell_len(end) >= width:
        end = end[1:]
    return f"…{end}"


def shortened(text: str, width: int) -> str:
    """A name in at most `width` cells. It is cut in the middle, person-…-name7: names mostly differ at their end."""
    if cell_len(text) <= width:
        return text
    tail = max(width - 1, 0) // 2
    return f"{_start(text, width - 1 - tail)}…{_start(text[::-1], tail)[::-1]}" if width > 0 else ""


def _start(text: str, width: int) -> str:
    """As much of a text as has room in `width` cells."""
    for i, char in enumerate(text):
        width -= cell_len(char)
        if width < 0:
            return text[:i]
    return text


def saved(epoch: int) -> str:
    """Where a run's checkpoint stands: after whole epochs, or in the first."""
    return f"Saved up to epoch {epoch}" if epoch else "Saved within the first epoch"


def saved_no_checkpoint(model_epoch: int | None) -> str:
    """What there is of a run without a checkpoint."""
    return f"No checkpoint was saved, only the model of epoch {model_epoch}" if model_epoch else "Nothing was saved yet"


def rate(per_second: float) -> str:
    """Images a second in at most 5 characters: 8.4, 812, 5.6k."""
    if not isfinite(per_second):
        return "–"
    if per_second >= 10_000:
        return f"{per_second / 1000:.0f}k"
    if per_second >= 1000:
        return f"{per_second / 1000:.1f}k"
    return f"{per_second:.0f}" if per_second >= 100 else f"{per_second:.1f}"


def size(count: int) -> str:
    """Bytes for people: 310 B, 12 KiB, 217 MiB, 1.4 GiB."""
    if count < 2**10:
        return f"{count} B"
    for unit, factor in (("KiB", 2**10), ("MiB", 2**20)):
        if count < 1024 * factor:
            return f"{count / factor:.0f} {unit}"
    return f"{count / 2**30:.1f} GiB"


def bar(fraction: float, width: int) -> tuple[str, str]:
    """A progress bar of `width` cells as (done, still to do): ("━━━╸", "─────")."""
    halves = round(min(max(fraction, 0.0), 1.0) * width * 2)
    done = "━" * (halves // 2) + "╸" * (halves % 2)
    return done, "─" * (width - len(done))
