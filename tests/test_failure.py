"""What is said of an error, and where its details go."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from noodle_tui.control import Control
from noodle_tui.errors import NoodleError
from noodle_tui.failure import failure_in_words
from noodle_tui.ranks import accompany
from noodle_tui.world import World


def test_the_details_of_an_error_are_written_in_any_locale(tmp_path: Path) -> None:
    code = ("import sys; from pathlib import Path; from noodle_tui.failure import failure_in_words\n"
            "try: raise ValueError('caf\\xe9 \\u2026 \\udc80')\n"
            "except ValueError as error: print(ascii(failure_in_words(error, Path(sys.argv[1]))))")
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=plain, capture_output=True, text=True, timeout=60)
    assert "the details are in" in done.stdout, done.stderr
    assert "caf\xe9 \N{HORIZONTAL ELLIPSIS} \\udc80" in (tmp_path / "error.log").read_text(encoding="utf-8")


def test_without_a_run_folder_an_error_is_a_line_only() -> None:
    assert failure_in_words(ValueError("no"), None) == "ValueError: no"


def test_memory_that_a_limit_withholds_is_not_put_down_to_the_machine() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (2**50, before[1]))
        assert failure_in_words(MemoryError(), None) == (
            "this process gets no more memory, `ulimit -v` is 1048576.0 GiB: raise that, or try a smaller --batch-size or "
            "--input-size")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert failure_in_words(MemoryError(), None).startswith("this machine's memory is full: try a smaller")


def test_a_rank_that_fails_before_it_knows_the_run_folder_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(World):
        def broadcast(self, value: object) -> object:
            raise RuntimeError("the connection was cut")

    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoodleError, match="process 1: RuntimeError: the connection was cut"):
        accompany(Control(), Cut(rank=1, size=2))
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_place_of_the_details_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "run" / "error.log").symlink_to("../precious")
    assert "the details are in" in failure_in_words(ValueError("no"), tmp_path / "run")
    assert (tmp_path / "precious").read_text() == "precious"
    assert "ValueError: no" in (tmp_path / "run" / "error.log").read_text()
