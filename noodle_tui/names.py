"""What a photo's name says: its class, the person on it, the morph level."""

import re
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

from noodle_tui.errors import UsageError
from noodle_tui.text import printable

if TYPE_CHECKING:
    from regex import Pattern

DEFAULT_PERSON = r"(?:^|/)([^_/]+)_[^/]*$"  # 34/34M_Ne_to_Sa_C08.JPG: 34M
PATIENCE = 2.0  # seconds for one name
LEVEL = re.compile(r"_C(\d{1,9})$", re.ASCII)


def classes_in(path: str, tokens: dict[str, str]) -> list[str]:
    """The classes whose token is part of the file's own name; one that ends in a slash ("Happy/") is the name of a folder on
    the path instead.

    `path` is posix, relative to the stimuli. One class is right; none or two mean: skip.
    """
    *folders, name = one_form(path).split("/")
    return [label for label, token in ((label, one_form(token)) for label, token in tokens.items())
            if (token[:-1] in folders if token.endswith("/") else token in name)]


def person_pattern(person: str) -> "Pattern[str]":
    """The option --person, to be searched for by `person_in`. ValueError, in words, where it is no regular expression.

    Not Python's own: its search can't be ended, and would hold up every other thread, the whole app, for hours where an
    expression can match in very many ways ("(a|aa)+$"). This one says the same of any usual expression.
    """
    import regex

    try:
        return regex.compile(one_form(person))
    except (regex.error, RecursionError, OverflowError, MemoryError) as error:
        raise ValueError(f"is not a regular expression: {error}") from None


def person_in(path: str, pattern: "Pattern[str]") -> str | None:
    """The person that `pattern` finds in a photo's relative path (posix): its first group, or the whole match. UsageError where
    the search takes too long."""
    try:
        match = pattern.search(one_form(path), timeout=PATIENCE)
    except TimeoutError:
        raise UsageError(f"--person {printable(pattern.pattern)!r}: takes too long to look for in {printable(path)}, since it "
                         "can match in very many ways: write it with no + or * inside of another") from None
    if match is None:
        return None
    return (match.group(1) if pattern.groups else match.group(0)) or None


def are_classes(people: Iterable[str | None], words: Iterable[str], pattern: "Pattern[str]") -> bool:
    """Whether all that was taken for people are classes, by their names or tokens (`words`): of happy_01.jpg and sad_01.jpg
    nobody is known. Only of the default of --person; who gives another knows what it finds."""
    found = {one_form(person).casefold() for person in people if person is not None}
    return (pattern.pattern == DEFAULT_PERSON and bool(found)
            and found <= {one_form(word).strip("_-/. ").casefold() for word in words})


def one_form(text: str) -> str:
    """One of the forms in which Unicode writes the same text: macOS writes "Zoë" otherwise, and she is one person."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def level_in(name: str) -> int | None:
    """The morph level of a name like 34M_Ne_to_Sa_C08.JPG: 8. None where a name has no level."""
    base = name.rpartition("/")[2]  # a path object would cost more than all the rest
    match = LEVEL.search(base.rpartition(".")[0] or base)
    return int(match.group(1)) if match else None
