"""Heavy requests leave the event loop free."""

from __future__ import annotations

import io
import threading
import time
import wave
from pathlib import Path

import httpx
import numpy as np
import pytest

from index.catalogue import InUse
from index.content import Content
from index.local import LocalCatalogue
from tests.service.conftest import Serving


def noise(seconds: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(22_050)
        stream.writeframes(np.random.default_rng(0).integers(-9999, 9999, 22_050 * seconds, np.int16).tobytes())
    return out.getvalue()


def test_health_answers_while_a_heavy_request_runs(service_url: str) -> None:
    files = [("sound", (f"{n}.wav", noise(300))) for n in range(4)]
    answers: list[httpx.Response] = []

    def ask() -> None:
        answers.append(httpx.post(f"{service_url}/v1/embed", files=files, timeout=120))

    heavy = threading.Thread(target=ask)
    with httpx.Client(base_url=service_url, timeout=60) as client:
        begin = time.perf_counter()
        heavy.start()
        waits = []
        while heavy.is_alive():
            asked = time.perf_counter()
            assert client.get("/healthz").status_code == 200
            waits.append(time.perf_counter() - asked)
            time.sleep(0.01)
    lasted = time.perf_counter() - begin
    assert [answer.status_code for answer in answers] == [200]
    assert lasted > 0.5, "the request was not heavy"
    assert len(waits) >= 5
    assert max(waits) < lasted / 2


def test_health_answers_while_much_is_written(shelf: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    really = Content.add

    def slow(self: Content, hash: str, data: bytes) -> None:
        time.sleep(1.0)
        really(self, hash, data)

    monkeypatch.setattr(Content, "add", slow)
    statuses: list[int] = []

    def write() -> None:
        answer = httpx.post(f"{shelf.base_url}/v1/items", files={"sound": noise(1)}, timeout=60)
        statuses.append(answer.status_code)

    writer = threading.Thread(target=write)
    writer.start()
    waits = []
    while writer.is_alive():
        asked = time.perf_counter()
        assert shelf.get("/healthz").status_code == 200
        waits.append(time.perf_counter() - asked)
        time.sleep(0.01)
    assert statuses == [201]
    assert max(waits) < 0.9


def test_the_catalogue_is_free_once_the_service_has_ended(serving: Serving, empty_catalogue: Path) -> None:
    with serving(empty_catalogue) as http:
        assert http.get("/readyz").is_success
        with pytest.raises(InUse):
            LocalCatalogue.open(empty_catalogue, writable=True)
    LocalCatalogue.open(empty_catalogue, writable=True).close()


def test_many_clients_at_once_each_get_their_own_answer(service_url: str, demo_folder: Path) -> None:
    files = sorted(demo_folder.glob("images/*_test-*.jpg"))[:12]
    best: dict[str, str] = {}

    def ask(file: Path) -> None:
        answer = httpx.post(
            f"{service_url}/v1/search/images", params={"k": 1}, files={"image": file.read_bytes()}, timeout=60
        )
        best[file.name] = answer.json()["results"][0]["hits"][0]["id"]

    threads = [threading.Thread(target=ask, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert best == {file.name: f"{file.stem.rpartition('_')[2]}:image" for file in files}
