"""What a request has sent is freed once it is answered, and does not wait for the garbage collector."""

from __future__ import annotations

import gc
import io
import json
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from starlette.formparsers import MultiPartParser

from service.engine import Engine, Upload
from service.limits import Limits
from service.loading import load_engine
from service.pipeline.batcher import Waiting
from tests.service.serving import served
from training.model.media.source import MediaError

KEEPERS = (Upload, Waiting, MultiPartParser, MediaError, json.JSONDecodeError)  # of a body, or of frames that have it
RUBBISH = bytes(range(256)) * 400
LARGE = 8000  # pixels a side of a picture that nothing decodes in a millisecond
SOON = 30.0  # seconds


@pytest.fixture(scope="module")
def engine(bundle_folder: Path) -> Engine:
    return load_engine(bundle_folder, None, "cpu", limits=Limits(seconds=4.0))


@pytest.fixture(scope="module")
def client(engine: Engine) -> Iterator[httpx.Client]:
    with served(engine) as client:
        yield client


@pytest.fixture
def collector_off(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.CRITICAL, "bma.service")  # pytest keeps what is logged, with errors and their tracebacks
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def kept() -> Counter[str]:
    return Counter(type(one).__name__ for one in gc.get_objects() if issubclass(type(one), KEEPERS))


def freed(before: Counter[str]) -> bool:
    end = time.monotonic() + SOON
    while kept() - before and time.monotonic() < end:
        time.sleep(0.02)
    return not kept() - before


def picture(width: int = 60, height: int = 40) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "green").save(out, "PNG")
    return out.getvalue()


def embedding(client: httpx.Client, data: bytes, **headers: str) -> int:
    return client.post("/v1/embed", files={"image": ("a.png", data)}, headers=headers).status_code


def hangs_up(client: httpx.Client) -> int:
    """In the middle of its form."""
    head = b"POST /v1/embed HTTP/1.1\r\nhost: localhost\r\ncontent-length: 999999\r\n"
    head += b"content-type: multipart/form-data; boundary=x\r\n\r\n"
    part = b'--x\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\n'
    end = time.monotonic() + SOON
    while kept()["MultiPartParser"] and time.monotonic() < end:  # of the one before
        time.sleep(0.01)
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as connection:
        connection.sendall(head + part + RUBBISH)
        while not (read := kept()["MultiPartParser"]) and time.monotonic() < end:
            time.sleep(0.01)
        return read


ASKED: dict[str, tuple[Callable[[httpx.Client], int], int]] = {
    "a picture": (lambda client: embedding(client, picture()), 200),
    "no picture": (lambda client: embedding(client, RUBBISH), 415),
    "a picture that breaks off": (lambda client: embedding(client, picture()[:60]), 422),
    "too late": (lambda client: embedding(client, picture(LARGE, LARGE), **{"x-deadline-ms": "1"}), 504),
    "no form": (lambda client: client.post("/v1/embed", content=RUBBISH).status_code, 422),
    "a form that is none": (
        lambda client: (
            client.post(
                "/v1/embed",
                content=b"--x\r\nfoo" + RUBBISH,
                headers={"content-type": "multipart/form-data; boundary=x"},
            ).status_code
        ),
        400,
    ),
    "no JSON": (lambda client: client.post("/v1/embeddings", content=b'{"input": "' + b"a" * 9999).status_code, 400),
    "no data URI": (
        lambda client: (
            client.post(
                "/v1/embeddings",
                json={
                    "model": client.get("/v1/models").json()["data"][0]["id"],
                    "input": "data:image/png;base64," + "a" * 10_000,
                },
            ).status_code
        ),
        400,
    ),
    "who hangs up": (hangs_up, 1),
}


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.usefixtures("collector_off")
def test_nothing_of_a_request_is_kept(client: httpx.Client, name: str) -> None:
    ask, answered = ASKED[name]
    before = kept()
    assert [ask(client) for _ in range(3)] == [answered] * 3
    assert freed(before), kept()


@pytest.mark.usefixtures("collector_off")
@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_kept_where_the_model_has_no_answer(
    engine: Engine, client: httpx.Client, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """For one file, or for any."""
    before = kept()

    def nothing(*given: object) -> None:
        raise ArithmeticError("no number")

    with monkeypatch.context() as patch:
        patch.setattr(engine._executor, "_embed", nothing)
        patch.setattr(engine._executor, "_probe", nothing if fails else lambda modality: None)
        assert [embedding(client, picture()) for _ in range(3)] == [503 if fails else 422] * 3
    assert freed(before), kept()
