"""Whether the service may trust itself."""

from __future__ import annotations

import threading
import time
from collections import Counter

from service.pipeline.metrics import Metrics

FRESH = 10.0  # seconds for which a batch that was computed says that the model works


class Health:
    """What went wrong and what went right, as `/readyz` asks for it. Safe to use from many threads.

    Args:
        metrics: told of restarts.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._restarts: Counter[str] = Counter()
        self._doubts = 1  # nothing has been computed yet
        self._settled = 0
        self._good = float("-inf")

    def good(self) -> None:
        """A batch has been computed."""
        self._good = time.monotonic()

    def doubt(self) -> int:
        """Something went wrong that a forward pass would show, if it goes on.

        Returns:
            What to settle.
        """
        with self._lock:
            self._doubts += 1
            return self._doubts

    def crashed(self, stage: str) -> None:
        """A stage's thread has died and is started again."""
        self.doubt()
        with self._lock:
            self._restarts[stage] += 1
        self._metrics.restarts.labels(stage).inc()

    @property
    def doubts(self) -> int:
        """How often there was a doubt."""
        return self._doubts

    def settle(self, doubts: int) -> None:
        """A forward pass that began at so many doubts was right."""
        with self._lock:
            self._settled = max(self._settled, doubts)

    @property
    def in_doubt(self) -> bool:
        """Whether only a forward pass can tell if the model works."""
        return self._settled < self._doubts or time.monotonic() - self._good > FRESH

    @property
    def restarts(self) -> dict[str, int]:
        """Stages that crashed, and how often."""
        with self._lock:
            return dict(self._restarts)
