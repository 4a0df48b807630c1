"""A client that keeps its connections, with as little around them as may be: it shares the cores with the service."""

from __future__ import annotations

import asyncio
import time
import urllib.parse

from benchmarks.soaking.forms import BOUNDARY, Ask

PATIENCE = 15.0  # seconds past the deadline after which an answer does not count any more
IDLE = 20.0  # seconds for which a connection is kept; the service keeps it for 30
UNHEARD = ("broken", "silent")  # in place of a status: the connection ended, or nothing came


class Client:
    """Sends requests over connections that are kept.

    Args:
        url: the service's.
        deadline: seconds that a request has.
    """

    def __init__(self, url: str, deadline: float) -> None:
        place = urllib.parse.urlsplit(url)
        self.host, self.port, self.deadline = place.hostname or "127.0.0.1", place.port or 80, deadline
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    def head(self, method: str, path: str, length: int) -> bytes:
        """A request's line and headers."""
        return (
            f"{method} {path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\ncontent-length: {length}\r\n"
            f"x-deadline-ms: {1000 * self.deadline:.0f}\r\n"
            f"content-type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
        ).encode()

    async def ask(self, ask: Ask) -> str:
        """The answer's status, or one of `UNHEARD`."""
        method, path, body = ask
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(self.deadline + PATIENCE):
                reader, writer = await self._connection()
                writer.write(self.head(method, path, len(body)) + body)
                status, keep = await answer(reader)
        except TimeoutError:
            status, keep = "silent", False
        except (OSError, EOFError):
            status, keep = "broken", False
        if writer is not None and keep:
            self._idle.append((time.monotonic(), reader, writer))
        elif writer is not None:
            writer.close()
        return status

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection of one's own."""
        return await asyncio.open_connection(self.host, self.port)

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            since, reader, writer = self._idle.pop()
            if time.monotonic() - since < IDLE and not reader.at_eof():
                return reader, writer
            writer.close()
        return await self.open()

    def close(self) -> None:
        """Let all connections go."""
        for _, _, writer in self._idle:
            writer.close()


async def answer(reader: asyncio.StreamReader) -> tuple[str, bool]:
    """Read an answer; its status, and whether the connection stays."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, marked, length = head.partition(b"content-length:")
    if marked:
        await reader.readexactly(int(length.split(b"\r\n", 1)[0]))
    return head[9:12].decode(), b"connection: close" not in head
