"""The number of processors that this process may use."""

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cpu_quota(cgroup: Path = CGROUP) -> int:
    """Return the processors granted by affinity, by the container's quota and by a scheduler, at least 1.

    A container limited to 2 processors on a host of 64 still sees 64; that many threads would
    take turns on two cores, with a tail many times the median. Schedulers that count processors but do not
    enforce a limit, such as Ray and Slurm, announce the share of a process in ``OMP_NUM_THREADS``.
    Sources: Linux kernel documentation, cgroup-v2 ``cpu.max``; cgroup-v1 ``cpu.cfs_quota_us``; OpenMP API,
    environment variables.
    """
    granted = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota_v2(cgroup / "cpu.max") or _quota_v1(cgroup / "cpu")
    allowed = [granted, *([] if quota is None else [math.ceil(quota)])]
    announced = os.environ.get("OMP_NUM_THREADS", "")
    if announced.isdecimal() and int(announced):
        allowed.append(int(announced))
    return max(1, min(allowed))


def _quota_v2(path: Path) -> float | None:
    try:
        quota, period = path.read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return None if quota <= 0 else quota / period
