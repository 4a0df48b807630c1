"""kNN on frozen features: training items vote for their class, by cosine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from training.probe import Labelled

NEIGHBOURS = (1, 3, 5, 10, 20)
_TOGETHER = 1024  # items whose similarities to the training set are in memory at once


def knn_predict(train: Labelled, features: Tensor, counts: Sequence[int]) -> Tensor:
    """What the k nearest training items (by cosine) vote for; a vote weighs the cosine + 1. Ties go to the class with
    the lower number.

    Args:
        train: features `[N, d]` that vote, with labels.
        features: float `[M, d]`.
        counts: values of k, each at most N.

    Returns:
        int64 `[len(counts), M]`, the class for each k.
    """
    unit = F.normalize(train.features.float(), dim=1)
    classes = int(train.labels.max()) + 1
    parts = []
    for part in features.split(_TOGETHER):
        nearest = (F.normalize(part.float(), dim=1) @ unit.T).topk(max(counts), dim=1)
        labels, weights = train.labels[nearest.indices], nearest.values + 1
        votes = [torch.zeros(len(part), classes).scatter_add_(1, labels[:, :k], weights[:, :k]) for k in counts]
        parts.append(torch.stack([vote.argmax(dim=1) for vote in votes]))
    return torch.cat(parts, dim=1)


def choose_k(train: Labelled, val: Labelled) -> int:
    """The number of neighbours that does best on the validation split, 5 where there is none; ties go to the
    smaller."""
    if not len(val.labels):
        return min(5, len(train.labels))
    usable = [k for k in NEIGHBOURS if k <= len(train.labels)]
    right = (knn_predict(train, val.features, usable) == val.labels).sum(dim=1)
    return usable[int(right.argmax())]
