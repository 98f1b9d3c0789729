"""The uncertainty of an accuracy."""

from math import sqrt

Z95 = 1.959963984540054  # the normal distribution's 97.5% point


def wilson_interval(correct: float, count: int) -> tuple[float, float]:
    """The 95% Wilson score interval of correct/count, within [0, 1]; (0, 1) when count is 0.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    if count == 0:
        return 0.0, 1.0
    p, z = correct / count, Z95
    centre = p + z * z / (2 * count)
    spread = z * sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def interval_in_words(interval: tuple[float, float], fine: bool = False) -> str:
    """'0.80 to 0.99'; three digits if `fine`, and where two would look the same: then a bound that isn't 1 or 0 never reads so
    beside an accuracy that doesn't, see `share_in_words`."""
    low, high = interval
    if not fine and high - low >= 0.05:
        return f"{low:.2f} to {high:.2f}"
    low, high = min(low, 0.999) if low < 1 else low, max(high, 0.001) if high > 0 else high
    return f"{low:.3f} to {high:.3f}"


def share_in_words(share: float) -> str:
    """'0.958'; only all is 1.000, and only none 0.000."""
    return f"{min(max(share, 0.001), 0.999) if 0 < share < 1 else share:.3f}"


def accuracy_in_words(correct: int, count: int) -> str:
    """'0.958 (23/24, 95% interval 0.80 to 0.99)'"""
    interval = interval_in_words(wilson_interval(correct, count))
    return f"{share_in_words(correct / max(count, 1))} ({correct}/{count}, 95% interval {interval})"
