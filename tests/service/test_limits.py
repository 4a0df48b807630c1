"""Limits in force: what an engine is given is what it holds requests to, names in its errors, and reports."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from service.limits import Limits
from service.loading import load_engine
from tests.service.conftest import Serving
from tests.service.serving import served

LIMITS = Limits(seconds=4.0, request_seconds=10.0, k=17, json_depth=3)


@pytest.fixture(scope="module")
def client(bundle_folder: Path, catalogue_folder: Path) -> Iterator[httpx.Client]:
    with served(load_engine(bundle_folder, catalogue_folder, "cpu", read_only=True, limits=LIMITS)) as client:
        yield client


def silence(seconds: float) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(22_050)
        stream.writeframes(bytes(2 * round(22_050 * seconds)))
    return out.getvalue()


def sounds(*seconds: float) -> list[tuple[str, Any]]:
    return [("sound", (f"{place}.wav", silence(length))) for place, length in enumerate(seconds)]


def test_they_are_reported(client: httpx.Client) -> None:
    limits = client.get("/v1/model").json()["limits"]
    assert limits["request_seconds"] == 10
    assert (limits["k"], limits["seconds"], limits["json_depth"]) == (17, 4, 3)


@pytest.mark.parametrize("path", ["/v1/embed", "/v1/classify", "/v1/search/images"])
def test_sounds_last_only_so_long_together(client: httpx.Client, path: str) -> None:
    assert client.post(path, files=sounds(3.3, 3.3, 3.3)).status_code == 200
    answer = client.post(path, files=sounds(3.3, 3.3, 3.5, 0.1))
    assert answer.status_code == 413
    document = answer.json()
    assert document["type"] == "urn:bma:problem:upload-too-large"
    assert document["detail"] == "The sounds of a request may last 10 s together; send them in several requests."
    assert document["limit"] == 10


def test_a_sound_too_long_by_itself_leaves_the_others(client: httpx.Client) -> None:
    first, second = client.post("/v1/embed", files=sounds(5.0, 1.0)).json()["results"]
    assert "is longer than 4 s" in first["error"]["detail"]
    assert first["error"]["limit"] == 4
    assert len(second["z"]) == 128
    answer = client.post("/v1/embed", files=sounds(5.0))
    assert (answer.status_code, answer.json()["limit"]) == (413, 4)


@pytest.mark.parametrize("path", ["/v1/search/images", "/v1/items"])
def test_json_is_nested_only_so_deep(client: httpx.Client, path: str) -> None:
    def asked(filter: str) -> httpx.Response:
        if path == "/v1/items":
            return client.get(path, params={"filter": filter})
        return client.post(path, params={"filter": filter}, files=sounds(1.0))

    assert asked('{"metadata": {"year": {"gte": 1}}}').status_code == 200
    for deep in ('{"metadata": {"year": {"gte": [1]}}}', "[" * 4 + "]" * 4, "[" * 10_000):
        answer = asked(deep)
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:bma:problem:invalid-request"
        assert answer.json()["detail"] == "query 'filter' may be nested 3 deep; flatten it."
        assert answer.json()["limit"] == 3


def test_the_body_of_openais_dialect_too(client: httpx.Client) -> None:
    for body, said in (({"model": "bma", "input": [[1]]}, "not a text"), ({"input": [[[]]]}, "may be nested 3 deep")):
        answer = client.post("/v1/embeddings", json=body)
        assert answer.status_code == 400
        assert said in answer.json()["error"]["message"]


def flat(side: int) -> bytes:
    """A grey JPEG."""
    out = io.BytesIO()
    Image.new("L", (side, side), 90).save(out, "JPEG")
    return out.getvalue()


def test_the_limit_on_pixels_is_the_one_that_holds(serving: Serving, empty_catalogue: Path) -> None:
    """Also above what Pillow opens by itself, 179 million; what was let in has a thumbnail, whatever the limit now."""
    most = 200_000_000
    with serving(empty_catalogue, Limits(pixels=most)) as client:
        added = client.post("/v1/items", files={"image": ("a.jpg", flat(14_000))}, data={"id": "a"})
        assert added.status_code == 201, added.text
        assert added.json()["results"][0]["item"]["media_type"] == "image/jpeg"
        with Image.open(io.BytesIO(client.get("/v1/items/a/thumbnail").raise_for_status().content)) as thumbnail:
            assert thumbnail.size == (320, 320)
        for side in (14_200, 21_000):  # Pillow's limit then is twice the service's
            refused = client.post("/v1/embed", files={"image": ("b.jpg", flat(side))})
            assert (refused.status_code, f"limit of {most:,};" in refused.json()["detail"]) == (413, True)
            assert refused.json()["limit"] == most
        client.post("/v1/items", files={"image": ("c.jpg", flat(100))}, data={"id": "c"}).raise_for_status()
    with serving(empty_catalogue, Limits(pixels=5_000)) as client:
        for side in (100, 14_000):
            refused = client.post("/v1/embed", files={"image": ("b.jpg", flat(side))})
            assert (refused.status_code, "limit of 5,000;" in refused.json()["detail"]) == (413, True)
        assert client.get("/v1/items/c/thumbnail").status_code == 200


@pytest.mark.parametrize("target", ["images", "sounds"])
def test_hits_are_limited(client: httpx.Client, target: str) -> None:
    path = f"/v1/search/{target}"
    assert len(client.post(path, params={"k": 17}, files=sounds(1.0)).json()["results"][0]["hits"]) == 17
    answer = client.post(path, params={"k": 18}, files=sounds(1.0))
    assert answer.status_code == 422
    assert answer.json()["detail"] == "query 'k': input should be less than or equal to 17."
    assert answer.json()["limit"] == 17


def test_the_documentation_names_the_limit_on_hits(client: httpx.Client) -> None:
    parameters = client.get("/openapi.json").json()["paths"]["/v1/search/images"]["post"]["parameters"]
    (k,) = (parameter["schema"] for parameter in parameters if parameter["name"] == "k")
    assert (k["minimum"], k["maximum"], k["default"]) == (1, Limits().k, 10)
