from __future__ import annotations

import asyncio
import datetime
import email.utils
import http.server
import inspect
import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.async_client import AsyncClient
from service.client import Client, File, NoAnswer, ServiceError


@pytest.fixture
def client(service_url: str) -> Iterator[Client]:
    with Client(service_url) as client:
        yield client


def test_one_file_or_several_by_path_or_bytes(client: Client, demo_folder: Path) -> None:
    first, second = sorted(demo_folder.glob("sounds/*_test-*.wav"))[:2]
    cases: list[tuple[File | list[File], list[str]]] = [
        (first, [first.name]),
        (str(first), [first.name]),
        (first.read_bytes(), ["the file"]),
        ([first, second.read_bytes()], [first.name, "the file"]),
    ]
    for files, names in cases:
        results = client.search_images(sound=files, k=2)
        assert [result["name"] for result in results] == names
        assert all(len(result["hits"]) == 2 for result in results)


def test_every_question_of_the_service(client: Client, demo_folder: Path) -> None:
    image = sorted(demo_folder.glob("images/*_test-0000.jpg"))[0]
    hit = client.search_images(image=image, k=1)[0]["hits"][0]
    assert hit["id"] == "test-0000:image"
    assert client.search_sounds(image=image, k=3, filter={"label": "boat"})[0]["hits"][0]["label"] == "boat"
    assert len(client.classify(image=image)[0]["classes"]) == 10
    assert client.embed(image=image, include="z")[0].keys() == {"name", "z"}
    assert client.item(hit["id"])["label"] == "drone"
    assert client.content(hit["id"]) == image.read_bytes()
    assert client.model()["catalogue"] == {"images": 30, "sounds": 30}


def test_errors_are_exceptions_with_the_services_words(client: Client) -> None:
    with pytest.raises(ServiceError, match=r"^the file is empty \(0 bytes\); send the file again\.$") as caught:
        client.embed(image=b"")
    assert caught.value.status == 422
    assert caught.value.problem["type"] == "urn:bma:problem:empty-media"
    with pytest.raises(ServiceError, match="There is no item 'nope'"):
        client.item("nope")
    for nothing in (client.embed, client.classify, client.add, client.search_images):
        with pytest.raises(ValueError, match="give one or several with image= or sound="):
            nothing()


def test_items_are_added_replaced_and_deleted(shelf: httpx.Client, demo_folder: Path) -> None:
    first, second, third = sorted(demo_folder.glob("images/*_test-*.jpg"))[:3]
    sound = sorted(demo_folder.glob("sounds/*_test-*.wav"))[0]
    with Client(str(shelf.base_url)) as client:
        added = client.add(
            image=[first, second.read_bytes()],
            id=["a", "b"],
            label=["é", ""],
            tags=["x", "y"],
            metadata={"n": [1, None]},
        )
        assert [result["name"] for result in added] == [first.name, "the file"]
        assert [result["created"] for result in added] == [True, True]
        item = added[0]["item"]
        assert (item["id"], item["label"], item["tags"], item["metadata"]) == ("a", "é", ["x", "y"], {"n": [1, None]})
        assert client.item("a") == item
        assert client.add(sound=sound, id="bark", label="boat")[0]["item"]["modality"] == "sound"
        [nameless] = client.add(image=str(third))
        assert client.content(nameless["item"]["id"]) == third.read_bytes()

        assert client.replace("a", label="z")["tags"] == ["x", "y"]
        assert client.replace("a", tags=[], metadata={}) == {
            **client.item("a"),
            "label": "z",
            "tags": [],
            "metadata": {},
        }
        assert client.replace("a", image=third, label="")["label"] == ""
        assert client.content("a") == third.read_bytes()
        assert client.replace("bark", sound=sound.read_bytes())["label"] == "boat"
        assert client.replace("new", image=first)["id"] == "new"

        client.delete("a")
        with pytest.raises(ServiceError, match="There is no item 'a'") as caught:
            client.delete("a")
        assert caught.value.status == 404
        with pytest.raises(ServiceError, match="PUT to replace it") as caught:
            client.add(image=third, id="b")
        assert caught.value.problem["type"] == "urn:bma:problem:id-taken"
        good, bad = client.add(image=[third, b"text"])
        assert "item" in good
        assert bad["error"]["status"] == 415


def test_ids_of_a_client_stay_one_part_of_the_path(client: Client) -> None:
    for id in ("a/content", "a?k=1", "a#b", "..", "é"):
        with pytest.raises(ServiceError) as caught:
            client.delete(id)
        assert caught.value.status in (404, 405)


