"""Traces of requests, as a collector gets them over OTLP/HTTP; nothing of what clients sent is in them."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from service.access.keys import add_key, read_keys
from service.access.policy import Access
from service.engine import Engine
from service.limits import Limits
from service.settings import BadSettings, traces_endpoint
from service.tracing import Tracing
from tests.conftest import ROOT, Serve
from tests.service.serving import served
from training.model.embedder import Embedder

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Takes what is exported, as it comes."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                collector.bodies.append(body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    @property
    def requests(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(body) for body in self.bodies]

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def told(span: Span) -> dict[str, Any]:
    """A span's attributes."""
    found: dict[str, Any] = {}
    for pair in span.attributes:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, str(kind))
        found[pair.key] = [one.string_value for one in value.values] if kind == "array_value" else value
    return found


def children(collector: Collector, parent: Span) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {}
    for span in collector.spans:
        if span.parent_span_id == parent.span_id:
            assert span.trace_id == parent.trace_id
            found.setdefault(span.name, []).append(span)
    return found


def test_a_request_is_a_span_below_the_callers_with_its_stages_below_it(
    collector: Collector,
    serve: Serve,
    bundle_folder: Path,
    catalogue_folder: Path,
    images: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    arguments = ("--model", bundle_folder, "--index", catalogue_folder, "--read-only", "--log", "json")
    with serve(*arguments) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        files = [("image", ("my private holiday.jpg", image)) for image in images[:3]]
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "its-id"}
        assert client.post("/v1/embed?include=z", files=files, headers=headers).status_code == 200
        sought = client.post("/v1/search/sounds", files=files[:1], params={"k": 3}, headers={"traceparent": "nonsense"})
        assert sought.status_code == 200
        assert client.get("/v1/items/my-secret-item").status_code == 404
        assert client.get("/v1/labels?secret=secret").status_code == 422
        assert client.get("/nowhere/my-secret-path").status_code == 404
        broken = client.post("/v1/embed", files={"image": ("my private holiday.jpg", b"no picture")})
        assert 400 <= broken.status_code < 500
        server.process.send_signal(signal.SIGINT)
        lines = [json.loads(line) for line in server.told().splitlines()]

    (embed, *others) = sorted(collector.named("POST /v1/embed"), key=lambda span: span.start_time_unix_nano)
    assert len(others) == 1
    assert (embed.trace_id.hex(), embed.parent_span_id.hex()) == (TRACE, PARENT)
    assert embed.kind == Span.SPAN_KIND_SERVER
    port = int(server.url.rpartition(":")[2])
    assert told(embed) == {
        "http.request.method": "POST",
        "http.route": "/v1/embed",
        "http.response.status_code": 200,
        "http.response.header.x-request-id": ["its-id"],
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": port,
    }
    stages = children(collector, embed)
    assert set(stages) == {"decode", "queue", "model"}
    assert len(stages["decode"]) == 3
    assert sum(told(span)["bma.batch_items"] for span in stages["model"]) == 3
    assert {told(span)["bma.modality"] for span in [*stages["queue"], *stages["model"]]} == {"image"}
    for spans in stages.values():
        for span in spans:
            assert embed.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
            assert span.start_time_unix_nano < embed.end_time_unix_nano
    assert max(span.end_time_unix_nano for span in stages["queue"]) <= max(
        span.start_time_unix_nano for span in stages["model"]
    )

    (search,) = collector.named("POST /v1/search/sounds")
    assert search.parent_span_id == b""  # of a traceparent that is none
    assert search.trace_id.hex() != TRACE
    assert set(children(collector, search)) >= {"decode", "queue", "model", "search"}
    (missing,) = collector.named("GET /v1/items/{id}")
    assert told(missing)["http.response.status_code"] == 404
    assert missing.status.code == Status.STATUS_CODE_UNSET  # the client's mistake
    (nowhere,) = collector.named("GET")
    assert "http.route" not in told(nowhere)

    (line,) = [line for line in lines if line.get("request") == "its-id"]
    assert line["trace"] == TRACE
    assert {line["trace"] for line in lines if line["logger"] == "bma.request"} == {
        span.trace_id.hex() for span in collector.spans
    } | {line["trace"] for line in lines if line.get("path") == "/readyz"}
    (name,) = {
        pair.value.string_value
        for request in collector.requests
        for resource in request.resource_spans
        for pair in resource.resource.attributes
        if pair.key == "service.name"
    }
    assert name == "bma-memory"
    sent = b"".join(collector.bodies)
    for secret in (b"holiday", b"my-secret", b"cursor", b"include", b"no picture"):
        assert secret not in sent


