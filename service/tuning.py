"""What a model is fastest with on this machine, measured before its first batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from service.pipeline.batcher import Batcher
from service.pipeline.sizing import is_faster, measure_batch
from service.problems import log
from training.model.embedder import Embedder
from training.model.memory import Modality

Packed = npt.NDArray[Any]
Compute = Callable[[Sequence[Packed], Modality], object]


def tune(
    embedder: Embedder,
    batchers: Mapping[Modality, Batcher],
    batch_size: int | None,
    start: Callable[[], Compute] | None = None,
) -> None:
    """Choose how each modality is computed and how large its batches are.

    Args:
        embedder: loses the frozen encoders that are clearly slower here than the model's own.
        batchers: get their sizes, of which theirs are the first that are tried.
        batch_size: of all batches; measured where None.
        start: called once the encoders are chosen, for what computes batches in the place of the embedder.
    """
    begin = time.perf_counter()
    for modality in batchers:
        with _left_to_the_self_test(modality):
            _choose_encoder(embedder, modality)
    compute = start() if start is not None else embedder.embed_packed
    for modality, batcher in batchers.items():
        with _left_to_the_self_test(modality):
            batcher.size = batch_size or _best_size(embedder, modality, compute, batcher.size)
    embedder.batch_size = max(batcher.size for batcher in batchers.values())  # of a long sound's windows
    sizes = " and ".join(f"{batcher.size} {modality}s" for modality, batcher in batchers.items())
    frozen = " and ".join(embedder.frozen) or "none"
    log.info("batches of %s, frozen encoders: %s, chosen in %.2f s", sizes, frozen, time.perf_counter() - begin)


def _choose_encoder(embedder: Embedder, modality: Modality) -> None:
    frozen = embedder.frozen.get(modality)
    if frozen is None:
        return
    noise = [_noise(embedder, modality)]

    def with_frozen() -> None:
        embedder.frozen[modality] = frozen
        embedder.embed_packed(noise, modality)

    def without() -> None:
        del embedder.frozen[modality]
        embedder.embed_packed(noise, modality)

    if is_faster(without, with_frozen):
        del embedder.frozen[modality]


def _best_size(embedder: Embedder, modality: Modality, compute: Compute, default: int) -> int:
    noise = _noise(embedder, modality)
    return measure_batch(lambda items: compute([noise] * items, modality), default)


@contextmanager
def _left_to_the_self_test(modality: Modality) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the self-test says what is wrong with the model
        log.warning("nothing could be measured for %ss", modality, exc_info=error)


def _noise(embedder: Embedder, modality: Modality) -> Packed:
    empty = embedder.empty(modality)
    high = 256 if modality == "image" else 30_000
    return np.random.default_rng(0).integers(0, high, empty.shape).astype(empty.dtype)
