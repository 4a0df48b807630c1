"""What a request may ask for, and the guard that counts an upload's bytes as they come."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import Problem


@dataclass(frozen=True)
class Limits:
    """Each named with its value in the error that it causes, and in `/v1/model`."""

    upload_bytes: int = 64 * 1024 * 1024  # of a whole request
    files: int = 64  # in a request
    pixels: int = 100_000_000  # of an image, checked before it is decoded
    seconds: float = 600.0  # of a sound
    k: int = 1000  # hits


class UploadLimit:
    """ASGI middleware: an upload over the limit is answered with 413 and not read further."""

    def __init__(self, app: ASGIApp, upload_bytes: int) -> None:
        self.app = app
        self.upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        received = 0
        started = False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self.upload_bytes:
                    raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if declared.isdigit() and int(declared) > self.upload_bytes:
                raise _TooLarge
            await self.app(scope, counted, noted)
        except _TooLarge:
            if started:
                raise
            problem = Problem(
                "upload-too-large",
                f"A request may carry {self.upload_bytes:,} bytes; send fewer or smaller files.",
                limit=self.upload_bytes,
            )
            await problem.response({"connection": "close"})(scope, receive, send)


class _TooLarge(Exception):
    """The upload has passed the limit."""
