"""Frozen features of a packed data set: what heads are fitted on and evaluation reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.data.packed import PackedData
from training.model.embedder import Embedder, Embedding
from training.model.memory import Modality
from training.probe import Labelled
from training.progress import track

CHUNK = 256


@dataclass(frozen=True)
class Items:
    """The distinct items of one modality in a split.

    Attributes:
        numbers: int32 `[N]`, places in the packed array.
        labels: class name of each, empty where unknown.
        clips: int64 `[N]`.
    """

    numbers: npt.NDArray[np.int32]
    labels: list[str]
    clips: npt.NDArray[np.int64]


def find_items(data: PackedData, split: str, modality: Modality, labelled: bool = True) -> Items:
    """A split's items of a modality, each once however many rows it stands in, with the first row's label."""
    column = 0 if modality == "image" else 1
    seen: dict[int, int] = {}
    for number, row in enumerate(data.rows):
        place = int(data.index[number, column])
        if row.split == split and place >= 0 and (row.label or not labelled):
            seen.setdefault(place, number)
    rows = list(seen.values())
    return Items(
        np.array(list(seen), dtype=np.int32), [data.rows[row].label for row in rows], data.clips[rows].astype(np.int64)
    )


class Features:
    """Embeddings of a packed data set by one model, computed once for each split and modality."""

    def __init__(self, data: PackedData, embedder: Embedder) -> None:
        self.data = data
        self.embedder = embedder
        self._embeddings: dict[tuple[str, Modality], tuple[Items, Embedding]] = {}

    def split(self, split: str, modality: Modality) -> tuple[Items, Embedding]:
        """The labelled items of a split and their embeddings."""
        key = (split, modality)
        if key not in self._embeddings:
            items = find_items(self.data, split, modality)
            self._embeddings[key] = (items, self._embed(items.numbers, modality))
        return self._embeddings[key]

    @cached_property
    def names(self) -> list[str]:
        """Class names of the training split, sorted."""
        return sorted({row.label for row in self.data.rows if row.split == "train" and row.label})

    def labelled(self, split: str, modality: Modality, names: list[str]) -> Labelled:
        """h of a split with class numbers; items of classes that are not in `names` are left out."""
        items, embedding = self.split(split, modality)
        return select(torch.from_numpy(embedding.h), items.labels, names)

    def _embed(self, numbers: npt.NDArray[np.int32], modality: Modality) -> Embedding:
        read: Callable[[Any], Any] = self.data.images.__getitem__ if modality == "image" else self.data.wave
        parts = [numbers[start : start + CHUNK] for start in range(0, len(numbers), CHUNK)] or [numbers]
        done = [
            self.embedder.embed_packed([read(number) for number in part], modality)
            for part in track(parts, f"embedding {modality}s", unit="batch")
        ]
        return Embedding(np.concatenate([part.h for part in done]), np.concatenate([part.z for part in done]))


def select(features: Tensor, labels: list[str], names: list[str]) -> Labelled:
    """The rows whose label is one of `names`, with its number."""
    number = {name: place for place, name in enumerate(names)}
    kept = [row for row, label in enumerate(labels) if label in number]
    return Labelled(features[kept], torch.tensor([number[labels[row]] for row in kept], dtype=torch.long))
