"""Clients of a service, well-behaved and hostile, in one process; what they saw as a JSON object.

    python -m benchmarks.soaking.load URL --clients 32         # closed loop: each asks once it was answered
    python -m benchmarks.soaking.load URL --rate 400 --hostile # open loop: they ask whether answered or not

Well-behaved: searches, embeddings, classes and changes of items, in a fixed mix, with a deadline. What each change has
left, by what its answer said, is remembered. Hostile: clients that hang up, that send a byte a second, or rubbish.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

import numpy as np

from benchmarks.soaking.client import PATIENCE, Client
from benchmarks.soaking.forms import Files
from benchmarks.soaking.shelf import Shelf

KINDS = {"search": 40, "embed": 20, "classify": 20, "write": 20}  # of 100 requests
HANG_UPS, RUBBISH = 0.008, 0.016  # for each request of the others
LEAST = 2.0  # a second of either, so that a short or slow run has some
SLOW = 10  # at once in their headers, and as many in their bodies


@dataclass
class Seen:
    """What clients saw."""

    begun: float = field(default_factory=time.monotonic)
    statuses: Counter[str] = field(default_factory=Counter)
    hostile: dict[str, Counter[str]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)  # of each request that was done
    lags: list[float] = field(default_factory=list)  # seconds by which each request was sent too late


class Load:
    """All clients of a run.

    Args:
        client: sends.
        name: of this run's items.
        seed: of what is drawn.
    """

    def __init__(self, client: Client, name: str, seed: int) -> None:
        self.client, self.chance, self.seen = client, random.Random(seed), Seen()
        self.files = Files(np.random.default_rng(0))
        self.shelf = Shelf(name, self.files, self.chance)
        self._tasks: set[asyncio.Task[None]] = set()

    async def closed(self, clients: int, seconds: float, warm: float) -> None:
        """Each client asks once it was answered; what is seen counts after `warm` seconds."""
        end = time.monotonic() + warm + seconds

        async def client() -> None:
            while time.monotonic() < end:
                await self._one(time.monotonic())

        async def begin() -> None:
            await asyncio.sleep(warm)
            self.seen = Seen()

        await asyncio.gather(begin(), *(client() for _ in range(clients)))

    async def open(self, rate: float, seconds: float, hostile: bool) -> None:
        """So many requests a second, at random times, whatever becomes of them."""
        end = time.monotonic() + seconds
        beside, slow = list[asyncio.Task[None]](), list[asyncio.Task[None]]()
        if hostile:
            kinds = ((HANG_UPS, self._hang_up), (RUBBISH, self._rubbish))
            beside = [asyncio.create_task(self._every(max(often * rate, LEAST), work, end)) for often, work in kinds]
            slow = [asyncio.create_task(self._slow(number % 2 == 0)) for number in range(2 * SLOW)]
        await asyncio.gather(self._every(rate, self._one, end), *beside)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _every(self, rate: float, work: Callable[[float], Coroutine[None, None, None]], end: float) -> None:
        due = time.monotonic()
        while (due := due + self.chance.expovariate(rate)) < end:
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(work(due))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _one(self, due: float) -> None:
        (kind,) = self.chance.choices(list(KINDS), list(KINDS.values()))
        told: Callable[[str], None] | None = None
        if kind == "write":
            ask, told = self.shelf.change()
        else:
            path = f"/v1/search/{self.chance.choice(('images', 'sounds'))}" if kind == "search" else f"/v1/{kind}"
            ask = ("POST", path, self.chance.choice(self.files.embed))
        seen = self.seen  # of this request, whatever counts when it ends
        seen.lags.append(time.monotonic() - due)
        status = await self.client.ask(ask)
        if told is not None:
            told(status)
        seen.statuses[status] += 1
        if status.startswith("2"):
            seen.seconds.append(time.monotonic() - due)

    async def _hang_up(self, due: float) -> None:
        body = self.chance.choice(self.files.embed)
        data = self.client.head("POST", "/v1/embed", len(body)) + body
        cut = len(data) if self.chance.random() < 0.5 else self.chance.randrange(len(data))
        try:
            transport = (await self.client.open()).transport
            transport.write(data[:cut])
            await asyncio.sleep(self.chance.random() / 5)
            transport.abort() if self.chance.random() < 0.5 else transport.close()
            self._heard("hang up", "gone")
        except OSError:
            self._heard("hang up", "refused")

    async def _rubbish(self, due: float) -> None:
        if self.chance.random() < 0.8:
            self._heard("rubbish", await self.client.ask(self.files.rubbish(self.chance)))
            return
        with contextlib.suppress(OSError, TimeoutError):  # not even HTTP
            connection = await self.client.open()
            answer = connection.answered()
            connection.transport.write(self.chance.randbytes(1000) + b"\r\n\r\n")
            async with asyncio.timeout(PATIENCE):
                self._heard("noise", await answer)
            connection.transport.close()

    async def _slow(self, within_head: bool) -> None:
        """A byte a second until the service has had enough, again and again."""
        body = self.files.embed[0]
        head = self.client.head("POST", "/v1/embed", len(body))
        while True:
            with contextlib.suppress(OSError):
                connection = await self.client.open()
                answer = connection.answered()
                try:
                    if not within_head:
                        connection.transport.write(head)
                    for byte in head if within_head else body:
                        connection.transport.write(bytes([byte]))
                        await asyncio.wait([answer], timeout=1.0)
                        if answer.done():
                            break
                    self._heard("slow", await answer)
                finally:
                    answer.cancel()
                    connection.transport.close()
            await asyncio.sleep(0.1)

    def _heard(self, kind: str, status: str) -> None:
        self.seen.hostile.setdefault(kind, Counter())[status] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--clients", type=int, help="of a closed loop")
    how.add_argument("--rate", type=float, help="requests a second of an open loop")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm", type=float, default=2.0, help="seconds before, of a closed loop")
    parser.add_argument("--deadline", type=float, default=2.0, help="seconds that a request has")
    parser.add_argument("--hostile", action="store_true", help="with hostile clients beside")
    parser.add_argument("--name", default="load", help="what its items are called")
    arguments = parser.parse_args()
    client = Client(arguments.url, arguments.deadline)
    load = Load(client, arguments.name, seed=0)

    async def run() -> None:
        if arguments.clients:
            await load.closed(arguments.clients, arguments.seconds, arguments.warm)
        else:
            await load.open(arguments.rate, arguments.seconds, arguments.hostile)
        client.close()

    asyncio.run(run())
    seen, shelf = load.seen, load.shelf
    json.dump(
        {
            "offered": len(seen.lags),
            "statuses": seen.statuses,
            "hostile": seen.hostile,
            "ms": _spread(seen.seconds),
            "lag_ms": _spread(seen.lags),
            "items": shelf.items,
            "deleted": shelf.deleted,
            "unsure": shelf.unsure,
        },
        sys.stdout,
    )


def _spread(seconds: list[float]) -> dict[str, float]:
    """p50, p99 and the most, in milliseconds."""
    if len(seconds) < 2:
        return {"p50": 0.0, "p99": 0.0, "most": 0.0}
    ranks = statistics.quantiles(seconds, n=100)
    return {"p50": 1000 * ranks[49], "p99": 1000 * ranks[98], "most": 1000 * max(seconds)}


if __name__ == "__main__":
    main()
