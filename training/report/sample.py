"""A sample of a split's items as the model sees them: projections and addressing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from training.data.packed import PackedData
from training.features import Items, find_items
from training.model.bundle import Bundle
from training.model.embedder import Embedder
from training.model.memory import Modality
from training.model.preprocess import windows
from training.progress import track
from training.report.metrics import evenly

MOST_ITEMS = 2000
MOST_WINDOWS = 6000  # of all sounds together
CHUNK = 64
Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """N items of one modality. What asks the memory is a query: an image, or a window of a sound; Q queries, Q >= N.

    Attributes:
        modality: theirs.
        items: places in the packed arrays, labels and clips.
        total: how many the split has.
        z: projections with unit norm, float32 `[N, d]`.
        weights: addressing, float32 `[N, n]`, the mean over an item's queries; no columns without a memory.
        queries: int64 `[N]`, how many queries each item makes.
        entropies: float32 `[Q]`, of each query's addressing in nats.
        first: int64 `[Q]`, the slot that each query weighs most.
        recalled: the half of h that the memory recalls, float32 `[N, c]`, the mean over an item's queries; zeros
            without a memory.
    """

    modality: Modality
    items: Items
    total: int
    z: npt.NDArray[np.float32]
    weights: Weights
    queries: npt.NDArray[np.int64]
    entropies: npt.NDArray[np.float32]
    first: npt.NDArray[np.int64]
    recalled: npt.NDArray[np.float32]

    @property
    def truth(self) -> list[str]:
        """What makes two items match: the label, or the clip where there are no labels."""
        if any(self.items.labels):
            return self.items.labels
        return [f"clip {clip}" for clip in self.items.clips.tolist()]


def choose_split(data: PackedData, asked: Sequence[str] = ("val", "test", "train")) -> str | None:
    """The first of these splits that holds both images and sounds."""
    for split in asked:
        if all(len(_find(data, split, modality).numbers) for modality in ("image", "sound")):
            return split
    return None


def take_sample(data: PackedData, embedder: Embedder, split: str, modality: Modality) -> Sample:
    """At most 2,000 of a split's items, chosen evenly, and fewer sounds where they last long. Where labels are known,
    items without one are left out."""
    found = _find(data, split, modality)
    items = _choose(found, _many(data, found, embedder, modality))
    bundle = embedder.bundle
    parts = [items.numbers[start : start + CHUNK].tolist() for start in range(0, len(items.numbers), CHUNK)]
    answers = [_ask(embedder, data, part, modality) for part in track(parts, f"asking with {modality}s", unit="batch")]
    h, weights, queries, entropies, first = (np.concatenate(column) for column in zip(*answers, strict=True))
    with torch.inference_mode():
        z = F.normalize(bundle.model.project(torch.from_numpy(h), modality), dim=1).numpy()
    recalled = np.split(h, 2, axis=1)[1 if modality == "image" else 0]
    return Sample(modality, items, len(found.numbers), z, weights, queries, entropies, first, recalled)


def _find(data: PackedData, split: str, modality: Modality) -> Items:
    labelled = any(row.label for row in data.rows if row.split == split)
    return find_items(data, split, modality, labelled)


def _many(data: PackedData, items: Items, embedder: Embedder, modality: Modality) -> int:
    if modality == "image":
        return MOST_ITEMS
    samples = sum(len(data.wave(number)) for number in items.numbers.tolist())
    each = max(1.0, samples / len(items.numbers) / embedder.preprocessor.config.window_samples)
    return max(1, min(MOST_ITEMS, int(MOST_WINDOWS / each)))


def _choose(items: Items, many: int) -> Items:
    places = evenly(len(items.numbers), many)
    return Items(items.numbers[places], [items.labels[place] for place in places], items.clips[places])


def _ask(
    embedder: Embedder, data: PackedData, numbers: Sequence[int], modality: Modality
) -> tuple[npt.NDArray[np.generic], ...]:
    """h `[N, 2c]`, weights `[N, n]`, queries `[N]`, entropies `[Q]`, first `[Q]` of some items."""
    if modality == "image":
        h = embedder.embed_images([data.images[number] for number in numbers]).h
        counts = [1] * len(numbers)
    else:
        cut = [list(_windows(data.wave(number), embedder)) for number in numbers]
        h = embedder.embed_sounds([window for pieces in cut for window in pieces]).h
        counts = [len(pieces) for pieces in cut]
    by_query = torch.from_numpy(h)
    weights = address(embedder.bundle, by_query, modality)
    entropy = -torch.xlogy(weights, weights).sum(dim=1)
    first = weights.argmax(dim=1) if weights.shape[1] else torch.zeros(len(weights), dtype=torch.long)
    by_item = [torch.stack([piece.mean(dim=0) for piece in rows.split(counts)]).numpy() for rows in (by_query, weights)]
    return (*by_item, np.array(counts, np.int64), entropy.numpy(), first.numpy())


def address(bundle: Bundle, h: torch.Tensor, modality: Modality) -> torch.Tensor:
    """Addressing of queries by their representations: `[Q, 2c]` to float32 `[Q, n]`; `[Q, 0]` without a memory."""
    if not bundle.model.config.use_memory:
        return torch.empty(len(h), 0)
    f_v, f_s = h.chunk(2, dim=1)
    with torch.inference_mode():
        return bundle.model.memory.address(f_v if modality == "image" else f_s, modality)


def _windows(wave: npt.NDArray[np.int16], embedder: Embedder) -> Iterator[npt.NDArray[np.int16]]:
    for window in windows(torch.from_numpy(np.array(wave)), embedder.preprocessor.config.window_samples):
        yield window.numpy()
