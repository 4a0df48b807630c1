"""The guard of what comes in: an upload's bytes are counted as they come, and may not take for ever."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.limits import Limits
from service.problems import Problem

DRAINED = 8  # times the limit
PATIENCE = 30.0  # seconds


class Intake:
    """ASGI middleware: a body over the limit is answered with 413, one that comes too slowly with 408; neither is kept.

    The rest of a body that is too large is read and dropped first, within bounds: a connection that is closed on unread
    data is reset, and the client never sees why.

    Args:
        app: what is guarded.
        limits: on a body's bytes and seconds.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(receive, self.limits)
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self.limits.upload_bytes:
            body.refused = _too_large(self.limits)

        async def guarded(message: Message) -> None:
            if body.refused is None:  # else it is what the application makes of the broken body
                await send(message)

        if body.refused is None:
            try:
                await self.app(scope, body.receive, guarded)
            except Exception:  # past the limit it is ours, however the application wrapped it; the answer is below
                if body.refused is None:
                    raise
        if body.refused is not None:
            if body.refused.kind == "upload-too-large" and headers.get(b"expect", b"").lower() != b"100-continue":
                await self._drain(receive)
            await body.refused.response(scope["path"], {"connection": "close"})(scope, receive, send)

    async def _drain(self, receive: Receive) -> None:
        dropped = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while dropped < DRAINED * self.limits.upload_bytes:
                    message = await receive()
                    if message["type"] != "http.request" or not message.get("more_body"):
                        return
                    dropped += len(message.get("body", b""))


class _Body:
    """A request's body on its way in.

    `refused` is what is wrong with it, once something is. The clock runs only while the application waits for more.
    """

    def __init__(self, receive: Receive, limits: Limits) -> None:
        self._receive, self._limits = receive, limits
        self._bytes, self._seconds = 0, 0.0
        self._complete = False
        self.refused: Problem | None = None

    async def receive(self) -> Message:
        """The next piece. Raises `_Refused` past a limit."""
        if self._complete:  # what comes now is that the client has gone, whenever that may be
            return await self._receive()
        message = await self._in_time()
        self._complete = message["type"] != "http.request" or not message.get("more_body")
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._limits.upload_bytes:
            self.refused = _too_large(self._limits)
            raise _Refused
        return message

    async def _in_time(self) -> Message:
        limits, clock = self._limits, asyncio.get_running_loop().time
        begin, left = clock(), limits.body_timeout - self._seconds
        try:
            async with asyncio.timeout(min(limits.stall_timeout, left)):
                return await self._receive()
        except TimeoutError:
            if left <= limits.stall_timeout:
                limit, said = limits.body_timeout, f"A request's body may take {limits.body_timeout:g} s"
            else:
                limit, said = limits.stall_timeout, f"Nothing of the request's body came for {limits.stall_timeout:g} s"
            self.refused = Problem("too-slow", f"{said}; send it again, faster or in smaller parts.", limit=limit)
            raise _Refused from None
        finally:
            self._seconds += clock() - begin


class _Refused(Exception):
    """The body has passed a limit."""


def _too_large(limits: Limits) -> Problem:
    return Problem(
        "upload-too-large",
        f"A request may carry {limits.upload_bytes:,} bytes; send fewer or smaller files.",
        limit=limits.upload_bytes,
    )
