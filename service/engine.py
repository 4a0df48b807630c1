"""The model and the catalogue behind the API: what requests ask for, by way of the pipeline's stages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from index.catalogue import (
    Catalogue,
    CatalogueError,
    Hit,
    ItemTooLarge,
    NoSuchItem,
    NotWritable,
    Refused,
    Unreachable,
)
from index.content import content_hash
from index.filter import Filter
from index.threads import search_alone
from service.limits import Limits
from service.pipeline.admission import Admission
from service.pipeline.batcher import Batcher, Vectors
from service.pipeline.capacity import Capacity
from service.pipeline.cores import cores, model_cores
from service.pipeline.decoders import Decoders
from service.pipeline.executor import NAME as MODEL
from service.pipeline.executor import Executor
from service.pipeline.health import Health
from service.pipeline.lane import NICE, Lane
from service.pipeline.lanes import Lanes
from service.pipeline.metrics import Metrics
from service.pipeline.sizing import DEFAULT, DEFAULT_GPU, DEFAULT_LANE
from service.pipeline.stage import Stage, before_deadline
from service.pipeline.ticket import Ticket, current
from service.pipeline.worker import WorkerDied, Workers
from service.problems import Problem, log
from service.tuning import Compute, tune
from training.model.device import set_threads
from training.model.embedder import Embedder, Embedding
from training.model.media.sound import Allowance, AllowanceSpent
from training.model.media.source import MediaError, MediaTooLarge
from training.model.memory import MODALITIES, Modality

T = TypeVar("T")
Packed = npt.NDArray[Any]
COUNTED = 5.0  # seconds that a scrape of the metrics waits for a catalogue's counts
ROUNDED = 0.01  # by which a unit norm may be off
TRIED = 30.0  # seconds that a lane has for a batch that is only tried, its own start among them
LANES = 8  # batches at once where nobody says otherwise: on a CPU each has a process with the model of its own


@dataclass(frozen=True)
class Upload:
    """A file that a client sent."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Identity:
    """What a file is: the SHA-256 of its bytes in hexadecimal, and the media type that they say."""

    hash: str
    media_type: str


class LaneHung(BaseException):
    """A batch was never done; its lane is ended, and with it the thread that waited: no file of it is tried again."""


