"""A catalogue that fails: a server that is away, one that refuses, an item's file that is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

import service.engine
from index.catalogue import CatalogueError, Item, ItemTooLarge, NoSuchItem, Refused, Unreachable
from index.local import LocalCatalogue
from service.explaining import vectors_of
from service.problems import AGAIN
from tests.service.conftest import Serving

ADDRESS = "milvus.internal.example"
SAYS = f"Milvus at http://{ADDRESS}:19530 can't be reached (StatusCode.UNAVAILABLE)"
CALLS = ("put", "update", "get", "at", "vectors", "delete", "page", "count", "labels", "changes", "search")
FILE_CALLS = ("/v1/items/there/content", "/v1/items/there/thumbnail")


class Away:
    """A catalogue on a server: what it is asked fails as soon as there is a failure."""

    def __init__(self, catalogue: LocalCatalogue) -> None:
        self._catalogue = catalogue
        self.failure: Exception | None = None
        self.only: Sequence[str] = CALLS
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._catalogue, name)
        if name not in CALLS:
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self.asked.append(name)
            if self.failure is not None and name in self.only:
                raise self.failure
            return found(*arguments, **named)

        return call


@pytest.fixture
def away(empty_catalogue: Path) -> Away:
    return Away(LocalCatalogue.open(empty_catalogue, writable=True))


@pytest.fixture
def client(away: Away, serving: Serving, images: list[bytes]) -> Iterator[httpx.Client]:
    """Of a service that has an item `there`, with a label."""
    with serving(away) as client:
        added = client.post("/v1/items", files={"image": images[0]}, data={"id": "there", "label": "boat"})
        added.raise_for_status()
        yield client


def every_call(client: httpx.Client, image: bytes) -> Iterator[httpx.Response]:
    """Whatever asks the catalogue something, but for `/metrics`."""
    file = {"image": image}
    for path in (
        "/v1/search/images",
        "/v1/search/sounds",
        "/v1/search/images?explain=true",
        "/v1/classify?labels=boat",
    ):
        yield client.post(path, files=file)
    for path in ("/v1/model", "/v1/labels", "/v1/items", "/v1/items/there", *FILE_CALLS):
        yield client.get(path)
    yield from every_change(client, image)


def every_change(client: httpx.Client, image: bytes) -> Iterator[httpx.Response]:
    yield client.post("/v1/items", files={"image": image})
    yield client.put("/v1/items/there", files={"image": image})
    yield client.put("/v1/items/there", data={"label": "x"})
    yield client.delete("/v1/items/there")


def test_a_server_that_is_away_is_a_503_that_says_when_to_come_again(
    client: httpx.Client, away: Away, images: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    away.failure = Unreachable(SAYS)
    for answer in every_call(client, images[1]):
        assert answer.status_code == 503, answer.request.url
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == str(AGAIN)
        assert answer.json()["type"] == "urn:bma:problem:not-ready"
        assert (
            answer.json()["detail"] == "The service's catalogue can't be reached at the moment; send this again in 5 s."
        )
        assert ADDRESS in caplog.text
        caplog.clear()
    away.failure = None
    assert {answer.status_code for answer in every_call(client, images[1])} == {200, 201, 204}


def test_a_server_that_refuses_is_a_500_that_tells_nothing_of_it(
    client: httpx.Client, away: Away, images: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    for away.failure in (Refused(SAYS), Unreachable(SAYS)):
        away.only = ("put", "update", "delete")
        for answer in every_change(client, images[1]):
            assert answer.status_code == (500 if isinstance(away.failure, Refused) else 503)
            assert ADDRESS not in answer.text
    away.failure, away.only = Refused(SAYS), CALLS
    for answer in every_call(client, images[1]):
        assert answer.status_code == 500, answer.request.url
        assert answer.json()["type"] == "urn:bma:problem:internal"
        assert ADDRESS not in answer.text
        assert "the service's log says why" in answer.json()["detail"]
        assert ADDRESS in caplog.text
        caplog.clear()


def test_whatever_else_is_wrong_with_a_catalogue_is_no_404(
    client: httpx.Client, away: Away, images: list[bytes]
) -> None:
    away.failure = CatalogueError("/secret/catalogue was made anew by another model; open it again")
    for path in ("/v1/model", "/v1/labels", "/v1/items", "/v1/items/there", *FILE_CALLS):
        answer = client.get(path)
        assert answer.status_code == 500
        assert "secret" not in answer.text
    away.only = ("put", "update", "delete")
    for answer in every_change(client, images[1]):
        assert answer.status_code == 507
        assert "secret" not in answer.text


def test_an_item_of_which_too_much_is_told_is_a_422_that_says_so(
    client: httpx.Client, away: Away, images: list[bytes]
) -> None:
    away.failure = ItemTooLarge("the tags of item b take more than 65535 bytes; say less")
    away.only = ("put", "update")
    for answer in (
        client.post("/v1/items", files={"image": images[1]}),
        client.put("/v1/items/there", files={"image": images[1]}),
        client.put("/v1/items/there", data={"label": "x"}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:bma:problem:invalid-request")
        assert answer.json()["detail"] == "The tags of item b take more than 65535 bytes; say less."


def test_an_item_that_goes_while_it_is_changed_is_a_404(client: httpx.Client, away: Away) -> None:
    away.failure, away.only = NoSuchItem("there is no item there of this modality and content"), ("update",)
    answer = client.put("/v1/items/there", data={"label": "x"})
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:bma:problem:no-such-item")
    assert answer.json()["detail"] == "There is no item there of this modality and content."


@pytest.mark.parametrize("path", FILE_CALLS)
def test_a_file_that_is_gone_is_a_404(client: httpx.Client, away: Away, path: str) -> None:
    content = away.get("there").content
    away._catalogue.content.path(content).unlink()
    answer = client.get(path)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:bma:problem:content-gone")
    assert answer.json()["detail"].startswith("The file of item there is no longer in its place; ")


def test_metrics_are_told_without_the_counts(client: httpx.Client, away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 'bma_index_items{modality="image"} 1.0' in client.get("/metrics").text

    def told() -> str:
        answer = client.get("/metrics")
        assert answer.status_code == 200
        assert "bma_requests_total{" in answer.text
        return answer.text

    away.failure = Unreachable(SAYS)
    assert "bma_index_items{" not in told()
    away.failure = None
    assert 'bma_index_items{modality="image"} 1.0' in told()
    monkeypatch.setattr(service.engine, "COUNTED", 0.05)
    monkeypatch.setattr(LocalCatalogue, "count", lambda self: time.sleep(0.5))
    assert "bma_index_items{" not in told()


def test_vectors_of_a_server_that_is_away_are_not_asked_for_one_by_one(away: Away) -> None:
    away.failure = Unreachable(SAYS)
    with pytest.raises(Unreachable):
        vectors_of(away, ["a", "b", "c"])
    assert away.asked == ["vectors"]


def test_vectors_of_items_that_have_gone_are_left_out(away: Away, monkeypatch: pytest.MonkeyPatch) -> None:
    unit: Callable[..., npt.NDArray[np.float32]] = np.eye
    away.put([Item("a", "image", "a.jpg", "image/jpeg")], unit(1, away.dimension, dtype=np.float32))
    assert vectors_of(away, ["a", "gone", "a"]).keys() == {"a"}


def test_the_document_names_the_statuses(client: httpx.Client) -> None:
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        if path in ("/healthz", "/readyz"):
            continue
        for operation in operations.values():
            assert "catalogue can't be reached" in operation["responses"]["503"]["description"]
            assert "500" in operation["responses"]
