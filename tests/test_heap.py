"""Memory that was freed, kept while a CPU trains: counted in page faults, in a process of its own."""

import json
import platform
import subprocess
import sys

import pytest
import torch

from noodle_tui.heap import freed_memory_kept

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told")

FAULTS = """
import ctypes, json, resource, threading
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: a fault for each small page, as they are counted here
import torch
from noodle_tui.heap import freed_memory_kept, share_one_heap

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(20_000_000)  # 80 MB: more than a piece of a heap that a thread would have of its own
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

def measure():
    result = {"before": faults()}
    with freed_memory_kept(torch.device("cpu")):
        for _ in range(4):
            faults()  # aligned blocks leave gaps that are too small for the next, until they have grown together
        result["within"] = faults()
        kept = resident()
    result["given_back"] = kept - resident()
    result["after"] = faults()
    print(json.dumps(result))

share_one_heap()
thread = threading.Thread(target=measure)  # a run's in the app
thread.start()
thread.join()
measure()
"""


@glibc
def test_what_was_freed_is_at_hand_within_and_given_back_after_in_a_thread_and_in_the_main_one() -> None:
    output = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True, timeout=120).stdout
    assert output.count("\n") == 2
    for faults in map(json.loads, output.splitlines()):
        assert faults["before"] > 5_000
        assert faults["within"] < faults["before"] / 20
        assert faults["after"] > 5_000
        assert faults["given_back"] > 30_000_000


def test_elsewhere_than_on_the_cpu_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("noodle_tui.heap.ctypes", None)
    with freed_memory_kept(torch.device("cuda")):
        pass
