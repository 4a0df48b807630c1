"""Past what the service may take on it says so at once; a deadline frees every place; a crash shows and passes."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import numpy as np
import pytest

from service.engine import Engine, Upload
from service.limits import Limits
from service.pipeline import ticket as tickets
from service.pipeline.capacity import Capacity
from service.pipeline.health import Health
from service.pipeline.metrics import Metrics
from service.pipeline.stage import Stage
from service.pipeline.ticket import Ticket
from service.problems import Problem
from training.model.embedder import Embedder

T = TypeVar("T")
SOON = 20.0  # seconds after which a test has failed; none waits that long


class Gate:
    """Work that goes on when it is let."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, *arguments: Any) -> str:
        self.entered.set()
        assert self.opened.wait(SOON)
        return "done"


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def stage(metrics: Metrics, gate: Gate) -> Iterator[Stage]:
    stage = Stage("work", 1, Health(metrics), metrics, most=2)
    yield stage
    gate.opened.set()
    stage.close()


@pytest.fixture
def engine(embedder: Embedder, gate: Gate) -> Iterator[Engine]:
    own = copy.copy(embedder)  # whose methods the tests replace
    engine = Engine(own, None, Limits(), Capacity(batch_size=4, queue_items=5, queue_bytes=2_000_000, lanes=1))
    yield engine
    gate.opened.set()
    engine.close()


async def within(seconds: float | None, work: Coroutine[Any, Any, T]) -> T:
    """Work of a request that has so many seconds."""
    ticket = Ticket(seconds)
    tickets.current.set(ticket)
    try:
        return await work
    finally:
        ticket.end()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON):
        while not condition():
            await asyncio.sleep(0.001)


def kind_of(outcome: object) -> str:
    assert isinstance(outcome, Problem), outcome
    return outcome.kind


def test_a_stage_refuses_what_may_not_wait(stage: Stage, gate: Gate, metrics: Metrics) -> None:
    async def run() -> None:
        first = asyncio.create_task(stage.run(gate))
        await until(gate.entered.is_set)
        waiting = [asyncio.create_task(stage.run(len, "four")) for _ in range(2)]
        await until(lambda: len(stage) == 2)
        with pytest.raises(Problem) as refused:
            await stage.run(len, "four")
        assert (refused.value.status, refused.value.headers) == (429, {"retry-after": "1"})
        gate.opened.set()
        assert await first == "done"
        assert await asyncio.gather(*waiting) == [4, 4]

    asyncio.run(run())
    assert metrics.registry.get_sample_value("bma_dropped_total", {"reason": "full"}) == 1


def test_a_deadline_frees_the_place_of_who_waits(stage: Stage, gate: Gate) -> None:
    async def run() -> None:
        first = asyncio.create_task(stage.run(gate))
        await until(gate.entered.is_set)
        begun: list[int] = []
        late = await asyncio.gather(
            *(asyncio.create_task(within(0.02, stage.run(begun.append, n))) for n in range(2)), return_exceptions=True
        )
        assert [kind_of(one) for one in late] == ["deadline-exceeded"] * 2
        others = [asyncio.create_task(stage.run(len, "four")) for _ in range(2)]
        await until(lambda: all(task.done() for task in others) or len(stage) == 2)  # while the first still runs
        gate.opened.set()
        assert await first == "done"
        assert await asyncio.gather(*others) == [4, 4]
        assert begun == [], "what nobody waited for was done all the same"

    asyncio.run(run())


def test_a_request_that_is_late_already_does_not_begin(stage: Stage) -> None:
    begun: list[int] = []
    with pytest.raises(Problem, match="within its 0 s"):
        asyncio.run(within(0.0, stage.run(begun.append, 1)))
    assert begun == []


def test_what_must_finish_is_waited_for_past_the_deadline(stage: Stage, gate: Gate) -> None:
    async def run() -> None:
        task = asyncio.create_task(within(0.02, stage.run(gate, finish=True)))
        await until(gate.entered.is_set)
        late = asyncio.create_task(within(0.02, stage.run(gate, finish=True)))
        outcomes = await asyncio.gather(late, return_exceptions=True)
        assert kind_of(outcomes[0]) == "deadline-exceeded", "it had not begun"
        assert not task.done()
        gate.opened.set()
        assert await task == "done"

    asyncio.run(run())


