"""Uploads over the limit are answered with 413, and the answer reaches the client."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.client import Client, ServiceError

LIMIT = 64 * 1024 * 1024
MEGABYTE = bytes(1024 * 1024)


@pytest.fixture(autouse=True)
def goes_on(http: httpx.Client) -> Iterator[None]:
    yield
    assert http.get("/readyz").json() == {"status": "ready"}


def body(megabytes: int) -> Iterator[bytes]:
    yield b"--x\r\nContent-Disposition: form-data; name=sound; filename=long.wav\r\n\r\n"
    for _ in range(megabytes):
        yield MEGABYTE
    yield b"\r\n--x--\r\n"


def check(answer: httpx.Response) -> None:
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["type"] == "urn:bma:problem:upload-too-large"
    assert document["detail"] == "A request may carry 67,108,864 bytes; send fewer or smaller files."
    assert document["limit"] == LIMIT


@pytest.mark.parametrize("path", ["/v1/embed", "/v1/search/images"])
def test_without_a_declared_length(service_url: str, path: str) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    check(httpx.post(service_url + path, content=body(66), headers=headers, timeout=60))


def test_with_a_declared_length(service_url: str) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x", "content-length": str(len(b"".join(body(66))))}
    check(httpx.post(f"{service_url}/v1/embed", content=body(66), headers=headers, timeout=60))


def test_a_client_that_asks_first_sends_nothing(service_url: str) -> None:
    """`Expect: 100-continue`, as curl does: the answer comes before the body."""
    url = httpx.URL(service_url)
    with socket.create_connection((url.host, url.port), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/embed HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            b"Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_the_python_client_tells_the_limit(service_url: str, tmp_path: Path) -> None:
    file = tmp_path / "long.wav"
    with file.open("wb") as stream:
        stream.truncate(LIMIT + 1)
    with Client(service_url) as client, pytest.raises(ServiceError, match="may carry 67,108,864 bytes"):
        client.embed(sound=file)


def test_an_upload_within_the_limit_is_read(service_url: str, demo_folder: Path) -> None:
    wav = sorted(demo_folder.glob("sounds/*.wav"))[0].read_bytes()
    padded = wav + bytes(20 * len(MEGABYTE))  # what follows a WAV's data is passed over
    answer = httpx.post(f"{service_url}/v1/embed", files={"sound": ("a.wav", padded)}, timeout=60)
    assert answer.status_code == 200
