"""Text as it is shown to people, or typed into a shell."""

import shlex


def printable(text: str) -> str:
    """The text on one line, with control characters, broken UTF-8 and invisible direction marks written as escapes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def as_argument(path: object) -> str:
    """A path in a command that somebody may copy into a shell."""
    return shlex.quote(printable(str(path)))


def number_of(count: int, noun: str) -> str:
    """'1 person', '2 people', '3,000 images'"""
    plural = {"person": "people", "copy": "copies"}.get(noun, f"{noun}s")
    return f"{count:,} {noun if count == 1 else plural}"


def are(count: int) -> str:
    """The verb after so many: 'is' or 'are'"""
    return "is" if count == 1 else "are"
