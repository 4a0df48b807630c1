"""Clients that send or read too slowly are let go, and those beside them are not held up."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from service.connection import connection
from service.limits import Limits
from service.loading import load_engine
from service.pipeline.capacity import Capacity
from service.server import listen
from tests.service.serving import served

SOON = 60.0  # seconds that a busy machine may need for what takes one
LIMITS = Limits(head_timeout=1.0, stall_timeout=1.0, body_timeout=2.5, upload_bytes=200_000_000)


@pytest.fixture(scope="module")
def place(bundle_folder: Path, catalogue_folder: Path) -> Iterator[tuple[str, int]]:
    """Host and port of a service that has little patience."""
    with served(load_engine(bundle_folder, catalogue_folder, "cpu", read_only=True, limits=LIMITS)) as client:
        client.get("/readyz")
        assert client.base_url.port is not None
        yield client.base_url.host, client.base_url.port


def heard(connection: socket.socket) -> bytes:
    """All that the service says until it hangs up."""
    connection.settimeout(SOON)
    said = b""
    try:
        while piece := connection.recv(65536):
            said += piece
    except ConnectionResetError:
        pass
    return said


def drip(connection: socket.socket, data: bytes) -> None:
    """A byte now and then, until the other side has had enough."""
    try:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(0.2)
    except OSError:
        return


HEAD = (
    b"POST /v1/embed HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n"
    b"content-type: multipart/form-data; boundary=b\r\n"
)
FIELD = b'\r\n--b\r\ncontent-disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'


@pytest.mark.parametrize("begun", [b"", b"GET /healthz HTTP/1.1\r\nhost: loc"])
def test_headers_that_do_not_come(place: tuple[str, int], begun: bytes) -> None:
    with socket.create_connection(place) as connection:
        connection.sendall(begun)
        said = heard(connection)
        assert said.startswith(b"HTTP/1.1 408 " if begun else b"")
        assert bool(said) == bool(begun)


def test_headers_that_drip(place: tuple[str, int]) -> None:
    with socket.create_connection(place) as connection:
        threading.Thread(target=drip, args=(connection, HEAD * 3), daemon=True).start()
        assert heard(connection).startswith(b"HTTP/1.1 408 ")


def test_a_second_request_that_drips_on_a_kept_connection(place: tuple[str, int]) -> None:
    with socket.create_connection(place) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        connection.settimeout(SOON)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        threading.Thread(target=drip, args=(connection, HEAD * 3), daemon=True).start()
        heard(connection)  # ends: the service has hung up


def test_a_body_that_stops_is_answered(place: tuple[str, int]) -> None:
    with socket.create_connection(place) as connection:
        connection.sendall(HEAD + b"\r\n--b\r\n")
        said = heard(connection)
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"urn:bma:problem:too-slow" in said
        assert b"Nothing of the request's body came for 1 s" in said
        assert b"connection: close" in said.lower()


def test_a_body_that_drips_is_answered_though_it_never_stops(place: tuple[str, int]) -> None:
    with socket.create_connection(place) as connection:
        connection.sendall(HEAD + FIELD)
        threading.Thread(target=drip, args=(connection, b"x" * 1000), daemon=True).start()
        said = heard(connection)
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"A request's body may take 2.5 s" in said or b"Nothing of the request's body came" in said


def test_openai_s_path_says_so_in_its_dialect(place: tuple[str, int]) -> None:
    with socket.create_connection(place) as connection:
        connection.sendall(b"POST /v1/embeddings HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{")
        assert b'"code":"too_slow"' in heard(connection)


def test_who_waits_for_an_answer_is_not_taken_for_slow(place: tuple[str, int]) -> None:
    """A connection that rests between requests, longer than headers may take, is kept."""
    with httpx.Client(base_url=f"http://{place[0]}:{place[1]}", timeout=SOON) as client:
        assert client.get("/healthz").status_code == 200
        time.sleep(1.5)
        assert client.get("/healthz").status_code == 200


def test_others_are_answered_while_many_are_slow(place: tuple[str, int]) -> None:
    slow = [socket.create_connection(place) for _ in range(200)]
    try:
        for connection in slow[::2]:
            connection.sendall(HEAD)
        for connection in slow[1::2]:
            connection.sendall(HEAD + b"\r\n--b")
        assert httpx.get(f"http://{place[0]}:{place[1]}/healthz", timeout=SOON).status_code == 200
        for connection in slow:
            assert heard(connection).startswith((b"HTTP/1.1 408 ", b""))
    finally:
        for connection in slow:
            connection.close()


def test_an_answer_that_nobody_reads_is_given_up(place: tuple[str, int]) -> None:
    """Requests come in, their answers are left in the pipe until it is full; then the service hangs up."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(place)
        connection.settimeout(SOON)
        ask = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"
        try:
            while True:
                connection.sendall(ask)
                time.sleep(0.001)
        except TimeoutError:
            pytest.fail("the service still waits for its reader")
        except OSError:
            pass  # it has hung up
    assert httpx.get(f"http://{place[0]}:{place[1]}/healthz", timeout=SOON).status_code == 200


