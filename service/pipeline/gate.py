"""The gate: who can't be answered in time hears so at once, before the service has read what was sent."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.pipeline.admission import LONGEST_WAIT
from service.pipeline.capacity import Capacity
from service.pipeline.metrics import Metrics
from service.pipeline.ticket import current
from service.problems import Problem

CROWD = 8  # requests in the line, with the one that comes; of fewer nobody is refused, and nothing is learned: not all
# cores may be at work. Where the wait seems too long this many are still let in, and teach it better.
SHARE = 0.15  # of its time that a request is let wait: how long that will be is only a guess
PROMPT = 1.0  # seconds after which a body that has not come is its client's to wait for, and not in the line
NEWEST = 0.02  # weight of a request in what is learned


class Gate:
    """ASGI middleware: requests with a body stand in line, and one that would wait too long is refused with 429.

    To read and parse a body costs the service a good part of what it costs to answer. If it did so for requests that
    are refused, or that are late when their turn comes, twice the load would leave it no time for anything else.

    Of requests that have been answered, the seconds that they took and how many were in line when they came give the
    seconds that a place in the line takes; that times the line is how long the next one will wait.

    Args:
        app: what answers.
        capacity: of the engine that serves; a line is at most `queue_items` long.
        metrics: told who was refused.
    """

    def __init__(self, app: ASGIApp, capacity: Callable[[], Capacity], metrics: Callable[[], Metrics]) -> None:
        self.app, self.capacity, self.metrics = app, capacity, metrics
        self.line = 0
        self._seconds = self._places = 0.0  # means of requests that were answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        if headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers:
            await self.app(scope, receive, send)
            return
        if (problem := self._refusal()) is not None:
            # a client that asks first will not send its body, and nothing else could be told from it on this connection
            last = {"connection": "close"} if b"expect" in headers else None
            await problem.response(scope["path"], last)(scope, receive, send)
            return
        place = _Place(self, receive)
        try:
            await self.app(scope, place.receive, send)
            place.learn()
        finally:
            place.leave()

    def learn(self, seconds: float, line: int) -> None:
        """A request that came to a line of so many has been answered."""
        if line + 1 >= CROWD:
            weight = NEWEST if self._places else 1.0
            self._seconds += weight * (seconds - self._seconds)
            self._places += weight * (line - self._places)

    @property
    def wait(self) -> float:
        """Seconds that a request would take that came now."""
        return self.line * self._seconds / self._places if self._places else 0.0

    def _refusal(self) -> Problem | None:
        most, ticket = self.capacity().queue_items, current.get()
        remaining = None if ticket is None else ticket.remaining
        late = remaining is not None and self.wait > SHARE * remaining
        if self.line < min(CROWD, most) or (self.line < most and not late):
            return None
        self.metrics().dropped.labels("full").inc()
        wait = min(max(math.ceil(self.wait), 1), LONGEST_WAIT)
        return Problem(
            "overloaded",
            f"The service has as many requests as it can answer in time; send this again in {wait} s.",
            headers={"retry-after": str(wait)},
            limit=most,
        )


class _Place:
    """A request's place in the line: from its headers to its answer, but not while it waits for a slow client."""

    def __init__(self, gate: Gate, receive: Receive) -> None:
        self._gate, self._receive = gate, receive
        self._line, self._begin = gate.line, time.monotonic()
        self._counted = self._prompt = True
        self._slow = asyncio.get_running_loop().call_later(PROMPT, self._step_aside)
        gate.line += 1

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            self._slow.cancel()
            self._gate.line += not self._counted
            self._counted = True
        return message

    def learn(self) -> None:
        if self._prompt:
            self._gate.learn(time.monotonic() - self._begin, self._line)

    def leave(self) -> None:
        self._slow.cancel()
        self._gate.line -= self._counted
        self._counted = False

    def _step_aside(self) -> None:
        self._prompt = False
        self.leave()
