"""A change of several rows in Milvus, and its undoing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from index.catalogue import MODALITIES, CatalogueError, Modality
from index.milvus_rows import Placed, Stored, stored
from index.milvus_wire import WHOLE, Wire


@dataclass
class Change:
    """Rows to put, and (modality, id) to remove after that."""

    rows: list[Placed] = field(default_factory=list)
    gone: list[tuple[Modality, str]] = field(default_factory=list)


class Writer:
    """One change at a time, of this process."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._turn = threading.Lock()
        self._last = 0

    def numbers(self, count: int) -> int:
        """The first of so many numbers that follow those of all items: the time in nanoseconds, so that clients agree
        without asking each other, as far as their clocks do."""
        first = max(self._last + 1, time.time_ns())
        self._last = first + count
        return first

    @contextmanager
    def change(self, ids: Sequence[str]) -> Iterator[tuple[Stored, Change]]:
        """What is there under some ids, and what to do about it once the block ends; undone where that fails."""
        with self._turn:
            before, change = stored(self._wire, ids, WHOLE), Change()
            yield before, change
            try:
                for modality in MODALITIES:
                    self._wire.upsert(modality, [row for of, row in change.rows if of == modality])
                for modality in MODALITIES:
                    self._wire.delete(modality, [id for of, id in change.gone if of == modality])
            except BaseException:
                with suppress(CatalogueError):  # the server may be gone
                    self._undo(before, change)
                raise

    def _undo(self, before: Stored, change: Change) -> None:
        there = {(modality, id) for id, copies in before.items() for modality, _ in copies}
        for modality in MODALITIES:
            self._wire.upsert(modality, [row for copies in before.values() for of, row in copies if of == modality])
            new = [row["id"] for of, row in change.rows if of == modality and (modality, row["id"]) not in there]
            self._wire.delete(modality, new)
