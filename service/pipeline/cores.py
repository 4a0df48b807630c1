"""How many cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # "200000 100000" in a container that has two cores' worth of time


def cores() -> int:
    """Cores that the process may run on, within its container's share; at least 1."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = QUOTA.read_text(encoding="ascii").split()
        share = float(quota) / float(period)
    except (OSError, ValueError):  # no such file, or "max 100000": no limit
        return there
    return max(1, min(there, round(share)))


def model_cores() -> int:
    """Cores for a batch: all, or as many as OMP_NUM_THREADS says."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) else cores()
