"""For tests of what the system forbids. Root may read and write everything: they run in a thread without root's powers."""

import ctypes
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

T = TypeVar("T")
NO_NEW_PRIVILEGES = 38  # of prctl: what the thread starts doesn't get the powers back
CAPABILITIES_3 = 0x20080522


def powerless(call: Callable[[], T]) -> T:
    """What `call` comes to where the rights on files count, also for the threads and processes that it starts."""
    if os.geteuid() != 0:
        return call()
    if not sys.platform.startswith("linux"):
        pytest.skip("here root can't give up the right to read everything")
    with ThreadPoolExecutor(1, initializer=_give_up_powers) as thread:  # on Linux each thread has its own
        return thread.submit(call).result()


def _give_up_powers() -> None:
    system = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITIES_3, 0)
    none = (ctypes.c_uint32 * 6)()
    if system.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0 or system.capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "root's powers can't be given up")
