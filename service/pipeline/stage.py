"""Threads that do work of one kind, with a bounded queue in front of them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from prometheus_client import Counter

from service.pipeline.health import Health
from service.pipeline.metrics import Metrics
from service.pipeline.ticket import Ticket, current
from service.pipeline.trace import Trace, trace
from service.problems import Problem, log

T = TypeVar("T")


@dataclass
class _Job:
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    future: Future[Any] = field(default_factory=Future)
    trace: Trace | None = field(default_factory=trace.get)


class Stage:
    """Runs functions on threads of its own, off the event loop, in the order in which they came.

    What nobody waits for any more (a client that has gone, a deadline that has passed) is dropped before it begins. A
    thread that dies fails the request that it had, and another takes its place.

    Args:
        name: in metrics and logs.
        threads: how many.
        health: told of crashes.
        metrics: told of times and depths.
        most: jobs that may wait; None for any number, where something else bounds them.
        setup: run once by each thread.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        health: Health,
        metrics: Metrics,
        most: int | None = None,
        setup: Callable[[], None] | None = None,
    ) -> None:
        self.name, self.most = name, most
        self._health, self._setup = health, setup
        self._seconds = metrics.stage_seconds.labels(name)
        self._waiting = metrics.waiting.labels(name)
        self._dropped = metrics.dropped
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._threads: set[threading.Thread] = set()
        for _ in range(threads):
            self._start()

    def __len__(self) -> int:
        return len(self._jobs)

    async def run(self, function: Callable[..., T], *arguments: Any, finish: bool = False) -> T:
        """What a function gives, before the request's deadline.

        Args:
            function: what to run.
            arguments: its own.
            finish: once begun it is waited for, whatever the deadline; where it has not begun by then, it never does.

        Raises:
            Problem: too much waits (429), the deadline has passed (504), or the thread has died (503).
        """
        ticket = current.get() or Ticket(None)
        if ticket.remaining == 0.0:
            raise late(ticket, self._dropped)
        future = self.submit(function, *arguments)
        if not finish:
            return await before_deadline(asyncio.wrap_future(future), ticket, self._dropped)
        waiter = asyncio.wrap_future(future)
        done, _ = await asyncio.wait([waiter], timeout=ticket.remaining)
        if not done and future.cancel():
            raise late(ticket, self._dropped)
        return await waiter

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Put a function in the queue.

        Raises:
            Problem: too much waits (429), or the stage is closing (503).
        """
        job = _Job(function, arguments)
        with self._changed:
            if self._closing:
                raise Problem("not-ready", "The service is ending; send this again in a moment.")
            if self.most is not None and len(self._jobs) >= self.most:
                self._jobs = deque(waiting for waiting in self._jobs if not waiting.future.cancelled())
            if self.most is not None and len(self._jobs) >= self.most:
                self._dropped.labels("full").inc()
                raise Problem(
                    "overloaded",
                    f"{self.most:,} requests wait for the same work already; send this again in a second.",
                    headers={"retry-after": "1"},
                    limit=self.most,
                )
            self._jobs.append(job)
            self._waiting.set(len(self._jobs))
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """Finish what is in the queue and let the threads go."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        while True:
            with self._changed:
                thread = next(iter(self._threads), None)
            if thread is None:
                return
            thread.join()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name=self.name, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _work(self) -> None:
        job: _Job | None = None
        try:
            if self._setup is not None:
                self._setup()
            while (job := self._next()) is not None:
                self._do(job)
                job = None  # what a request has sent is not kept until the next one comes
        except BaseException as error:  # noqa: BLE001 - whatever ends this thread, its request is answered
            log.error("a thread of stage '%s' has died and is started again", self.name, exc_info=error)
            with self._changed:  # before this one ends, so that `close` never sees none while there is work
                self._start()
            self._health.crashed(self.name)  # before the answer, so that who has read it sees it
            if job is not None and not job.future.done():
                job.future.set_exception(crashed(self.name))
        finally:
            with self._changed:
                self._threads.discard(threading.current_thread())

    def _next(self) -> _Job | None:
        with self._changed:
            while not self._jobs:
                if self._closing:
                    return None
                self._changed.wait()
            job = self._jobs.popleft()
            self._waiting.set(len(self._jobs))
            return job

    def _do(self, job: _Job) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        begin = time.perf_counter()
        failed: Exception | None = None
        try:
            job.future.set_result(job.function(*job.arguments))
        except Exception as error:  # noqa: BLE001 - it is the caller's
            failed = error
            job.future.set_exception(error)
        end = time.perf_counter()
        self._seconds.observe(end - begin)
        if job.trace is not None:
            job.trace.stage(self.name, begin, end, failed)
        del job, failed  # they hold the error, whose traceback holds this frame: nothing would free them for long


async def before_deadline(waiter: Awaitable[T], ticket: Ticket, dropped: Counter) -> T:
    """What is waited for, if it comes before a request's deadline; else it is cancelled.

    Args:
        waiter: what to wait for.
        ticket: the request's.
        dropped: counts what came too late.

    Raises:
        Problem: the deadline has passed (504).
    """
    limit = ticket.time_limit()
    try:
        async with limit:
            return await waiter
    except TimeoutError:
        if limit.expired():
            raise late(ticket, dropped) from None
        raise


def late(ticket: Ticket, dropped: Counter) -> Problem:
    """The answer to a request whose deadline has passed, counted."""
    dropped.labels("deadline").inc()
    return ticket.late()


def crashed(stage: str) -> Problem:
    """The answer to a request that was in a stage when it crashed."""
    return Problem(
        "stage-crashed",
        f"The service's part '{stage}' crashed with this request in it and was started again; send it once more.",
        headers={"retry-after": "1"},
    )