class Engine:
    """Answers queries with one model and one catalogue.

    A request's files are let in if there is room, decoded in a process for each core, gathered into batches while the
    model is busy, computed in lanes, which are processes too where there are several, and sought in the catalogue on
    threads; one thread changes it. What a request asks for ends with its deadline, and when its client hangs up
    (`service.pipeline.entrance`).

    Args:
        embedder: the model.
        catalogue: None for a service that embeds and classifies only; closed with the engine.
        limits: on pixels and seconds.
        capacity: how much at once, and for how long.
        metrics: of the engine that this one takes the place of; its own where there was none.
    """

    def __init__(
        self,
        embedder: Embedder,
        catalogue: Catalogue | None,
        limits: Limits,
        capacity: Capacity | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.embedder = embedder
        self.catalogue = catalogue
        self.limits = limits
        self.capacity = capacity or Capacity()
        self.metrics = metrics or Metrics()
        self.health = Health(self.metrics)
        self.admission = Admission(self.capacity, self.metrics)
        self._precision = "bf16" if str(embedder.dtype) == "torch.bfloat16" else "fp32"
        window = embedder.preprocessor.config.window_samples
        on_gpu = embedder.device.type == "cuda"
        self._lanes = _lanes(self.capacity, on_gpu)
        default = DEFAULT_GPU if on_gpu else DEFAULT_LANE if self._lanes.processes else DEFAULT
        size = self.capacity.batch_size or default  # until one is measured
        self.batchers: dict[Modality, Batcher] = {
            "image": Batcher("image", size),
            "sound": Batcher("sound", size, window),
        }
        self._decoders = Decoders(embedder.preprocessor.config, limits, self.health)
        self._models: Workers | None = None  # where a lane is a process
        self._decoding = self._stage("decode", cores(), setup=self._decoders.start, most=None)
        self._executor = Executor(
            self._compute,
            list(self.batchers.values()),
            self.health,
            self.metrics,
            self.admission.done,
            self._tune,
            self._probe,
            self._lanes.most,
        )
        self._searchers = self._stage("search", cores(), setup=_one_core)
        self._callers = self._stage("call", cores(), setup=_one_core)
        self._writer = self._stage("write", 1, setup=search_alone)

    async def decode(self, uploads: Sequence[Upload], modality: Modality) -> list[Packed | MediaError]:
        """Each file in the packed form, or what is wrong with it.

        Raises:
            Problem: the sounds are longer together than a request's may be, there is no room for them (429), or
                the deadline has passed (504).
        """
        ticket = current.get() or Ticket(None)
        self.admission.enter(ticket, len(uploads), sum(len(upload.data) for upload in uploads))
        try:
            allowance = Allowance(self.limits.request_seconds)
            outcomes = await gather(
                [self._decoding.run(self._read, upload, modality, allowance, ticket) for upload in uploads]
            )
            if allowance.spent:
                seconds = self.limits.request_seconds
                raise Problem(
                    "upload-too-large",
                    f"The sounds of a request may last {seconds:,g} s together; send them in several requests.",
                    limit=seconds,
                )
            self.admission.grow(ticket, sum(file.nbytes for file in outcomes if isinstance(file, np.ndarray)))
            return outcomes
        finally:
            if current.get() is None:  # nobody else would end it
                ticket.end()

    async def embed_each(
        self, packed: Sequence[Packed], modality: Modality, first: bool = False
    ) -> list[Vectors | Problem]:
        """h `[2c]` and z `[d]` of each decoded file, or why it has none.

        Args:
            packed: of one modality.
            modality: which.
            first: before all that waits.

        Raises:
            Problem: the deadline has passed (504), the model's thread has died or all of the model fails (503).
        """
        ticket = current.get() or Ticket(None)
        waiters = [asyncio.wrap_future(future) for future in self._executor.submit(packed, modality, first)]
        outcomes = await before_deadline(asyncio.gather(*waiters, return_exceptions=True), ticket, self.metrics.dropped)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and (not isinstance(outcome, Problem) or outcome.status >= 500):
                raise outcome
        return list(outcomes)  # type: ignore[arg-type]

    async def embed(self, packed: Sequence[Packed], modality: Modality) -> Embedding:
        """h and z of decoded files.

        Raises:
            Problem: as of `embed_each`, or the model has no answer for one of them (422).
        """
        found: list[Vectors] = []
        for outcome in await self.embed_each(packed, modality):
            if isinstance(outcome, Problem):
                raise outcome
            found.append(outcome)
        return Embedding(np.stack([h for h, _ in found]), np.stack([z for _, z in found]))

    async def classify(self, h: npt.NDArray[np.float32], modality: Modality) -> npt.NDArray[np.float32]:
        """Class probabilities of representations."""
        # one small product: on the model's thread it would wait for a whole batch
        return await self._searchers.run(self.embedder.classify, h, modality)

    async def search(
        self, z: npt.NDArray[np.float32], modality: Modality, k: int, filter: Filter | None
    ) -> list[list[Hit]]:
        """The k items of a modality nearest to each projection."""
        assert self.catalogue is not None
        return await self._searchers.run(self.catalogue.search, z, modality, k, filter)

    async def identify(self, uploads: Sequence[Upload], modality: Modality) -> list[Identity]:
        """What files that can be decoded are, by their own bytes."""
        ticket = current.get() or Ticket(None)
        return await gather([self._decoding.run(self._identify, upload, modality, ticket) for upload in uploads])

    async def thumbnail(self, file: Path, name: str, modality: Modality, stretch: Mapping[str, float]) -> bytes:
        """A small picture of a file of the catalogue: a JPEG, of a stretch of a sound a PNG. Raises `MediaError`."""
        ticket = current.get() or Ticket(None)
        return await self._callers.run(self._decoders.thumbnail, file, name, modality, stretch, ticket)

    async def write(self, function: Callable[..., T], *arguments: Any) -> T:
        """Work that changes the catalogue, off the event loop and in turn with all other such work.

        What has begun is finished, also where nobody waits for it any more or its deadline passes.

        Raises:
            Problem: the catalogue may only be read, has no room, or others wait already; nothing has changed.
            Unreachable, Refused: its server has failed; a part of what is several requests to it may be done.
            NoSuchItem: it was deleted just now.
            ItemTooLarge: more is told of it than the catalogue can hold.
        """
        try:
            return await self._writer.run(function, *arguments, finish=True)
        except NotWritable as error:
            log.error("a change was refused: %s", error)
            raise read_only() from None
        except (Unreachable, Refused, NoSuchItem, ItemTooLarge):  # not for want of room
            raise
        except CatalogueError as error:
            log.error("a change has failed: %s", error)
            raise Problem(
                "insufficient-storage",
                "The catalogue could not be written, as when its disk is full, and has not changed; "
                "make room, then send this again.",
            ) from None

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Any other work that may block (a lookup), off the event loop."""
        return await self._callers.run(function, *arguments)

    async def self_test(self) -> None:
        """A real forward pass of both encoders; raises whatever is wrong."""
        doubts = self.health.doubts
        for modality in MODALITIES:
            try:
                (outcome,) = await self.embed_each([self.embedder.empty(modality)], modality, first=True)
            except Problem as problem:
                raise problem.__cause__ or problem from None
            if isinstance(outcome, Problem):
                raise outcome
            if abs(float(np.linalg.norm(outcome[1])) - 1.0) > ROUNDED:  # 0 of weights that are 0, or far too large
                raise ArithmeticError("the model's projection z has no unit norm")
        self.health.settle(doubts)

    async def scrape(self) -> bytes:
        """The metrics in Prometheus's text format; who answers is told now, as others may have been tried."""
        names = self.embedder.bundle.name, self.embedder.bundle.fingerprint
        self.metrics.describe_model(*names, str(self.embedder.device), self._precision)
        for modality, batcher in self.batchers.items():
            self.metrics.batch_limit.labels(modality).set(batcher.size)
        if self.catalogue is not None:
            counts = await self._count(self.catalogue)
            self.metrics.describe_index(self.catalogue.fingerprint, counts.items())
        return self.metrics.text()

    def close(self) -> None:
        """Finish what was accepted, let the threads go, and close the catalogue."""
        for stage in (self._decoding, self._executor, self._searchers, self._callers, self._writer):
            stage.close()
        self._decoders.close()
        if self._models is not None:
            self._models.close()
        if self.catalogue is not None:
            self.catalogue.close()

    async def _count(self, catalogue: Catalogue) -> Mapping[Modality, int]:
        """How many items there are; where the catalogue fails, or takes long, nothing is told of them."""
        try:
            async with asyncio.timeout(COUNTED):
                return await self.call(catalogue.count)
        except (CatalogueError, TimeoutError) as error:
            log.error("the catalogue can't be counted: %s", str(error) or "no answer yet")
            self.metrics.index_items.clear()
            return {}

    def _stage(self, name: str, threads: int, setup: Callable[[], None] | None = None, most: int | None = -1) -> Stage:
        return Stage(name, threads, self.health, self.metrics, self.capacity.queue_calls if most == -1 else most, setup)

    def _tune(self) -> None:
        set_threads(self._lanes.threads)
        start = self._start_lanes if self._lanes.processes else None
        tune(self.embedder, self.batchers, self.capacity.batch_size, start)

    def _start_lanes(self) -> Compute:
        options = self.embedder.bundle, self._precision, frozenset(self.embedder.frozen)
        self._models = Workers("model", Lane, *options, nice=NICE)
        for _ in range(self._lanes.most):
            self._models.start()
        models, threads = self._models, self._lanes.threads

        def tried(packed: Sequence[Packed], modality: Modality) -> None:
            models.call("embed", packed, modality, threads, len(packed), seconds=TRIED)

        return tried

    def _compute(self, packed: Sequence[Packed], modality: Modality) -> Embedding:
        """A batch's h and z. A file that is alone gets all cores; several share them, a batch each."""
        threads = self._lanes.share(self.admission.items)
        if self._models is None:
            set_threads(threads)
            return self.embedder.embed_packed(packed, modality)
        try:
            longest = self.capacity.longest_deadline  # nobody waits for more
            size = self.batchers[modality].size
            found: Embedding = self._models.call("embed", packed, modality, threads, size, seconds=longest)
            return found
        except TimeoutError as error:
            raise LaneHung(str(error)) from error
        except WorkerDied:
            self.health.crashed(MODEL)
            raise

    def _probe(self, modality: Modality) -> None:
        if not np.isfinite(self.embedder.embed_packed([self.embedder.empty(modality)], modality).z).all():
            raise ArithmeticError("the model's answer is not a number")

    def _read(self, upload: Upload, modality: Modality, allowance: Allowance, ticket: Ticket) -> Packed | MediaError:
        try:
            return self._decoders.read(upload.data, upload.name, modality, allowance, ticket)
        except MediaError as error:
            return error.with_traceback(None)  # which holds the file
        except AllowanceSpent:
            said = "is one sound too many for a request; send it in another"
            return MediaTooLarge(upload.name, said, self.limits.request_seconds)

    def _identify(self, upload: Upload, modality: Modality, ticket: Ticket) -> Identity:
        media_type = self._decoders.media_type(upload.data, upload.name, modality, ticket)
        return Identity(content_hash(upload.data), media_type)


def _lanes(capacity: Capacity, on_gpu: bool) -> Lanes:
    together = capacity.model_threads or model_cores()
    most = capacity.lanes or (1 if on_gpu else min(together, LANES))
    return Lanes(most, together, processes=most > 1 and not on_gpu)


def _one_core() -> None:
    """Set up a thread whose work is small, and goes on beside that of others."""
    search_alone()
    set_threads(1)


async def gather(waiters: Sequence[Any]) -> list[Any]:
    """What all of them give, in order; the first that fails ends the others."""
    if len(waiters) == 1:
        return [await waiters[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(waiter) for waiter in waiters]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def read_only() -> Problem:
    """What a change of a catalogue that may only be read is answered with."""
    return Problem(
        "read-only",
        "This service only reads its catalogue; send changes to the one that has it open for writing, or start this "
        "one without --read-only on a folder that can be written.",
    )
