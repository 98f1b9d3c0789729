"""Python's collector rests while large libraries are imported, and not a moment longer."""

import gc
import getpass
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_cli import SMALL

from noodle_tui.imports import import_all, keep_compiled_code_at_home, uncollected
from noodle_tui.terminal import ended_at_interrupt

# a run that counts how often the collector goes over what is there from torch's import on, until the loop is imported as well,
# and says where torch would put compiled code
WATCHED = """
import gc, os, sys
looks = 0

def look(phase, about):
    global looks
    looks += phase == "start" and "torch" in sys.modules and "noodle_tui.fit" not in sys.modules

gc.callbacks.append(look)
from noodle_tui.__main__ import main
try:
    main()
finally:
    print(looks, gc.isenabled(), os.environ.get("TORCHINDUCTOR_CACHE_DIR"), file=sys.stderr)
"""


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    gc.enable()


def test_the_collector_rests_within_and_goes_on_after_even_an_error() -> None:
    def break_off() -> None:
        with uncollected():
            assert not gc.isenabled()
            raise ImportError

    with pytest.raises(ImportError):
        break_off()
    assert gc.isenabled()


def test_who_finds_it_resting_leaves_it_so() -> None:
    with uncollected():
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    with uncollected():
        pass
    assert not gc.isenabled()


def test_it_rests_where_a_command_imports_what_it_needs() -> None:
    with ended_at_interrupt():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_all_of_a_package_is_imported_while_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"whole_package": ["__init__", "one", "below/__init__", "below/two"], "odd_package": ["__init__", "broken"]}
    for package, names in files.items():
        for name in names:
            file = tmp_path / package / f"{name}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("raise RuntimeError" if name == "broken" else "")
    monkeypatch.syspath_prepend(str(tmp_path))
    import_all("whole_package")
    assert {"whole_package.one", "whole_package.below", "whole_package.below.two"} <= sys.modules.keys()
    import_all("odd_package")  # who needs it says what is wrong
    import_all("no_package")


def test_a_runs_imports_are_not_gone_over_and_compiled_code_lies_where_nobody_else_can_put_any(data_dir, tmp_path) -> None:
    """In the temporary folder somebody has taken torch's name for it."""
    own = tmp_path / "cache" / "noodle-tui" / "inductor"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    (temporary / f"torchinductor_{getpass.getuser()}").write_text("taken")
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "TMPDIR": str(temporary)}
    env.pop("TORCHINDUCTOR_CACHE_DIR", None)  # torch sets it, too
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, "run", "--headless", "--data-dir", str(data_dir), *SMALL, "--n-epochs", "1"],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    # and nothing that a library says of its own as Python takes it to pieces
    looks, enabled, place = done.stderr.strip().split(" ", 2)
    assert (done.returncode, enabled) == (0, "True")
    assert int(looks) < 20  # some 700 without
    assert place == str(own) and own.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in temporary.iterdir()] == [f"torchinductor_{getpass.getuser()}"]


@pytest.mark.skipif(sys.platform != "linux", reason="torch brings GNU's OpenMP on Linux")
@pytest.mark.parametrize(("told", "spins"), [({}, "10000"), ({"GOMP_SPINCOUNT": "77"}, "77"),
                                             ({"OMP_WAIT_POLICY": "active"}, "30000000000")],
                         ids=["by default", "told", "told to spin"])
def test_threads_that_wait_for_each_other_let_others_work_soon(told: dict[str, str], spins: str, data_dir: Path) -> None:
    """Read from what libgomp says of itself as torch loads it."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GOMP_", "OMP_"))}
    refused = ["run", "--headless", "--data-dir", str(data_dir), "--device", "mps"]  # by torch
    done = subprocess.run([sys.executable, "-m", "noodle_tui", *refused],
                          env={**env, **told, "OMP_DISPLAY_ENV": "verbose"}, capture_output=True, text=True, timeout=100)
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr


LEAVING = """
import atexit, sys, threading, time, types

class Witness:
    def __del__(self):
        print("taken to pieces")

sys.modules["torch"] = types.ModuleType("torch")
sys.modules["torch"].witness = Witness()
from noodle_tui.__main__ import main
try:
    main()
finally:
    atexit.register(print, "hook")
    threading.Thread(target=lambda: (time.sleep(0.1), print("thread"))).start()
"""


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["bench", "x"], 2)])
def test_a_command_leaves_when_all_is_done_and_does_not_take_torch_to_pieces(arguments: list[str], code: int) -> None:
    done = subprocess.run([sys.executable, "-c", LEAVING, *arguments], capture_output=True, text=True, timeout=100)
    assert done.returncode == code and done.stdout.endswith("thread\nhook\n")


@pytest.mark.parametrize("told", [None, "elsewhere"])
def test_a_folder_open_to_all_is_not_taken_for_it_nor_is_who_has_one_told_another(
    told: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    if told:
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", told)
    else:
        (tmp_path / "noodle-tui" / "inductor").mkdir(parents=True)
        (tmp_path / "noodle-tui" / "inductor").chmod(0o777)
    keep_compiled_code_at_home()
    assert os.environ.get("TORCHINDUCTOR_CACHE_DIR") == told
