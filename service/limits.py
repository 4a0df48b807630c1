"""What a request may ask for, and the guard that counts an upload's bytes as they come."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import Problem

DRAINED = 8  # times the limit
PATIENCE = 30.0  # seconds


@dataclass(frozen=True)
class Limits:
    """Each named with its value in the error that it causes, and in `/v1/model`."""

    upload_bytes: int = 64 * 1024 * 1024  # of a whole request
    files: int = 64  # in a request
    pixels: int = 100_000_000  # of an image, checked before it is decoded
    seconds: float = 600.0  # of a sound
    request_seconds: float = 1800.0  # of all the sounds of a request, which are in memory together
    k: int = 1000  # hits
    label_length: int = 256  # characters
    tags: int = 64  # of an item
    tag_length: int = 256  # characters
    metadata_bytes: int = 16 * 1024  # of an item's JSON, which comes along with every hit
    metadata_depth: int = 16  # objects and lists in each other


class UploadLimit:
    """ASGI middleware: an upload over the limit is answered with 413 and not kept.

    The rest of a body is read and dropped first, within bounds: a connection that is closed on unread data is reset,
    and the client never sees why.
    """

    def __init__(self, app: ASGIApp, upload_bytes: int) -> None:
        self.app = app
        self.upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        received = 0
        too_large = declared.isdigit() and int(declared) > self.upload_bytes

        async def counted() -> Message:
            nonlocal received, too_large
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.upload_bytes:
                too_large = True
                raise _TooLarge
            return message

        async def guarded(message: Message) -> None:
            if not too_large:  # else it is what the application makes of the broken body
                await send(message)

        if not too_large:
            try:
                await self.app(scope, counted, guarded)
            except Exception:  # past the limit it is ours, however the application wrapped it; the answer is below
                if not too_large:
                    raise
        if too_large:
            if headers.get(b"expect", b"").lower() != b"100-continue":
                await self._drain(receive)
            problem = Problem(
                "upload-too-large",
                f"A request may carry {self.upload_bytes:,} bytes; send fewer or smaller files.",
                limit=self.upload_bytes,
            )
            await problem.response(scope["path"], {"connection": "close"})(scope, receive, send)

    async def _drain(self, receive: Receive) -> None:
        dropped = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while dropped < DRAINED * self.upload_bytes:
                    message = await receive()
                    if message["type"] != "http.request" or not message.get("more_body"):
                        return
                    dropped += len(message.get("body", b""))


class _TooLarge(Exception):
    """The upload has passed the limit."""
