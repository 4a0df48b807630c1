"""curl against the service, as people paste it from the documents."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.engine import Engine
from service.limits import Limits
from tests.service.conftest import Serving
from tests.service.serving import served
from training.model.embedder import Embedder

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on the path")
SOON = 60.0  # seconds
MOST = 3_000_000  # bytes of an upload


class Curl:
    """Runs `curl`.

    Args:
        url: the service's.
        folder: for what it is to send.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder

    def __call__(self, path: str, *options: str | Path) -> tuple[int, bytes]:
        """Status and body of the answer."""
        done = self.run(path, *options)
        assert done.returncode == 0, done.stderr
        body, _, status = done.stdout.rpartition(b"\n")
        return int(status), body

    def json(self, path: str, *options: str | Path) -> Any:
        """A good answer."""
        status, body = self(path, *options)
        assert status in (200, 201), body
        return json.loads(body)

    def problem(self, path: str, *options: str | Path) -> tuple[int, str]:
        """Status and kind of an error."""
        status, body = self(path, *options)
        document = json.loads(body)
        assert document["status"] == status
        return status, document["type"].removeprefix("urn:bma:problem:")

    def run(self, path: str, *options: str | Path) -> subprocess.CompletedProcess[bytes]:
        """Its body, and the status as the last line."""
        command = ["curl", "--silent", "--show-error", "--max-time", str(SOON), "--write-out", r"\n%{http_code}"]
        return subprocess.run([*command, *options, self.url + path], capture_output=True, check=False)

    def file(self, name: str, data: bytes) -> Path:
        """What it is to send."""
        path = self.folder / name
        path.write_bytes(data)
        return path


@pytest.fixture
def http(serving: Serving, empty_catalogue: Path) -> Iterator[httpx.Client]:
    with serving(empty_catalogue, Limits(upload_bytes=MOST)) as client:
        yield client


@pytest.fixture
def curl(http: httpx.Client, tmp_path: Path) -> Curl:
    return Curl(str(http.base_url).rstrip("/"), tmp_path)


@pytest.fixture
def image(curl: Curl, images: list[bytes]) -> str:
    """As the value of -F."""
    return f"image=@{curl.file('a picture.jpg', images[0])}"


@pytest.fixture
def sound(curl: Curl, sounds: list[bytes]) -> str:
    return f"sound=@{curl.file('bark.wav', sounds[0])}"


