"""Before the first batch a model finds out what is fastest here, and says so."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy.typing as npt
import pytest
import torch

from service.pipeline import sizing
from service.pipeline.batcher import Batcher
from service.pipeline.sizing import is_faster
from service.tuning import tune
from training.model.embedder import Embedder
from training.model.frozen import FrozenResNet
from training.model.memory import Modality


class Slow(FrozenResNet):
    """Takes its time over every batch."""

    clock: Clock | None = None  # passes in the place of time

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.clock is not None:
            self.clock.now += 0.1
        else:
            time.sleep(0.1)
        return super().forward(x)


@pytest.fixture
def own(embedder: Embedder) -> Embedder:
    """An embedder that no other test has."""
    return Embedder(embedder.bundle, "cpu")


def batchers() -> dict[Modality, Batcher]:
    return {"image": Batcher("image", 4), "sound": Batcher("sound", 4, 44_100)}


def test_a_frozen_encoder_that_is_slower_is_left_out(own: Embedder, caplog: pytest.LogCaptureFixture) -> None:
    own.frozen["image"] = Slow(own.model.image_encoder, own.dtype)
    before = own.embed_packed([own.empty("image")], "image").z
    with caplog.at_level(logging.INFO, "bma"):
        tune(own, batchers(), 4)
    assert "image" not in own.frozen
    after = own.embed_packed([own.empty("image")], "image").z
    assert float((before * after).sum()) > 0.999
    assert "frozen encoders" in caplog.text


def test_a_size_that_was_asked_for_stands(own: Embedder) -> None:
    sized = batchers()
    tune(own, sized, 3)
    assert {batcher.size for batcher in sized.values()} == {3}
    assert own.batch_size == 3


class Clock:
    """Time that passes only while a batch is computed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(sizing, "perf_counter", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_sizes_are_measured_with_what_will_compute(own: Embedder, clock: Clock) -> None:
    asked: set[Modality] = set()

    def compute(packed: Sequence[npt.NDArray[Any]], modality: Modality) -> None:
        assert all(file.shape == own.empty(modality).shape for file in packed)
        assert "image" not in own.frozen, "it is started with encoders that were not chosen yet"
        asked.add(modality)
        clock.now += 0.01 if modality == "image" else 0.001 * len(packed) ** 2

    slow = own.frozen["image"] = Slow(own.model.image_encoder, own.dtype)
    slow.clock = clock
    sized = batchers()
    tune(own, sized, None, start=lambda: compute)
    assert (sized["image"].size, sized["sound"].size) == (64, 1)
    assert asked == {"image", "sound"}


@pytest.mark.parametrize(
    ("cost", "default", "best"),
    [
        (lambda size: 0.001 * size, 4, 4),  # nothing is gained by more or fewer
        (lambda size: 0.001 * size**0.95, 4, 4),  # by so little neither
        (lambda size: 0.002 + 0.001 * size, 4, 16),  # until a tenth is not won any more
        (lambda size: 0.005, 4, 64),
        (lambda size: 0.005 if size <= 8 else 0.1, 4, 8),
        (lambda size: 0.0001 * size**2, 16, 1),
        (lambda size: 0.002 * size if size <= 8 else 0.005 * size, 16, 8),
        (lambda size: 0.005 * size, 16, 16),
        (lambda size: 0.01 * size, 16, 16),  # there is no time to try any other
        (lambda size: 0.1 * size, 16, 8),  # nor for who would have to wait for a longer batch
        (lambda size: 3.0 * size, 16, 1),
    ],
)
@pytest.mark.parametrize("starts", [0.0, 3.0])
def test_the_size_that_gives_the_most(
    clock: Clock, cost: Callable[[int], float], default: int, best: int, starts: float
) -> None:
    tried: list[int] = []

    def run(size: int) -> None:
        clock.now += cost(size) + (0.0 if tried else starts)  # a process that starts is not the batch's
        tried.append(size)

    assert sizing.measure_batch(run, default) == best
    assert clock.now - starts < sizing.BUDGET + 2 * cost(1) + cost(default)


def test_trying_half_the_default_of_a_lane_fits_at_the_papers_size(clock: Clock) -> None:
    tried: set[int] = set()

    def run(size: int) -> None:
        clock.now += 0.0055 * size  # seconds an image, on a core
        tried.add(size)

    assert sizing.measure_batch(run, sizing.DEFAULT_LANE) == sizing.DEFAULT_LANE
    assert tried == {1, 16, 8}


def test_a_model_that_cannot_compute_is_left_to_the_self_test(
    own: Embedder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ArithmeticError("out of order")

    monkeypatch.setattr(own, "embed_packed", fails)
    sized = batchers()
    tune(own, sized, None)
    assert {batcher.size for batcher in sized.values()} == {4}
    assert "nothing could be measured for images" in caplog.text
    assert "out of order" in caplog.text


def test_the_faster_of_two_ways() -> None:
    def quick() -> None:
        pass

    def slow() -> None:
        time.sleep(0.01)

    assert is_faster(quick, slow)
    assert not is_faster(slow, quick)


@pytest.mark.parametrize(("took", "faster"), [(0.8, True), (0.95, False), (1.0, False), (1.2, False)])
def test_what_is_faster_by_little_is_not(clock: Clock, took: float, faster: bool) -> None:
    def ours() -> None:
        clock.now += took

    def theirs() -> None:
        clock.now += 1.0

    assert is_faster(ours, theirs) is faster
