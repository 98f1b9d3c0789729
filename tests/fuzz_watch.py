"""Calls a reader on a hostile input and says what it did that no reader may: raised, hung, warned, wrote elsewhere."""

import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from noodle_tui.decode import BadImage
from noodle_tui.errors import NoodleError

PATIENCE = 20.0  # seconds; nothing here takes one, but the machine may be busy
MOST_MEMORY = 1200 * 2**20  # bytes that one input may add: a photo of the most pixels allowed takes most of that
LONGEST = 600  # characters of an error, without the paths that it names

# Audit events that change files, with the positions of the paths that they change (and of their dir_fd).
CHANGES = {"os.rename": ((0, 2), (1, 3)), "os.remove": ((0, 1),), "os.rmdir": ((0, 1),), "os.mkdir": ((0, 2),),
           "os.link": ((1, 3),), "os.symlink": ((1, 2),), "os.truncate": ((0, None),), "os.chmod": ((0, 2),),
           "os.chown": ((0, 3),), "os.utime": ((0, 3),)}
FOREIGN_CODE = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Hang(BaseException):
    """Raised by the alarm: past every `except Exception`."""


class Misbehaviour(Exception):
    """What a reader did that it may not."""


class Watch:
    """Watches the calls. One in a process: an audit hook can't be taken back. `box` is the one folder they may write in."""

    def __init__(self, box: Path, outside: Path):
        self._box, self._outside = os.path.realpath(box), outside
        self._before = tree(outside)
        self._on = False
        self._changed: list[str] = []
        self._said: list[str] = []
        self._errors = os.open(box.parent / "stderr", os.O_RDWR | os.O_CREAT)
        sys.addaudithook(self._audit)

    def call(self, do: Callable[[], object], allowed: tuple[type[BaseException], ...]) -> str:
        """The error's text, or "" for a result. Misbehaviour says what was wrong."""
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        text, wrong = "", ""
        with self._watched():
            try:
                do()
            except allowed as error:
                text = str(error)
                wrong = wrong_text(text) if isinstance(error, NoodleError | BadImage) else ""
            except Hang:
                wrong = f"hung for {PATIENCE} s:\n{traceback.format_exc()}"
            except BaseException:  # noqa: BLE001 - whatever it is, it would reach the user
                wrong = traceback.format_exc()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) * 1024
        wrong = wrong or self._heard() or (f"took {grown // 2**20} MiB" if grown > MOST_MEMORY else "")
        if self._changed:
            wrong = f"changed what is not its own: {', '.join(self._changed)}\n{wrong}"
        if (now := tree(self._outside)) != self._before:
            wrong = f"{self._outside} is not as it was: {self._before} before, {now} now\n{wrong}"
            self._before = now  # to tell the next one
        if wrong:
            raise Misbehaviour(wrong)
        return text

    @contextmanager
    def _watched(self) -> Iterator[None]:
        self._changed, self._said = [], []
        os.ftruncate(self._errors, 0)
        real = os.dup(2)
        sys.stderr.flush()
        os.dup2(self._errors, 2)  # C libraries write there, too
        signal.signal(signal.SIGALRM, _ring)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda message, kind, *rest: self._said.append(f"{kind.__name__}: {message}")
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)
            self._on = True
            try:
                yield
            finally:
                self._on = False
                signal.setitimer(signal.ITIMER_REAL, 0)
                sys.stderr.flush()
                os.dup2(real, 2)
                os.close(real)

    def _heard(self) -> str:
        """What was said on stderr, or by a warning."""
        written = os.fstat(self._errors).st_size
        said = [*self._said, os.pread(self._errors, 1000, 0).decode(errors="replace")] if written else self._said
        return f"said on stderr: {said}" if said else ""

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & WRITING and not isinstance(path, int):
                followed = os.path.realpath(path) if not flags & os.O_NOFOLLOW else place_of(path, None)
                nameless = os.path.isdir(followed)  # what a folder can be opened for: O_TMPFILE
                self._check(event, f"{followed}/a file without a name" if nameless else followed)
        elif event in CHANGES:
            for path_at, folder_at in CHANGES[event]:
                if not isinstance(arguments[path_at], int):
                    self._check(event, place_of(arguments[path_at], None if folder_at is None else arguments[folder_at]))
        elif event in FOREIGN_CODE:
            self._changed.append(f"{event} {str(arguments)[:200]}")

    def _check(self, event: str, place: str) -> None:
        if not place.startswith((self._box + "/", "/dev/null")):
            self._changed.append(f"{event} {place}")


def _ring(number: int, frame: FrameType | None) -> None:
    raise Hang


def place_of(path: Any, folder: int | None) -> str:
    """Where a path lies, its last part not followed if it is a link."""
    path = os.fsdecode(path)
    if folder is not None and folder >= 0 and not os.path.isabs(path):
        path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)
    return os.path.join(os.path.realpath(os.path.dirname(path) or "."), os.path.basename(path))


def tree(folder: Path) -> list[tuple[Any, ...]]:
    """Everything in a folder: names, kinds, times, contents."""
    found = []
    for entry in sorted(os.scandir(folder), key=lambda e: e.name):
        about = entry.stat(follow_symlinks=False)
        inside = tree(Path(entry.path)) if entry.is_dir(follow_symlinks=False) else Path(entry.path).read_bytes()
        found.append((entry.name, about.st_mode, about.st_ino, about.st_nlink if not inside else 0, about.st_mtime_ns, inside))
    return found


def wrong_text(text: str) -> str:
    """Why a text is no error for people; "" if it is."""
    if not text.strip():
        return "an error without words"
    if not text.isprintable():
        return f"an error of several lines, or with control characters: {text!r}"
    if len(text) > LONGEST:
        return f"an error of {len(text)} characters: {text[:1000]!r}"
    return ""
