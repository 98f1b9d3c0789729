"""A short fuzz of the readers, in a process of its own; `python tests/fuzz.py 50000` is the long one.

That the fuzz sees what it looks for is tested with readers that do what none may.
"""

import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).with_name("fuzz.py")

WRONGS = """
import os, sys, tempfile, time, warnings
from pathlib import Path
import fuzz, fuzz_watch
from fuzz_readers import Call
from noodle_tui.errors import NoodleError
fuzz_watch.PATIENCE = 0.5

def long_error():
    raise NoodleError("x" * 1000)

def follow():
    Path("link").symlink_to("../outside/kept.txt")
    Path("link").write_text("y")

WRONG = {
    "nothing": lambda: Path("mine").write_text("x"),
    "ZeroDivisionError": lambda: 1 / 0,
    "hung": lambda: time.sleep(60),
    "1000 characters": long_error,
    "UserWarning: odd": lambda: warnings.warn("odd"),
    "said on stderr": lambda: os.write(2, b"odd"),
    "outside/new": lambda: Path("../outside/new").write_text("x"),
    "os.remove": lambda: Path("../outside/kept.txt").unlink(),
    "os.mkdir": lambda: Path("../elsewhere").mkdir(),
    "os.system": lambda: os.system("true"),
    "outside/a file without a name": lambda: tempfile.TemporaryFile(dir="../outside").close(),
    "outside/kept.txt": follow,
}
for word, do in WRONG.items():
    fuzz.READERS.clear()
    fuzz.READERS[lambda box: [Call(do)]] = 1
    failures = fuzz.fuzz(1, 1, say=lambda line: None)
    print(word, "seen" if len(failures) == 1 and word in failures[0] else failures)
"""


def test_spoiled_and_hostile_input_is_refused_in_a_line_and_nothing_outside_is_touched():
    done = subprocess.run([sys.executable, str(FUZZ), "200", "7"], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "200 inputs, 0 failures" in done.stdout


def test_the_fuzz_sees_what_no_reader_may_do():
    done = subprocess.run([sys.executable, "-c", WRONGS], capture_output=True, text=True, cwd=FUZZ.parent, timeout=280)
    lines = done.stdout.splitlines()
    assert lines and lines[0] == "nothing []", done.stdout + done.stderr
    assert len(lines) == 12 and all(line.endswith(" seen") for line in lines[1:]), done.stdout + done.stderr
