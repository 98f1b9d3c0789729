"""The colours. Blue against orange is told apart with every common colour blindness; nothing is told by colour alone.

What curves add is of the 256-colour palette, which a terminal without true colour (tmux without RGB) shows; only light greys
are a step darker there. Texts can be read on every surface, there, too.
"""

from pathlib import Path

from textual.theme import Theme

# What the curves add to Textual's own colour names.
DARK_VARIABLES = {
    "train": "#5fafff",
    "train-soft": "#5f87af",
    "train-faded": "#005f87",
    "validation": "#ffaf5f",
    "validation-soft": "#af875f",
    "validation-faded": "#875f00",
    "band": "#303030",
    "grid": "#4e4e4e",
    "rule": "#4e4e4e",
    "quiet": "#949494",
    "text-disabled": "#949494",  # placeholders, which say what can be typed
    "star": "#ffd75f",
    "cursor-line": "#b2b2b2",
    "cursor-column": "#303030",
}
LIGHT_VARIABLES = {
    "train": "#005faf",
    "train-soft": "#5f87af",
    "train-faded": "#87afd7",
    "validation": "#af5f00",
    "validation-soft": "#af875f",
    "validation-faded": "#d7af87",
    "band": "#e4e4e4",
    "grid": "#dadada",
    "rule": "#b2b2b2",
    "quiet": "#626262",
    "text-disabled": "#626262",
    "star": "#af0087",
    "cursor-line": "#626262",
    "cursor-column": "#e4e4e4",
}

NOODLE_DARK = Theme(
    name="noodle-dark",
    dark=True,
    primary="#5fafff",
    secondary="#87afd7",
    accent="#ffd75f",
    success="#5fd7af",
    warning="#ffd75f",
    error="#ff87af",
    foreground="#dadada",
    background="#121212",
    surface="#1c1c1c",
    panel="#262626",
    variables={
        **DARK_VARIABLES,
        "scrollbar": "#4e4e4e",
        "scrollbar-hover": "#767676",
        "scrollbar-active": "#5fafff",
        "scrollbar-background": "#121212",
        "scrollbar-background-hover": "#121212",
        "scrollbar-background-active": "#121212",
        "border": "#5fafff",
        "border-blurred": "#4e4e4e",
        "block-cursor-foreground": "#121212",
        "block-cursor-background": "#5fafff",
        "block-cursor-text-style": "none",
        "footer-background": "#1c1c1c",
        "footer-key-foreground": "#5fafff",
        "footer-description-foreground": "#b2b2b2",
        "input-selection-background": "#005f87",
        "button-color-foreground": "#121212",
        "button-focus-text-style": "bold underline",
    },
)

NOODLE_LIGHT = Theme(
    name="noodle-light",
    dark=False,
    primary="#005faf",
    secondary="#5f5f87",
    accent="#af0087",
    success="#005f5f",
    warning="#875f00",
    error="#af005f",
    foreground="#262626",
    background="#ffffff",
    surface="#f5f5f5",
    panel="#eeeeee",
    variables={
        **LIGHT_VARIABLES,
        "scrollbar": "#b2b2b2",
        "scrollbar-hover": "#949494",
        "scrollbar-active": "#005faf",
        "scrollbar-background": "#ffffff",
        "scrollbar-background-hover": "#ffffff",
        "scrollbar-background-active": "#ffffff",
        "border": "#005faf",
        "border-blurred": "#b2b2b2",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-background": "#005faf",
        "block-cursor-text-style": "none",
        "footer-background": "#eeeeee",
        "footer-key-foreground": "#005faf",
        "footer-description-foreground": "#444444",
        "input-selection-background": "#87afd7",
        "button-color-foreground": "#ffffff",
        "button-focus-text-style": "bold underline",
    },
)

THEMES = (NOODLE_DARK, NOODLE_LIGHT)


def styles(*names: str) -> str:
    """Style sheets beside this file. Read where a module is imported: Textual would read them when a screen first opens, and by
    then an upgrade may have replaced them."""
    return "\n".join((Path(__file__).parent / f"{name}.tcss").read_text(encoding="utf-8") for name in names)
