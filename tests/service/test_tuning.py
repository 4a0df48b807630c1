"""Before the first batch a model finds out what is fastest here, and says so."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import pytest
import torch

from service.pipeline.batcher import Batcher
from service.pipeline.sizing import is_faster
from service.tuning import tune
from training.model.embedder import Embedder
from training.model.frozen import FrozenResNet
from training.model.memory import Modality


class Slow(FrozenResNet):
    """Takes its time over every batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
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


def test_sizes_are_measured_with_what_will_compute(own: Embedder) -> None:
    asked: list[tuple[Modality, int]] = []

    def compute(packed: Sequence[npt.NDArray[Any]], modality: Modality) -> None:
        assert all(file.shape == own.empty(modality).shape for file in packed)
        assert "image" not in own.frozen, "it is started with encoders that were not chosen yet"
        asked.append((modality, len(packed)))
        time.sleep(0.001 if modality == "image" else 0.001 * len(packed) ** 2)  # by the batch; more than by the file

    own.frozen["image"] = Slow(own.model.image_encoder, own.dtype)
    sized, before = batchers(), own.batch_size
    tune(own, sized, None, start=lambda: compute)
    assert sized["image"].size > 4 > sized["sound"].size
    assert {modality for modality, _ in asked} == {"image", "sound"}
    assert own.batch_size == before, "it computes no batches"


def test_what_starts_slowly_is_measured_all_the_same(own: Embedder) -> None:
    started: list[float] = []

    def compute(packed: Sequence[npt.NDArray[Any]], modality: Modality) -> None:
        time.sleep(0.001 if started else 1.0)
        started.append(1.0)

    sized = batchers()
    tune(own, sized, None, start=lambda: compute)
    assert all(batcher.size > 4 for batcher in sized.values())


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
