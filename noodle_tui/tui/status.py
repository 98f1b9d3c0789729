"""A run's states, and levels of what is said, as screens show them: a mark and a colour for each. The mark tells it without
colour, too."""

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
LEVELS: dict[str, tuple[str, str]] = {"error": ("✗", "$error"), "warning": ("!", "$warning"), "info": ("·", "$quiet")}
