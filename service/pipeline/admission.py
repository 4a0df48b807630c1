"""Who is let in: places for files of requests that are under way, and the bytes that these take."""

from __future__ import annotations

import math
import threading

from service.pipeline.capacity import Capacity
from service.pipeline.metrics import Metrics
from service.pipeline.ticket import Ticket
from service.problems import Problem

LONGEST_WAIT = 60  # seconds that a client is told to wait at most


class Admission:
    """Counts files and bytes of all requests that are under way, and refuses what is beyond.

    A request that comes to an empty service is always let in; the limits on a single request bound it.

    Args:
        capacity: how many.
        metrics: told of the counts.
    """

    def __init__(self, capacity: Capacity, metrics: Metrics) -> None:
        self.capacity, self._metrics = capacity, metrics
        self._lock = threading.Lock()
        self._items = self._bytes = 0
        self._rate = 0.0

    @property
    def items(self) -> int:
        """Files under way."""
        return self._items

    @property
    def bytes(self) -> int:
        """Bytes of files under way."""
        return self._bytes

    def done(self, items: int, seconds: float) -> None:
        """The model has computed so many files in so many seconds, which says how fast the queue moves."""
        rate = items / max(seconds, 1e-6)
        self._rate = rate if not self._rate else 0.8 * self._rate + 0.2 * rate

    def check(self, items: int) -> None:
        """Whether there is a place, before a request's files are read.

        Raises:
            Problem: there is none (429).
        """
        if self._items and (
            self._items + items > self.capacity.queue_items or self._bytes >= self.capacity.queue_bytes
        ):
            raise self.full()

    def enter(self, ticket: Ticket, items: int, bytes: int) -> None:
        """Take places, which are given back when the request ends.

        Args:
            ticket: the request's.
            items: files.
            bytes: that they take.

        Raises:
            Problem: there are not so many (429).
        """
        with self._lock:
            if self._items and (
                self._items + items > self.capacity.queue_items or self._bytes + bytes > self.capacity.queue_bytes
            ):
                raise self.full()
            self._count(items, bytes)
        ticket.on_end(lambda: self._leave(items, bytes))

    def grow(self, ticket: Ticket, bytes: int) -> None:
        """A file of a request that was let in takes more, now that it is decoded.

        Raises:
            Problem: there is no room beside the others (429).
        """
        with self._lock:
            if self._bytes + bytes > self.capacity.queue_bytes and self._items > 1:
                raise self.full()
            self._count(0, bytes)
        ticket.on_end(lambda: self._leave(0, bytes))

    def full(self) -> Problem:
        """The answer to a request that finds no place."""
        self._metrics.dropped.labels("full").inc()
        wait = math.ceil(self._items / self._rate) if self._rate else 1
        wait = min(max(wait, 1), LONGEST_WAIT)
        return Problem(
            "overloaded",
            f"The service has all the work that it may take on ({self.capacity.queue_items:,} files, "
            f"{self.capacity.queue_bytes:,} bytes); send this again in {wait} s.",
            headers={"retry-after": str(wait)},
            limit=self.capacity.queue_items,
        )

    def _leave(self, items: int, bytes: int) -> None:
        with self._lock:
            self._count(-items, -bytes)

    def _count(self, items: int, bytes: int) -> None:
        self._items += items
        self._bytes += bytes
        self._metrics.items.set(self._items)
        self._metrics.bytes.set(self._bytes)
