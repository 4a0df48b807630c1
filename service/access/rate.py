"""How often a key may ask: a bucket of tokens for each, filled at a steady rate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Rates:
    """Token buckets by name.

    Args:
        rate: requests a second, in the long run; None for any number.
        burst: requests at once, after a rest.
        clock: seconds that only grow.
    """

    def __init__(self, rate: float | None, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst = rate, burst
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens, and when they were counted

    def take(self, name: str) -> int:
        """Take a token; 0, or where there is none the whole seconds until there is one."""
        if self.rate is None:
            return 0
        now = self._clock()
        tokens, then = self._buckets.get(name, (float(self.burst), now))
        tokens = min(float(self.burst), tokens + (now - then) * self.rate)
        if tokens < 1:
            self._buckets[name] = tokens, now
            return max(1, math.ceil((1 - tokens) / self.rate))
        self._buckets[name] = tokens - 1, now
        return 0
