"""How large the batches of a lane are: tried in one of them when the service starts, and kept to by long sounds."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from typing import Any

import numpy as np
import pytest
import torch

from service import engine as engine_module
from service.engine import Engine
from service.limits import Limits
from service.pipeline import sizing
from service.pipeline.capacity import Capacity
from service.pipeline.lane import Lane
from service.pipeline.worker import Workers
from training.model.embedder import Embedder, Embedding
from training.model.memory import Modality


class Pieces(Lane):
    """Says how many windows of a sound went through the model at once at most."""

    def embed(self, packed: Any, modality: Any, threads: int, batch_size: int) -> Embedding:
        seen: list[int] = []
        represent = self._embedder._represent

        def counted(packed: torch.Tensor, modality: Modality) -> torch.Tensor:
            seen.append(len(packed))
            return represent(packed, modality)

        self._embedder._represent = counted  # type: ignore[method-assign]
        try:
            found = super().embed(packed, modality, threads, batch_size)
        finally:
            self._embedder._represent = represent  # type: ignore[method-assign]
        return Embedding(found.h, np.full_like(found.z, max(seen)))


def test_a_long_sound_goes_through_a_lane_in_batches_of_the_size(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "Lane", Pieces)
    engine = Engine(embedder, None, Limits(), Capacity(batch_size=2, lanes=2, model_threads=2))
    long = np.tile(embedder.empty("sound"), 7)
    try:
        found = asyncio.run(engine.embed([long], "sound"))
    finally:
        engine.close()
    assert found.z[0, 0] == 2


@pytest.fixture
def time_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, the start has time to try sizes."""
    monkeypatch.setattr(sizing, "perf_counter", lambda: 0.0)


@pytest.mark.usefixtures("time_for_all")
def test_sizes_are_measured_in_a_lane(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, int, int]] = []

    def call(
        self: Workers, method: str, packed: Any, modality: Any, threads: int, size: int, *, seconds: float
    ) -> None:
        asked.append((modality, len(packed), threads))
        assert method == "embed"
        assert size == len(packed)
        assert seconds < Capacity().longest_deadline

    monkeypatch.setattr(Workers, "call", call)
    engine = Engine(embedder, None, Limits(), Capacity(lanes=2, model_threads=4))
    engine.close()
    assert {(modality, size) for modality, size, _ in asked} >= {("image", 16), ("sound", 16)}
    assert {threads for *_, threads in asked} == {2}


@pytest.mark.usefixtures("time_for_all")
@pytest.mark.parametrize("ends", ["crash", "hang"])
def test_a_lane_that_ends_while_sizes_are_measured_costs_the_measure_alone(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, ends: str
) -> None:
    monkeypatch.setattr(engine_module, "Lane", Unmeasured if ends == "crash" else Stuck)
    monkeypatch.setattr(engine_module, "TRIED", 20.0 if ends == "crash" else 0.5)
    engine = Engine(embedder, None, Limits(), Capacity(lanes=2, model_threads=2))
    try:
        with caplog.at_level(logging.WARNING, "bma"):
            asyncio.run(engine.self_test())
        sizes = {modality: batcher.size for modality, batcher in engine.batchers.items()}
    finally:
        engine.close()
    assert sizes == {"image": 16, "sound": 16}
    assert "nothing could be measured for images" in caplog.text
    assert engine.health.restarts.get("model", 0) == 0


class Unmeasured(Lane):
    """Crashes on the batches that are tried at the start."""

    def embed(self, packed: Any, modality: Any, threads: int, batch_size: int) -> Embedding:
        if len(packed) > 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().embed(packed, modality, threads, batch_size)


class Stuck(Lane):
    """Is never done with them."""

    def embed(self, packed: Any, modality: Any, threads: int, batch_size: int) -> Embedding:
        if len(packed) > 1:
            time.sleep(600)
        return super().embed(packed, modality, threads, batch_size)
