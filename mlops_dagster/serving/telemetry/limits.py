"""The CPU and memory that this process may use: the limits of its control group, or else the machine."""

import os
from pathlib import Path
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")

_NO_LIMIT: Final = 2**62
"""Control groups of version 1 have a number near 2**63 where there is no limit of memory."""


def cpu_limit(cgroups: Path = CGROUPS) -> float:
    """Return the number of cores that the process may use."""
    cores = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    quota, period = _words(cgroups / "cpu.max", 2) or (
        *(_words(cgroups / "cpu" / "cpu.cfs_quota_us", 1) or ("max",)),
        *(_words(cgroups / "cpu" / "cpu.cfs_period_us", 1) or ("100000",)),
    )
    return cores if quota in ("max", "-1") else min(cores, int(quota) / int(period))


def memory_limit(cgroups: Path = CGROUPS) -> int:
    """Return the bytes of memory that the processes of the control group, or of the machine, may use together."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    (limit,) = _words(cgroups / "memory.max", 1) or _words(cgroups / "memory" / "memory.limit_in_bytes", 1) or ("max",)
    return machine if limit == "max" or int(limit) > _NO_LIMIT else min(machine, int(limit))


def _words(path: Path, count: int) -> tuple[str, ...] | None:
    """Return the words of a file of the kernel; None where it does not exist, or has another form."""
    try:
        words = tuple(path.read_text().split())
    except OSError:
        return None
    return words if len(words) == count else None
