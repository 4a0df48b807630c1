"""The same requests answered with a constant, as cheaply as Python can: what the load generator and HTTP cost alone."""

import asyncio
import contextlib
import json
import sys

BODY = json.dumps({"results": [{"z": [0.125] * 128}]}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Empty(asyncio.BufferedProtocol):
    """Reads a request at a time, its body of `Content-Length` bytes into a buffer that nobody reads."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.buffer = bytearray(1 << 18)
        self.head = b""
        self.missing = 0  # bytes of the body

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.missing:
            self.missing -= nbytes
        else:
            self.head += self.buffer[:nbytes]
            head, end, body = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            self.head = b""
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self.missing = int(length or 0) - len(body)
        if not self.missing:
            self.transport.write(ANSWER)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Empty, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
