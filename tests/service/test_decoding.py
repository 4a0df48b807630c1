"""A file that the model has no answer for fails alone, as one that can't be decoded does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.api.decoding import Decoded, embed, embed_parts
from service.engine import Upload
from service.problems import Problem
from service.schemas import Embedded
from training.model.embedder import Embedder
from training.model.media.source import EmptyMedia

HOLLOW = 7  # what the model has no answer for begins with this
UPLOADS = [Upload(str(place), b"") for place in range(4)]


class Hollow:
    """An engine whose model has no answer for some waves."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    async def embed_each(self, packed: Any, modality: Any) -> list[Any]:
        found = self.embedder.embed_sounds(packed)
        answers = list(zip(found.h, found.z, strict=True))
        return [
            Problem("damaged-media", "no answer") if w[0] == HOLLOW else a for w, a in zip(packed, answers, strict=True)
        ]

    async def call(self, function: Any, *arguments: Any) -> Any:
        return function(*arguments)


@pytest.fixture(scope="module")
def engine(bundle_folder: Path) -> Any:
    return Hollow(Embedder(bundle_folder, "cpu", "fp32"))


def wave(seconds: int, hollow_from: int | None = None) -> Any:
    samples = np.random.default_rng(seconds).integers(-9999, 9999, 22_050 * seconds, np.int16)
    samples[0] = 0
    if hollow_from is not None:
        samples[22_050 * hollow_from] = HOLLOW
    return samples


def result(upload: Upload, place: int) -> Embedded:
    return Embedded(name=upload.name, z=[place])


def test_the_others_are_embedded_in_their_places(engine: Any) -> None:
    good, hollow, other = wave(2), wave(2, 0), wave(1)
    decoded = Decoded([good, EmptyMedia("1", "is empty"), hollow, other])
    embedding = asyncio.run(embed(engine, decoded, "sound"))
    expected = engine.embedder.embed_sounds([good, other])
    np.testing.assert_allclose(embedding.z, expected.z, atol=1e-5)
    told = decoded.results(UPLOADS, Embedded, result)
    assert [(each.name, each.error is None, each.z) for each in told] == [
        ("0", True, [0]), ("1", False, None), ("2", False, None), ("3", True, [1])
    ]  # fmt: skip


def test_a_sound_fails_with_any_of_its_windows(engine: Any) -> None:
    long, hollow, short = wave(6), wave(5, hollow_from=2), wave(1)
    decoded = Decoded([EmptyMedia("0", "is empty"), long, hollow, short])
    parts = asyncio.run(embed_parts(engine, decoded, "sound"))
    expected = engine.embedder.embed_sounds([long, short])
    np.testing.assert_allclose(parts.whole.z, expected.z, atol=1e-4)
    assert parts.counts == [len(windows) for windows in parts.windows] == [3, 1]
    np.testing.assert_allclose(parts.of(1).z, engine.embedder.embed_sounds([short]).z, atol=1e-4)
    told = decoded.results(UPLOADS, Embedded, result)
    assert [(each.error is None, each.z) for each in told] == [(False, None), (True, [0]), (False, None), (True, [1])]


def test_where_all_fail_the_first_problem_is_the_answer(engine: Any) -> None:
    for ask in (embed, embed_parts):
        decoded = Decoded([EmptyMedia("0", "is empty"), wave(2, 0)])
        with pytest.raises(Problem, match="is empty") as caught:
            asyncio.run(ask(engine, decoded, "sound"))
        assert len(caught.value.extra["errors"]) == 1
