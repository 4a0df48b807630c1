"""Where requests come in: their deadline, their places, whether their client is still there, and what is counted."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.pipeline.capacity import Capacity
from service.pipeline.metrics import Metrics
from service.pipeline.templates import Templates
from service.pipeline.ticket import Ticket, current
from service.problems import Problem

HEADER = b"x-deadline-ms"
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
DIGITS = 12  # of a deadline; more are no milliseconds of anybody's
GONE = 499  # how nginx counts a client that has hung up; nobody reads it


class Entrance:
    """ASGI middleware around the whole application.

    Args:
        app: the application.
        capacity: the deadlines.
        metrics: of the engine that serves, asked for with each request, as that may be replaced.
        templates: of the application's paths; asked once, when first needed.
    """

    def __init__(
        self,
        app: ASGIApp,
        capacity: Callable[[], Capacity],
        metrics: Callable[[], Metrics],
        templates: Callable[[], Iterable[str]],
    ) -> None:
        self.app, self.capacity, self.metrics = app, capacity, metrics
        self._template = Templates(templates)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with a ticket; end it when its client hangs up."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        metrics, begin = self.metrics(), time.perf_counter()
        request = _Request(receive, send)
        metrics.under_way.inc()
        try:
            try:
                ticket = Ticket(_seconds(scope, self.capacity()))
            except Problem as problem:
                await problem.response(scope["path"])(scope, request.receive, request.send)
                return
            token = current.set(ticket)
            try:
                await request.run(self.app, scope)
            finally:
                current.reset(token)
                ticket.end()
        finally:
            metrics.under_way.dec()
            if request.gone:
                metrics.dropped.labels("gone").inc()
            path = self._template(scope)
            method = scope["method"] if scope["method"] in METHODS else "other"  # anyone may invent one
            metrics.requests.labels(method, path, GONE if request.gone else request.status).inc()
            metrics.request_seconds.labels(path).observe(time.perf_counter() - begin)


class _Request:
    """A request whose client may hang up: once its body has come, someone listens for that."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.status = 500  # of a request that ends without an answer
        self.gone = False
        self._task: asyncio.Task[object] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._hung_up = asyncio.Event()
        self._answered = False

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        self._task = asyncio.current_task()
        try:
            await app(scope, self.receive, self.send)
        except asyncio.CancelledError:
            if not self.gone or self._task is None or self._task.uncancel():
                raise
        finally:
            if self._watcher is not None:
                self._watcher.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._watcher

    async def receive(self) -> Message:
        if self._watcher is not None:
            await self._hung_up.wait()
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            self._watcher = asyncio.create_task(self._watch())
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body" and not message.get("more_body"):
            self._answered = True
        await self._send(message)

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._hung_up.set()
        if not self._answered and self._task is not None:
            self.gone = True
            self._task.cancel()


def _seconds(scope: Scope, capacity: Capacity) -> float:
    """What a request gives itself, or else is given."""
    for name, value in scope["headers"]:
        if name == HEADER:
            most = 1000 * capacity.longest_deadline
            if not value.isdigit() or len(value) > DIGITS or not 0 < int(value) <= most:
                raise Problem(
                    "invalid-request",
                    f"header 'X-Deadline-Ms': a whole number of milliseconds from 1 to {most:.0f}.",
                    limit=round(most),
                )
            return int(value) / 1000
    return capacity.deadline
