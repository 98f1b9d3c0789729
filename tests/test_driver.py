"""What the terminal says, as a bad line brings it: in pieces, and late."""

import pytest
from textual._xterm_parser import XTermParser
from textual.events import Key, MouseEvent, Paste
from textual.message import Message

from noodle_tui.tui import driver
from noodle_tui.tui.driver import Codes, PatientDriver

PASTE = "\x1b[200~/a b\x1b[201~"


def heard(*pieces: str) -> list[str]:
    """What the app hears of pieces that come so far apart that Textual has given up waiting for the next one."""
    line = PatientDriver.__new__(PatientDriver)
    line._parser, line._codes, line._debug = XTermParser(), Codes(), False
    messages: list[Message] = []
    for piece in pieces:
        messages += line._messages(piece)
        if line._parser._timeout_time is not None:
            line._parser._timeout_time = 0.0
        messages += line._messages("")
    return [in_words(message) for message in messages]


def in_words(message: Message) -> str:
    match message:
        case Key():
            return message.key
        case Paste():
            return f"paste {message.text}"
        case MouseEvent():
            return f"mouse {message.x:.0f} {message.y:.0f}"
    return type(message).__name__


@pytest.mark.parametrize(("code", "meant"), [
    ("\x1b[B", "down"), ("\x1bOP", "f1"), ("\x1b[15~", "f5"), ("\x1b[1;5C", "ctrl+right"), ("\x1b[<35;20;9M", "mouse 19 8"),
    (PASTE, "paste /a b"),
])
def test_a_code_in_two_pieces_is_what_it_was(code: str, meant: str) -> None:
    for i in range(1, len(code)):
        got = heard(code[:i], f"{code[i:]}x")
        assert got in ([meant, "x"], ["escape", meant, "x"] if i == 1 else []), i


def test_a_paste_in_single_bytes_is_one() -> None:
    assert heard(PASTE[:2], *PASTE[2:], "x") == ["paste /a b", "x"]


def test_keys_behind_an_escape_are_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    assert heard("\x1b") == ["escape"]
    assert heard("\x1b", "s", "y") == ["escape", "s", "y"]
    assert heard("\x1b", "[", "A") == ["escape", "left_square_bracket", "A"]
    monkeypatch.setattr(driver, "LATE", 0.0)
    assert heard("\x1b", "[A-Z]") == ["escape", "left_square_bracket", "A", "minus", "Z", "right_square_bracket"]
