from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.client import Client, File, ServiceError


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
    with pytest.raises(ServiceError, match="no file"):
        client.embed()


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


def test_no_service_is_httpx_error() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(httpx.ConnectError):
        client.model()
