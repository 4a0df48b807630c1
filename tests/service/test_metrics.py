"""`/metrics` tells Prometheus what happened; deadlines, hang-ups and crashes over real HTTP."""

from __future__ import annotations

import copy
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from index.local import LocalCatalogue
from service.engine import Engine
from service.limits import Limits
from service.pipeline.capacity import Capacity
from service.pipeline.metrics import Metrics
from tests.conftest import ROOT
from tests.service import serving
from training.model.embedder import Embedder

SOON = 20.0  # seconds after which a test has failed; none waits that long
Labels = dict[str, str]


class Served:
    """A service in this process, and its numbers."""

    def __init__(self, engine: Engine, http: httpx.Client) -> None:
        self.engine, self.http = engine, http

    def numbers(self) -> Callable[..., float | None]:
        answer = self.http.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=")
        samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }
        return lambda sample, **labels: samples.get((sample, frozenset(labels.items())))

    def post(self, image: bytes, path: str = "/v1/embed", **options: Any) -> httpx.Response:
        return self.http.post(path, files={"image": image}, **options)


@pytest.fixture
def served(embedder: Embedder, catalogue_folder: Path) -> Iterator[Served]:
    capacity = Capacity(batch_size=4, queue_items=3, lanes=1)
    engine = Engine(copy.copy(embedder), LocalCatalogue.open(catalogue_folder), Limits(), capacity)
    with serving.served(engine) as http:
        yield Served(engine, http)


class Gate:
    """The model, stopped before each batch until it is let."""

    def __init__(self, engine: Engine) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()
        self.seen: list[int] = []
        self._really = engine.embedder.embed_images
        engine.embedder.embed_images = self  # type: ignore[method-assign, assignment]

    def __call__(self, packed: Any) -> Any:
        self.seen.append(len(packed))
        self.entered.set()
        assert self.opened.wait(SOON)
        return self._really(packed)


@pytest.fixture
def gate(served: Served) -> Iterator[Gate]:
    gate = Gate(served.engine)
    yield gate
    gate.opened.set()


def in_thread(work: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[threading.Thread, list[Any]]:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work(*arguments, **options)))
    thread.start()
    return thread, found


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_requests_are_counted_by_template_and_status(served: Served, images: list[bytes], sounds: list[bytes]) -> None:
    for _ in range(3):
        assert served.post(images[0]).status_code == 200
    assert served.http.post("/v1/search/images", files={"sound": sounds[0]}).status_code == 200
    assert served.post(b"nothing").status_code == 415
    assert served.http.get("/v1/items/none").status_code == 404
    assert served.http.get("/v1/items/test-0000:image").status_code in (200, 404)
    assert served.http.get("/nowhere/12345").status_code == 404
    served.http.request("TRACE", "/v1/model")
    value = served.numbers()
    assert value("bma_requests_total", method="POST", path="/v1/embed", status="200") == 3
    assert value("bma_requests_total", method="POST", path="/v1/embed", status="415") == 1
    assert value("bma_requests_total", method="POST", path="/v1/search/images", status="200") == 1
    assert value("bma_requests_total", method="GET", path="/v1/items/{id}", status="404") is not None
    assert value("bma_requests_total", method="GET", path="other", status="404") == 1
    assert value("bma_requests_total", method="other", path="/v1/model", status="405") == 1
    assert value("bma_request_seconds_count", path="/v1/embed") == 4


def test_stages_batches_and_versions_are_told(served: Served, images: list[bytes]) -> None:
    before = served.numbers()
    assert served.post(images[0], "/v1/search/sounds").status_code == 200
    value = served.numbers()
    for stage in ("decode", "queue", "model", "search"):
        ago = before("bma_stage_seconds_count", stage=stage) or 0
        assert value("bma_stage_seconds_count", stage=stage) == ago + 1, stage
    assert value("bma_batch_items_sum", modality="image") == (before("bma_batch_items_sum", modality="image") or 0) + 1
    assert value("bma_batch_limit", modality="image") == 4
    assert (value("bma_queue_items"), value("bma_queue_bytes")) == (0, 0)
    bundle = served.engine.embedder.bundle
    model = {"name": bundle.name, "fingerprint": bundle.fingerprint, "device": "cpu"}
    assert 1.0 in [value("bma_model_info", **model, precision=precision) for precision in ("fp32", "bf16")]
    assert value("bma_index_info", fingerprint=bundle.fingerprint) == 1
    assert value("bma_index_items", modality="sound") == 30
    assert value("process_resident_memory_bytes")


