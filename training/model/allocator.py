"""Keep freed memory: large CPU tensors come and go each step, and glibc would map and clear their pages anew every
time."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST = 2**31 - 1


def keep_freed_memory(largest: int = _LARGEST) -> bool:
    """Tell glibc's malloc to reuse large blocks; whether it listened. A no-op with any other C library.

    Args:
        largest: bytes of a block; what is larger, and what is free beyond that, goes back to the system.

    Measured by `benchmarks/train_throughput.py --preset demo --variants`: about a fifth off a step on two cores.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, largest)) and bool(mallopt(_M_TRIM_THRESHOLD, largest))
