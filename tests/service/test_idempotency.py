"""A request to add items that is sent again with its key is answered as it was, and done once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.access.keys import add_key, read_keys
from service.access.policy import Access
from service.async_client import AsyncClient
from service.client import Client
from tests.service.conftest import Serving
from tests.service.test_items_failures import problem, running
from training.model.embedder import Embedder, Embedding

REPLAYED = "idempotent-replayed"


def add(
    http: httpx.Client, key: str, *files: bytes, headers: dict[str, str] | None = None, **fields: Any
) -> httpx.Response:
    parts = [("image", (f"{number}.jpg", data)) for number, data in enumerate(files)]
    return http.post("/v1/items", files=parts, data=fields, headers={"idempotency-key": key, **(headers or {})})


def ids(http: httpx.Client) -> list[str]:
    return [item["id"] for item in http.get("/v1/items").json()["items"]]


def test_the_same_again_is_answered_alike(shelf: httpx.Client, images: list[bytes]) -> None:
    first = add(shelf, "k", images[0], images[1], b"no picture", id=["a", "b", "c"], label=["x", "y", ""])
    assert first.status_code == 201
    assert REPLAYED not in first.headers
    shelf.put("/v1/items/a", data={"label": "another"})
    shelf.delete("/v1/items/b")
    again = add(shelf, "k", images[0], images[1], b"no picture", id=["a", "b", "c"], label=["x", "y", ""])
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers[REPLAYED] == "true"
    assert ids(shelf) == ["a"], "what was deleted since has not come back"
    other = add(shelf, "another key", images[0], images[1], id=["a", "b"])
    assert other.status_code == 201
    assert REPLAYED not in other.headers
    assert [result["created"] for result in other.json()["results"]] == [False, True]
    there = add(shelf, "a third key", images[0], id="a")
    again = add(shelf, "a third key", images[0], id="a")
    assert (there.status_code, again.status_code, again.headers[REPLAYED]) == (200, 200, "true")


def test_a_key_is_of_one_request(shelf: httpx.Client, images: list[bytes], sounds: list[bytes]) -> None:
    same: dict[str, Any] = {"id": "a", "label": "dog", "tags": ["t"], "metadata": '{"n": 1}'}
    assert add(shelf, "k", images[0], **same).status_code == 201
    others: list[dict[str, Any]] = [
        {"id": "b"},
        {"label": "cat"},
        {"tags": ["t", "u"]},
        {"metadata": '{"n": 2}'},
        {"metadata": ""},
    ]
    answers = [add(shelf, "k", images[0], **{**same, **other}) for other in others]
    answers += [add(shelf, "k", images[1], **same), add(shelf, "k", images[0], images[1])]
    answers += [shelf.post("/v1/items", files={"sound": sounds[0]}, headers={"idempotency-key": "k"})]
    for answer in answers:
        assert "give each request a new one" in problem(answer, 422, "idempotency-key-reused")
    assert ids(shelf) == ["a"]
    assert add(shelf, "k", images[0], **same).headers[REPLAYED] == "true"


def test_an_error_is_not_kept_as_nothing_has_changed(shelf: httpx.Client, images: list[bytes]) -> None:
    problem(add(shelf, "k", b"no picture"), 415, "unsupported-media")
    problem(add(shelf, "k", images[0], metadata="["), 422, "invalid-request")
    assert add(shelf, "k", images[0], id="a").status_code == 201
    problem(add(shelf, "other", images[1], id="a"), 409, "id-taken")
    shelf.delete("/v1/items/a")
    assert add(shelf, "other", images[1], id="a").status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "k\tk", "schlüssel"])
def test_a_key_that_is_none_is_refused(shelf: httpx.Client, images: list[bytes], key: str) -> None:
    answer = shelf.post("/v1/items", files={"image": images[0]}, headers=[(b"idempotency-key", key.encode())])
    assert "'idempotency-key'" in problem(answer, 422, "invalid-request")
    assert ids(shelf) == []


def test_all_that_is_printable_is_a_key(shelf: httpx.Client, images: list[bytes]) -> None:
    for number, key in enumerate(['"8e03978e-40d5-43e8-bc93-6894a57f9324"', "a b", "~" * 255]):
        assert add(shelf, key, images[number]).status_code == 201
        assert add(shelf, key, images[number]).headers[REPLAYED] == "true"


def test_what_is_under_way_is_not_done_twice(
    shelf: httpx.Client, embedder: Embedder, images: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go = threading.Event(), threading.Event()
    held, compute = embedder.read_image(images[0]), embedder.embed_images

    def slowly(packed: Sequence[Any]) -> Embedding:
        if any(np.array_equal(image, held) for image in packed):
            entered.set()
            assert go.wait(60)
        return compute(packed)

    monkeypatch.setattr(embedder, "embed_images", slowly)
    answers: list[httpx.Response] = []
    first = threading.Thread(target=lambda: answers.append(add(shelf, "k", images[0], id="a")))
    first.start()
    try:
        assert entered.wait(60)
        second = add(shelf, "k", images[0], id="a")
        assert "under way" in problem(second, 409, "request-under-way")
        assert second.headers["retry-after"] == "1"
    finally:
        go.set()
        first.join()
    assert answers[0].status_code == 201
    assert add(shelf, "k", images[0], id="a").content == answers[0].content


def test_each_api_key_has_keys_of_its_own(
    serving: Serving, empty_catalogue: Path, images: list[bytes], tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    one, two = ({"x-api-key": add_key(file, name, "write")} for name in ("one", "two"))
    with serving(empty_catalogue, access=Access(read_keys(file))) as http:
        assert add(http, "k", images[0], id="a", headers=one).status_code == 201
        assert add(http, "k", images[1], id="b", headers=two).status_code == 201
        assert add(http, "k", images[0], id="a", headers=one).headers[REPLAYED] == "true"


def test_a_kill_9_after_the_answer_forgets_nothing(
    bundle_folder: Path, empty_catalogue: Path, images: list[bytes]
) -> None:
    arguments = ("--model", bundle_folder, "--index", empty_catalogue)
    with running(*arguments) as (_, url), httpx.Client(base_url=url, timeout=60) as http:
        first = add(http, "k", images[0], label="dog")
        assert first.status_code == 201
    with running(*arguments) as (_, url), httpx.Client(base_url=url, timeout=60) as http:
        again = add(http, "k", images[0], label="dog")
        assert (again.status_code, again.content, again.headers[REPLAYED]) == (201, first.content, "true")
        assert len(ids(http)) == 1
        problem(add(http, "k", images[1], label="dog"), 422, "idempotency-key-reused")


def test_clients_send_a_key_with_each_request_and_the_same_when_they_ask_again(images: list[bytes]) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("idempotency-key", ""))
        if len(seen) % 3:  # busy, then under way
            return httpx.Response((503, 409)[len(seen) % 3 - 1], headers={"retry-after": "0"})
        return httpx.Response(201, json={"results": [{"name": "the file", "created": True}]})

    async def ask() -> None:
        async with AsyncClient("http://x", transport=httpx.MockTransport(answer)) as client:
            await client.add(image=images[0])

    with Client("http://x", transport=httpx.MockTransport(answer)) as client:
        for _ in range(2):
            assert client.add(image=images[0])[0].created
    asyncio.run(ask())
    assert len(seen) == 9
    assert [len(set(seen[start : start + 3])) for start in (0, 3, 6)] == [1, 1, 1]
    assert len(set(seen)) == 3
    assert all(len(key) == 38 and key[0] == key[-1] == '"' for key in seen)
