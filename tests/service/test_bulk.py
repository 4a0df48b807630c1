"""Files through the model: full batches, the next one decoded meanwhile, and no more than that in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from index.source import Embedded, Entry, Unreadable
from service import bulk
from service.bulk import AT_ONCE, ROUNDS, BulkEmbedder
from training.model.memory import Modality

BATCH = 4
GROUP = BATCH * ROUNDS


class Model:
    """Stands in for an embedder; remembers the batches it was given."""

    batch_size = BATCH

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.busy: Any = lambda: None

    def embed_packed(self, arrays: list[npt.NDArray[Any]], modality: Modality) -> Any:
        self.batches.append([int(array[0]) for array in arrays])
        self.busy()
        return SimpleNamespace(z=np.stack([np.array([array[0], 0], np.float32) for array in arrays]))


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def pipe(model: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[BulkEmbedder]:
    """Whose files hold the number in their names; those with `bad` can't be read."""

    def read(self: BulkEmbedder, entry: Entry, allowance: object) -> Any:
        if "bad" in entry.path:
            return Unreadable(entry.path, f"{entry.path} is damaged")
        return np.array([int(Path(entry.path).stem)]), "image/png"

    monkeypatch.setattr(BulkEmbedder, "_read", read)
    monkeypatch.setattr(BulkEmbedder, "_seconds", lambda self, entry: 1.0 if entry.modality == "sound" else 0.0)
    with BulkEmbedder(model, Path()) as pipe:
        yield pipe


def entries(count: int, *modalities: Any) -> Iterator[tuple[int, Entry]]:
    return ((n, Entry(f"{n}.x", modalities[n % len(modalities)])) for n in range(count))


def test_batches_are_full_though_the_modalities_alternate(model: Model, pipe: BulkEmbedder) -> None:
    count = 5 * GROUP + 3
    found = dict(pipe(entries(count, "image", "sound", "sound")))
    assert found.keys() == set(range(count))
    assert all(isinstance(result, Embedded) and result.z[0] == number for number, result in found.items())
    assert sorted(map(len, model.batches))[2:] == [GROUP] * (len(model.batches) - 2)
    assert all(len({(number % 3) > 0 for number in batch}) == 1 for batch in model.batches)


def test_what_can_not_be_read_goes_by_the_model(model: Model, pipe: BulkEmbedder) -> None:
    some = [Entry("bad1.png", "image"), Entry("2.png", "image"), Entry("bad3.wav", "sound")]
    found = dict(pipe(enumerate(some)))
    assert [type(found[number]) for number in range(3)] == [Unreadable, Embedded, Unreadable]
    assert model.batches == [[2]]
    assert dict(pipe(iter(()))) == {}


def test_the_next_batch_is_decoded_while_the_model_has_this_one(
    model: Model, pipe: BulkEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, read = set[int](), pipe._read
    changed = threading.Condition()
    most = 0

    def noted(entry: Entry, allowance: Any) -> Any:
        with changed:
            decoded.add(int(Path(entry.path).stem))
            changed.notify_all()
        return read(entry, allowance)

    def wait() -> None:
        nonlocal most
        coming = set(range(len(model.batches) * GROUP, min(5 * GROUP, (len(model.batches) + 1) * GROUP)))
        with changed:
            assert changed.wait_for(lambda: coming <= decoded, timeout=20)
            most = max(most, len(decoded) - (len(model.batches) - 1) * GROUP)

    monkeypatch.setattr(pipe, "_read", noted)
    model.busy = wait
    assert len(dict(pipe(entries(5 * GROUP, "image")))) == 5 * GROUP
    assert most == AT_ONCE * GROUP  # and no more than that


def test_sounds_that_last_are_fewer_at_once(model: Model, pipe: BulkEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "TOGETHER", 3.0 * AT_ONCE)
    assert len(dict(pipe(entries(10, "sound")))) == 10
    assert [len(batch) for batch in model.batches] == [3, 3, 3, 1]
