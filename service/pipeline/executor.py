"""The threads that run the model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import numpy.typing as npt

from service.pipeline.batcher import Batcher, Vectors, Waiting
from service.pipeline.health import Health
from service.pipeline.metrics import Metrics
from service.pipeline.stage import crashed
from service.problems import Problem, log
from training.model.embedder import Embedding
from training.model.memory import Modality

NAME = "model"


# the model: decoded files of one modality to their h and z
Compute = Callable[[Sequence[npt.NDArray[Any]], Modality], Embedding]


class Executor:
    """Runs batches on a few threads, the lanes; of several modalities, the one whose file has waited longest.

    One batch on all cores waits at the end of each layer for the slowest of them, which is busy decoding. Where there
    is work for several, batches side by side on a core each get more done; lanes that are free share what waits.

    A file that the model can't compute fails alone: its batch is run again one by one. When a thread itself dies, the
    files that it had fail, and another thread goes on with the others.

    Args:
        compute: the model.
        batchers: what waits.
        health: told of what went wrong and right.
        metrics: told of times, depths and sizes.
        done: told of how many files took how many seconds.
        setup: run by a thread before any of them takes a batch.
        probe: raises where the model can't compute anything; asked after a file has failed by itself.
        lanes: batches at once at most.
    """

    def __init__(
        self,
        compute: Compute,
        batchers: Sequence[Batcher],
        health: Health,
        metrics: Metrics,
        done: Callable[[int, float], None],
        setup: Callable[[], None] = lambda: None,
        probe: Callable[[Modality], None] = lambda modality: None,
        lanes: int = 1,
    ) -> None:
        self._compute, self._health, self._metrics, self._done, self._probe = compute, health, metrics, done, probe
        self._batchers = {batcher.modality: batcher for batcher in batchers}
        self._lanes = lanes
        self._lock = threading.Lock()
        self._idle: list[threading.Condition] = []  # of threads that wait, the latest last: its caches are warm
        self._closing = False
        self._ready = False
        self._running: dict[threading.Thread, list[Waiting]] = {}  # what each thread that has a batch has
        self._threads: set[threading.Thread] = set()
        self._start(setup)
        for _ in range(lanes - 1):
            self._start()

    def submit(
        self, packed: Sequence[npt.NDArray[Any]], modality: Modality, first: bool = False
    ) -> list[Future[Vectors]]:
        """Put decoded files in the queue; of each the future of its vectors.

        Raises:
            Problem: the service is ending (503).
        """
        batcher = self._batchers[modality]
        files = batcher.waiting(packed)
        with self._lock:
            if self._closing:
                raise Problem("not-ready", "The service is ending; send this again in a moment.")
            batcher.put(files, first)
            self._metrics.waiting.labels(modality).set(len(batcher))
            for _ in files[: len(self._idle)]:
                self._idle.pop().notify()
        return [file.future for file in files]

    def close(self) -> None:
        """Finish what is in the queue and let the thread go."""
        with self._lock:
            self._closing = True
            self._wake()
        while True:
            with self._lock:
                thread = next(iter(self._threads), None)
            if thread is None:
                return
            thread.join()

    def _start(self, setup: Callable[[], None] | None = None) -> None:
        thread = threading.Thread(target=self._work, args=(setup,), name=NAME, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _work(self, setup: Callable[[], None] | None) -> None:
        thread = threading.current_thread()
        try:
            if setup is not None:
                try:
                    setup()
                finally:
                    with self._lock:
                        self._ready = True
                        self._wake()
            while (batch := self._next(thread)) is not None:
                self._run(*batch)
                batch = None  # what requests have sent is not kept until the next ones come
        except BaseException as error:  # noqa: BLE001 - whatever ends this thread, its requests are answered
            log.error("a thread of the model has died and is started again", exc_info=error)
            self._health.crashed(NAME)  # before the answers, so that who has read one sees it
            with self._lock:  # before this one ends, so that `close` never sees none while there is work
                failed = self._running.pop(thread, [])
                self._start()
            for file in failed:
                if not file.future.done():
                    file.future.set_exception(crashed(NAME))
        finally:
            with self._lock:
                self._threads.discard(thread)

    def _wake(self) -> None:
        while self._idle:
            self._idle.pop().notify()

    def _next(self, thread: threading.Thread) -> tuple[Modality, list[Waiting]] | None:
        """The next batch, from the batcher whose turn it is."""
        with self._lock:
            self._running.pop(thread, None)
            while True:
                waiting = [
                    (since, batcher) for batcher in self._batchers.values() if (since := batcher.since) is not None
                ]
                if waiting and self._ready:
                    batcher = min(waiting, key=lambda pair: pair[0])[1]
                    files = batcher.take(self._lanes - len(self._running))
                    self._metrics.waiting.labels(batcher.modality).set(len(batcher))
                    if files:
                        self._running[thread] = files
                        return batcher.modality, files
                elif self._closing and self._ready:
                    return None
                else:
                    woken = threading.Condition(self._lock)
                    self._idle.append(woken)
                    woken.wait()

    def _run(self, modality: Modality, files: Sequence[Waiting]) -> None:
        busy = max(1, len(self._running))
        begin = time.perf_counter()
        for file in files:
            self._metrics.stage_seconds.labels("queue").observe(begin - file.since)
        self._metrics.batch_items.labels(modality).observe(len(files))
        try:
            outcomes = self._embed(files, modality)
        except Exception as error:  # noqa: BLE001 - one of them may be at fault, and which is seen one by one
            log.warning("a batch of %d %ss has failed; each is run by itself", len(files), modality, exc_info=error)
            outcomes = [self._alone(file, modality) for file in files]
        end = time.perf_counter()
        seconds = end - begin
        self._metrics.stage_seconds.labels(NAME).observe(seconds)
        self._done(len(files), seconds / busy)
        problem = self._verdict(outcomes, modality)
        for file, outcome in zip(files, outcomes, strict=True):
            if outcome is None:
                self._metrics.failures.labels(modality).inc()
                file.future.set_exception(problem)
            else:
                file.future.set_result(outcome)
        failed = {file.trace for file, outcome in zip(files, outcomes, strict=True) if outcome is None}
        first = {file.trace: file for file in reversed(files)}  # once of each request, however many files it has here
        for trace, file in first.items():
            if trace is not None:
                why = problem if trace in failed else None
                trace.stage("queue", file.since, begin, modality=modality)
                trace.stage(NAME, begin, end, why, modality=modality, batch_items=len(files))

    def _alone(self, file: Waiting, modality: Modality) -> Vectors | None:
        try:
            return self._embed([file], modality)[0]
        except Exception as error:  # noqa: BLE001 - the file's fault, or the model's: the verdict says
            log.error("the model has failed on one %s", modality, exc_info=error)
            return None

    def _verdict(self, outcomes: Sequence[Vectors | None], modality: Modality) -> Problem:
        """Why files have no vectors: they themselves, where the model computes others, or the model."""
        if any(outcomes):
            self._health.good()
        else:
            self._health.doubt()
            try:
                self._probe(modality)
            except Exception as error:  # noqa: BLE001
                log.error("the model fails on everything", exc_info=error)
                problem = Problem("not-ready", "The model does not compute; the service's log says why.")
                problem.__cause__ = error
                return problem
        return Problem(
            "not-computable", f"The model has no answer for this {modality}; send another, or another format of it."
        )

    def _embed(self, files: Sequence[Waiting], modality: Modality) -> list[Vectors | None]:
        found = self._compute([file.packed for file in files], modality)
        finite = [bool(np.isfinite(h).all() and np.isfinite(z).all()) for h, z in zip(found.h, found.z, strict=True)]
        return [(h, z) if fine else None for h, z, fine in zip(found.h, found.z, finite, strict=True)]
