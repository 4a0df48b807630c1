"""Making an index that learns its lists from the vectors: sampled, trained, filled, measured."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import numpy as np

from index.catalogue import Modality
from index.curves import QUERIES, Truth, measure
from index.neighbours import Neighbours, Numbers, Position, Vectors
from index.plan import SAMPLES, Plan
from index.replay import as_numbers, fetch, position, stored_vectors

Check = Callable[[], None]  # raises where the work is no longer wanted


class Trainer:
    """An index in the making. `sample` and `fill` read the database; `train`, which takes longest, does not.

    Args:
        plan: of an inverted file.
        modality: whose vectors.
        dimension: of a vector.
        check: called now and then; what it raises ends the work.
    """

    def __init__(self, plan: Plan, modality: Modality, dimension: int, check: Check = lambda: None) -> None:
        self.plan, self.modality, self.dimension, self._check = plan, modality, dimension, check
        self._random = np.random.default_rng(0)
        self._index = plan.make(dimension)
        self._sampled: Vectors = np.empty((0, dimension), np.float32)

    def sample(self, connection: sqlite3.Connection) -> None:
        """Read what to train on."""
        self._sampled = fetch(
            connection, self._choose(self._numbers(connection, self.modality), self.plan.lists * SAMPLES)
        )

    def train(self) -> None:
        """Learn lists and codes."""
        self._index.train(self._sampled)
        self._sampled = self._sampled[:0]

    def fill(self, connection: sqlite3.Connection) -> Neighbours:
        """Add all vectors, as one transaction sees them, and measure how many lists to read."""
        now: Position = position(connection)
        truths = self._truths(connection)
        for numbers, vectors in stored_vectors(connection, self.modality):
            self._check()
            self._index.add_with_ids(vectors, numbers)
            for truth in truths:
                truth.see(numbers, vectors)
        neighbours = Neighbours(self._index, self.plan, now)

        def checked(numbers: Numbers) -> Vectors:
            self._check()
            return fetch(connection, numbers)

        measure(neighbours, truths, checked)
        return neighbours

    def _truths(self, connection: sqlite3.Connection) -> list[Truth]:
        """Queries as they come: items of the modality itself, and of the other one, which lie elsewhere."""
        truths = []
        for modality in ("image", "sound"):
            numbers = self._choose(self._numbers(connection, modality), QUERIES)
            if len(numbers):
                own = numbers if modality == self.modality else np.full_like(numbers, -1)
                truths.append(Truth(fetch(connection, numbers), own))
        return truths

    def _choose(self, numbers: Numbers, count: int) -> Numbers:
        """So many at random, ascending."""
        if len(numbers) <= count:
            return numbers
        return np.sort(self._random.choice(numbers, count, replace=False))

    @staticmethod
    def _numbers(connection: sqlite3.Connection, modality: str) -> Numbers:
        return as_numbers(
            connection.execute("SELECT number FROM vectors WHERE modality = ? ORDER BY number", (modality,)).fetchall()
        )