def test_a_function_that_times_out_by_itself_is_not_late(stage: Stage) -> None:
    def times_out() -> None:
        raise TimeoutError("the disk")

    with pytest.raises(TimeoutError, match="the disk"):
        asyncio.run(within(60.0, stage.run(times_out)))


def test_a_thread_that_dies_fails_its_request_and_is_replaced(stage: Stage, metrics: Metrics) -> None:
    def dies() -> None:
        raise SystemExit("now")

    async def run() -> None:
        for _ in range(3):
            with pytest.raises(Problem) as failed:
                await stage.run(dies)
            assert (failed.value.status, failed.value.kind) == (503, "stage-crashed")
            assert await stage.run(len, "four") == 4

    asyncio.run(run())
    assert metrics.registry.get_sample_value("bma_stage_restarts_total", {"stage": "work"}) == 3


def test_a_stage_that_closes_finishes_what_waits(stage: Stage, gate: Gate) -> None:
    futures: list[Future[Any]] = [stage.submit(gate)]
    assert gate.entered.wait(SOON)
    futures += [stage.submit(len, "four"), stage.submit(len, "five!")]
    closing = threading.Thread(target=stage.close)
    closing.start()
    gate.opened.set()
    assert [future.result(SOON) for future in futures] == ["done", 4, 5]
    closing.join(SOON)
    with pytest.raises(Problem, match="is ending"):
        stage.submit(len, "")


def pictures(images: list[bytes], count: int) -> list[Upload]:
    return [Upload(f"{n}.jpg", images[n]) for n in range(count)]


async def query(engine: Engine, uploads: list[Upload]) -> Any:
    decoded = await engine.decode(uploads, "image")
    return await engine.embed([file for file in decoded if isinstance(file, np.ndarray)], "image")


def test_files_past_the_queue_are_refused_at_once(engine: Engine, gate: Gate, images: list[bytes]) -> None:
    async def run() -> None:
        await hold(engine, gate)
        accepted = [asyncio.create_task(within(None, query(engine, pictures(images, 2)))) for _ in range(2)]
        await until(lambda: engine.admission.items == 4 and gate.entered.is_set())
        with pytest.raises(Problem) as refused:
            await within(None, query(engine, pictures(images, 2)))
        assert (refused.value.status, refused.value.extra) == (429, {"limit": 5})
        assert int(refused.value.headers["retry-after"]) >= 1
        accepted.append(asyncio.create_task(within(None, query(engine, pictures(images, 1)))))
        await until(lambda: engine.admission.items == 5)
        gate.opened.set()
        assert [len(found.z) for found in await asyncio.gather(*accepted)] == [2, 2, 1]
        assert (engine.admission.items, engine.admission.bytes) == (0, 0)

    asyncio.run(run())


def test_bytes_past_the_queue_are_refused(engine: Engine, gate: Gate, images: list[bytes]) -> None:
    large = [Upload("large.jpg", images[0] + bytes(1_990_000))]

    async def run() -> None:
        await hold(engine, gate)
        accepted = asyncio.create_task(within(None, query(engine, large)))
        await until(gate.entered.is_set)
        with pytest.raises(Problem, match="2,000,000 bytes"):
            await within(None, query(engine, [Upload("another.jpg", images[1] + bytes(10_000))]))
        gate.opened.set()
        assert len((await accepted).z) == 1
        assert engine.admission.bytes == 0

    asyncio.run(run())


def test_a_large_request_is_let_in_where_there_is_no_other(engine: Engine, images: list[bytes]) -> None:
    assert len(asyncio.run(within(None, query(engine, pictures(images, 8)))).z) == 8
    assert engine.admission.items == 0


