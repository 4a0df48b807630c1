"""The guard of what comes in: an upload's bytes are counted as they come, and may not take for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from python_multipart.multipart import parse_options_header
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.limits import Limits
from service.problems import Problem

DRAINED = 8  # times the limit
PATIENCE = 30.0  # seconds
LAST = 4096  # bytes of a form in which its end is looked for; what may follow it is hardly ever there


class Intake:
    """ASGI middleware: a body over the limit is answered with 413, one that comes too slowly with 408; neither is kept.

    The rest of a body that is too large is read and dropped first, within bounds: a connection that is closed on unread
    data is reset, and the client never sees why. A form that ends before its last boundary is a 400: the parser would
    leave out the part that it was in, unsaid. So is a body in a coding, which nothing here would undo.

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
        headers = dict(scope["headers"])
        body = _Body(receive, self.limits, _end(headers.get(b"content-type", b"")))
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self.limits.upload_bytes:
            body.refused = _too_large(self.limits)
        elif (declared != b"0" or b"transfer-encoding" in headers) and (codings := _codings(scope)):
            said = f"The body is in the coding {', '.join(codings)[:40]!r}; send it as it is, without Content-Encoding."
            body.refused = Problem("malformed-body", said)

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
            unsent = _asks_first(headers) and not body.bytes  # its client waits to be asked for it
            if not body.complete and body.refused.kind != "too-slow" and not unsent:
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

    def __init__(self, receive: Receive, limits: Limits, end: bytes) -> None:
        self._receive, self._limits, self._end = receive, limits, end
        self.bytes, self._seconds = 0, 0.0
        self._last = b""
        self.complete = False
        self.refused: Problem | None = None

    async def receive(self) -> Message:
        """The next piece. Raises `_Refused` past a limit, and where a form has no end."""
        if self.complete:  # what comes now is that the client has gone, whenever that may be
            return await self._receive()
        message = await self._in_time()
        self.complete = message["type"] != "http.request" or not message.get("more_body")
        piece = message.get("body", b"")
        self.bytes += len(piece)
        if self.bytes > self._limits.upload_bytes:
            self.refused = _too_large(self._limits)
            raise _Refused
        if self._end and message["type"] == "http.request":
            self._last = piece[-LAST:] if len(piece) >= LAST else self._last[len(piece) - LAST :] + piece
            if self.complete and self.bytes and self._end not in self._last:
                self.refused = Problem("malformed-body", "The form ends before its last boundary; send it whole.")
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
    """The body has passed a limit, or ended too early."""


def _end(content_type: bytes) -> bytes:
    """What a form ends with; nothing where it is none, or does not say."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    return b"--" + boundary + b"--" if boundary and kind.lower() == b"multipart/form-data" else b""


def _codings(scope: Scope) -> list[str]:
    """What a body has been through before it was sent."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"content-encoding"]
    codings = [coding.strip() for value in values for coding in value.split(",")]
    return [coding for coding in codings if coding.lower() not in ("", "identity")]


def _asks_first(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(b"expect", b"").lower() == b"100-continue"


def _too_large(limits: Limits) -> Problem:
    return Problem(
        "upload-too-large",
        f"A request may carry {limits.upload_bytes:,} bytes; send fewer or smaller files.",
        limit=limits.upload_bytes,
    )
