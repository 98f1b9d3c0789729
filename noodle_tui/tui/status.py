"""A run's states as screens show them: a mark and a colour for each. The mark tells the state without colour, too."""

MARKS: dict[str, tuple[str, str]] = {
    "starting": ("○", "$quiet"),
    "running": ("▶", "$primary"),
    "paused": ("‖", "$warning"),
    "done": ("✓", "$success"),
    "stopped": ("■", "$warning"),
    "failed": ("✗", "$error"),
    "interrupted": ("!", "$error"),
    "broken": ("?", "$error"),
}
