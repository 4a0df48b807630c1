"""What is fastest here, tried out briefly: how large a batch, and which of two ways to compute it."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter

BUDGET = 0.5  # seconds; a lane's default of the paper's size takes 0.1 in bfloat16, and to try half of it 0.3
LONGEST = 1.0  # seconds of a batch: who comes a moment after it has begun waits for its end
GAIN = 1.1  # times as fast, or the default stays: what differs by less is noise
LARGEST = 64
DEFAULT = 4
DEFAULT_LANE = 16  # of a process that keeps freed memory, in which large batches cost no more a file than small ones
DEFAULT_GPU = 32


def measure_batch(run: Callable[[int], object], default: int, budget: float = BUDGET) -> int:
    """The size of batch that gives the most items a second; the default unless another is clearly faster.

    Climbs from the default to larger sizes as long as that pays, else to smaller ones. Each size runs once to warm up
    and is then timed in turn with the best so far, so that a machine that gets busy slows both.

    Args:
        run: computes a batch of so many items.
        default: where to begin, and what to stay with in doubt; halved while a batch would take more than `LONGEST`.
        budget: seconds, from when the default is warm; what would not fit in them is not tried.

    Returns:
        Items of a batch.
    """
    run(1)
    each = _timed(run, 1)
    while default > 1 and default * each > LONGEST:
        default //= 2
    if 2 * default * each > budget:  # it would hardly be warm
        return default
    run(default)
    end = perf_counter() + budget
    took = _timed(run, default)
    best = default
    for sizes in (_doubled(default), _halved(default)):
        for size in sizes:
            each = took * size / best  # of a batch of this size, if nothing is gained
            if perf_counter() + 3 * each + 2 * took > end:
                break
            _timed(run, size)
            ours, theirs = [], []
            for _ in range(2):
                ours.append(_timed(run, size))
                theirs.append(_timed(run, best))
            took = min(theirs)
            if size / min(ours) < GAIN * best / took:
                break
            best, took = size, min(ours)
        if best != default:
            break
    return best


def is_faster(ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 5) -> bool:
    """Whether one way is clearly faster than another: both warmed up, timed in turn, and the best of each compared; at
    least twice, and no more once that looks the other way."""
    ours(), theirs()
    best, their_best = math.inf, math.inf
    for number in range(1, rounds + 1):
        best, their_best = min(best, _timed(ours)), min(their_best, _timed(theirs))
        if number > 1 and their_best <= best:
            return False
    return best * GAIN < their_best


def _doubled(size: int) -> list[int]:
    sizes = []
    while (size := 2 * size) <= LARGEST:
        sizes.append(size)
    return sizes


def _halved(size: int) -> list[int]:
    sizes = []
    while (size := size // 2) >= 1:
        sizes.append(size)
    return sizes


def _timed(run: Callable[..., object], *arguments: int) -> float:
    begin = perf_counter()
    run(*arguments)
    return max(perf_counter() - begin, 1e-9)