LARGE = 24_000_000  # bytes; the system's buffers take some of them


@pytest.fixture
def large() -> Iterator[tuple[str, int]]:
    """Host and port of a server whose answers are long, on connections as the service has them."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        headers = [(b"content-length", str(LARGE).encode()), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(LARGE)})

    limits = Limits(stall_timeout=1.0, body_timeout=SOON)
    server = uvicorn.Server(uvicorn.Config(app, http=connection(limits), lifespan="off", log_config=None))
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("pause", [0.02, 3.0])
def test_a_slow_reader_is_served_as_long_as_it_reads(large: tuple[str, int], pause: float) -> None:
    with socket.create_connection(large) as reader:
        reader.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        said, begin = 0, time.monotonic()
        with contextlib.suppress(ConnectionResetError):
            while piece := reader.recv(65536):
                said += len(piece)
                if time.monotonic() - begin < 2.5:
                    time.sleep(pause)
    assert (said > LARGE) == (pause < 1)


def test_the_end_does_not_wait_for_ever(bundle_folder: Path) -> None:
    """For a request that has begun and never goes on: as long as a request may take, and no longer."""
    engine = load_engine(bundle_folder, None, "cpu", capacity=Capacity(deadline=1.0))
    with served(engine) as client, socket.socket() as connection:
        connection.connect((client.base_url.host, client.base_url.port))
        connection.sendall(HEAD + b"\r\n--b\r\n")
        while client.get("/metrics").text.count("bma_requests_under_way 2.0") == 0:
            time.sleep(0.01)
        begin = time.monotonic()
    assert time.monotonic() - begin < Limits.stall_timeout


def test_empty_lines_do_not_keep_a_connection(place: tuple[str, int]) -> None:
    with socket.create_connection(place) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        connection.settimeout(SOON)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"\r\n")
        begin = time.monotonic()
        assert heard(connection) == b""  # it ends
        assert time.monotonic() - begin < 20  # by the time for a head, before that for keeping it


def ask(place: tuple[str, int], *pieces: bytes) -> tuple[bytes, dict[str, Any]]:
    """What the service says to what is sent piece by piece, until it hangs up: its headers and its document."""
    with socket.create_connection(place) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):  # it may have said what it had to before all has come
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.01)
        head, _, body = heard(connection).partition(b"\r\n\r\n")
    return head, json.loads(body)


LONG = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-long: "


@pytest.mark.parametrize("pieces", [[LONG + 70_000 * b"a" + b"\r\n\r\n"], [LONG, *[10_000 * b"a"] * 8]])
def test_headers_that_are_too_large(place: tuple[str, int], pieces: list[bytes]) -> None:
    head, document = ask(place, *pieces)
    assert head.startswith(b"HTTP/1.1 431 ")
    assert document["type"] == "urn:bma:problem:head-too-large"
    assert "65,536 bytes" in document["detail"]
    assert document["limit"] == 65_536


def test_a_url_that_is_too_long(place: tuple[str, int]) -> None:
    head, _ = ask(place, b"GET /" + 70_000 * b"a" + b" HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")


def test_what_is_not_http_hears_so(place: tuple[str, int]) -> None:
    for said in (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"BREW /healthz HTTP/1.1\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n"):
        head, document = ask(place, said)
        assert head.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in head
        assert document["type"] == "urn:bma:problem:not-http"


def test_rubbish_behind_a_request_is_not_its_answer(place: tuple[str, int]) -> None:
    with socket.create_connection(place) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\nrubbish\r\n\r\n")
        assert not heard(connection).startswith(b"HTTP/1.1 400 ")


def test_rubbish_in_a_body_ends_its_request(place: tuple[str, int]) -> None:
    head, document = ask(
        place, b"POST /v1/embed HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nno length\r\n"
    )
    assert head.startswith(b"HTTP/1.1 400 ")
    assert document["type"] == "urn:bma:problem:not-http"


def test_requests_in_one_piece_are_answered_in_order(place: tuple[str, int]) -> None:
    asked = [b"/healthz", b"/v1/model", b"/nothing"]
    with socket.create_connection(place) as connection:
        connection.sendall(b"".join(b"GET %s HTTP/1.1\r\nhost: localhost\r\n\r\n" % path for path in asked))
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        said = heard(connection)
    assert re.findall(rb"HTTP/1\.1 (\d+)", said) == [b"200", b"200", b"404", b"200"]
