"""Retrieval to look at: some queries of one modality, and what is nearest to each in the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from training.report.metrics import evenly
from training.report.sample import Sample


@dataclass(frozen=True)
class Hit:
    """An item that was found.

    Attributes:
        item: its place in the sample.
        score: cosine similarity to the query.
        right: whether it is of the query's class (or, where there are no labels, of its clip).
    """

    item: int
    score: float
    right: bool


@dataclass(frozen=True)
class Answer:
    """A query, as its place in the sample, and its hits, the nearest first."""

    query: int
    hits: list[Hit]


def find_answers(queries: Sample, targets: Sample, many: int, k: int = 5) -> list[Answer]:
    """The k nearest targets by z of so many queries, spread over the classes; ties go to the earlier target."""
    chosen = spread(queries.truth, many)
    scores = queries.z[chosen] @ targets.z.T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    truth, target_truth = queries.truth, targets.truth
    return [
        Answer(query, [Hit(int(item), float(row[item]), target_truth[item] == truth[query]) for item in places])
        for query, row, places in zip(chosen, scores, order, strict=True)
    ]


def spread(classes: Sequence[str], many: int) -> list[int]:
    """At most `many` places, in turn one of each class; of more classes than that, evenly chosen ones."""
    members: dict[str, list[int]] = {}
    for place, name in sorted(enumerate(classes), key=lambda pair: pair[1]):
        members.setdefault(name, []).append(place)
    turns = [place for turn in zip_longest(*members.values()) for place in turn if place is not None]
    first = turns[: max(many, len(members))]
    return [first[place] for place in evenly(len(first), many)]
