"""Which items pass a filter: asked of the database, and remembered until something changes."""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from typing import Any

import faiss
import numpy as np

from index.catalogue import Modality
from index.filter import Filter
from index.neighbours import Numbers, Passing

REMEMBERED = 4_000_000  # numbers in all


class Passed:
    """Answers to the filters that were asked last, as long as the database is as it was then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._change = -1
        self._answers: OrderedDict[tuple[Any, ...], Passing] = OrderedDict()

    def find(self, connection: sqlite3.Connection, change: int, modality: Modality, filter: Filter) -> Passing:
        """What passes; within a transaction.

        Args:
            connection: to ask.
            change: the database's last.
            modality: of the items.
            filter: their conditions.
        """
        condition, values = filter.sql()
        key = (modality, condition, *((type(value), value) for value in values))
        with self._lock:
            if change != self._change:
                self._answers.clear()
                self._change = change
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]
        # one text is read far faster than as many rows
        (text,) = connection.execute(
            f"SELECT group_concat(number) FROM items WHERE modality = ? AND {condition}", [modality, *values]
        ).fetchone()
        numbers = np.sort(np.fromstring(text or "", np.int64, sep=","))
        passing = Passing(numbers, _selector(numbers))
        with self._lock:
            if change == self._change:
                self._answers[key] = passing
                while len(self._answers) > 1 and sum(map(len, self._answers.values())) > REMEMBERED:
                    self._answers.popitem(last=False)
        return passing


def _selector(numbers: Numbers) -> Any:
    """A bit for each number that there may be."""
    bits = np.zeros(int(numbers[-1]) + 8 if len(numbers) else 8, np.bool_)
    bits[numbers] = True
    selector: Any = faiss.IDSelectorBitmap
    return selector(np.packbits(bits, bitorder="little"))
