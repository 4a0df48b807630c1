"""What scores are worth where nothing is known: retrieval in a random order, classes guessed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_CLOSE = 1e-9  # shares that differ by less are rounding


def random_order(
    relevant: npt.NDArray[np.int64], targets: int, hit_ranks: Sequence[int], recall_ranks: Sequence[int]
) -> dict[str, float]:
    """Scores of retrieval where each query ranks the targets in an order drawn at random, exactly.

    With R right targets of T, none is among the first k with the hypergeometric probability
    C(T - R, k) / C(T, k) = prod_{i<k} (T - R - i) / (T - i).

    Args:
        relevant: int64 `[Q]`, R of each query; 0 scores as `training.retrieval.Rankings` says.
        targets: T.
        hit_ranks: k of each hit@k.
        recall_ranks: k of each recall@k.

    Returns:
        The expected `hit@k`, `map` and `recall@k`, and as `median_rank` the median of the rank of the first right
        target over queries and orders.
    """
    counts, frequency = np.unique(relevant, return_counts=True)
    shares = frequency / len(relevant)
    left = np.arange(targets, 0, -1)  # T - i
    found = np.zeros(targets)  # for each rank k, the probability that a right target is among the first k
    average = 0.0
    for count, share in zip(counts[counts > 0], shares[counts > 0], strict=True):
        found += share * (1 - np.cumprod(np.maximum(left - count, 0) / left))
        average += share * expected_precision(int(count), targets)
    some = float(shares[counts > 0].sum())
    return {
        **{f"hit@{k}": float(found[min(k, targets) - 1]) for k in hit_ranks},
        "map": float(average),
        **{f"recall@{k}": some * min(k, targets) / targets for k in recall_ranks},
        "median_rank": _median(found),
    }


def expected_precision(relevant: int, targets: int) -> float:
    """The average precision of a random order, on average.

    The item at rank i is right with probability R / T; where it is, each of the i - 1 before it is right with
    probability p = (R - 1) / (T - 1), so the precision there is (1 + (i - 1) p) / i on average. Summed over the ranks
    and divided by R: p + (1 - p) H_T / T, where H_T is the T-th harmonic number.

    Args:
        relevant: R, at least 1.
        targets: T.
    """
    before = (relevant - 1) / max(targets - 1, 1)
    harmonic = float((1 / np.arange(1, targets + 1)).sum())
    return before + (1 - before) * harmonic / targets


def _median(found: npt.NDArray[np.float64]) -> float:
    """The median of a rank, from its distribution function over the ranks 1 to T; T + 1 takes what is left."""
    lower = int(np.searchsorted(found, 0.5 - _CLOSE)) + 1
    upper = int(np.searchsorted(found, 0.5 + _CLOSE)) + 1
    return (lower + upper) / 2


def constant_guess(labels: npt.NDArray[np.int64]) -> float:
    """The accuracy of the best constant guess: the share of the most frequent class, 1 / classes where all are as
    frequent.

    Args:
        labels: int64 `[N]`, N at least 1.
    """
    return float(np.bincount(labels).max() / len(labels))
