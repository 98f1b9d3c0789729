"""Ways to spoil a file: its bytes, its JSON, its table, or what stands at its place. All follow from a `Random`."""

import csv
import io
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

DEEP = 3000  # brackets inside each other: more than Python's recursion limit
TEXTS = ["", " ", ".", "..", "/", "../../outside/kept.txt", "/etc/passwd", "a/../../../b", "train/sad/../../../x.jpg", "a\nb",
         "a\r\nb", "a\0b", "\x1b[2J\x1b[31m", "[red]markup[/]", "\u202etxt.exe", "\ud800", "\udcff", "\N{GRINNING FACE}",
         "x" * 10_000, "9" * 5000, "NaN", "%s{0}$(id)`id`", "-rf", "~", "'\"", "\u2028", "_Sa_", "_Sa__Ha_", "nan", "inf"]
NUMBERS: list[Any] = [0, -1, 1, 2, 1.5, -0.0, 255, 2**31, 2**53, 2**63, -(2**63), 10**30, 10**400, 1e-320, 1e308, -1e308,
                      float("nan"), float("inf"), float("-inf")]
OTHERS: list[Any] = [None, True, False, [], {}, [[]], [None], {"": None}, [1, "a", None], ["a", "a"], {"a": {"b": []}}]
PIECES = [b"\0", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\r", b"\n", b"\n\n", b"\r\n", b'"', b"'", b",", b":", b"{", b"}",
          b"[", b"]", b"\\", b"\\ud800", b"\\u0000", b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1", b"9" * 5000,
          b"null", b"true", b"{}", b"[]", b"../", b"/etc/passwd", b"\x1b[31m", b"\xe2\x80\xae", b"\xef\xbb\xbf", b"\x1f",
          b"[" * DEEP, b'{"a":' * DEEP, b"A" * 70_000, b"\xc2\x85", b"\xe2\x80\xa8"]


def weird(chance: Random) -> Any:
    """A value that no program of ours writes there."""
    kind = chance.random()
    if kind < 0.4:
        return chance.choice(TEXTS)
    return chance.choice(NUMBERS) if kind < 0.8 else chance.choice(OTHERS)


