"""Changes that can't be made, and what is left of those that are broken off."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from index.content import Content, content_hash
from index.local import LocalCatalogue
from tests.conftest import start_server
from tests.service.conftest import Serving
from training.model.embedder import Embedder, Embedding


def problem(answer: httpx.Response, status: int, kind: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:bma:problem:{kind}"
    detail: str = answer.json()["detail"]
    return detail


def every_change(http: httpx.Client, data: bytes) -> Iterator[httpx.Response]:
    """Of a service that has an item `there`."""
    yield http.post("/v1/items", files={"image": data})
    yield http.put("/v1/items/new", files={"image": data})
    yield http.put("/v1/items/there", files={"image": data})
    yield http.put("/v1/items/there", data={"label": "x"})
    yield http.delete("/v1/items/there")


def unchanged(http: httpx.Client, there: bytes) -> None:
    items = http.get("/v1/items").json()["items"]
    assert [(item["id"], item["label"]) for item in items] == [("there", "")]
    assert http.get("/v1/items/there/content").content == there
    hits = http.post("/v1/search/images", files={"image": there}).json()["results"][0]["hits"]
    assert [hit["id"] for hit in hits] == ["there"]
    assert hits[0]["score"] == pytest.approx(1, abs=1e-3)  # as promised; another start may have other encoders


def test_a_file_that_the_model_has_no_answer_for_fails_alone(
    shelf: httpx.Client, embedder: Embedder, images: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, compute = embedder.read_image(images[1]), embedder.embed_images

    def computed(packed: Sequence[Any]) -> Embedding:
        if any(np.array_equal(image, bad) for image in packed):
            raise ArithmeticError("not a number")
        return compute(packed)

    monkeypatch.setattr(embedder, "embed_images", computed)
    files = [("image", (f"{name}.jpg", data)) for name, data in zip("abc", images, strict=False)]
    fields = {"id": ["a", "b", "c"], "label": ["red", "green", "blue"]}
    added = shelf.post(
        "/v1/items", files=[*files, ("image", ("d.jpg", b"no picture"))], data={k: [*v, ""] for k, v in fields.items()}
    )
    assert added.status_code == 201, added.text
    first, second, third, fourth = added.json()["results"]
    assert [(first["item"]["id"], first["item"]["label"]), (third["item"]["id"], third["item"]["label"])] == [
        ("a", "red"),
        ("c", "blue"),
    ]
    assert second.keys() == {"name", "error"}
    assert second["error"]["type"] == "urn:bma:problem:not-computable"
    assert fourth["error"]["type"] == "urn:bma:problem:unsupported-media"
    assert [item["id"] for item in shelf.get("/v1/items").json()["items"]] == ["a", "c"]
    problem(shelf.post("/v1/items", files=files[1:2]), 422, "not-computable")
    problem(shelf.put("/v1/items/a", files=files[1:2]), 422, "not-computable")
    assert shelf.get("/v1/items/a/content").content == images[0]


def test_a_catalogue_that_is_only_read_is_not_changed(
    serving: Serving, empty_catalogue: Path, images: list[bytes]
) -> None:
    with serving(empty_catalogue) as http:
        assert http.post("/v1/items", files={"image": images[0]}, data={"id": "there"}).status_code == 201
    with serving(empty_catalogue, writable=False) as http:
        assert http.get("/v1/model").json()["writable"] is False
        for answer in every_change(http, images[1]):
            assert "without --read-only" in problem(answer, 409, "read-only")
        unchanged(http, images[0])


def test_a_page_of_another_site_changes_nothing(shelf: httpx.Client, images: list[bytes]) -> None:
    """A form of theirs may be sent to a loopback address without the browser asking first."""
    shelf.headers["sec-fetch-site"] = "same-origin"
    assert shelf.post("/v1/items", files={"image": images[0]}, data={"id": "there"}).status_code == 201
    for site in ("cross-site", "same-site"):
        shelf.headers["sec-fetch-site"] = site
        for answer in every_change(shelf, images[1]):
            problem(answer, 403, "other-site")
    unchanged(shelf, images[0])


def test_over_plain_http_the_origin_tells_whose_page_it_is(shelf: httpx.Client, images: list[bytes]) -> None:
    """Browsers send Sec-Fetch-Site to https and to their own machine alone."""
    host = shelf.base_url.netloc.decode()
    for number, origin in enumerate([f"http://{host}", f"https://{host}"]):
        answer = shelf.post("/v1/items", files={"image": images[number]}, headers={"origin": origin})
        assert answer.status_code == 201
    for origin in (
        "http://evil.example",
        f"http://evil.example:{shelf.base_url.port}",
        "null",
        f"http://{host}.evil",
        "http://[",
    ):
        shelf.headers["origin"] = origin
        for answer in every_change(shelf, images[2]):
            problem(answer, 403, "other-site")


def full_content(monkeypatch: pytest.MonkeyPatch) -> None:
    def add(self: Content, hash: str, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Content, "add", add)


def test_a_disk_without_room_for_content_is_a_507(
    shelf: httpx.Client, images: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.post("/v1/items", files={"image": images[0]}, data={"id": "there"})
    with monkeypatch.context() as patched:
        full_content(patched)
        for answer in islice(every_change(shelf, images[1]), 3):  # the others need no room for content
            detail = problem(answer, 507, "insufficient-storage")
            assert "make room, then send this again" in detail
            assert "/" not in detail  # no path of the server's
        unchanged(shelf, images[0])
    assert shelf.post("/v1/items", files={"image": images[1]}).status_code == 201


def test_a_database_without_room_is_a_507(serving: Serving, empty_catalogue: Path, images: list[bytes]) -> None:
    catalogue = LocalCatalogue.open(empty_catalogue, writable=True)
    with serving(catalogue) as http:
        assert http.post("/v1/items", files={"image": images[0]}, data={"id": "there"}).status_code == 201
        with catalogue.database.turn() as connection:  # SQLite's own way to say that there is no more
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")
        statuses = set()
        for n in range(200):
            answer = http.put(
                f"/v1/items/{n}", files={"image": images[1]}, data={"metadata": '{"a": "%s"}' % ("x" * 9999)}
            )
            statuses.add(answer.status_code)
            if answer.status_code == 507:
                break
        assert statuses == {201, 507} or statuses == {507}
        problem(answer, 507, "insufficient-storage")
        assert http.get(f"/v1/items/{n}").status_code == 404
        hits = http.post("/v1/search/images", files={"image": images[0]}).json()["results"][0]["hits"]
        assert hits[0]["id"] == "there"
        with catalogue.database.turn() as connection:
            connection.execute("PRAGMA max_page_count = 1000000")
        assert http.put(f"/v1/items/{n}", files={"image": images[1]}).status_code == 201


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99, 1.0])
def test_a_client_that_hangs_up_leaves_all_or_nothing(shelf: httpx.Client, images: list[bytes], share: float) -> None:
    parts = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n' + data + b"\r\n"
        for data in images[:8]
    )
    body = parts + b"--x--\r\n"
    head = (
        "POST /v1/items HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((shelf.base_url.host, shelf.base_url.port or 0)) as connection:
        connection.sendall(head.encode() + body[: int(share * len(body))])
        time.sleep(0.05)
    seen = set()
    for _ in range(40 if share == 1 else 10):
        items = shelf.get("/v1/items").json()["items"]
        seen.add(len(items))
        if items:
            break
        time.sleep(0.05)
    assert seen <= {0, 8}
    assert seen == {0} or share == 1
    for item, data in zip(items, images, strict=False):
        assert shelf.get(item["content"]).content == data


def test_reads_go_on_while_much_is_written(shelf: httpx.Client, images: list[bytes]) -> None:
    """Searches, contents and thumbnails of items that come and go: never a 5xx, never a half."""
    stop = threading.Event()
    failures: list[str] = []
    answers = 0

    def read() -> None:
        nonlocal answers
        with httpx.Client(base_url=shelf.base_url, timeout=60) as http:
            while not stop.is_set():
                for answer in (
                    http.get("/v1/items/a/content"),
                    http.get("/v1/items/a/thumbnail"),
                    http.post("/v1/search/images", files={"image": images[0]}),
                ):
                    answers += 1
                    if answer.status_code not in (200, 404):
                        failures.append(answer.text)
                    if (
                        answer.url.path.endswith("content")
                        and answer.status_code == 200
                        and answer.content not in images
                    ):
                        failures.append("half a file")

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for n in range(25):
        assert shelf.put("/v1/items/a", files={"image": images[n % 5]}).status_code in (200, 201)
        if n % 3 == 0:
            assert shelf.delete("/v1/items/a").status_code == 204
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert answers > 10


def test_many_clients_with_one_id_agree_on_who_was_first(shelf: httpx.Client, images: list[bytes]) -> None:
    statuses: dict[int, int] = {}

    def post(n: int) -> None:
        answer = httpx.post(f"{shelf.base_url}/v1/items", files={"image": images[n]}, data={"id": "a"}, timeout=60)
        statuses[n] = answer.status_code

    threads = [threading.Thread(target=post, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (first,) = (n for n, status in statuses.items() if status == 201)
    assert sorted(statuses.values()) == [201, *[409] * 7]
    assert shelf.get("/v1/items/a/content").content == images[first]


@contextmanager
def running(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`bma serve …` that is killed at the end, whatever it does."""
    server = start_server(*arguments)
    with server.process:
        try:
            yield server.process, server.url
        finally:
            server.process.kill()


