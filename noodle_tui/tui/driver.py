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
from collections.abc import Iterable, Iterator
from typing import Any

from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

MOST_AT_ONCE = 4096  # bytes
CODES = re.compile(r"(?=\x1b)")  # where each begins
PAUSE = 0.1  # seconds at most between two looks: a lone escape, for one, is known by nothing that follows


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
        self._parser = XTermParser(self._debug)
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
        for code in filter(None, CODES.split(text)):
            yield from self._read(self._parser.feed(code))
        yield from self._read(self._parser.tick())

    def _read(self, messages: Iterable[Message]) -> Iterator[Message]:
        try:
            yield from messages
        except Exception:  # noqa: BLE001 - it fails in several ways, and then reads no more: another goes on
            before, self._parser = self._parser, XTermParser(self._debug)
            self._parser.mouse_pixels = before.mouse_pixels
            self._parser.terminal_size, self._parser.terminal_pixel_size = before.terminal_size, before.terminal_pixel_size