def spoil_bytes(chance: Random, data: bytes) -> bytes:
    """The data with one to four accidents: bits turned, parts lost, doubled, moved or replaced, the end cut off."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
        data = chance.choice(ACCIDENTS)(chance, data)
    return data


def _bits(chance: Random, data: bytes) -> bytes:
    content = bytearray(data)
    for _ in range(chance.choice((1, 2, 8, 40))):
        if content:
            content[_place(chance, data)] ^= 1 << chance.randrange(8)
    return bytes(content)


def _place(chance: Random, data: bytes) -> int:
    """Any place; the beginning, where headers are, more often."""
    return chance.randrange(min(len(data), 64)) if chance.random() < 0.5 else chance.randrange(len(data))


def _stretch(chance: Random, data: bytes) -> tuple[int, int]:
    start = chance.randrange(len(data) + 1)
    return start, min(start + chance.choice((1, 2, 4, 16, 200, 5000)), len(data))


def _lose(chance: Random, data: bytes) -> bytes:
    start, end = _stretch(chance, data)
    return data[:start] + data[end:]


def _double(chance: Random, data: bytes) -> bytes:
    start, end = _stretch(chance, data)
    return data[:end] + data[start:end] * chance.choice((1, 2, 50)) + data[end:]


def _noise(chance: Random, data: bytes) -> bytes:
    start, end = _stretch(chance, data)
    return data[:start] + chance.randbytes(end - start) + data[end:]


def _same(chance: Random, data: bytes) -> bytes:
    start, end = _stretch(chance, data)
    return data[:start] + chance.choice((b"\0", b"\xff")) * (end - start) + data[end:]


def _insert(chance: Random, data: bytes) -> bytes:
    start = chance.randrange(len(data) + 1)
    return data[:start] + chance.choice(PIECES) + data[start:]


def _digits(chance: Random, data: bytes) -> bytes:
    """A number in a text, made another."""
    places = [i for i in range(len(data)) if data[i : i + 1].isdigit()] if len(data) < 10_000 else []
    if not places:
        return data
    i = chance.choice(places)
    return data[:i] + str(chance.choice(NUMBERS)).encode() + data[i + 1 :]


def _cut(chance: Random, data: bytes) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _other(chance: Random, data: bytes) -> bytes:
    return chance.choice((b"", b"\0" * 100, chance.randbytes(200), data + data, data[::-1], chance.choice(PIECES),
                          data.decode("latin-1").encode("utf-16")))


ACCIDENTS: list[Callable[[Random, bytes], bytes]] = [
    _bits, _bits, _lose, _double, _noise, _same, _insert, _digits, _cut, _other,
]


def spoil_json(chance: Random, data: bytes) -> bytes:
    """JSON with values of other types, keys lost, doubled or added; or no JSON any more."""
    kind = chance.random()
    if kind < 0.25:
        return spoil_bytes(chance, data)
    if kind < 0.28:
        return chance.choice((b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"NaN", b'"\\ud800"', b"[]", b"null", b"1e999"))
    value = json.loads(data)
    for _ in range(chance.choice((1, 1, 2, 3))):
        value = _spoil_value(chance, value)
    text = json.dumps(value, ensure_ascii=chance.random() < 0.7)
    if kind < 0.33 and text.startswith("{") and len(text) > 2:  # a key twice
        text = "{" + text[1:-1] + ", " + text[1:]
    return text.encode("utf-8", "surrogatepass")


def _spoil_value(chance: Random, value: Any) -> Any:
    """`value` with a change somewhere in it."""
    inside = isinstance(value, dict | list) and value and chance.random() < 0.9
    if not inside:
        return weird(chance)
    if isinstance(value, dict):
        key = chance.choice(list(value))
        match chance.randrange(10):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {**value, chance.choice(TEXTS): weird(chance)}
        return {**value, key: _spoil_value(chance, value[key])}
    i = chance.randrange(len(value))
    match chance.randrange(10):
        case 0:
            return value[:i] + value[i + 1 :]
        case 1:
            return value[:i] + [weird(chance)] * chance.choice((1, 3, 1000)) + value[i:]
    return [*value[:i], _spoil_value(chance, value[i]), *value[i + 1 :]]


def spoil_lines(chance: Random, data: bytes) -> bytes:
    """JSON lines, some of them spoiled, lost, doubled, out of order or torn."""
    lines = data.splitlines(keepends=True)
    for _ in range(chance.choice((1, 2, 5))):
        if not lines:
            break
        i = chance.randrange(len(lines))
        match chance.randrange(7):
            case 0:
                del lines[i]
            case 1:
                lines.insert(i, lines[chance.randrange(len(lines))])
            case 2:
                lines[i] = spoil_bytes(chance, lines[i])
            case 3:
                chance.shuffle(lines)
            case _:
                try:
                    lines[i] = spoil_json(chance, lines[i]) + b"\n"
                except (ValueError, RecursionError):  # spoiled already
                    lines[i] = spoil_bytes(chance, lines[i])
    return b"".join(lines)[: None if chance.random() < 0.8 else -chance.randrange(1, 50)]


def spoil_table(chance: Random, data: bytes) -> bytes:
    """A CSV file with other cells, columns or rows; or none any more."""
    if chance.random() < 0.3:
        return spoil_bytes(chance, data)
    rows = list(csv.reader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")))
    for _ in range(chance.choice((1, 1, 2, 4))):
        row = chance.choice(rows) if rows else []
        match chance.randrange(8):
            case 0:
                rows.remove(row)
            case 1:
                rows.append(list(row))
            case 2:
                row.append(str(weird(chance)))
            case 3 if row:
                row.pop()
            case _ if row:
                i = chance.randrange(len(row))
                row[i] = str(weird(chance)) if chance.random() < 0.6 else row[i] + chance.choice(TEXTS)
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode("utf-8", "surrogatepass")


def spoil_place(chance: Random, path: Path, outside: Path) -> str:
    """Put something at `path` that is no plain file of ours; says what. `outside` holds kept.txt and the folder kept/."""
    kind = chance.choice(PLACES)
    if path.is_dir() and not path.is_symlink():
        if any(path.iterdir()):
            return "left"
        path.rmdir()
    path.unlink(missing_ok=True)
    match kind:
        case "folder":
            path.mkdir()
        case "full folder":
            (path / "inside").mkdir(parents=True)
        case "pipe":
            os.mkfifo(path)
        case "socket":
            _socket(path)
        case "link to a file":
            path.symlink_to(outside / "kept.txt")
        case "link to a folder":
            path.symlink_to(outside / "kept")
        case "relative link":
            path.symlink_to("../" * chance.randrange(1, 4) + "outside/kept.txt")
        case "dangling link":
            path.symlink_to(outside / "new.txt")
        case "link to itself":
            path.symlink_to(path.name)
        case "link to a device":
            path.symlink_to("/dev/zero")
        case "giant":  # sparse: it takes no room, but whoever reads it whole takes all memory
            path.touch()
            os.truncate(path, 2**31)
        case "unreadable":
            path.touch(0o000)
    return kind


PLACES = ("folder", "full folder", "pipe", "socket", "link to a file", "link to a folder", "relative link", "dangling link",
          "link to itself", "link to a device", "giant", "unreadable", "missing")


def _socket(path: Path) -> None:
    """Its name is limited to 100 bytes or so: bound from its own folder."""
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)
