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

from index.catalogue import Catalogue, Hit
from index.filter import Filter
from service.limits import Limits
from service.problems import Problem
from training.model.embedder import Embedder, Embedding
from training.model.media.sound import Allowance, AllowanceSpent
from training.model.media.source import MediaError, MediaTooLarge
from training.model.memory import Modality

T = TypeVar("T")


@dataclass(frozen=True)
class Upload:
    """A file that a client sent."""

    name: str
    data: bytes


class Engine:
    """Answers queries with one model and one catalogue.

    Files are decoded on a thread for each core; one thread runs the model, so that requests never fight over its cores;
    another pool searches.

    Args:
        embedder: the model.
        catalogue: None for a service that embeds and classifies only.
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
        """Finish what runs and let the threads go."""
        for pool in (self._decoders, self._model, self._searchers):
            pool.shutdown()

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
