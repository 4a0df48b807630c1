"""Batches form while the model is busy; who is gone costs nothing; a bad file fails alone; a crash is survived."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from service.pipeline.batcher import Batcher
from service.pipeline.executor import Executor
from service.pipeline.health import Health
from service.pipeline.metrics import Metrics
from service.problems import Problem
from training.model.embedder import Embedding
from training.model.memory import Modality

SOON = 20.0  # seconds after which a test has failed; none waits that long
POISON, HOLLOW, BOMB = 255, 254, 253  # what the model raises on, has no number for, dies of

pytestmark = pytest.mark.filterwarnings("error")


class Model:
    """Stands for the model: a file of value v has the vectors [v]. It stops before each batch where it is held."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self.entered = threading.Semaphore(0)
        self.allowed = threading.Semaphore(0)
        self.held = False
        self.broken = False

    def __call__(self, packed: Sequence[npt.NDArray[Any]], modality: Modality) -> Embedding:
        values = [int(file.flat[0]) for file in packed]
        self.batches.append((modality, values))
        self.entered.release()
        if self.held:
            assert self.allowed.acquire(timeout=SOON)
        if BOMB in values:
            raise SystemExit("the thread is at its end")
        if POISON in values or self.broken:
            raise RuntimeError("this can't be computed")
        z = np.array([[np.nan if value == HOLLOW else value] for value in values], np.float32)
        return Embedding(z.copy(), z)

    def wait_entered(self) -> None:
        assert self.entered.acquire(timeout=SOON)

    def probe(self, modality: Modality) -> None:
        if self.broken:
            raise ArithmeticError("nothing can be computed")


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def health(metrics: Metrics) -> Health:
    return Health(metrics)


@pytest.fixture
def executor(model: Model, metrics: Metrics, health: Health) -> Iterator[Executor]:
    batchers = [Batcher("image", 4), Batcher("sound", 4, window=10)]
    executor = Executor(model, batchers, health, metrics, lambda items, seconds: None, probe=model.probe)
    yield executor
    model.held = False
    for _ in range(100):
        model.allowed.release()
    executor.close()


def images(*values: int) -> list[npt.NDArray[Any]]:
    return [np.full((3, 2, 2), value, np.uint8) for value in values]


def sounds(*windows: float) -> list[npt.NDArray[Any]]:
    return [np.full(int(10 * length), int(length), np.int16) for length in windows]


def answers(futures: Sequence[Future[Any]]) -> list[Any]:
    """Of each file its value, or the kind of its problem."""
    assert not wait(futures, SOON).not_done
    found = []
    for future in futures:
        error = future.exception()
        assert error is None or isinstance(error, Problem)
        found.append(error.kind if error else int(future.result()[1][0]))
    return found


def busy(executor: Executor, model: Model) -> list[Future[Any]]:
    """A file that the model has and holds."""
    model.held = True
    futures = executor.submit(images(0), "image")
    model.wait_entered()
    return futures


def test_a_lone_file_goes_at_once(executor: Executor, model: Model) -> None:
    assert answers(executor.submit(images(7), "image")) == [7]
    assert model.batches == [("image", [7])]


def test_the_next_batch_forms_while_the_model_is_busy(executor: Executor, model: Model) -> None:
    futures = busy(executor, model)
    for value in (1, 2, 3):
        futures += executor.submit(images(value), "image")
    assert model.batches == [("image", [0])]
    model.held = False
    model.allowed.release()
    assert answers(futures) == [0, 1, 2, 3]
    assert model.batches == [("image", [0]), ("image", [1, 2, 3])]


def test_a_batch_is_never_larger_than_it_may_be(executor: Executor, model: Model) -> None:
    futures = busy(executor, model)
    futures += executor.submit(images(*range(1, 11)), "image")
    model.held = False
    model.allowed.release()
    assert answers(futures) == list(range(11))
    assert [values for _, values in model.batches] == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


def test_a_full_batch_goes_though_nothing_more_comes(executor: Executor, model: Model) -> None:
    assert answers(executor.submit(images(1, 2, 3, 4), "image")) == [1, 2, 3, 4]
    assert [values for _, values in model.batches] == [[1, 2, 3, 4]]


def test_modalities_take_turns_by_who_came_first(executor: Executor, model: Model) -> None:
    futures = busy(executor, model)
    futures += executor.submit(images(1), "image")
    futures += executor.submit(sounds(2), "sound")
    futures += executor.submit(images(3), "image")
    model.held = False
    model.allowed.release()
    assert answers(futures) == [0, 1, 2, 3]
    assert model.batches == [("image", [0]), ("image", [1, 3]), ("sound", [2])]