def test_items_from_first_to_last(curl: Curl, image: str, sound: str, images: list[bytes]) -> None:
    added = curl.json("/v1/items", "-F", image, "-F", "id=one", "-F", "label=dog", "-F", 'metadata={"year": 2026}')
    assert added["results"][0]["name"] == "a picture.jpg"
    item = curl.json("/v1/items/one")
    assert (item["label"], item["metadata"]) == ("dog", {"year": 2026})
    (found,) = curl.json("/v1/search/images?k=3", "-F", sound)["results"]
    assert [hit["id"] for hit in found["hits"]] == ["one"]
    assert curl("/v1/items/one/content") == (200, images[0])
    assert curl("/v1/items/one/content", "--range", "10-19") == (206, images[0][10:20])
    assert curl("/v1/items/one/content", "--range", "-7") == (206, images[0][-7:])
    assert curl.problem("/v1/items/one/content", "--range", "99999999-") == (416, "no-such-range")
    assert curl("/v1/items/one/thumbnail", "--output", curl.folder / "small.jpg")[0] == 200
    assert (curl.folder / "small.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert curl("/v1/items/one", "--request", "DELETE") == (204, b"")
    assert curl.problem("/v1/items/one") == (404, "no-such-item")


def test_put_takes_forms_of_both_kinds(curl: Curl, image: str, images: list[bytes]) -> None:
    assert curl.json("/v1/items/one", "--request", "PUT", "-F", image)["label"] == ""
    urlencoded = ("--request", "PUT", "--data-urlencode", "label=a dog & more", "--data", "tags=park&tags=rain")
    item = curl.json("/v1/items/one", *urlencoded)
    assert (item["label"], item["tags"]) == ("a dog & more", ["park", "rain"])
    assert curl.json("/v1/items/one", "--request", "PUT", "-F", "label=")["label"] == ""
    other = curl.file("other.jpg", images[1])
    assert curl.json("/v1/items/one", "--request", "PUT", "-F", f"image=@{other}")["tags"] == ["park", "rain"]
    assert curl("/v1/items/one/content") == (200, images[1])
    assert curl.problem("/v1/items/two", "--request", "PUT", "--data", "label=x") == (404, "no-such-item")
    # curl reads the file itself as the body where people take --upload-file or --data-binary for -F
    assert curl.problem("/v1/items/one", "--upload-file", other) == (422, "invalid-request")
    assert curl.problem("/v1/embed", "--data-binary", f"@{other}") == (422, "no-file")


def test_several_files_and_classes(curl: Curl, image: str, sound: str, images: list[bytes]) -> None:
    other, broken = curl.file("other.jpg", images[1]), curl.file("broken.jpg", b"no picture")
    results = curl.json("/v1/embed", "-F", image, "-F", f"image=@{other}", "-F", f"image=@{broken}")["results"]
    assert [result["name"] for result in results] == ["a picture.jpg", "other.jpg", "broken.jpg"]
    assert len(results[0]["z"]) == len(results[1]["z"]) == 128
    assert results[2]["error"]["status"] == 415
    for file in (image, sound):
        (result,) = curl.json("/v1/classify", "-F", file)["results"]
        assert result["classes"]
    assert curl.problem("/v1/embed", "-F", image, "-F", sound) == (422, "invalid-request")
    # a file name without its @, which curl sends as text
    assert curl.problem("/v1/embed", "-F", f"image={other}") == (422, "invalid-request")


def test_heads_and_what_is_asked_to_be_compressed(curl: Curl, image: str, images: list[bytes]) -> None:
    curl.json("/v1/items", "-F", image, "-F", "id=one")
    status, head = curl("/v1/items/one/content", "--head")
    assert status == 200
    assert f"content-length: {len(images[0])}\r\n".encode() in head.lower()
    for path in ("/", "/docs", "/healthz", "/readyz", "/metrics", "/v1/model", "/v1/models", "/v1/labels", "/v1/items"):
        assert curl(path, "--head")[0] == 200
    assert curl("/v1/items/one", "--head")[0] == curl("/v1/items/one/thumbnail", "--head")[0] == 200
    assert curl("/v1/items/two", "--head")[0] == 404
    assert curl("/v1/embed", "--head")[0] == 405
    assert curl.json("/v1/model", "--compressed")["name"]
    assert curl("/", "--compressed")[0] == 200


def test_http_1_0_and_bodies_of_unknown_length(curl: Curl, image: str) -> None:
    once = curl.json("/v1/embed", "-F", image)["results"]
    assert curl.json("/v1/embed", "--http1.0", "-F", image)["results"] == once
    assert curl.json("/v1/embed", "--header", "Transfer-Encoding: chunked", "-F", image)["results"] == once


def test_a_connection_is_kept(curl: Curl, image: str) -> None:
    path = curl.url + "/v1/embed"
    done = curl.run("/v1/embed", "-F", image, path, "--next", "--silent", "--verbose", "-F", image)
    assert done.returncode == 0
    assert b"Re-using existing connection" in done.stderr
    two = curl.run("/healthz", "--verbose", path, "--request", "PATCH")  # an error too leaves it open
    assert b"Re-using existing connection" in two.stderr


def test_a_large_body_is_asked_for_first(curl: Curl, image: str) -> None:
    """curl waits for 100 Continue before it sends more than a megabyte, here without ever giving up on it."""
    long = curl.file("long.jpg", (curl.folder / "a picture.jpg").read_bytes() + bytes(1_500_000))
    options = ("--verbose", "--expect100-timeout", str(SOON), "-H", "Expect: 100-continue", "-F", f"image=@{long}")
    done = curl.run("/v1/embed", *options)
    assert b"< HTTP/1.1 100 Continue" in done.stderr
    assert done.stdout.endswith(b"\n200")


@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_that_is_too_large_hears_why(curl: Curl, expect: str, chunked: bool) -> None:
    """Not a reset connection: also where curl sends all of it before it listens."""
    large = curl.file("large.jpg", bytes(3 * MOST))
    length = ["--header", "Transfer-Encoding: chunked"] if chunked else []
    options = [*length, "--header", expect, "-F", f"image=@{large}"]
    assert curl.problem("/v1/embed", *options) == (413, "upload-too-large")


def test_who_hangs_up_leaves_no_place_taken(embedder: Embedder, images: list[bytes], tmp_path: Path) -> None:
    own, entered, opened = copy.copy(embedder), threading.Event(), threading.Event()

    def held(packed: Any) -> Any:
        entered.set()
        assert opened.wait(SOON)
        return embedder.embed_images(packed)

    with served(Engine(own, None, Limits())) as http:
        assert http.get("/readyz").is_success  # the model has nothing to do any more
        own.embed_images = held  # type: ignore[method-assign, assignment]
        curl = Curl(str(http.base_url).rstrip("/"), tmp_path)
        try:
            done = curl.run("/v1/embed", "--max-time", "2", "-F", f"image=@{curl.file('a.jpg', images[0])}")
            assert done.returncode == 28, done  # its time was over
            assert entered.is_set()
            free = {"bma_queue_items 0.0", "bma_queue_bytes 0.0", "bma_requests_under_way 1.0"}
            end = time.monotonic() + SOON
            while not free <= set(numbers := http.get("/metrics").text.splitlines()):
                assert time.monotonic() < end
            assert 'bma_dropped_total{reason="gone"} 1.0' in numbers
        finally:
            opened.set()
