"""The terminal, whatever comes from it.

Textual's driver (8.2) takes what it can't read for the end of the app: a byte that is no UTF-8 (é typed in Latin-1, noise on
the line), a key code that it didn't ask for, a window of no size. And stopped by SIGTSTP, our app would hang.
"""

import asyncio
import codecs
import os
import re
import select
import signal
import time
from collections.abc import Iterable, Iterator
from typing import Any

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

MOST_AT_ONCE = 4096  # bytes
CODES = re.compile(r"(?=\x1b)")  # where each begins
INCOMPLETE = re.compile(r"\x1b(?:\[[0-9;:<=>?]*|O)\Z")
BEHIND_ESCAPE = re.compile(r"\[[0-9;:<=>?]*[A-Za-z~]|O[A-DFHP-S]")  # the rest of a code
PASTE, PASTED = "\x1b[200~", "\x1b[201~"  # before and behind what is pasted
LATE = 2.0  # seconds by which the rest may come behind an escape that was taken for the key
PAUSE = 0.1  # seconds at most between two looks: a lone escape, for one, is known by nothing that follows


class Codes:
    """The terminal's codes in one piece: a bad line brings some in two, seconds apart. Textual waits for a tenth of a second,
    then types both into a field; and a paste whose end it didn't see takes all keys that follow."""

    def __init__(self) -> None:
        self._begun = ""  # what has come of a code
        self._in_paste = False
        self._escape_at: float | None = None

    def take(self, text: str, now: float) -> list[str]:
        """The codes, and what was typed between them, that can be read by now, as `text` came."""
        if self._escape_at is not None and now - self._escape_at < LATE and BEHIND_ESCAPE.match(text):
            text = f"\x1b{text}"
        text, self._begun, self._escape_at = self._begun + text, "", None
        start, end = text.rfind(PASTE), text.rfind(PASTED)
        if start != end:  # else there is neither
            self._in_paste = start > end
        if found := INCOMPLETE.search(text):
            text, self._begun = text[: found.start()], found[0]
        elif self._in_paste and text.endswith("\x1b"):  # no key
            text, self._begun = text[:-1], "\x1b"
        return list(filter(None, CODES.split(text)))

    def was_a_key(self, now: float) -> None:
        """An escape that nothing followed was taken for the key."""
        self._escape_at = now


class PatientDriver(LinuxDriver):
    """Textual's, which goes on after what it can't read."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        # Textual tidies the terminal up and then stops; but by then the parent (launch.py) has stopped, the shell has the
        # terminal, and whoever touches it is stopped once more. Stopped as it stands, the app is drawn anew by `fg`.
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        # by way of the loop: a signal that another thread takes would not wake it, and nothing be drawn before the next key
        asyncio.get_running_loop().add_signal_handler(signal.SIGCONT, self._sigcont_application)

    def _sigcont_application(self, *_: Any) -> None:
        """After `fg`: the terminal as an app needs it, one thread that reads it (Textual leaves two), all drawn."""
        if self._auto_restart and self._key_thread is not None:
            self.suspend_application_mode()
            self.resume_application_mode()
            self._app.call_later(self._app.run_action, "app.draw_anew")

    def run_input_thread(self) -> None:
        """Pass on keys, clicks and sizes until the app ends or the terminal is gone. No UTF-8 is typed as �."""
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._parser, self._codes = XTermParser(self._debug), Codes()
        while not self.exit_event.is_set():
            text = ""
            if select.select([self.fileno], [], [], PAUSE)[0]:
                try:
                    data = os.read(self.fileno, MOST_AT_ONCE)
                except OSError:  # hung up: app.py looks whether the terminal is there
                    return
                if not data:
                    return
                text = decode(data)
            for message in self._messages(text):
                self.process_message(message)

    def _messages(self, text: str) -> Iterator[Message]:
        """What the terminal said; of a code that can't be read, nothing. Codes are read one by one: a slow line brings several
        at once, and the size that follows a bad one must not be lost with it."""
        for code in self._codes.take(text, time.monotonic()) if text else ():
            yield from self._read(self._parser.feed(code))
        for message in self._read(self._parser.tick()):
            self._codes.was_a_key(time.monotonic())
            yield message

    def _read(self, messages: Iterable[Message]) -> Iterator[Message]:
        try:
            yield from messages
        except Exception:  # noqa: BLE001 - it fails in several ways, and then reads no more: another goes on
            before, self._parser = self._parser, XTermParser(self._debug)
            self._parser.mouse_pixels = before.mouse_pixels
            self._parser.terminal_size, self._parser.terminal_pixel_size = before.terminal_size, before.terminal_pixel_size
