"""The model and the catalogue behind the API: decoding and computing off the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from index.catalogue import Catalogue, CatalogueError, Hit, NotWritable
from index.content import content_hash
from index.filter import Filter
from service.limits import Limits
from service.problems import Problem, log
from training.model.embedder import Embedder, Embedding
from training.model.media.image import image_type
from training.model.media.sound import Allowance, AllowanceSpent, sound_type
from training.model.media.source import MediaError, MediaTooLarge
from training.model.memory import Modality

T = TypeVar("T")


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


class Engine:
    """Answers queries with one model and one catalogue.

    Files are decoded on a thread for each core; one thread runs the model, so that requests never fight over its cores;
    another pool searches, and one thread changes the catalogue.

    Args:
        embedder: the model.
        catalogue: None for a service that embeds and classifies only; closed with the engine.
        limits: on pixels and seconds.
    """

    def __init__(self, embedder: Embedder, catalogue: Catalogue | None, limits: Limits) -> None:
        self.embedder = embedder
        self.catalogue = catalogue
        self.limits = limits
        cores = os.cpu_count() or 1
        self._decoders = ThreadPoolExecutor(cores, "decode")
        self._model = ThreadPoolExecutor(1, "model")
        self._searchers = ThreadPoolExecutor(cores, "search")
        self._writer = ThreadPoolExecutor(1, "write")

    async def decode(self, uploads: Sequence[Upload], modality: Modality) -> list[npt.NDArray[Any] | MediaError]:
        """Each file in the packed form, or what is wrong with it.

        Raises:
            Problem: the sounds are longer together than a request's may be.
        """
        allowance = Allowance(self.limits.request_seconds)
        outcomes = await asyncio.gather(
            *(self._run(self._decoders, self._read, upload, modality, allowance) for upload in uploads)
        )
        if allowance.spent:
            seconds = self.limits.request_seconds
            raise Problem(
                "upload-too-large",
                f"The sounds of a request may last {seconds:,g} s together; send them in several requests.",
                limit=seconds,
            )
        return list(outcomes)

    async def embed(self, packed: Sequence[npt.NDArray[Any]], modality: Modality) -> Embedding:
        """h and z of decoded files."""
        embed = self.embedder.embed_images if modality == "image" else self.embedder.embed_sounds
        return await self._run(self._model, embed, packed)

    async def classify(self, h: npt.NDArray[np.float32], modality: Modality) -> npt.NDArray[np.float32]:
        """Class probabilities of representations."""
        return await self._run(self._model, self.embedder.classify, h, modality)

    async def search(
        self, z: npt.NDArray[np.float32], modality: Modality, k: int, filter: Filter | None
    ) -> list[list[Hit]]:
        """The k items of a modality nearest to each projection."""
        assert self.catalogue is not None
        return await self._run(self._searchers, self.catalogue.search, z, modality, k, filter)

    async def identify(self, uploads: Sequence[Upload], modality: Modality) -> list[Identity]:
        """What files that can be decoded are, by their own bytes."""
        return await asyncio.gather(*(self._run(self._decoders, _identify, upload, modality) for upload in uploads))

    async def write(self, function: Callable[..., T], *arguments: Any) -> T:
        """Work that changes the catalogue, off the event loop and in turn with all other such work.

        What has begun is finished, also where nobody waits for it any more.

        Raises:
            Problem: the catalogue may only be read, or has no room; nothing has changed.
        """
        try:
            return await self._run(self._writer, function, *arguments)
        except NotWritable as error:
            log.error("a change was refused: %s", error)
            raise read_only() from None
        except CatalogueError as error:
            log.error("a change has failed: %s", error)
            raise Problem(
                "insufficient-storage",
                "The catalogue could not be written, as when its disk is full, and has not changed; "
                "make room, then send this again.",
            ) from None

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Any other work that may block (a lookup, a thumbnail), off the event loop."""
        return await self._run(self._decoders, function, *arguments)

    async def self_test(self) -> None:
        """A real forward pass of both encoders; raises whatever is wrong."""
        config = self.embedder.preprocessor.config
        image = np.zeros((3, config.image_size, config.image_size), np.uint8)
        wave = np.zeros(config.window_samples, np.int16)
        for embedding in (await self.embed([image], "image"), await self.embed([wave], "sound")):
            if not np.isfinite(embedding.z).all():
                raise ArithmeticError("the model's answer is not a number")

    def close(self) -> None:
        """Finish what runs, let the threads go, and close the catalogue."""
        for pool in (self._decoders, self._model, self._searchers, self._writer):
            pool.shutdown()
        if self.catalogue is not None:
            self.catalogue.close()

    def _read(self, upload: Upload, modality: Modality, allowance: Allowance) -> npt.NDArray[Any] | MediaError:
        limits = self.limits
        try:
            if modality == "image":
                return self.embedder.read_image(upload.data, name=upload.name, max_pixels=limits.pixels)
            return self.embedder.read_sound(
                upload.data, name=upload.name, max_seconds=limits.seconds, allowance=allowance
            )
        except MediaError as error:
            return error
        except AllowanceSpent:
            return MediaTooLarge(upload.name, "is one sound too many for a request; send it in another")

    async def _run(self, pool: ThreadPoolExecutor, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, lambda: function(*arguments))


def read_only() -> Problem:
    """What a change of a catalogue that may only be read is answered with."""
    return Problem(
        "read-only",
        "This service only reads its catalogue; send changes to the one that has it open for writing, or start this "
        "one without --read-only on a folder that can be written.",
    )


def _identify(upload: Upload, modality: Modality) -> Identity:
    media_type = image_type if modality == "image" else sound_type
    try:
        found = media_type(upload.data, name=upload.name)
    except MediaError:  # it could be decoded, so there is something in it that only this stumbles over
        found = "application/octet-stream"
    return Identity(content_hash(upload.data), found)
