"""A real terminal for tests: a program on a pty, its screen read by pyte."""

import time
from pathlib import Path
from typing import Any

import pexpect
import pyte

KEYS = {"ctrl+c": "\x03", "ctrl+r": "\x12", "ctrl+q": "\x11", "esc": "\x1b", "enter": "\r", "f5": "\x1b[15~", "ctrl+p": "\x10"}


class Terminal:
    """`command` on a pty of `width` x `height`. `screen()` is what a person sees."""

    def __init__(self, command: list[str], cwd: Path, width: int = 100, height: int = 30, **environ: str):
        import os

        env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(width), "LINES": str(height), **environ}
        self.process = pexpect.spawn(command[0], command[1:], cwd=str(cwd), dimensions=(height, width), env=env, timeout=60)
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self.bytes = 0
        self.text = ""  # all that it has written

    def read(self, seconds: float = 0.1) -> None:
        """Take in what the program writes for a moment."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                data = self.process.read_nonblocking(65536, timeout=0.05)
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                return
            self.bytes += len(data)
            self.text += data.decode(errors="replace")
            self._stream.feed(data)

    def screen(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.process.send(KEYS.get(key, key))
            self.read(0.2)

    def until(self, *texts: str, seconds: float = 120) -> str:
        """Wait until one of the texts is on the screen; the screen then."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.2)
            screen = self.screen()
            if any(text in screen for text in texts):
                return screen
            if not self.process.isalive():
                self.read(0.5)
                if any(text in self.screen() for text in texts):
                    return self.screen()
                break
        raise AssertionError(f"none of {texts} came; the screen:\n{self.screen()}")

    def gone(self, text: str, seconds: float = 120) -> None:
        """Wait until a text is on the screen no more. After esc: what is sent before the program has read that makes one key
        with it."""
        end = time.monotonic() + seconds
        while text in self.screen():
            assert time.monotonic() < end, f"{text} stays; the screen:\n{self.screen()}"
            self.read(0.1)

    def vanish(self) -> None:
        """Close the pty's master side, as when a window is closed or a connection dies; no signal but the kernel's own."""
        pty: Any = getattr(self.process, "ptyproc")  # noqa: B009 - pexpect doesn't declare it
        pty.fileobj.close()
        pty.closed = self.process.closed = True

    def ended(self, seconds: float = 60) -> int | None:
        """Wait for the program's end; its exit code."""
        end = time.monotonic() + seconds
        while self.process.isalive() and time.monotonic() < end:
            self.read(0.1)
        assert not self.process.isalive(), f"it goes on; the screen:\n{self.screen()}"
        self.process.close()
        return self.process.exitstatus
