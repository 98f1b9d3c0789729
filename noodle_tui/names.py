"""What a photo's name says: its class, the person on it, the morph level."""

import re
import unicodedata

LEVEL = re.compile(r"_C(\d{1,9})$", re.ASCII)


def classes_in(path: str, tokens: dict[str, str]) -> list[str]:
    """The classes whose token is part of the file's own name; one that ends in a slash ("Happy/") is the name of a folder on
    the path instead.

    `path` is posix, relative to the stimuli. One class is right; none or two mean: skip.
    """
    *folders, name = one_form(path).split("/")
    return [label for label, token in ((label, one_form(token)) for label, token in tokens.items())
            if (token[:-1] in folders if token.endswith("/") else token in name)]


def person_in(path: str, pattern: re.Pattern[str]) -> str | None:
    """The person that `pattern` finds in a photo's relative path (posix): its first group, or the whole match."""
    match = pattern.search(one_form(path))
    if match is None:
        return None
    return (match.group(1) if pattern.groups else match.group(0)) or None


def one_form(text: str) -> str:
    """One of the forms in which Unicode writes the same text: macOS writes "Zoë" otherwise, and she is one person."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def level_in(name: str) -> int | None:
    """The morph level of a name like 34M_Ne_to_Sa_C08.JPG: 8. None where a name has no level."""
    base = name.rpartition("/")[2]  # a path object would cost more than all the rest
    match = LEVEL.search(base.rpartition(".")[0] or base)
    return int(match.group(1)) if match else None
