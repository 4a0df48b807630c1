"""A client that keeps its connections, with as little around them as may be: it shares the cores with the service."""

from __future__ import annotations

import asyncio
import time
import urllib.parse

from benchmarks.soaking.forms import BOUNDARY, Ask

PATIENCE = 15.0  # seconds past the deadline after which an answer does not count any more
IDLE = 20.0  # seconds for which a connection is kept; the service keeps it for 30
UNHEARD = ("broken", "silent")  # in place of a status: the connection ended, or nothing came


class Connection(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self) -> None:
        self._data = b""
        self._answer: asyncio.Future[str] | None = None
        self.kept = True  # whether the service leaves it open, as far as it has said
        self.since = 0.0  # when it was last used

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def answered(self) -> asyncio.Future[str]:
        """The status of the answer to what is sent now; ConnectionError where it ends before."""
        self._data, self._answer = b"", asyncio.get_running_loop().create_future()
        if not self.kept:
            self._answer.set_exception(ConnectionResetError())
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, blank, body = self._data.partition(b"\r\n\r\n")
        if not blank or self._answer is None or self._answer.done():
            return
        head = head.lower()
        _, marked, length = head.partition(b"content-length:")
        if not marked or len(body) >= int(length.split(b"\r\n", 1)[0]):
            self.kept = b"connection: close" not in head
            self._answer.set_result(head[9:12].decode())

    def connection_lost(self, exc: Exception | None) -> None:
        self.kept = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError())


class Client:
    """Sends requests over connections that are kept.

    Args:
        url: the service's.
        deadline: seconds that a request has.
    """

    def __init__(self, url: str, deadline: float) -> None:
        place = urllib.parse.urlsplit(url)
        self.host, self.port, self.deadline = place.hostname or "127.0.0.1", place.port or 80, deadline
        self._idle: list[Connection] = []

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
        connection: Connection | None = None
        try:
            async with asyncio.timeout(self.deadline + PATIENCE):
                connection = await self._connection()
                answer = connection.answered()
                connection.transport.write(self.head(method, path, len(body)) + body)
                status = await answer
        except TimeoutError:
            status = "silent"
        except OSError:
            status = "broken"
        if connection is not None and connection.kept and status not in UNHEARD:
            connection.since = time.monotonic()
            self._idle.append(connection)
        elif connection is not None:
            connection.transport.close()
        return status

    async def open(self) -> Connection:
        """A connection of one's own."""
        _, connection = await asyncio.get_running_loop().create_connection(Connection, self.host, self.port)
        return connection

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.kept and time.monotonic() - connection.since < IDLE:
                return connection
            connection.transport.close()
        return await self.open()

    def close(self) -> None:
        """Let all connections go."""
        for connection in self._idle:
            connection.transport.close()
