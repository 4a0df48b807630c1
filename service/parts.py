"""What a query is made of: an image is one part, a sound one for each window of the model."""

from __future__ import annotations

from dataclasses import dataclass

from training.model.embedder import Embedding, Window
from training.model.memory import Modality


@dataclass(frozen=True)
class Parts:
    """N items with their parts.

    Attributes:
        modality: what the items are.
        whole: h `[N, 2c]` and z `[N, d]` of the items.
        each: h `[W, 2c]` and z `[W, d]` of all parts, one item's after the other's.
        windows: of each item, its windows; none of an image.
        counts: how many parts each item has.
    """

    modality: Modality
    whole: Embedding
    each: Embedding
    windows: list[list[Window]]
    counts: list[int]

    def of(self, place: int) -> Embedding:
        """h `[w, 2c]` and z `[w, d]` of an item's parts."""
        first = sum(self.counts[:place])
        those = slice(first, first + self.counts[place])
        return Embedding(self.each.h[those], self.each.z[those])
