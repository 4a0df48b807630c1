"""Traces of requests for a collector, by OpenTelemetry; imported only where they are asked for.

A request is told by its route's template: no bodies, paths, query strings, keys or file names, and of an error its
kind alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.pipeline.entrance import METHODS
from service.pipeline.templates import OTHER, Templates
from service.pipeline.trace import trace

NAME = "bma-memory"
PATIENCE = 5.0  # seconds, for the last spans
_log = logging.getLogger("bma.tracing")
_NANO = 1_000_000_000


class Tracing:
    """Sends spans to a collector in the background, while it is open. All else is set by OpenTelemetry's variables.

    Spans wait in a queue with bounds; where the collector takes none, they are dropped and requests go on.

    Args:
        endpoint: where the collector takes traces.
    """

    def __init__(self, endpoint: str) -> None:
        exporter = _Told(OTLPSpanExporter(endpoint), endpoint)
        resource = Resource.create({"service.name": NAME}).merge(OTELResourceDetector().detect())
        # not the process's own provider: what else is instrumented would tell paths and query strings to it
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._theirs = logging.getLogger("opentelemetry")
        self._level = self._theirs.level

    def __enter__(self) -> Tracing:
        self._theirs.setLevel(logging.CRITICAL)  # lines for each try of each batch; `_Told` says it once
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ending = threading.Thread(target=self._provider.shutdown, name="tracing", daemon=True)
        ending.start()
        ending.join(PATIENCE)
        self._theirs.setLevel(self._level)

    def around(self, app: ASGIApp, templates: Callable[[], Iterable[str]]) -> ASGIApp:
        """An application whose requests are traced.

        Args:
            app: the application.
            templates: gives its paths, such as `/v1/items/{id}`; asked for once one is needed.
        """
        return _Traced(app, self._provider.get_tracer(NAME), Templates(templates))


class _Traced:
    """ASGI middleware: a span for each request, a child of the one that `traceparent` names."""

    def __init__(self, app: ASGIApp, tracer: Tracer, template: Templates) -> None:
        self.app, self._tracer, self._template = app, tracer, template
        self._propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and trace it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "HTTP"  # anyone may invent one
        attributes: dict[str, Any] = {
            "http.request.method": "_OTHER" if method == "HTTP" else method,
            "url.scheme": scope["scheme"],
            "network.protocol.version": scope["http_version"],
        }
        if server := scope.get("server"):
            attributes["server.address"], attributes["server.port"] = server
        span = self._tracer.start_span(
            method,
            self._propagator.extract(Headers(scope=scope)),
            SpanKind.SERVER,
            attributes,
        )
        status, error = 0, ""

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if id := Headers(raw=message["headers"]).get("x-request-id"):
                    span.set_attribute("http.response.header.x-request-id", [id])
            await send(message)

        token = trace.set(_Trace(self._tracer, span))
        try:
            await self.app(scope, receive, seen)
        except Exception as raised:
            error = type(raised).__qualname__
            raise
        finally:
            trace.reset(token)
            if (path := self._template(scope)) != OTHER:
                span.set_attribute("http.route", path)
                span.update_name(f"{method} {path}")
            if status:
                span.set_attribute("http.response.status_code", status)
            if not 0 < status < 500:
                span.set_attribute("error.type", error or (str(status) if status else "disconnected"))
                span.set_status(StatusCode.ERROR)
            span.end()


class _Trace:
    """A request's span, to which its stages are children."""

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self.id = format_trace_id(span.get_span_context().trace_id)
        self._tracer, self._context = tracer, set_span_in_context(span)
        self._zero = time.time_ns() - int(time.perf_counter() * _NANO)

    def stage(
        self, name: str, begin: float, end: float, error: BaseException | None = None, **attributes: str | int
    ) -> None:
        """A child, from `begin` to `end`."""
        span = self._tracer.start_span(
            name,
            self._context,
            SpanKind.INTERNAL,
            {f"bma.{key}": value for key, value in attributes.items()},
            start_time=self._zero + int(begin * _NANO),
        )
        if error is not None:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(StatusCode.ERROR)
        span.end(self._zero + int(end * _NANO))


class _Told(SpanExporter):
    """Says once that a collector takes no traces, and once that it takes them again."""

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self._exporter, self._failed = exporter, False
        address = urlsplit(endpoint)
        self._where = f"{address.hostname}:{address.port}" if address.port else str(address.hostname)  # no password

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self._failed:
            _log.warning("the collector at %s takes no traces; they are dropped until it does", self._where)
        elif self._failed and not failed:
            _log.info("the collector at %s takes traces again", self._where)
        self._failed = failed
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()
