"""Work on many files at once, by threads: decoders let go of Python's lock."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from training.progress import bar

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(
    work: Callable[[T], R], items: Sequence[T], what: str, *, unit: str = "file", ahead: int | None = None
) -> Generator[R, None, None]:
    """Results in the order of the items, behind a progress bar.

    Whoever stops early, as by Ctrl-C, waits for the items at hand alone.

    Args:
        work: what to do with an item; what it raises is raised here.
        items: to work on.
        what: the bar's words.
        unit: what it counts.
        ahead: how many items may be at work or done and not yet taken; four a core when None. It bounds the memory
            where results are large.
    """
    workers = cores()
    ahead = 4 * workers if ahead is None else ahead
    with ThreadPoolExecutor(workers, "parallel") as pool, bar(what, len(items), unit) as progress:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
                    progress.update()
            while waiting:
                yield waiting.popleft().result()
                progress.update()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def cores() -> int:
    """How many processor cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1