def test_sounds_fill_a_batch_by_their_windows(executor: Executor, model: Model) -> None:
    futures = busy(executor, model)
    futures += executor.submit(sounds(2, 2, 1, 9, 1, 1), "sound")
    model.held = False
    model.allowed.release()
    answers(futures)
    assert [values for _, values in model.batches[1:]] == [[2, 2], [1], [9], [1, 1]]


def test_who_is_gone_never_reaches_the_model(executor: Executor, model: Model) -> None:
    futures = busy(executor, model)
    gone = executor.submit(images(1, 2), "image")
    futures += executor.submit(images(3), "image")
    last = executor.submit(images(4), "image")
    assert all(future.cancel() for future in (*gone, *last))
    model.held = False
    model.allowed.release()
    assert answers(futures) == [0, 3]
    assert [values for _, values in model.batches] == [[0], [3]]


def test_a_self_test_goes_first(executor: Executor, model: Model) -> None:
    futures = busy(executor, model)
    futures += executor.submit(images(*range(1, 9)), "image")
    futures += executor.submit(images(9), "image", first=True)
    model.held = False
    model.allowed.release()
    answers(futures)
    assert model.batches[1] == ("image", [9, 1, 2, 3])


@pytest.mark.parametrize("bad", [POISON, HOLLOW])
def test_a_bad_file_fails_alone(executor: Executor, model: Model, metrics: Metrics, bad: int) -> None:
    assert answers(executor.submit(images(1, bad, 3), "image")) == [1, "not-computable", 3]
    assert metrics.registry.get_sample_value("bma_model_failures_total", {"modality": "image"}) == 1
    assert answers(executor.submit(images(bad), "image")) == ["not-computable"]
    assert answers(executor.submit(images(5), "image")) == [5]


def test_a_broken_model_is_no_files_fault(executor: Executor, model: Model, health: Health) -> None:
    health.settle(health.doubts)
    assert answers(executor.submit(images(5), "image")) == [5]
    assert not health.in_doubt
    model.broken = True
    assert answers(executor.submit(images(1, 2), "image")) == ["not-ready", "not-ready"]
    assert health.in_doubt
    model.broken = False
    assert answers(executor.submit(images(5), "image")) == [5]
    assert health.in_doubt, "only a self-test settles it"


def test_a_thread_that_dies_takes_its_batch_alone(
    executor: Executor, model: Model, health: Health, metrics: Metrics
) -> None:
    futures = busy(executor, model)
    futures += executor.submit(images(1, BOMB, 3, 4), "image")
    futures += executor.submit(images(5, 6), "image")
    model.held = False
    model.allowed.release()
    assert answers(futures) == [0, *["stage-crashed"] * 4, 5, 6]
    assert health.restarts == {"model": 1}
    assert health.in_doubt
    assert metrics.registry.get_sample_value("bma_stage_restarts_total", {"stage": "model"}) == 1


def test_it_survives_any_number_of_deaths(executor: Executor, health: Health) -> None:
    for count in range(1, 6):
        assert answers(executor.submit(images(BOMB), "image")) == ["stage-crashed"]
        assert health.restarts == {"model": count}
    assert answers(executor.submit(images(1), "image")) == [1]


def test_closing_finishes_what_was_accepted(executor: Executor, model: Model) -> None:
    futures = busy(executor, model)
    futures += executor.submit(images(*range(1, 10)), "image")
    futures += executor.submit(sounds(1, 2), "sound")
    closing = threading.Thread(target=executor.close)
    closing.start()
    refused = refused_by(executor.submit, images(1), "image")
    model.held = False
    for _ in range(10):
        model.allowed.release()
    assert answers(futures) == [*range(10), 1, 2]
    closing.join(SOON)
    assert not closing.is_alive()
    assert refused == "not-ready"


def refused_by(submit: Callable[..., Any], *arguments: Any) -> str:
    """The kind of problem, once it is one: another thread is about to close what is submitted to."""
    limit = threading.Event()
    for _ in range(2000):
        try:
            for future in submit(*arguments):
                future.cancel()
        except Problem as problem:
            return problem.kind
        limit.wait(0.01)
    raise AssertionError("it was never closed")


def test_numbers_are_kept(executor: Executor, model: Model, metrics: Metrics) -> None:
    futures = busy(executor, model)
    futures += executor.submit(images(1, 2, 3), "image")
    value = metrics.registry.get_sample_value
    assert value("bma_queue_depth", {"stage": "image"}) == 3
    model.held = False
    model.allowed.release()
    answers(futures)
    assert value("bma_queue_depth", {"stage": "image"}) == 0
    assert value("bma_batch_items_count", {"modality": "image"}) == 2
    assert value("bma_batch_items_sum", {"modality": "image"}) == 4
    assert value("bma_stage_seconds_count", {"stage": "queue"}) == 4
    assert value("bma_stage_seconds_count", {"stage": "model"}) == 2
