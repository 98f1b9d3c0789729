"""Errors meant for people: one line that says what is wrong, with which value or file, and what to do."""

import resource
from typing import TYPE_CHECKING

from noodle_tui.text import printable

if TYPE_CHECKING:
    from pydantic import ValidationError

EXIT_STOPPED = 130  # the exit code of a run that was stopped on request, as after Ctrl-C in a shell

# how a full GPU is said by torch, the driver, and libraries that find no room to begin in
GPU_FULL = ("CUDA out of memory", "CUDA error: out of memory", "CUDA driver error: out of memory", "MPS backend out of memory",
            "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED",
            "CUDNN_STATUS_NOT_INITIALIZED", "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
            "CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate",
            # cuDNN's, when no convolution gets room to work in. It says the same if it has no engine at all, but then a smaller
            # batch would not train either
            "was unable to find an engine to execute this computation")
HOST_FULL = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory", "Cannot allocate memory")


class NoodleError(Exception):
    """Something the user can understand and mend. `str(error)` is shown as it is; no traceback without `--debug`.

    It is one line without control characters, whatever the file names or values that it repeats hold.
    """

    exit_code = 1

    def __str__(self) -> str:
        return printable(super().__str__())


class UsageError(NoodleError):
    """A wrong option or argument: nothing was started."""

    exit_code = 2


class StopRun(Exception):
    """Raised between two batches (or two files) when somebody asked the run to stop; carries who asked."""

    def __init__(self, reason: str = "asked to stop"):
        super().__init__(reason)
        self.reason = reason


def full_memory(error: BaseException) -> str:
    """Whose memory was full, if that is what an error says: "gpu", "host", or "" where it was something else.

    The error that it came from is asked, too: ending a CUDA graph's broken capture raises one of its own. Without torch.
    """
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError" or any(word in text for word in GPU_FULL):
        return "gpu"
    if isinstance(error, MemoryError) or any(word in text for word in HOST_FULL):
        return "host"
    return full_memory(error.__context__) if error.__context__ is not None else ""


def full_memory_in_words(error: BaseException) -> str:
    """A line for people where an error says that memory is full; "" where it was something else."""
    whose = {"gpu": "the GPU's memory", "host": "this machine's memory", "": ""}[full_memory(error)]
    smaller = "try a smaller --batch-size or --input-size"
    if whose == "this machine's memory" and (limit := memory_limit()):
        return f"this process gets no more memory, {limit}: raise that, or {smaller}"
    return whose and f"{whose} is full: {smaller}, or wait until others leave room"


def memory_limit() -> str:
    """The limit on this process's memory that a shell or a batch system has set: "`ulimit -v` is 4.3 GiB"; "" without one."""
    for flag, kind in (("v", resource.RLIMIT_AS), ("d", resource.RLIMIT_DATA)):
        if (allowed := resource.getrlimit(kind)[0]) != resource.RLIM_INFINITY:
            return f"`ulimit -{flag}` is {allowed / 2**30:.1f} GiB"
    return ""


def first_problem(error: "ValidationError") -> str:
    """The first thing that pydantic finds wrong: where, and what. Without the value: a file may hold anything."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place, what = ".".join(map(str, problem["loc"])), problem["msg"].removeprefix("Value error, ")
    return f"{place}: {what}" if place else what


def one_line(error: BaseException) -> str:
    """The first line of an error, with its type where the text alone would say nothing."""
    text = str(error).strip().split("\n")[0]
    if isinstance(error, NoodleError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
