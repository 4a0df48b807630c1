"""Who would wait too long is refused before the service reads a byte of the body, and nobody else is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.pipeline import gate as gates
from service.pipeline import ticket as tickets
from service.pipeline.capacity import Capacity
from service.pipeline.gate import CROWD, Gate
from service.pipeline.metrics import Metrics
from service.pipeline.ticket import Ticket

BODY = {"type": "http.request", "body": b"of a request", "more_body": False}


class Service:
    """A gate before an application that reads its request and then answers when it is let."""

    def __init__(self, queue_items: int = 100) -> None:
        self.metrics, self.reads = Metrics(), 0
        self.go_on = asyncio.Event()
        self.gate = Gate(self.app, lambda: Capacity(queue_items=queue_items), lambda: self.metrics)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def ask(
        self,
        seconds: float | None = None,
        receive: Callable[[], Awaitable[Any]] | None = None,
        length: str = "12",
        **headers: str,
    ) -> tuple[int, dict[str, str]]:
        """Status and headers of the answer."""
        tickets.current.set(Ticket(seconds))
        sent: list[Any] = []

        async def body() -> Any:
            self.reads += 1
            return BODY

        async def send(message: Any) -> None:
            sent.append(message)

        given = [(name.encode(), value.encode()) for name, value in ({"content-length": length} | headers).items()]
        scope = {"type": "http", "method": "POST", "path": "/v1/embed", "headers": given}
        await self.gate(scope, receive or body, send)
        return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}

    async def crowd(self, count: int) -> list[asyncio.Task[Any]]:
        """So many requests that are under way."""
        tasks = [asyncio.create_task(self.ask()) for _ in range(count)]
        while self.reads < count:
            await asyncio.sleep(0)
        return tasks


def test_a_full_line_refuses_before_the_body_is_read() -> None:
    async def run() -> None:
        service = Service(queue_items=3)
        crowd = await service.crowd(3)
        status, headers = await service.ask()
        assert (status, headers["retry-after"], "connection" in headers) == (429, "1", False)
        assert service.reads == 3
        assert service.metrics.registry.get_sample_value("bma_dropped_total", {"reason": "full"}) == 1
        service.go_on.set()
        assert [status for status, _ in await asyncio.gather(*crowd)] == [200] * 3
        assert (await service.ask())[0] == 200
        assert service.gate.line == 0

    asyncio.run(run())


def test_a_wait_that_is_too_long_for_the_deadline_is_refused_and_for_a_later_one_is_not() -> None:
    async def run() -> None:
        service = Service()
        service.gate.learn(seconds=4.0, line=CROWD)  # half a second for each in line
        crowd = await service.crowd(CROWD)
        assert service.gate.wait == pytest.approx(4.0)
        status, headers = await service.ask(seconds=8.0)
        assert (status, headers["retry-after"]) == (429, "4")
        later = asyncio.create_task(service.ask(seconds=60.0))
        service.go_on.set()
        assert (await later)[0] == 200
        await asyncio.gather(*crowd)
        assert (await service.ask(seconds=8.0))[0] == 200  # nobody is before it any more

    asyncio.run(run())


def test_where_all_would_wait_too_long_those_that_are_let_in_teach_it_better() -> None:
    """Else a service that had begun slowly, as its first batches are, would refuse all but a few for ever."""

    async def run() -> None:
        service = Service()
        service.gate.learn(seconds=1000.0, line=CROWD)
        service.go_on.set()
        for _ in range(500):
            statuses = [status for status, _ in await asyncio.gather(*(service.ask(seconds=60.0) for _ in range(20)))]
        assert statuses == [200] * 20

    asyncio.run(run())


def test_among_few_nobody_is_refused_and_so_a_service_that_was_slow_once_learns_better() -> None:
    async def run() -> None:
        service = Service()
        service.gate.learn(seconds=1000.0, line=CROWD)
        service.gate.learn(seconds=0.0, line=CROWD - 2)  # says nothing
        crowd = await service.crowd(CROWD - 1)
        last = asyncio.create_task(service.ask(seconds=1.0))
        await asyncio.sleep(0)
        service.go_on.set()
        assert (await last)[0] == 200
        await asyncio.gather(*crowd)
        service.go_on.clear()
        crowd = await service.crowd(2 * CROWD)
        assert service.gate.wait == pytest.approx(2000.0, rel=0.05)
        service.go_on.set()
        await asyncio.gather(*crowd)
        service.go_on.clear()
        await service.crowd(2 * CROWD)
        assert service.gate.wait < 1900.0

    asyncio.run(run())


def test_what_brings_nothing_does_not_stand_in_line() -> None:
    async def run() -> None:
        service = Service(queue_items=1)
        crowd = await service.crowd(1)
        nothing = asyncio.create_task(service.ask(length="0"))
        assert (await service.ask())[0] == 429
        assert service.gate.line == 1
        service.go_on.set()
        assert (await nothing)[0] == 200
        await asyncio.gather(*crowd)

    asyncio.run(run())


def test_a_slow_client_does_not_stand_in_the_way_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "PROMPT", 0.01)

    async def run() -> None:
        service = Service(queue_items=1)
        rest = asyncio.Event()

        async def slowly() -> Any:
            await rest.wait()
            return BODY

        slow = asyncio.create_task(service.ask(receive=slowly))
        await asyncio.sleep(0)
        assert service.gate.line == 1
        while service.gate.line:
            await asyncio.sleep(0.001)
        service.go_on.set()
        assert (await service.ask())[0] == 200
        service.go_on.clear()
        rest.set()
        while not service.gate.line:  # now there is work to do for it
            await asyncio.sleep(0)
        service.go_on.set()
        assert (await slow)[0] == 200
        assert service.gate.line == 0

    asyncio.run(run())


def test_who_hangs_up_leaves_the_line() -> None:
    async def run() -> None:
        service = Service()
        crowd = await service.crowd(5)
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        assert service.gate.line == 0

    asyncio.run(run())


def test_who_asks_before_it_sends_its_body_asks_anew_on_another_connection() -> None:
    async def run() -> None:
        service = Service(queue_items=1)
        await service.crowd(1)
        status, headers = await service.ask(expect="100-continue")
        assert (status, headers["connection"]) == (429, "close")

    asyncio.run(run())