def varied(image: bytes, number: int) -> bytes:
    """The same picture in other bytes: a comment more."""
    comment = f"number {number}".encode()
    return image[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + image[2:]


def test_what_was_acknowledged_outlives_kill_9(bundle_folder: Path, empty_catalogue: Path, images: list[bytes]) -> None:
    arguments = ("--model", bundle_folder, "--index", empty_catalogue)
    kept: dict[str, bytes] = {}
    sent: dict[str, bytes] = {}
    deleted: set[str] = set()
    for killed in range(3):
        with running(*arguments) as (process, url):
            _check_kept(url, kept, sent, deleted)

            def write(writer: int, url: str = url, killed: int = killed) -> None:
                with httpx.Client(base_url=url, timeout=60) as http:
                    for n in range(1000):
                        files = {f"{killed}.{writer}.{n}.{m}": varied(images[m], n) for m in range(2)}
                        parts = [("image", (id, data)) for id, data in files.items()]
                        sent.update(files)
                        try:
                            answer = http.post("/v1/items", files=parts, data={"id": list(files)})
                            assert answer.status_code == 201, answer.text
                            kept.update(files)
                            if n % 3 == 0:
                                gone = next(iter(files))
                                deleted.add(gone)
                                del kept[gone]
                                if http.delete(f"/v1/items/{gone}").status_code != 204:
                                    raise AssertionError(gone)
                        except httpx.TransportError:
                            return

            writers = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
            before = len(kept)
            for thread in writers:
                thread.start()
            while len(kept) < before + 12:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            for thread in writers:
                thread.join()
    with running(*arguments) as (_, url):
        _check_kept(url, kept, sent, deleted)
    contents = {file.name for file in (empty_catalogue / "content").glob("*/*")}
    with sqlite3.connect(empty_catalogue / "catalogue.sqlite") as connection:
        assert contents == {hash for (hash,) in connection.execute("SELECT content FROM items")}
    connection.close()


def _check_kept(url: str, kept: dict[str, bytes], sent: dict[str, bytes], deleted: set[str]) -> None:
    """All that was acknowledged is there and found; of the rest, whole requests or nothing."""
    with httpx.Client(base_url=url, timeout=60) as http:
        items: dict[str, Any] = {item["id"]: item for item in http.get("/v1/items?limit=1000").json()["items"]}
        assert set(kept) <= set(items) <= set(sent)
        for id, item in items.items():
            assert http.get(item["content"]).content == sent[id]
            other = f"{id[:-1]}{1 - int(id[-1])}"
            assert other in items or other in deleted or id in deleted
        for id in list(kept)[:3]:
            hits = http.post("/v1/search/images?k=1000", files={"image": kept[id]}).json()["results"][0]["hits"]
            assert {hit["id"] for hit in hits} == set(items)
        assert all(content_hash(data) for data in kept.values())
