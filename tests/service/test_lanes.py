"""Batches side by side: lanes that are free share what waits, and each has its own fate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from service import engine as engine_module
from service.engine import Engine
from service.limits import Limits
from service.pipeline.batcher import Batcher
from service.pipeline.capacity import Capacity
from service.pipeline.executor import Executor
from service.pipeline.health import Health
from service.pipeline.metrics import Metrics
from tests.service.test_batcher import BOMB, SOON, Model, answers, images
from training.model.embedder import Embedder

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


def test_one_client_after_the_other_has_the_same_lane(made: Made) -> None:
    used: list[str] = []
    executor = made(prepare=lambda: used.append(str(threading.get_ident())))
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
    asked: list[int] = []
    engine = Engine(embedder, None, Limits(), Capacity(batch_size=2, lanes=lanes, model_threads=cores))
    try:
        monkeypatch.setattr(engine_module, "set_threads", asked.append)
        monkeypatch.setattr(engine.admission, "_items", under_way)
        engine._share_cores()
    finally:
        monkeypatch.undo()
        engine.close()
    assert asked[-1:] == [each]