class Other(http.server.BaseHTTPRequestHandler):
    """Some other web server."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write({"/html": b"<html>", "/list": b"[]"}.get(self.path.removesuffix("/v1/embed"), b"{}"))

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize("path", ["/html", "/list", "/object"])
def test_an_answer_of_something_else_is_said_to_be_so(path: str) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with (
            Client(f"http://127.0.0.1:{server.server_port}{path}") as client,
            pytest.raises(ServiceError, match="is not this service; check the address"),
        ):
            client.embed(image=b"x")
        thread.join()


def test_no_service_is_one_sentence() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(NoAnswer) as caught:
        client.model()
    assert str(caught.value).startswith("no answer from http://127.0.0.1:9 (")
    assert str(caught.value).endswith("; is 'bma serve' running there?")
    assert isinstance(caught.value, ServiceError)
    assert caught.value.status == 0
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    for url in ("127.0.0.1:8000", "nonsense", "ftp://127.0.0.1", "http://a:b"):
        with pytest.raises(NoAnswer, match="is not a URL; write it like"), Client(url) as client:
            client.model()


def test_results_have_attributes_and_are_mappings(client: Client, demo_folder: Path) -> None:
    image = sorted(demo_folder.glob("images/*_test-0000.jpg"))[0]
    sound = sorted(demo_folder.glob("sounds/*_test-0000.wav"))[0]
    [found] = client.search_images(sound=sound, k=2, windows=True, explain=True)
    assert found.name == found["name"] == sound.name
    assert [hit.id for hit in found.hits] == [hit["id"] for hit in found["hits"]]
    assert found.hits[0].window is not None
    assert found.hits[0].window.score == found["hits"][0]["window"]["score"]
    assert found.windows is not None
    assert found.windows[0].end == 2.0
    assert found.explanation is not None
    assert found.explanation.slots[0].images[0].modality == "image"
    assert found.hits[0].slots is not None
    assert [effect.slot for effect in found.hits[0].slots] == [slot.slot for slot in found.explanation.slots]
    assert json.dumps(found.json)
    [classified] = client.classify(image=image, labels=["boat", "drone"], prototypes="image", explain=True)
    assert {entry.label for entry in classified.classes} == {"boat", "drone"}
    assert classified.classes[0].slots is not None
    [classified] = client.classify(sound=sound, windows=True)
    assert classified.windows is not None
    assert classified.windows[0].classes is not None
    assert classified.windows[0].classes[0].label == classified.classes[0].label
    assert classified["windows"][0]["classes"][0]["label"] == classified.classes[0].label
    [embedded] = client.embed(sound=sound, windows=True)
    assert embedded.windows is not None
    assert embedded.z is not None
    assert embedded.windows[0].z == pytest.approx(embedded.z, abs=1e-3)
    assert embedded.error is None
    item = client.item("test-0000:image")
    assert (item.label, item.media_type) == (item["label"], "image/jpeg")
    good, bad = client.classify(image=[image, b"text"])
    assert good.error is None
    assert bad.error is not None
    assert bad.error.status == 415


def test_items_are_listed_page_by_page(client: Client) -> None:
    every = list(client.items(page=7))
    assert len(every) == len({item.id for item in every}) == 60
    boats = list(client.items(filter={"label": "boat"}, page=2))
    assert {item.label for item in boats} == {"boat"}
    assert len(boats) == 6


def test_labels_come_with_how_many_items_have_them(client: Client, shelf: httpx.Client, demo_folder: Path) -> None:
    found = client.labels()
    assert (len(found.labels), found.total) == (10, 10)
    assert {entry.count for entry in found.labels} == {6}
    assert found.labels[0].label == found["labels"][0]["label"]
    few = client.labels(modality="sound", limit=2)
    assert [(entry.label, entry.count) for entry in few.labels] == [(entry.label, 3) for entry in found.labels[:2]]
    assert few.total == 10
    with pytest.raises(ServiceError, match="'limit'"):
        client.labels(limit=0)
    with Client(str(shelf.base_url)) as other:
        assert other.labels() == {"labels": [], "total": 0}
        other.add(image=sorted(demo_folder.glob("images/*_test-*.jpg"))[:3], label=["ant", "dog", "dog"])
        assert [(entry.label, entry.count) for entry in other.labels().labels] == [("dog", 2), ("ant", 1)]
        assert other.labels(modality="sound").labels == []


def test_files_are_paths_bytes_or_open_files(client: Client, demo_folder: Path) -> None:
    path = sorted(demo_folder.glob("images/*_test-0000.jpg"))[0]
    with path.open("rb") as file:
        results = client.embed(image=[file, io.BytesIO(path.read_bytes()), str(path)], include="z")
    assert [result.name for result in results] == [path.name, "the file", path.name]
    assert results[0].z == pytest.approx(results[1].z, abs=1e-3)
    with pytest.raises(TypeError, match="mode 'rb'"):
        client.embed(image=io.StringIO("text"))  # type: ignore[arg-type]
    for wrong in (3, [3]):
        with pytest.raises(TypeError, match="a file is a path, bytes, or open for reading bytes, not int"):
            client.embed(image=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("end", ["/", "/v1", "/v1/"])
def test_an_address_may_be_that_of_openai_s_client(service_url: str, end: str) -> None:
    with Client(service_url + end) as client:
        assert client.model()["name"]


def test_the_async_client_asks_the_same(service_url: str, shelf: httpx.Client, demo_folder: Path) -> None:
    image = sorted(demo_folder.glob("images/*_test-0000.jpg"))[0]
    sound = sorted(demo_folder.glob("sounds/*_test-0000.wav"))[0]

    async def ask() -> None:
        async with AsyncClient(service_url) as client:
            both = await asyncio.gather(client.search_sounds(image=image, k=2), client.search_images(image=image, k=1))
            assert [len(found[0].hits) for found in both] == [2, 1]
            assert both[1][0].hits[0].id == "test-0000:image"
            assert len((await client.classify(image=image, labels="*"))[0].classes) == 10
            assert (await client.classify(sound=sound, windows=True))[0].windows
            assert (await client.embed(image=image.read_bytes()))[0].z
            assert len([item async for item in client.items(page=25)]) == 60
            assert await client.content("test-0000:image") == image.read_bytes()
            assert (await client.labels(modality="image", limit=1)).labels[0].count == 3
            assert (await client.model())["catalogue"] == {"images": 30, "sounds": 30}
            with pytest.raises(ServiceError, match="There is no item 'nope'"):
                await client.item("nope")
        async with AsyncClient(str(shelf.base_url)) as client:
            [added] = await client.add(image=image, id="a", label="x")
            assert added.item is not None
            assert (await client.replace("a", label="y")).label == "y"
            await client.delete("a")
        async with AsyncClient("http://127.0.0.1:9") as client:
            with pytest.raises(NoAnswer, match="no answer from"):
                await client.model()

    asyncio.run(ask())


def test_both_clients_have_the_same_methods() -> None:
    for name, method in inspect.getmembers(Client, inspect.isfunction):
        if name in vars(Client) and not name.startswith("_"):
            other = getattr(AsyncClient, name)
            assert inspect.signature(method).parameters == inspect.signature(other).parameters, name
            assert inspect.iscoroutinefunction(other) or inspect.isasyncgenfunction(other), name


class Busy:
    """A service that refuses so many requests before it answers."""

    def __init__(self, refusals: int, status: int = 503, retry_after: str | None = None) -> None:
        self.refusals, self.status = refusals, status
        self.headers = {} if retry_after is None else {"retry-after": retry_after}
        self.bodies: list[bytes] = []
        self.keys: list[str | None] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.read())
        self.keys.append(request.headers.get("authorization"))
        if len(self.bodies) <= self.refusals:
            return httpx.Response(self.status, json={"detail": "busy"}, headers=self.headers)
        return httpx.Response(200, json={"model": "m", "results": [{"name": "x", "z": [1.0]}]})


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the clients slept, without having slept."""
    slept: list[float] = []

    async def asleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(asyncio, "sleep", asleep)
    return slept


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_again_later_each_time(pauses: list[float], status: int) -> None:
    service = Busy(3, status)
    with Client(transport=httpx.MockTransport(service), api_key="secret") as client:
        assert client.embed(image=io.BytesIO(b"picture"))[0].z == [1.0]
    assert len(service.bodies) == 4
    assert all(b"picture" in body for body in service.bodies)  # a file that can be read once is sent each time
    assert service.keys == ["Bearer secret"] * 4
    assert all(0 <= pause <= 0.5 * 2**place for place, pause in enumerate(pauses))
    assert len(pauses) == 3


