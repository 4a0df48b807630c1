"""Retrieval by cosine: where the right targets stand in each query's ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.chance import random_order

HIT_RANKS = (1, 2, 3, 4, 5)
RECALL_RANKS = (1, 5, 10)
_TOGETHER = 256  # queries whose rankings of all targets are in memory at once


@dataclass(frozen=True)
class Rankings:
    """What the queries' rankings of all targets, nearest first, say; right is a target of the query's class.

    Attributes:
        first: int64 `[Q]`, rank of the first right target, from 1; T + 1 where there is none.
        average: float64 `[Q]`, average precision over the full ranking; 0 where there is no right target.
        recall: float64 `[len(RECALL_RANKS), Q]`, for each rank k the share of the query's right targets among the k
            nearest; 0 where there is none.
        relevant: int64 `[Q]`, how many targets are right.
        targets: T, how many there are.
    """

    first: npt.NDArray[np.int64]
    average: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    relevant: npt.NDArray[np.int64]
    targets: int

    def values(self) -> dict[str, npt.NDArray[np.float64]]:
        """What each query contributes, float64 `[Q]`, to the scores that are means over the queries.

        `hit@k`: whether a target of its class is among the k nearest (the paper's rank k). `recall@k`: the share of all
        targets of its class that is. `map`: its average precision.
        """
        return {
            **{f"hit@{k}": (self.first <= min(k, self.targets)).astype(np.float64) for k in HIT_RANKS},
            "map": self.average,
            **{f"recall@{k}": share for k, share in zip(RECALL_RANKS, self.recall, strict=True)},
        }

    def scores(self) -> dict[str, float]:
        """The means of `values`, `median_rank` (of the first right target) and `chance` (hit@1 of a random order)."""
        return {
            **{name: float(values.mean()) for name, values in self.values().items()},
            "median_rank": float(np.median(self.first)),
            "chance": float(self.relevant.sum() / (len(self.relevant) * self.targets)),
        }

    def chances(self) -> dict[str, float]:
        """What `hit@k`, `map`, `recall@k` and `median_rank` are in a random order."""
        return random_order(self.relevant, self.targets, HIT_RANKS, RECALL_RANKS)


def rank(
    queries: npt.NDArray[np.float32],
    targets: npt.NDArray[np.float32],
    query_labels: Sequence[str],
    target_labels: Sequence[str],
) -> Rankings:
    """Rank all targets for each query by cosine. Ties go to the earlier target.

    Args:
        queries: unit vectors `[Q, d]`, Q at least 1.
        targets: unit vectors `[T, d]`, T at least 1.
        query_labels: class of each query.
        target_labels: class of each target.
    """
    classes = np.unique([*query_labels, *target_labels], return_inverse=True)[1]
    wanted, offered = classes[: len(queries)], classes[len(queries) :]
    parts = []
    for begin in range(0, len(queries), _TOGETHER):
        some = slice(begin, begin + _TOGETHER)
        order = np.argsort(-(queries[some] @ targets.T), axis=1, kind="stable")
        parts.append(_read(offered[order] == wanted[some, None]))
    first, average, recall, relevant = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    return Rankings(first, average, recall, relevant, len(targets))


def _read(ranked: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64] | npt.NDArray[np.float64], ...]:
    """The four arrays of `Rankings` for a few queries.

    Args:
        ranked: `[q, T]`, whether each query's targets, the nearest first, are right.
    """
    relevant = ranked.sum(axis=1)
    some = np.maximum(relevant, 1)  # a query without a right target gets 0 below
    precision = np.cumsum(ranked, axis=1) / np.arange(1, ranked.shape[1] + 1)
    average = (precision * ranked).sum(axis=1) / some
    first = np.where(relevant > 0, ranked.argmax(axis=1), ranked.shape[1]) + 1
    recall = np.stack([ranked[:, :k].sum(axis=1) / some for k in RECALL_RANKS])
    return first, average, recall, relevant


def retrieval_scores(
    queries: npt.NDArray[np.float32],
    targets: npt.NDArray[np.float32],
    query_labels: Sequence[str],
    target_labels: Sequence[str],
) -> dict[str, float]:
    """`Rankings.scores` of what `rank` is given."""
    return rank(queries, targets, query_labels, target_labels).scores()
