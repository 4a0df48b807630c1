"""Items on their way into a catalogue, a transaction at a time."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from index.catalogue import Catalogue, Item

ITEMS = 256
SECONDS = 2.0  # a crash costs no more than what was embedded in these
BYTES = 64 * 1024 * 1024  # of content


class Batch:
    """Collects items, and puts them when they are many, large, or have waited.

    Args:
        catalogue: that they are for.
        most: items that are put at once.
    """

    def __init__(self, catalogue: Catalogue, most: int | None = None) -> None:
        self._catalogue, self._most = catalogue, most or ITEMS
        self._empty()

    def add(self, item: Item, vector: npt.NDArray[np.float32], content: bytes | None = None) -> None:
        """Take an item; a later one of the same id takes its place. Raises what `Catalogue.put` does."""
        self._items[item.id] = (item, vector)
        if content is not None:
            self._contents[item.content] = content
            self._bytes += len(content)
        late = time.monotonic() - self._begin > SECONDS
        if late or len(self._items) >= self._most or self._bytes >= BYTES:
            self.put()

    def put(self) -> None:
        """Put what is collected. Raises what `Catalogue.put` does."""
        if self._items:
            items, vectors = zip(*self._items.values(), strict=True)
            self._catalogue.put(items, np.stack(vectors), self._contents)
        self._empty()

    def _empty(self) -> None:
        self._items: dict[str, tuple[Item, npt.NDArray[np.float32]]] = {}
        self._contents: dict[str, bytes] = {}
        self._bytes = 0
        self._begin = time.monotonic()