def test_the_async_client_asks_again_too(pauses: list[float]) -> None:
    service = Busy(2, retry_after="3")

    async def ask() -> None:
        async with AsyncClient(transport=httpx.MockTransport(service), api_key="secret") as client:
            assert (await client.embed(image=b"x"))[0].z == [1.0]

    asyncio.run(ask())
    assert [3 <= pause <= 4 for pause in pauses] == [True, True]
    assert service.keys == ["Bearer secret"] * 3


def test_retry_after_is_waited_for_unless_it_is_too_long(pauses: list[float]) -> None:
    soon = email.utils.format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=20))
    for value, least, most in (("7", 7, 7.5), (soon, 17, 20.6), ("nonsense", 0, 0.5), ("-1", 0, 0.5)):
        pauses.clear()
        with Client(transport=httpx.MockTransport(Busy(1, 429, value))) as client:
            client.embed(image=b"x")
        assert least <= pauses[0] <= most, value
    pauses.clear()
    with (
        Client(transport=httpx.MockTransport(Busy(1, 429, "3600"))) as client,
        pytest.raises(ServiceError, match="busy"),
    ):
        client.embed(image=b"x")
    assert pauses == []


def test_patience_ends_and_other_errors_are_not_asked_again(pauses: list[float]) -> None:
    for refusals, status, retries, asked in (
        (9, 503, 2, 3),
        (9, 503, 0, 1),
        (1, 500, 4, 1),
        (1, 504, 4, 1),
        (1, 404, 4, 1),
    ):
        service = Busy(refusals, status)
        with Client(transport=httpx.MockTransport(service), retries=retries) as client:
            with pytest.raises(ServiceError, match="busy") as caught:
                client.embed(image=b"x")
            assert (caught.value.status, len(service.bodies)) == (status, asked)


def test_an_answer_that_takes_too_long_is_one_sentence() -> None:
    def late(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late", request=request)

    with (
        Client(transport=httpx.MockTransport(late), timeout=2) as client,
        pytest.raises(NoAnswer, match="within 2 s; ask for less"),
    ):
        client.model()