def test_a_deadline_frees_its_place_in_the_queue(engine: Engine, gate: Gate, images: list[bytes]) -> None:
    async def run() -> None:
        seen = await hold(engine, gate)
        first = asyncio.create_task(within(None, query(engine, pictures(images, 1))))
        await until(gate.entered.is_set)
        late = asyncio.create_task(within(0.5, query(engine, pictures(images, 4))))
        outcomes = await asyncio.gather(late, return_exceptions=True)
        assert kind_of(outcomes[0]) == "deadline-exceeded"
        assert engine.admission.items == 1
        others = asyncio.create_task(within(None, query(engine, pictures(images, 4))))
        await until(lambda: engine.admission.items == 5)
        gate.opened.set()
        assert len((await first).z) == 1
        assert len((await others).z) == 4
        assert sum(seen) == 5, "the model computed what nobody waited for"

    asyncio.run(run())


def test_who_has_gone_costs_the_model_nothing(engine: Engine, gate: Gate, images: list[bytes]) -> None:
    async def run() -> None:
        seen = await hold(engine, gate)
        first = asyncio.create_task(within(None, query(engine, pictures(images, 1))))
        await until(gate.entered.is_set)
        gone = asyncio.create_task(within(None, query(engine, pictures(images, 3))))
        await until(lambda: len(engine.batchers["image"]) == 3)
        gone.cancel()
        await asyncio.wait([gone])
        assert engine.admission.items == 1
        gate.opened.set()
        await first
        await engine.self_test()
        assert sum(seen) == 2, "the first one, and the self-test"

    asyncio.run(run())


def test_a_file_without_an_answer_leaves_the_others(engine: Engine, images: list[bytes]) -> None:
    async def run() -> Any:
        decoded = await engine.decode(pictures(images, 3), "image")
        packed = [file for file in decoded if isinstance(file, np.ndarray)]
        poison(engine, packed[1])
        return await engine.embed_each(packed, "image")

    first, second, third = asyncio.run(run())
    assert kind_of(second) == "not-computable"
    assert np.isfinite(first[1]).all()
    assert np.isfinite(third[1]).all()


def test_a_crash_brings_doubt_that_a_forward_pass_settles(engine: Engine, images: list[bytes]) -> None:
    async def run() -> None:
        await engine.self_test()
        assert not engine.health.in_doubt
        decoded = await engine.decode(pictures(images, 1), "image")
        real = engine.embedder.embed_images

        def dies(packed: Any) -> Any:
            engine.embedder.embed_images = real  # type: ignore[method-assign]
            raise SystemExit("now")

        engine.embedder.embed_images = dies  # type: ignore[method-assign, assignment]
        with pytest.raises(Problem, match="crashed with this request in it"):
            await engine.embed([file for file in decoded if isinstance(file, np.ndarray)], "image")
        assert engine.health.in_doubt
        assert engine.health.restarts == {"model": 1}
        await engine.self_test()
        assert not engine.health.in_doubt

    asyncio.run(run())


def test_closing_finishes_what_was_accepted(engine: Engine, gate: Gate, images: list[bytes]) -> None:
    async def run() -> None:
        await hold(engine, gate)
        decoded = await engine.decode(pictures(images, 5), "image")
        packed = [file for file in decoded if isinstance(file, np.ndarray)]
        accepted = [asyncio.create_task(engine.embed([file], "image")) for file in packed]
        await until(gate.entered.is_set)
        closing = threading.Thread(target=engine.close)
        closing.start()
        gate.opened.set()
        assert [len(found.z) for found in await asyncio.gather(*accepted)] == [1] * 5
        await asyncio.to_thread(closing.join, SOON)
        assert not closing.is_alive()

    asyncio.run(run())


async def hold(engine: Engine, gate: Gate) -> list[int]:
    """Stop the model before its next batch; the sizes of those that it computes from now on."""
    await engine.self_test()  # after it, none of the batches of the start is still to come
    real, seen = engine.embedder.embed_images, list[int]()

    def held(packed: Any) -> Any:
        seen.append(len(packed))
        gate()
        return real(packed)

    engine.embedder.embed_images = held  # type: ignore[method-assign, assignment]
    return seen


def poison(engine: Engine, file: Any) -> None:
    """Let the model raise on a file."""
    real = engine.embedder.embed_images

    def poisoned(packed: Any) -> Any:
        if any(one is file for one in packed):
            raise RuntimeError("this can't be computed")
        return real(packed)

    engine.embedder.embed_images = poisoned  # type: ignore[method-assign, assignment]