def test_the_document_names_every_metric_with_its_labels() -> None:
    told = {}
    document = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    for names, labels in re.findall(r"^\| (`bma_.*?) \|(.*?)\|", document, re.MULTILINE):
        told.update(dict.fromkeys(re.findall(r"`(\w+)`", names), re.findall(r"`(\w+)`", labels)))
    there = {}
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            there[f"{family.name}_total" if family.type == "counter" else family.name] = list(metric._labelnames)
    assert told == there


def test_past_the_queue_it_is_429_at_once(served: Served, gate: Gate, images: list[bytes]) -> None:
    waiting = [in_thread(served.post, images[n]) for n in range(3)]
    until(lambda: served.engine.admission.items == 3)
    refused = served.post(images[4])
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["type"] == "urn:bma:problem:overloaded"
    assert served.http.get("/healthz").status_code == 200
    gate.opened.set()
    for thread, found in waiting:
        thread.join(SOON)
        assert found[0].status_code == 200
    assert served.post(images[4]).status_code == 200
    assert served.numbers()("bma_dropped_total", reason="full") == 1


def test_a_deadline_is_504_and_frees_its_place(served: Served, gate: Gate, images: list[bytes]) -> None:
    first, answer = in_thread(served.post, images[0])
    assert gate.entered.wait(SOON)
    late = served.post(images[1], headers={"X-Deadline-Ms": "200"})
    assert late.status_code == 504
    assert late.json()["type"] == "urn:bma:problem:deadline-exceeded"
    assert late.json()["deadline"] == 0.2
    until(lambda: served.engine.admission.items == 1)
    gate.opened.set()
    first.join(SOON)
    assert answer[0].status_code == 200
    assert gate.seen == [1], "the model computed what nobody waited for"


@pytest.mark.parametrize(
    "value", ["0", "-1", "soon", "1.5", "99999999999", "²", "000000600000999999", "000000000001" + 5000 * "9"]
)
def test_a_deadline_that_is_none_is_refused(served: Served, value: str) -> None:
    answer = served.http.get("/v1/model", headers={b"X-Deadline-Ms": value.encode()})
    assert answer.status_code == 422
    assert "milliseconds from 1 to 600000" in answer.json()["detail"]


def test_who_hangs_up_costs_the_model_nothing(served: Served, gate: Gate, images: list[bytes]) -> None:
    first, answer = in_thread(served.post, images[0])
    assert gate.entered.wait(SOON)
    request = served.http.build_request("POST", "/v1/embed", files={"image": images[1]})
    head = f"POST /v1/embed HTTP/1.1\r\nhost: {request.headers['host']}\r\n" + "".join(
        f"{name}: {request.headers[name]}\r\n" for name in ("content-type", "content-length")
    )
    url = served.http.base_url
    with socket.create_connection((url.host, url.port or 80)) as client:
        client.sendall(head.encode() + b"\r\n" + request.read())
        until(lambda: served.engine.admission.items == 2)
    until(lambda: served.engine.admission.items == 1)
    gate.opened.set()
    first.join(SOON)
    assert answer[0].status_code == 200
    assert gate.seen == [1]
    value = served.numbers()
    assert value("bma_dropped_total", reason="gone") == 1
    assert value("bma_requests_total", method="POST", path="/v1/embed", status="499") == 1


def test_a_crash_is_503_and_shows_in_readyz(served: Served, images: list[bytes]) -> None:
    assert served.http.get("/readyz").json() == {"status": "ready"}
    real, passes = served.engine.embedder.embed_images, list[int]()

    def dies(packed: Any) -> Any:
        served.engine.embedder.embed_images = fails  # type: ignore[method-assign, assignment]
        raise SystemExit("now")

    def fails(packed: Any) -> Any:
        passes.append(len(packed))
        raise RuntimeError("still broken")

    served.engine.embedder.embed_images = dies  # type: ignore[method-assign, assignment]
    answer = served.post(images[0])
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:bma:problem:stage-crashed")
    assert answer.headers["retry-after"] == "1"
    assert served.http.get("/healthz").json() == {"status": "ok"}
    answer = served.http.get("/readyz")
    assert (answer.status_code, answer.json()["restarts"]) == (503, {"model": 1})
    assert passes, "no forward pass was tried"
    served.engine.embedder.embed_images = real  # type: ignore[method-assign]
    assert served.http.get("/readyz").json() == {"status": "ready", "restarts": {"model": 1}}
    assert served.post(images[0]).status_code == 200
    assert served.numbers()("bma_stage_restarts_total", stage="model") == 1


def test_a_model_that_computes_is_not_asked_again(served: Served, images: list[bytes]) -> None:
    assert served.post(images[0]).status_code == 200
    calls: list[int] = []
    served.engine.embedder.embed_images = lambda packed: calls.append(1)  # type: ignore
    assert served.http.get("/readyz").status_code == 200
    assert calls == []
