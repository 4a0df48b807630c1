"""Where a body ends: trailers, a last piece that is too much, and forms without their last boundary; and its coding."""

from __future__ import annotations

import contextlib
import gzip
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.limits import Limits
from service.loading import load_engine
from tests.service.serving import served

FORM = {"content-type": "multipart/form-data; boundary=x"}


@pytest.fixture(scope="module")
def client(bundle_folder: Path) -> Iterator[httpx.Client]:
    with served(load_engine(bundle_folder, None, "cpu", limits=Limits(upload_bytes=300_000))) as client:
        yield client


def connected(client: httpx.Client) -> socket.socket:
    assert client.base_url.port is not None
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=20)


def chunked(path: bytes, body: bytes) -> bytes:
    head = b"POST " + path + b" HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=x\r\n"
    return head + b"transfer-encoding: chunked\r\n\r\n" + body


def part(name: str, data: bytes, file: str = "") -> bytes:
    named = f'form-data; name="{name}"' + (f'; filename="{file}"' if file else "")
    return f"--x\r\nContent-Disposition: {named}\r\n\r\n".encode() + data + b"\r\n"


@pytest.mark.parametrize("piece", [1000 * b"a: b\r\n", 6000 * b"a"], ids=["lines", "one line"])
@pytest.mark.parametrize("before", [b"0\r\n", b"5;"], ids=["trailers", "extension"])
def test_what_stands_around_a_body_is_bounded(client: httpx.Client, before: bytes, piece: bytes) -> None:
    if before == b"5;":
        piece = piece.replace(b"\r\n", b";")
    sent = 0
    with connected(client) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(chunked(b"/v1/embed", before))
        while sent < 50_000_000:
            connection.sendall(piece)
            sent += len(piece)
    assert sent < 20_000_000  # what the system holds of it between the two, and not more


def test_a_trailer_is_no_header(client: httpx.Client) -> None:
    with connected(client) as connection:
        asked = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
        connection.sendall(asked + b"0\r\nx-deadline-ms: none\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(asked.replace(b"\r\n\r\n", b"\r\nx-deadline-ms: none\r\n\r\n") + b"0\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 422 ")


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", b"in one Host header"),
        (b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: other\r\n\r\n", b"in one Host header"),
        (
            b"POST /v1/embed HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            b"plain or chunked",
        ),
    ],
)
def test_heads_that_may_be_read_in_two_ways_are_refused(client: httpx.Client, head: bytes, told: bytes) -> None:
    with connected(client) as connection:
        connection.sendall(head)
        said = connection.recv(65536)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert told in said


def test_a_last_piece_that_is_too_much_is_answered_at_once(client: httpx.Client) -> None:
    body = part("image", bytes(300_000), "large.jpg") + b"--x--\r\n"
    begin = time.monotonic()
    with connected(client) as connection:
        connection.sendall(chunked(b"/v1/embed", b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"))
        connection.settimeout(60)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
    assert time.monotonic() - begin < 20  # it had been the half minute for which the rest of a body is waited for


@pytest.mark.parametrize("cut", [1, 3, 40])
def test_a_form_without_its_end_is_refused(client: httpx.Client, images: list[bytes], cut: int) -> None:
    whole = part("image", images[0], "one.png") + part("image", images[1], "two.png") + b"--x--"
    assert len(client.post("/v1/embed", content=whole, headers=FORM).json()["results"]) == 2
    assert len(client.post("/v1/embed", content=whole + b"\r\nan epilogue", headers=FORM).json()["results"]) == 2
    for kind in ("multipart/form-data", "Multipart/Form-Data"):
        answer = client.post("/v1/embed", content=whole[:-cut], headers={"content-type": f"{kind}; boundary=x"})
        assert answer.status_code == 400
        assert answer.json()["detail"] == "The form ends before its last boundary; send it whole."


@pytest.mark.parametrize("large", [False, True])
def test_a_body_in_a_coding_is_refused(client: httpx.Client, images: list[bytes], large: bool) -> None:
    body = part("image", bytes(290_000) if large else images[0], "one.png") + b"--x--\r\n"
    headers = {**FORM, "content-encoding": "gzip"}
    answer = client.post("/v1/embed", content=gzip.compress(body) if not large else body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["detail"] == "The body is in the coding 'gzip'; send it as it is, without Content-Encoding."
    for none in ("Identity", "", "identity, ,identity"):
        assert client.post("/v1/embed", content=body, headers={**FORM, "content-encoding": none}).status_code != 400
    assert client.get("/v1/model", headers={"content-encoding": "gzip"}).status_code == 200  # it has none


@pytest.mark.parametrize(
    "coding", [b"content-encoding: gzip\r\n", b"content-encoding: gzip\r\ncontent-encoding: identity\r\n"]
)
def test_who_asks_first_hears_of_a_coding_before_sending(client: httpx.Client, coding: bytes) -> None:
    head = b"POST /v1/embed HTTP/1.1\r\nhost: localhost\r\ncontent-length: 8000\r\nexpect: 100-continue\r\n" + coding
    with connected(client) as connection:
        connection.sendall(head + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_who_was_asked_for_too_much_can_send_it_and_hear_so(client: httpx.Client) -> None:
    head = b"POST /v1/embed HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=x\r\n"
    with connected(client) as connection:
        connection.sendall(head + b"expect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        start = part("image", bytes(100_000), "large.jpg")
        for piece in (start, *20 * [bytes(100_000)]):
            connection.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
