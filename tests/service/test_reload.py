"""Model and catalogue loaded anew under a running service: no request is dropped, and a bad one changes nothing."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import shutil
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest

from index.local import LocalCatalogue
from service.access.keys import add_key, remove_key
from service.engine import Engine
from service.engines import Engines, Leases, ReloadError
from service.garbage import spare_what_is_loaded
from service.limits import Limits
from service.loading import Succession
from service.settings import load_settings
from tests.conftest import Serve
from training.model.bundle import load_bundle


@pytest.fixture(scope="module")
def other_bundle(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model with other weights."""
    folder = tmp_path_factory.mktemp("bundles") / "other"
    bundle = load_bundle(bundle_folder)
    for weight in bundle.model.parameters():
        weight.data.mul_(1.01)
    bundle.save(folder)
    return folder


@pytest.fixture(scope="module")
def broken_bundle(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Loads, and computes nothing."""
    folder = tmp_path_factory.mktemp("bundles") / "broken"
    bundle = load_bundle(bundle_folder)
    for weight in bundle.model.parameters():
        weight.data.fill_(1e38)  # what comes of it is no number
    bundle.save(folder)
    return folder


def point(link: Path, target: Path) -> None:
    draft = link.with_name("draft")
    draft.symlink_to(target)
    draft.replace(link)


@contextmanager
def asking(url: str, path: str, files: Any) -> Iterator[list[tuple[int, str]]]:
    """Requests one after the other on several connections; the statuses and models of their answers."""
    answers: list[tuple[int, str]] = []
    done = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=120) as client:
            while not done.is_set():
                answer = client.post(path, files=files)
                answers.append((answer.status_code, answer.json().get("model", answer.text)))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        done.set()
        for thread in threads:
            thread.join()


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_no_request_is_dropped_while_sighup_brings_another_model(
    serve: Serve, bundle_folder: Path, other_bundle: Path, images: list[bytes], tmp_path: Path
) -> None:
    link = tmp_path / "current"
    link.symlink_to(bundle_folder)
    names = [load_bundle(folder).name for folder in (bundle_folder, other_bundle)]
    assert names[0] != names[1]
    files = [("image", (f"{n}.jpg", image)) for n, image in enumerate(images[:4])]
    with serve("--model", link) as server, asking(server.url, "/v1/embed", files) as answers:
        until(lambda: len(answers) > 8)
        for target, name in ((other_bundle, names[1]), (bundle_folder, names[0])):
            point(link, target)
            server.process.send_signal(signal.SIGHUP)
            since = len(answers)
            until(lambda: (200, name) in answers[since:])  # noqa: B023 - called at once
            more = len(answers)
            until(lambda: len(answers) > more + 8)  # noqa: B023
    assert {status for status, _ in answers} == {200}
    assert {name for _, name in answers} == set(names)


def test_a_bundle_that_fails_leaves_the_service_as_it_was(
    serve: Serve, bundle_folder: Path, broken_bundle: Path, other_bundle: Path, empty_catalogue: Path, tmp_path: Path,
    images: list[bytes],
) -> None:  # fmt: skip
    link = tmp_path / "current"
    link.symlink_to(bundle_folder)
    files = {"image": images[0]}
    with serve("--model", link, "--index", empty_catalogue) as server:
        with (
            httpx.Client(base_url=server.url, timeout=120) as client,
            asking(server.url, "/v1/embed", files) as answers,
        ):
            before = client.get("/v1/model").json()["fingerprint"]
            for target, words in (
                (broken_bundle, "was made with another model"),
                (other_bundle, f"'bma index rebuild {empty_catalogue} --model BUNDLE'"),
                (tmp_path / "gone", f"{tmp_path / 'gone'} does not exist"),
            ):
                point(link, target)
                answer = client.post("/v1/admin/reload")
                assert (answer.status_code, answer.json()["type"]) == (409, "urn:bma:problem:reload-failed")
                assert words in answer.json()["detail"]
                assert client.get("/v1/model").json()["fingerprint"] == before
                assert client.get("/readyz").status_code == 200
            assert client.post("/v1/items", files=files, data={"id": "a"}).status_code == 201
            point(link, bundle_folder)
            assert client.post("/v1/admin/reload").json()["fingerprint"] == before
            assert client.post("/v1/items", files=files, data={"id": "b"}).status_code == 201
            assert [item["id"] for item in client.get("/v1/items").json()["items"]] == ["a", "b"]
            page = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
            assert client.post("/v1/admin/reload", headers=page).status_code == 403
            until(lambda: len(answers) > 8)
        assert {status for status, _ in answers} == {200}
        server.process.send_signal(signal.SIGINT)
        logged = server.told()
    assert logged.count("ERROR bma.reload: the reload has failed") == 3
    assert logged.count("INFO bma.reload: reloaded") == 1
    LocalCatalogue.open(empty_catalogue, writable=True).close()  # nobody holds it any more


def test_a_model_that_computes_nothing_fails_its_self_test(
    serve: Serve, bundle_folder: Path, broken_bundle: Path, tmp_path: Path, images: list[bytes]
) -> None:
    link = tmp_path / "current"
    link.symlink_to(bundle_folder)
    keys = tmp_path / "keys.json"
    headers = {"x-api-key": add_key(keys, "ops", "write")}
    with (
        serve("--model", link, "--keys", keys) as server,
        httpx.Client(base_url=server.url, timeout=120, headers=headers) as client,
    ):
        point(link, broken_bundle)
        new = add_key(keys, "new", "read")
        before = client.get("/v1/model").json()["fingerprint"]
        answer = client.post("/v1/admin/reload")
        assert (answer.status_code, answer.json()["detail"]) == (409, "the model's answer is not a number.")
        assert client.post("/v1/embed", files={"image": images[0]}).status_code == 200
        # all is as it was, the keys and what is told of the model too
        assert client.get("/v1/key", headers={"x-api-key": new}).status_code == 401
        (told,) = re.findall(r'bma_model_info{.*fingerprint="(\w+)"', client.get("/metrics").text)
        assert told == before
        server.process.send_signal(signal.SIGINT)
        server.told()  # a traceback of the model's failure may be told


def test_keys_come_and_go_with_a_reload(serve: Serve, bundle_folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    web, ops = add_key(file, "web", "read"), add_key(file, "ops", "write")
    with serve("--model", bundle_folder, "--keys", file) as server:
        url = server.url

        def status(method: str, path: str, secret: str) -> int:
            return httpx.request(method, url + path, headers={"x-api-key": secret}, timeout=120).status_code

        assert status("GET", "/v1/key", web) == 200
        assert status("POST", "/v1/admin/reload", web) == 403
        remove_key(file, "web")
        new = add_key(file, "new", "read")
        assert (status("GET", "/v1/key", web), status("GET", "/v1/key", new)) == (200, 401)
        assert status("POST", "/v1/admin/reload", ops) == 200
        assert (status("GET", "/v1/key", web), status("GET", "/v1/key", new)) == (401, 200)
        file.write_text("{}")
        assert status("POST", "/v1/admin/reload", ops) == 409
        assert status("GET", "/v1/key", new) == 200


def test_an_open_catalogue_is_handed_over_and_another_in_its_place_is_opened(
    bundle_folder: Path, empty_catalogue: Path
) -> None:
    succession = Succession(load_settings({"model": bundle_folder, "index": str(empty_catalogue), "device": "cpu"}))
    first = succession.first()
    second = succession.next(first)
    assert second.catalogue is first.catalogue
    first.catalogue = None
    first.close()
    away = empty_catalogue.with_name("away")
    empty_catalogue.rename(away)
    shutil.copytree(away, empty_catalogue)
    third = succession.next(second)
    assert third.catalogue is not second.catalogue
    second.close()
    third.close()
    reader = Succession(load_settings({"model": bundle_folder, "index": str(away), "device": "cpu", "read_only": True}))
    one = reader.first()
    two = reader.next(one)  # which needs nobody's place, and sees a catalogue that was made anew
    assert two.catalogue is not one.catalogue
    one.close()
    two.close()


def test_an_engine_closes_when_its_last_request_has_ended(embedder: Any, empty_catalogue: Path) -> None:
    closed: list[str] = []

    class Watched(Engine):
        name = "old"

        def close(self) -> None:
            super().close()
            closed.append(self.name)

    async def run() -> None:
        catalogue = LocalCatalogue.open(empty_catalogue, writable=True)
        old, new = Watched(embedder, catalogue, Limits()), Watched(embedder, catalogue, Limits())
        new.name = "new"
        engines = Engines(old, lambda before: new)
        inside, go_on = asyncio.Event(), asyncio.Event()
        seen = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["state"]["engine"])
            inside.set()
            await go_on.wait()

        request = asyncio.create_task(Leases(app, engines)({"type": "http"}, None, None))  # type: ignore[arg-type]
        await inside.wait()
        assert await engines.reload() is new
        assert engines.current is new
        await asyncio.sleep(0.05)
        assert closed == []
        assert seen == [old]
        assert old.catalogue is catalogue  # the request may still ask it
        go_on.set()
        await request
        await engines.close()
        assert closed == ["old", "new"]

    asyncio.run(run())


@pytest.mark.parametrize("fails", [False, True])
def test_the_memory_of_an_engine_that_does_not_answer_any_more_is_given_back(
    embedder: Any, fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where Python's collector was told to pass over it, as `bma serve` does, and does not come by itself."""
    caplog.set_level(logging.CRITICAL, "bma.reload")  # pytest keeps what is logged, with its traceback
    gone: list[weakref.ref[Engine]] = []

    async def tested() -> None:
        if fails:
            raise ArithmeticError("no number")

    def load(old: Engine) -> Engine:
        new = Engine(embedder, None, Limits())
        new.self_test = tested  # type: ignore[method-assign]
        gone.append(weakref.ref(new if fails else old))
        return new

    async def run() -> None:
        engines = Engines(Engine(embedder, None, Limits()), load)
        gc.collect()
        spare_what_is_loaded()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await scope["state"]["engine"].embed([embedder.empty("image")], "image")

        scope = {"type": "http"}  # the server has it for longer than the request
        await Leases(app, engines)(scope, None, None)  # type: ignore[arg-type]
        with pytest.raises(ReloadError) if fails else nullcontext():
            await engines.reload()
        end = time.monotonic() + 60
        while gone[0]() is not None and time.monotonic() < end:
            await asyncio.sleep(0.02)
        assert gone[0]() is None
        assert scope
        await engines.close()

    before = gc.get_threshold()
    gc.disable()
    try:
        asyncio.run(run())
    finally:
        gc.unfreeze()
        gc.enable()
        gc.set_threshold(*before)


def test_a_service_that_nobody_started_so_can_not_be_reloaded(embedder: Any) -> None:
    async def run() -> None:
        engines = Engines(Engine(embedder, None, Limits()))
        with pytest.raises(ReloadError, match="bma serve"):
            await engines.reload()
        await engines.close()

    asyncio.run(run())
