"""Connections that take too long are let go: uvicorn waits for a request's headers, and for a reader, for ever."""

from __future__ import annotations

import asyncio
from typing import Any

from service.limits import Limits

_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def timed(protocol: type[asyncio.Protocol], limits: Limits) -> type[asyncio.Protocol]:
    """An HTTP protocol of uvicorn's that closes a connection whose client is too slow.

    A request's line and headers may take `head_timeout` seconds from the connection, or from their first byte where it
    was kept alive. An answer may wait `stall_timeout` seconds for its reader to take more of it.

    Args:
        protocol: one with uvicorn's `cycle`, the request that is answered or was answered last.
        limits: in seconds.
    """

    base: Any = protocol

    class Timed(base):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self._head: asyncio.TimerHandle | None = None
            self._stall: asyncio.TimerHandle | None = None
            self._begun = False  # something of a request has come

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._await_head()

        def data_received(self, data: bytes) -> None:
            self._begun = True
            before = self.cycle
            super().data_received(data)
            if self.cycle is not before:  # the headers are complete
                self._head = _cancelled(self._head)
            elif (before is None or before.response_complete) and not self.transport.is_closing():
                self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head, self._stall = _cancelled(self._head), _cancelled(self._stall)
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            if self._stall is None:
                self._stall = self.loop.call_later(limits.stall_timeout, self.transport.abort)

        def resume_writing(self) -> None:
            self._stall = _cancelled(self._stall)
            super().resume_writing()

        def _await_head(self) -> None:
            if self._head is None:
                self._head = self.loop.call_later(limits.head_timeout, self._late)

        def _late(self) -> None:
            if self.cycle is not None and not self.cycle.response_complete:
                return
            if self._begun and self.cycle is None:  # who has said nothing hears nothing
                self.transport.write(_LATE)
            self.transport.close()

    return Timed


def _cancelled(timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle | None:
    if timer is not None:
        timer.cancel()
    return None
