"""The one thread that runs the model."""

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
    """Runs batches on one thread, so that they never fight over the cores; of several modalities, the one whose file
    has waited longest.

    A file that the model can't compute fails alone: its batch is run again one by one. When the thread itself dies, the
    files that it had fail, and another thread goes on with the others.

    Args:
        compute: the model.
        batchers: what waits.
        health: told of what went wrong and right.
        metrics: told of times, depths and sizes.
        done: told of how many files took how many seconds.
        setup: run by the first thread before anything else.
        probe: raises where the model can't compute anything; asked after a file has failed by itself.
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
    ) -> None:
        self._compute, self._health, self._metrics, self._done, self._probe = compute, health, metrics, done, probe
        self._batchers = {batcher.modality: batcher for batcher in batchers}
        self._changed = threading.Condition()
        self._closing = False
        self._running: list[Waiting] = []
        self._thread = self._start(setup)

    def submit(
        self, packed: Sequence[npt.NDArray[Any]], modality: Modality, first: bool = False
    ) -> list[Future[Vectors]]:
        """Put decoded files in the queue; of each the future of its vectors.

        Raises:
            Problem: the service is ending (503).
        """
        batcher = self._batchers[modality]
        files = batcher.waiting(packed)
        with self._changed:
            if self._closing:
                raise Problem("not-ready", "The service is ending; send this again in a moment.")
            batcher.put(files, first)
            self._metrics.waiting.labels(modality).set(len(batcher))
            self._changed.notify()
        return [file.future for file in files]

    def close(self) -> None:
        """Finish what is in the queue and let the thread go."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        while True:
            with self._changed:
                thread = self._thread
            thread.join()
            if thread is self._thread:
                return

    def _start(self, setup: Callable[[], None] | None) -> threading.Thread:
        thread = threading.Thread(target=self._work, args=(setup,), name=NAME, daemon=True)
        thread.start()
        return thread

    def _work(self, setup: Callable[[], None] | None) -> None:
        try:
            if setup is not None:
                setup()
            while (batcher := self._next()) is not None:
                self._run(batcher)
        except BaseException as error:  # noqa: BLE001 - whatever ends this thread, its requests are answered
            log.error("the model's thread has died and is started again", exc_info=error)
            failed, self._running = self._running, []
            self._health.crashed(NAME)  # before the answers, so that who has read one sees it
            with self._changed:
                self._thread = self._start(None)
            for file in failed:
                if not file.future.done():
                    file.future.set_exception(crashed(NAME))

    def _next(self) -> Batcher | None:
        """The batcher whose turn it is, its batch taken."""
        with self._changed:
            while True:
                waiting = [
                    (since, batcher) for batcher in self._batchers.values() if (since := batcher.since) is not None
                ]
                if waiting:
                    batcher = min(waiting, key=lambda pair: pair[0])[1]
                    self._running = batcher.take()
                    self._metrics.waiting.labels(batcher.modality).set(len(batcher))
                    return batcher
                if self._closing:
                    return None
                self._changed.wait()

    def _run(self, batcher: Batcher) -> None:
        files, modality = self._running, batcher.modality
        if not files:
            return
        begin = time.perf_counter()
        for file in files:
            self._metrics.stage_seconds.labels("queue").observe(begin - file.since)
        self._metrics.batch_items.labels(modality).observe(len(files))
        try:
            outcomes = self._embed(files, modality)
        except Exception as error:  # noqa: BLE001 - one of them may be at fault, and which is seen one by one
            log.warning("a batch of %d %ss has failed; each is run by itself", len(files), modality, exc_info=error)
            outcomes = [self._alone(file, modality) for file in files]
        seconds = time.perf_counter() - begin
        self._metrics.stage_seconds.labels(NAME).observe(seconds)
        self._done(len(files), seconds)
        problem = self._verdict(outcomes, modality)
        self._running = []
        for file, outcome in zip(files, outcomes, strict=True):
            if outcome is None:
                self._metrics.failures.labels(modality).inc()
                file.future.set_exception(problem)
            else:
                file.future.set_result(outcome)

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
