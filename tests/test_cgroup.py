"""What control groups leave a process: in a container's own root, and far below it as batch systems put their jobs."""

import math
from pathlib import Path

import pytest

from noodle_tui import cgroup
from noodle_tui.cgroup import cpu_quota, memory_left
from noodle_tui.device import available_cpus, available_memory

GIB = 2**30
V2, V1 = "0::/slurm/job_7", "4:memory:/slurm/job_7\n2:cpu,cpuacct:/slurm/job_7"


@pytest.fixture
def files(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawn /sys/fs/cgroup and /proc/self/cgroup."""
    own, content = request.param
    (tmp_path / "self").write_text(own + "\n")
    for name, text in content.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text + "\n")
    monkeypatch.setattr(cgroup, "OWN", tmp_path / "self")
    monkeypatch.setattr(cgroup, "ROOT", tmp_path / "root")


@pytest.mark.parametrize(("files", "wanted"), [
    (("0::/", {"cpu.max": "250000 100000"}), 2.5),
    (("0::/", {"cpu.max": "max 100000"}), math.inf),
    ((V2, {"cpu.max": "800000 100000", "slurm/job_7/cpu.max": "400000 100000", "slurm/cpu.max": "max 100000"}), 4),
    ((V2, {"cpu.max": "200000 100000", "slurm/job_7/cpu.max": "400000 100000"}), 2),
    (("0::/../../other", {"cpu.max": "300000 100000"}), 3),  # seen from a container
    ((V1, {"cpu/slurm/job_7/cpu.cfs_quota_us": "400000", "cpu/slurm/job_7/cpu.cfs_period_us": "100000"}), 4),
    ((V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}), math.inf),
    ((V1, {}), math.inf),
], indirect=["files"])
@pytest.mark.usefixtures("files")
def test_the_quota_of_the_nearest_group_counts_and_each_above(wanted: float) -> None:
    assert cpu_quota() == wanted


@pytest.mark.parametrize(("files", "wanted"), [
    (("0::/", {"memory.max": str(8 * GIB), "memory.current": str(3 * GIB)}), 5 * GIB),
    (("0::/", {"memory.max": str(8 * GIB), "memory.current": str(7 * GIB),
               "memory.stat": f"anon {2 * GIB}\ninactive_file {4 * GIB}\nactive_file 0"}), 5 * GIB),
    (("0::/", {"memory.max": "max", "memory.current": "0"}), math.inf),
    ((V2, {"memory.max": "max", "memory.current": "9", "slurm/job_7/memory.max": str(16 * GIB),
           "slurm/job_7/memory.current": str(GIB)}), 15 * GIB),
    ((V2, {"slurm/job_7/memory.max": str(GIB), "slurm/job_7/memory.current": str(2 * GIB)}), 0),
    ((V1, {"memory/slurm/job_7/memory.limit_in_bytes": str(4 * GIB), "memory/slurm/job_7/memory.usage_in_bytes": str(2 * GIB),
           "memory/slurm/job_7/memory.stat": f"inactive_file 0\ntotal_inactive_file {GIB}"}), 3 * GIB),
    ((V1, {"memory/slurm/memory.limit_in_bytes": str(4 * GIB), "memory/slurm/memory.usage_in_bytes": "0"}), 4 * GIB),
], indirect=["files"])
@pytest.mark.usefixtures("files")
def test_the_memory_that_is_left_counts_the_page_cache_as_free(wanted: float) -> None:
    assert memory_left() == wanted


@pytest.mark.parametrize("files", [
    (V2, {"slurm/job_7/memory.max": "1000000", "slurm/job_7/memory.current": "0", "slurm/job_7/cpu.max": "10000 100000"}),
], indirect=True)
@pytest.mark.usefixtures("files")
def test_a_run_sees_its_jobs_limits() -> None:
    assert available_memory() == 1_000_000
    assert available_cpus() == 1  # a tenth of one


def test_where_there_are_no_groups_there_is_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "OWN", tmp_path / "none")
    assert (cpu_quota(), memory_left()) == (math.inf, math.inf)
    assert available_memory() > 0 and available_cpus() >= 1
