"""How many lists to read for which recall: measured on queries that an index has not been made for."""

from __future__ import annotations

from collections.abc import Iterable

import faiss
import numpy as np

from index.neighbours import Curve, Fetch, Neighbours, Numbers, Vectors

KS = {10: 200, 100: 100, 1000: 40}  # hits that are measured, with the number of queries of each kind
QUERIES = max(KS.values())
ENOUGH = 0.9995  # recall past which more lists are not measured
LITTLE = 0.9  # recall below which fewer lists are not measured for more hits


class Truth:
    """The exact neighbours of some queries, from vectors that pass by in chunks.

    Args:
        queries: `[Q, d]`.
        own: of each query its own number, which is not counted among its neighbours; -1 where it has none.
    """

    def __init__(self, queries: Vectors, own: Numbers) -> None:
        self.queries, self.own = np.ascontiguousarray(queries), own
        self._scores = np.empty((len(queries), 0), np.float32)
        self._numbers = np.empty((len(queries), 0), np.int64)

    def see(self, numbers: Numbers, vectors: Vectors) -> None:
        """Another chunk of vectors `[N, d]`."""
        most = max(KS) + 1
        scores, at = faiss.knn(self.queries, vectors, min(most, len(vectors)), metric=faiss.METRIC_INNER_PRODUCT)
        scores = np.concatenate([self._scores, scores], axis=1)
        found = np.concatenate([self._numbers, numbers[at]], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :most]
        self._scores = np.take_along_axis(scores, best, 1)
        self._numbers = np.take_along_axis(found, best, 1)

    def scores(self, k: int) -> list[float]:
        """Of each query the score of its k-th neighbour, itself not counted."""
        rows = []
        for scores, numbers, own in zip(self._scores, self._numbers, self.own, strict=True):
            rows.append(float(scores[numbers != own][k - 1]))
        return rows


def measure(neighbours: Neighbours, truths: Iterable[Truth], fetch: Fetch) -> Curve:
    """Recall at each k by the number of lists read: of several kinds of queries the lowest.

    A neighbour counts as found when it is no further than the exact k-th, so that ties are not held against it.
    """
    truths, count = list(truths), len(neighbours)
    curve = Curve(count)
    begin = 1
    for k, queries in KS.items():
        if k >= count:
            break
        points: list[tuple[int, float]] = []
        for lists in _steps(neighbours.plan.lists, begin):
            points.append((lists, min(_recall(neighbours, truth, k, queries, lists, fetch) for truth in truths)))
            if points[-1][1] > ENOUGH:
                break
        curve.recalls[k] = points
        begin = next((lists for lists, recall in points if recall > LITTLE), begin)  # more hits never need fewer lists
    neighbours.curve = curve
    return curve


def _recall(neighbours: Neighbours, truth: Truth, k: int, queries: int, lists: int, fetch: Fetch) -> float:
    found = neighbours.read(truth.queries[:queries], k + 1, lists, fetch)
    reached = 0
    for row, own, limit in zip(found, truth.own.tolist(), truth.scores(k), strict=False):
        scores = [score for score, number in row if number != own][:k]
        reached += sum(score >= limit - 1e-6 for score in scores)
    return reached / (k * len(found))


def _steps(most: int, begin: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12, 16, … and all."""
    steps = sorted({step for power in range(20) for step in (2**power, 3 * 2**power)})
    return [step for step in steps if begin <= step < most] + [most]
