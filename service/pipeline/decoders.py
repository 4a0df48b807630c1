"""Decoders, each in a process of its own: what a file does to one of them happens to nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from service.limits import Limits
from service.pipeline.health import Health
from service.pipeline.reader import Reader
from service.pipeline.ticket import Ticket
from service.pipeline.worker import NoWorker, WorkerDied, Workers
from service.problems import Problem, log
from training.model.config import PreprocessConfig
from training.model.media.sound import Allowance, AllowanceSpent
from training.model.media.source import DamagedMedia
from training.model.memory import Modality

NAME = "decode"
NICE = 5  # who answers goes first: all else waits for it
TRIES = 2  # a process may also have been ended by something else than its file


class Decoders:
    """Decodes files for the threads that call.

    A decoder that crashes, or is still at work when the request's deadline passes, is ended and replaced.

    Args:
        config: of the packed form.
        limits: on pixels and seconds.
        health: told of crashes.
    """

    def __init__(self, config: PreprocessConfig, limits: Limits, health: Health) -> None:
        self._rate, self._health = config.sample_rate, health
        arguments = (config.image_size, config.sample_rate, limits.pixels, limits.seconds)
        self._workers = Workers(NAME, Reader, *arguments, nice=NICE)

    def start(self) -> None:
        """Have one more ready, if that can be had now; else the first file that needs it asks for it again."""
        try:
            self._workers.start()
        except NoWorker as error:
            log.error("a decoder is missing: %s", error)

    def read(
        self, data: bytes, name: str, modality: Modality, allowance: Allowance, ticket: Ticket
    ) -> npt.NDArray[Any]:
        """A file in the packed form, see `Reader.read`.

        Raises:
            MediaError: it can't be used.
            AllowanceSpent: nothing is left of its request's allowance.
            Problem: the deadline has passed (504), or no process can be started (503).
        """
        try:
            found: npt.NDArray[Any] = self._call(ticket, name, "read", data, name, modality, allowance.left)
        except AllowanceSpent:
            allowance.take(math.inf)
            raise
        if modality == "sound":
            allowance.take(len(found) / self._rate)  # of what others of the request have left by now
        return found

    def media_type(self, data: bytes, name: str, modality: Modality, ticket: Ticket) -> str:
        """See `Reader.media_type`. Raises as `read` does."""
        found: str = self._call(ticket, name, "media_type", data, name, modality)
        return found

    def thumbnail(
        self, file: Path, name: str, modality: Modality, stretch: Mapping[str, float], ticket: Ticket
    ) -> bytes:
        """See `Reader.thumbnail`. Raises as `read` does."""
        found: bytes = self._call(ticket, name, "thumbnail", file, name, modality, stretch)
        return found

    def close(self) -> None:
        """Let all of them end."""
        self._workers.close()

    def _call(self, ticket: Ticket, name: str, method: str, *arguments: Any) -> Any:
        for _ in range(TRIES):
            try:
                return self._workers.call(method, *arguments, seconds=ticket.remaining)
            except WorkerDied as error:
                log.error("a decoder has crashed and is started again: %s", error)
                self._health.crashed(NAME)
            except NoWorker as error:
                log.error("a decoder is missing: %s", error)
                self._health.doubt()
                raise Problem(
                    "not-ready",
                    "The service could not start a process for this; send it again in a moment.",
                    headers={"retry-after": "1"},
                ) from None
            except TimeoutError as error:
                log.warning("a decoder was stopped at a request's deadline: %s", error)
                raise ticket.late() from None
        raise DamagedMedia(name, "makes the program crash that decodes it; export it again, in another format")
