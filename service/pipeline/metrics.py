"""What is counted and measured, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

MEDIA_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_ITEMS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The service's numbers in a registry of their own; they outlive a model that is replaced."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        new: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter(
            "bma_requests", "Requests answered; 499 where the client had gone.", ("method", "path", "status"), **new
        )
        self.request_seconds = Histogram(
            "bma_request_seconds", "From the headers to the answer's end.", ("path",), buckets=_SECONDS, **new
        )
        self.under_way = Gauge("bma_requests_under_way", "Requests that are not answered yet.", **new)
        self.stage_seconds = Histogram(
            "bma_stage_seconds",
            "Seconds of a file in decode and queue, of a batch in model, of a request in search, of a change in write.",
            ("stage",),
            buckets=_SECONDS,
            **new,
        )
        self.batch_items = Histogram(
            "bma_batch_items", "Files that went through the model together.", ("modality",), buckets=_ITEMS, **new
        )
        self.batch_limit = Gauge(
            "bma_batch_limit", "Items, or windows of sound, of a full batch.", ("modality",), **new
        )
        self.waiting = Gauge("bma_queue_depth", "What waits for a stage.", ("stage",), **new)
        self.items = Gauge("bma_queue_items", "Files of requests that are under way.", **new)
        self.bytes = Gauge("bma_queue_bytes", "Bytes of these files as sent, and decoded.", **new)
        self.dropped = Counter(
            "bma_dropped",
            "Work that was not done: full (429), deadline (504), gone (the client has hung up).",
            ("reason",),
            **new,
        )
        self.restarts = Counter("bma_stage_restarts", "Stages that crashed and were started again.", ("stage",), **new)
        self.failures = Counter("bma_model_failures", "Files that the model had no answer for.", ("modality",), **new)
        self.model = Gauge(
            "bma_model_info", "The model that serves: always 1.", ("name", "fingerprint", "device", "precision"), **new
        )
        self.index = Gauge("bma_index_info", "The catalogue that serves: always 1.", ("fingerprint",), **new)
        self.index_items = Gauge("bma_index_items", "Items of the catalogue.", ("modality",), **new)
        for reason in ("full", "deadline", "gone"):
            self.dropped.labels(reason)
        ProcessCollector(registry=self.registry)

    def describe_model(self, name: str, fingerprint: str, device: str, precision: str) -> None:
        """Say which model serves, in place of what was said before."""
        self.model.clear()
        self.model.labels(name, fingerprint, device, precision).set(1)

    def describe_index(self, fingerprint: str, counts: Iterable[tuple[str, int]]) -> None:
        """Say which catalogue serves, and how many items of each modality it has."""
        self.index.clear()
        self.index.labels(fingerprint).set(1)
        for modality, count in counts:
            self.index_items.labels(modality).set(count)

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self.registry)
