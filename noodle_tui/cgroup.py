"""What this process's control groups leave it of the machine, in either version of them (Linux; elsewhere no limit is known).

A container shows its own group as the root, a batch system puts a job into one far below it: so the group that
/proc/self/cgroup names counts, and each above it that can be seen from here.
"""

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def cpu_quota() -> float:
    """How many processors' time the groups allow; infinity without a quota."""
    quotas = [math.inf]
    for group in _groups("cpu"):
        period = _number(group / "cpu.cfs_period_us")
        quota = _number(group / "cpu.cfs_quota_us")
        if (v2 := _words(group / "cpu.max")) and v2[0] != "max":
            quota, period = int(v2[0]), int(v2[1])
        if quota is not None and quota > 0 and period:
            quotas.append(quota / period)
    return min(quotas)


def memory_left() -> float:
    """Bytes that the groups still allow, the page cache counted as free; infinity without a limit."""
    left = [math.inf]
    for group in _groups("memory"):
        for limit_file, used_file, cache in (("memory.max", "memory.current", "inactive_file"),
                                             ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")):
            limit, used = _number(group / limit_file), _number(group / used_file)
            if limit is not None and used is not None:
                words = _words(group / "memory.stat")
                cached = int(words[words.index(cache) + 1]) if cache in words else 0
                left.append(max(limit - used + cached, 0))
    return min(left)


def _groups(controller: str) -> Iterator[Path]:
    """The folders of this process's group and of those above it, as far as they are there."""
    try:
        lines = OWN.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        base = ROOT / controller if controllers else ROOT  # version 1 has a tree for each controller
        name = PurePosixPath(path)
        own = PurePosixPath("/") if ".." in name.parts else name  # a group outside of what this container sees
        yield from (base / str(group).lstrip("/") for group in (own, *own.parents))


def _words(file: Path) -> list[str]:
    """What is in the file; nothing where it isn't there or can't be read."""
    try:
        return file.read_text().split()
    except OSError:
        return []


def _number(file: Path) -> int | None:
    words = _words(file)
    return int(words[0]) if words and words[0] != "max" else None
