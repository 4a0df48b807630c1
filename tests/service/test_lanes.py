"""Batches side by side: lanes that are free share what waits, and each has its own fate."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from service import engine as engine_module
from service.engine import Engine
from service.limits import Limits
from service.pipeline.batcher import Batcher
from service.pipeline.capacity import Capacity
from service.pipeline.executor import Executor
from service.pipeline.health import Health
from service.pipeline.lane import Lane
from service.pipeline.lanes import Lanes
from service.pipeline.metrics import Metrics
from service.problems import Problem
from tests.service.serving import served
from tests.service.test_batcher import BOMB, SOON, Model, answers, images
from tests.service.test_worker import gone
from training.model.embedder import Embedder, Embedding
from training.model.memory import Modality

pytestmark = pytest.mark.long

LANES = 3
Made = Callable[..., Executor]


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def health() -> Health:
    return Health(Metrics())


@pytest.fixture
def made(model: Model, health: Health) -> Iterator[Made]:
    """An executor with lanes, closed in the end."""
    kept: list[Executor] = []

    def make(**options: Any) -> Executor:
        batchers = [Batcher("image", 4), Batcher("sound", 4, window=10)]
        options = {"lanes": LANES, **options}
        kept.append(Executor(model, batchers, health, Metrics(), lambda items, seconds: None, **options))
        return kept[-1]

    yield make
    model.held = False
    for _ in range(100):
        model.allowed.release()
    for executor in kept:
        executor.close()


def busy(made: Made, model: Model, *values: int) -> tuple[Executor, list[Future[Any]]]:
    """An executor of which every lane has a batch that the model holds, and the futures of files sent one by one."""
    model.held = True
    executor = made()
    futures = [future for value in values for future in executor.submit(images(value), "image")]
    for _ in range(LANES):
        model.wait_entered()
    return executor, futures


@pytest.mark.parametrize(("waiting", "shares", "taken"), [(8, 2, 4), (3, 2, 2), (3, 1, 3), (9, 2, 4), (2, 8, 1)])
def test_a_batch_is_no_more_than_its_part_of_what_waits(waiting: int, shares: int, taken: int) -> None:
    batcher = Batcher("image", 4)
    batcher.put(batcher.waiting(images(*range(waiting))))
    assert len(batcher.take(shares)) == taken
    assert len(batcher) == waiting - taken


def test_free_lanes_share_what_waits(made: Made, model: Model) -> None:
    model.held = True
    futures = made().submit(images(1, 2, 3, 4, 5, 6), "image")
    for _ in range(LANES):
        model.wait_entered()  # all of them at once, as none has been let go
    model.held = False
    for _ in range(LANES):
        model.allowed.release()
    assert answers(futures) == [1, 2, 3, 4, 5, 6]
    assert sorted(value for _, values in model.batches for value in values) == [1, 2, 3, 4, 5, 6]
    assert max(len(values) for _, values in model.batches) == 2


def test_no_more_batches_at_once_than_lanes(made: Made, model: Model) -> None:
    _, futures = busy(made, model, *range(9))
    assert not model.entered.acquire(timeout=0.05)
    model.held = False
    for _ in range(LANES):
        model.allowed.release()
    assert answers(futures) == list(range(9))


def test_a_lane_that_dies_leaves_the_others_their_batches(made: Made, model: Model, health: Health) -> None:
    executor, futures = busy(made, model, 1, BOMB, 3)
    futures += executor.submit(images(4, 5), "image")
    model.held = False
    for _ in range(LANES):
        model.allowed.release()
    assert answers(futures) == [1, "stage-crashed", 3, 4, 5]
    assert health.restarts == {"model": 1}
    assert answers(executor.submit(images(6), "image")) == [6]


def test_one_client_after_the_other_has_the_same_lane(
    made: Made, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[int] = []
    executor = made()

    def compute(packed: Any, modality: Any) -> Embedding:
        used.append(threading.get_ident())
        return model(packed, modality)

    monkeypatch.setattr(executor, "_compute", compute)
    assert settled(executor)
    for value in range(20):
        assert answers(executor.submit(images(value), "image")) == [value]
        assert settled(executor)
    assert len(set(used)) == 1


def settled(executor: Executor) -> bool:
    """All lanes wait again, as the one that has answered does a moment later."""
    moment = threading.Event()
    for _ in range(2000):
        with executor._lock:
            if len(executor._idle) == LANES:
                return True
        moment.wait(SOON / 2000)
    return False


def test_no_batch_begins_before_the_setup_is_over(made: Made, model: Model) -> None:
    begun, over = threading.Event(), threading.Event()

    def setup() -> None:
        begun.set()
        assert over.wait(SOON)

    futures = made(setup=setup).submit(images(1, 2), "image")
    assert begun.wait(SOON)
    assert not model.entered.acquire(timeout=0.05)
    over.set()
    assert answers(futures) == [1, 2]


def test_closing_waits_for_every_lane(made: Made, model: Model) -> None:
    executor, futures = busy(made, model, *range(7))
    closing = threading.Thread(target=executor.close)
    closing.start()
    model.held = False
    for _ in range(LANES):
        model.allowed.release()
    closing.join(SOON)
    assert not closing.is_alive()
    assert answers(futures) == list(range(7))


@pytest.mark.parametrize(
    ("cores", "lanes", "under_way", "each"),
    [
        (2, 2, 0, 2),
        (2, 2, 1, 2),
        (2, 2, 2, 1),
        (2, 2, 9, 1),
        (16, 8, 1, 16),
        (16, 8, 3, 5),
        (16, 8, 64, 2),
        (2, 4, 9, 1),
    ],
)
def test_cores_are_shared_by_the_batches_that_there_may_be(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch, cores: int, lanes: int, under_way: int, each: int
) -> None:
    monkeypatch.setattr(engine_module, "Lane", Told)
    engine = Engine(embedder, None, Limits(), Capacity(batch_size=2, lanes=lanes, model_threads=cores))
    try:
        asyncio.run(engine.self_test())
        monkeypatch.setattr(engine.admission, "_items", under_way)
        asked = engine._compute([embedder.empty("image")], "image").h
    finally:
        monkeypatch.undo()
        engine.close()
    assert asked[0, 0] == each


class Told(Lane):
    """Says on how many cores it was to compute."""

    def embed(self, packed: Any, modality: Any, threads: int, batch_size: int) -> Embedding:
        found = super().embed(packed, modality, threads, batch_size)
        assert torch.get_num_threads() == threads
        return Embedding(np.full_like(found.h, threads), found.z)


class Fragile(Lane):
    """Crashes on a white image."""

    def embed(self, packed: Any, modality: Any, threads: int, batch_size: int) -> Embedding:
        if any((image == 255).all() for image in packed):
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().embed(packed, modality, threads, batch_size)


class Endless(Lane):
    """Is never done with a white image."""

    def embed(self, packed: Any, modality: Any, threads: int, batch_size: int) -> Embedding:
        if any((image == 255).all() for image in packed):
            time.sleep(600)
        return super().embed(packed, modality, threads, batch_size)


def test_a_lane_that_is_never_done_is_replaced(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "Lane", Endless)
    engine = Engine(embedder, None, Limits(), Capacity(batch_size=3, lanes=2, model_threads=2))

    async def ask() -> None:
        await engine.self_test()
        engine.capacity = Capacity(longest_deadline=2.0)
        with pytest.raises(Problem, match="crashed"):
            await engine.embed_each([np.full_like(embedder.empty("image"), 255)], "image")
        engine.capacity = Capacity()
        for _ in range(3):  # on each lane
            assert await engine.embed([embedder.empty("image")], "image")

    try:
        asyncio.run(ask())
        assert engine.health.restarts == {"model": 1}
    finally:
        engine.close()


@pytest.fixture
def laned(embedder: Embedder) -> Iterator[Engine]:
    """An engine with two lanes, whose processes can be found."""
    engine = Engine(embedder, None, Limits(), Capacity(batch_size=3, lanes=2, model_threads=2))
    yield engine
    engine.close()


@pytest.mark.parametrize("modality", ["image", "sound"])
def test_lanes_give_what_the_embedder_gives(
    laned: Engine, embedder: Embedder, images: list[bytes], sounds: list[bytes], modality: Modality
) -> None:
    packed = [
        embedder.read_image(file) if modality == "image" else embedder.read_sound(file)
        for file in (images if modality == "image" else sounds)[:8]
    ]
    found = asyncio.run(laned.embed(packed, modality))
    expected = embedder.embed_packed(packed, modality)
    assert laned._models is not None
    assert (found.z * expected.z).sum(axis=1) == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(found.h, expected.h, atol=0.05 * np.abs(expected.h).max())


def test_a_file_that_crashes_its_lane_fails_alone(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch, images: list[bytes]
) -> None:
    monkeypatch.setattr(engine_module, "Lane", Fragile)
    engine = Engine(embedder, None, Limits(), Capacity(batch_size=3, lanes=2, model_threads=2))
    white = np.full_like(embedder.empty("image"), 255)
    good = [embedder.read_image(file) for file in images[:4]]
    try:
        outcomes = asyncio.run(engine.embed_each([*good[:2], white, *good[2:]], "image"))
        again = asyncio.run(engine.embed(good, "image"))
    finally:
        engine.close()
    problem = outcomes.pop(2)
    assert isinstance(problem, Problem)
    assert problem.kind == "not-computable"
    assert all(not isinstance(outcome, Problem) for outcome in outcomes)
    assert len(again.z) == 4
    assert engine.health.restarts["model"] >= 2


def test_lanes_that_are_killed_are_replaced(laned: Engine, images: list[bytes]) -> None:
    over = threading.Event()
    killed: list[int] = []

    def kill() -> None:
        while not over.wait(0.1):
            for workers in [laned._models] if laned._models else []:
                with workers._lock:  # none takes it meanwhile: a batch that loses two has failed
                    for worker in workers._idle[-1:]:
                        with contextlib.suppress(ProcessLookupError):  # nothing was asked since the last one
                            os.kill(pid := worker._process.pid, signal.SIGKILL)
                            killed.append(pid)
                            while not gone(pid):  # the next batch meets none that is half ended
                                time.sleep(0.001)

    with served(laned) as client:
        killer = threading.Thread(target=kill)
        killer.start()
        try:
            statuses: list[int] = []
            end = time.monotonic() + SOON
            while len(statuses) < 12 or (len(killed) < 4 and time.monotonic() < end):
                statuses.append(client.post("/v1/embed", files={"image": images[0]}).status_code)
        finally:
            over.set()
            killer.join()
        assert set(statuses) == {200}
    assert len(killed) >= 4


def test_one_lane_is_a_thread_of_the_service(embedder: Embedder, images: list[bytes]) -> None:
    engine = Engine(embedder, None, Limits(), Capacity(lanes=1))
    try:
        assert len(asyncio.run(engine.embed([embedder.read_image(images[0])], "image")).z) == 1
        assert engine._models is None
    finally:
        engine.close()


@given(most=st.integers(1, 64), together=st.integers(1, 64), items=st.integers(0, 200))
def test_lanes_share_their_cores(most: int, together: int, items: int) -> None:
    lanes = Lanes(most, together, processes=True)
    share = lanes.share(items)
    assert 1 <= lanes.threads <= share <= together
    assert share * min(most, max(1, items)) <= max(together, most)
    assert lanes.share(1) == together
    assert lanes.share(most + 200) == lanes.threads
