"""An HTTP connection: what uvicorn's protocol has no bounds for, and the answers where there is no request yet."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.limits import Limits
from service.problems import MEDIA_TYPE, Problem

BODY = 512 * 1024  # bytes that are read ahead: a picture that need not be waited for
JOINED = 64 * 1024  # bytes of an answer that are sent together


def connection(limits: Limits) -> type[asyncio.Protocol]:
    """The protocol of each connection: uvicorn's, on llhttp, that bounds a request's head and an answer's reader.

    A request's line and headers may have `head_bytes`, and take `head_timeout` seconds from the connection, or from
    their first byte where it was kept alive. An answer waits `stall_timeout` seconds for its reader to take more,
    and `body_timeout` in all while more of it waits than a connection buffers. What stands around a body's bytes
    (extensions of chunks, trailers) may have `head_bytes` too; trailers are dropped, as nothing asks for them.

    Args:
        limits: in bytes and seconds.
    """
    base: Any = HttpToolsProtocol

    class Connection(base):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self._at = "idle"  # between requests, or in the "head" or "body" of one that comes in
            self._head = 0  # bytes of the head that comes in
            self._around = 0  # bytes that came since the last of the body
            self._wrong = Problem("not-http", "What was sent is no HTTP/1.1 request of a known method; send one anew.")
            self._late: asyncio.TimerHandle | None = None
            self._stalled: asyncio.TimerHandle | None = None
            self._unread = 0  # bytes that the reader had left
            self._enough = 0.0  # until when it may read on
            self._answered: Any = None  # the request that is answered now, or was last

        # -- asyncio's calls

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(_Joined(transport, self.loop))
            self._await_head()

        def data_received(self, data: bytes) -> None:
            before = self._at
            self._around += len(data)
            super().data_received(data)
            if self.transport.is_closing():
                return
            if before == self._at == "body" and self._around > limits.head_bytes:
                self._refuse(_too_long(limits))
                return
            if self._at == "head":
                self._head += len(data) if before == "head" else 0
                if self._head > limits.head_bytes:
                    self._refuse(_too_long(limits))
                elif self._late is None:  # most heads come whole, and need no clock
                    self._await_head()
            elif self._late is None and (self.cycle is None or self.cycle.response_complete):
                self._await_head()  # what else comes is no request: empty lines, or the rest of one that was refused

        def connection_lost(self, exc: Exception | None) -> None:
            self._late, self._stalled = _cancelled(self._late), _cancelled(self._stalled)
            super().connection_lost(exc)
            if self._answered is not None and not self._answered.response_complete:
                self._answered.disconnected = True  # uvicorn tells the latest, and others may wait behind this one
                self._answered.message_event.set()

        def pause_writing(self) -> None:
            super().pause_writing()
            if self._stalled is None:
                self._enough = self.loop.time() + limits.body_timeout
                self._await_reader()

        def resume_writing(self) -> None:
            self._stalled = _cancelled(self._stalled)
            super().resume_writing()

        # -- the parser's

        def on_message_begin(self) -> None:
            self._at, self._head, self._late = "head", 0, _cancelled(self._late)
            super().on_message_begin()

        def on_header(self, name: bytes, value: bytes) -> None:
            if self._at == "head":  # else a trailer, that uvicorn would take for a header if it came soon enough
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > limits.head_bytes:
                self._wrong = _too_long(limits)
                raise ValueError  # the parser's; it ends in `send_400_response`
            hosts = sum(name == b"host" for name, _ in self.headers)
            if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
                self._wrong = Problem("not-http", "A request says the service's name in one Host header; send one.")
                raise ValueError
            if any(name == b"transfer-encoding" and value.lower() != b"chunked" for name, value in self.headers):
                self._wrong = Problem("not-http", "A body comes plain or chunked; send it with no other coding.")
                raise ValueError
            self._at, self._around, self._late = "body", 0, _cancelled(self._late)
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            cycle, self._around = self.cycle, 0
            if not cycle.response_complete:
                cycle.body += body
                if len(cycle.body) > BODY:
                    self.flow.pause_reading()
                cycle.message_event.set()

        def on_message_complete(self) -> None:
            self._at = "idle"
            super().on_message_complete()

        # -- uvicorn's

        def _start_asgi_task(self, cycle: Any, app: Any) -> None:
            self._answered = cycle
            super()._start_asgi_task(cycle, app)

        def send_400_response(self, msg: str) -> None:
            self._refuse(self._wrong)

        # -- ours

        def _await_head(self) -> None:
            _cancelled(self._late)
            self._late = self.loop.call_later(limits.head_timeout, self._is_late)

        def _is_late(self) -> None:
            self._late = None
            if self.cycle is not None and not self.cycle.response_complete:
                self._await_head()  # the one before it is still answered
            elif self._at == "head":
                said = f"A request's line and headers may take {limits.head_timeout:g} s"
                self._refuse(Problem("too-slow", f"{said}; send it again, faster.", limit=limits.head_timeout))
            else:  # who has said nothing hears nothing
                self.transport.close()

        def _await_reader(self) -> None:
            self._unread = self.transport.get_write_buffer_size()
            self._stalled = self.loop.call_later(limits.stall_timeout, self._is_unread)

        def _is_unread(self) -> None:
            if self.transport.get_write_buffer_size() < self._unread and self.loop.time() < self._enough:
                self._await_reader()  # slow, and not asleep
            else:
                self.transport.abort()

        def _refuse(self, problem: Problem) -> None:
            """End the connection, with an answer where it can't be taken for that of a request before."""
            cycle = self.cycle
            its_body = cycle is not None and cycle.more_body and not cycle.response_started and not self.pipeline
            if cycle is None or (cycle.response_complete and self._at != "body") or its_body:
                body = json.dumps(problem.document()).encode()
                head = (
                    f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\nconnection: close\r\n"
                    f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n\r\n"
                )
                self.transport.write(head.encode() + body)
            self.transport.close()

    return Connection


class _Joined:
    """A transport that sends in one piece what is written in one go, such as an answer's head and its body.

    Each piece is a call of the system, in which this thread gives Python up to the others and has to get it back.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held: list[bytes] = []
        self._bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(data)
        self._bytes += len(data)
        if self._bytes > JOINED:
            self._send()

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._held:
            held, self._held, self._bytes = self._held, [], 0
            self._transport.write(b"".join(held))


def _too_long(limits: Limits) -> Problem:
    said = f"A request's line and headers may have {limits.head_bytes:,} bytes; send less in them."
    return Problem("head-too-large", said, limit=limits.head_bytes)


def _cancelled(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    if timer is not None:
        timer.cancel()
    return None
