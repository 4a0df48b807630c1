"""What a request is allowed: until when it may run, and the places that its files have taken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import ContextVar

from service.problems import Problem


class Ticket:
    """A request on its way through the stages.

    Args:
        seconds: that it has from now on; None for as long as it takes.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds
        self._releases: list[Callable[[], None]] = []

    @property
    def remaining(self) -> float | None:
        """Seconds that are left, not below 0; None for as long as it takes."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def time_limit(self) -> asyncio.Timeout:
        """A context that raises TimeoutError at the deadline."""
        return asyncio.timeout(self.remaining)

    def late(self) -> Problem:
        """The answer to a request whose deadline has passed."""
        return Problem(
            "deadline-exceeded",
            f"The request was not done within its {self.seconds:g} s; send it again later, send less, or give it "
            "longer with the header X-Deadline-Ms.",
            deadline=self.seconds,
        )

    def on_end(self, release: Callable[[], None]) -> None:
        """Call something once the request has ended."""
        self._releases.append(release)

    def end(self) -> None:
        """Give back all places."""
        while self._releases:
            self._releases.pop()()


current: ContextVar[Ticket | None] = ContextVar("ticket", default=None)