def test_a_change_is_traced_and_its_key_is_not_told(
    collector: Collector, embedder: Embedder, empty_catalogue: Path, images: list[bytes], tmp_path: Path
) -> None:
    from index.local import LocalCatalogue

    key = add_key(tmp_path / "keys.json", "secret-name", "write")
    access = Access(read_keys(tmp_path / "keys.json"))
    with Tracing(f"{collector.url}/v1/traces") as tracing:
        engine = Engine(embedder, LocalCatalogue.open(empty_catalogue, True), Limits())
        with served(engine, access, tracing) as client:
            asked = {"authorization": f"Bearer {key}", "idempotency-key": "my-secret"}
            data = {"id": "my-secret-item"}
            made = client.post("/v1/items", files={"image": images[0]}, data=data, headers=asked)
            assert made.status_code == 201
            assert client.get("/v1/items", headers={"authorization": "Bearer bma_wrong"}).status_code == 401
    (change,) = collector.named("POST /v1/items")
    assert set(children(collector, change)) >= {"decode", "queue", "model", "write"}
    (refused,) = collector.named("GET /v1/items")
    assert told(refused)["http.response.status_code"] == 401
    sent = b"".join(collector.bodies)
    for secret in (key.encode(), b"secret-name", b"my-secret", b"bma_wrong"):
        assert secret not in sent


def test_an_error_is_told_by_its_kind(collector: Collector, embedder: Embedder, images: list[bytes]) -> None:
    engine = Engine(embedder, None, Limits())

    def fail(*_: Any, **__: Any) -> None:
        raise ArithmeticError("my private holiday.jpg")

    with Tracing(f"{collector.url}/v1/traces") as tracing, served(engine, tracing=tracing) as client:
        engine._read = fail  # type: ignore[method-assign,assignment]
        assert client.post("/v1/embed", files={"image": images[0]}).status_code == 500
    (request,) = collector.named("POST /v1/embed")
    assert told(request)["error.type"] == "ArithmeticError"
    assert request.status.code == Status.STATUS_CODE_ERROR
    (decode,) = children(collector, request)["decode"]
    assert told(decode)["error.type"] == "ArithmeticError"
    assert b"holiday" not in b"".join(collector.bodies)


def test_a_dead_collector_is_told_once_and_requests_go_on(
    serve: Serve, bundle_folder: Path, images: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as silent:  # takes connections and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://user:password@127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
        monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
        with serve("--model", bundle_folder) as server, httpx.Client(base_url=server.url, timeout=60) as client:
            for _ in range(40):
                assert client.post("/v1/embed", files={"image": images[0]}).status_code == 200
            server.process.send_signal(signal.SIGINT)
            lines = server.told().splitlines()
    mentioned = [line for line in lines if "bma.request" not in line and ("trace" in line or "pan" in line)]
    assert len(mentioned) == 1
    assert "takes no traces" in mentioned[0]
    assert "password" not in "".join(lines)


WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
sys.meta_path.insert(0, Absent())
from service.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("asked", [True, False])
def test_without_the_extra_only_who_asks_for_traces_hears_of_it(asked: bool, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    if asked:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:4318"
    command = [sys.executable, "-c", WITHOUT, "serve", "--port", "0", "--model", str(tmp_path / "none")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    if asked:
        assert "is not installed; say pip install '.[otel]'" in sentence
    else:  # it gets as far as the bundle that is not there
        assert str(tmp_path / "none") in sentence


BASE = "http://collector:4318"


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({}, None),
        ({"ENDPOINT": BASE}, f"{BASE}/v1/traces"),
        ({"ENDPOINT": f"{BASE}/otlp/"}, f"{BASE}/otlp/v1/traces"),
        ({"ENDPOINT": BASE, "TRACES_ENDPOINT": "https://other/spans"}, "https://other/spans"),
        ({"ENDPOINT": BASE, "OTEL_SDK_DISABLED": "true"}, None),
        ({"ENDPOINT": BASE, "OTEL_TRACES_EXPORTER": "none"}, None),
        ({"ENDPOINT": BASE, "PROTOCOL": "http/protobuf"}, f"{BASE}/v1/traces"),
        ({"ENDPOINT": BASE, "PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'"),
        ({"ENDPOINT": "collector:4318"}, "is not an HTTP address"),
        ({"ENDPOINT": "http://collector:port"}, "is not an HTTP address"),
        ({"TRACES_ENDPOINT": "http://"}, "is not an HTTP address"),
    ],
)
def test_opentelemetrys_own_variables_say_where_traces_go(
    variables: dict[str, str], endpoint: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name if name.startswith("OTEL_") else f"OTEL_EXPORTER_OTLP_{name}", value)
    if endpoint is None or endpoint.startswith("http"):
        assert traces_endpoint() == endpoint
    else:
        with pytest.raises(BadSettings, match=re.escape(endpoint)):
            traces_endpoint()
