"""The model in a process of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy.typing as npt

from training.model.allocator import keep_freed_memory
from training.model.bundle import Bundle
from training.model.device import set_threads
from training.model.embedder import Embedder, Embedding
from training.model.memory import Modality

NICE = 10  # who answers and decodes goes first, and so the next batch is full


class Lane:
    """Computes batches on the CPU; for use in a worker.

    Args:
        bundle: the model.
        precision: fp32 or bf16.
        frozen: modalities whose encoders are frozen.
    """

    def __init__(self, bundle: Bundle, precision: str, frozen: Collection[Modality]) -> None:
        keep_freed_memory()
        set_threads(1)
        self._embedder = Embedder(bundle, "cpu", precision)
        for modality in set(self._embedder.frozen).difference(frozen):
            del self._embedder.frozen[modality]

    def embed(self, packed: Sequence[npt.NDArray[Any]], modality: Modality, threads: int, batch_size: int) -> Embedding:
        """h and z of decoded files, computed on so many cores, so many images or windows of sound at once."""
        set_threads(threads)
        self._embedder.batch_size = batch_size
        return self._embedder.embed_packed(packed, modality)
