"""A short fuzz of the readers, in a process of its own; `python tests/fuzz.py 50000` is the long one.

That the fuzz sees what it looks for is tested in the same process, with readers that do what none may.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BOTH = """
import json, os, sys, tempfile, time, warnings
from pathlib import Path
import fuzz, fuzz_watch
from fuzz_readers import Call
from noodle_tui.errors import NoodleError

said = []
failures = fuzz.fuzz(200, 7, say=said.append)
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
seen = {}
for word, do in WRONG.items():
    fuzz.READERS.clear()
    fuzz.READERS[lambda box: [Call(do)]] = 1
    seen[word] = fuzz.fuzz(1, 1, say=lambda line: None)
print(json.dumps({"failures": failures, "said": said, "seen": seen}))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-B", "-c", BOTH],  # what it imports is compiled by nobody: that would be noticed
                          capture_output=True, text=True, cwd=Path(__file__).parent, timeout=280)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_spoiled_and_hostile_input_is_refused_in_a_line_and_nothing_outside_is_touched(found: dict[str, Any]) -> None:
    assert found["failures"] == []
    assert "200 inputs, 0 failures" in found["said"][-1]


def test_the_fuzz_sees_what_no_reader_may_do(found: dict[str, Any]) -> None:
    assert found["seen"].pop("nothing") == []
    assert len(found["seen"]) == 11
    for word, failures in found["seen"].items():
        assert len(failures) == 1 and word in failures[0]
