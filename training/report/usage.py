"""How the memory's slots are used, and which items use each most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.model.memory import Modality
from training.report.sample import Sample

SHARES = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Usage:
    """Addressing of one modality's Q queries over n slots.

    Attributes:
        modality: of the queries.
        queries: Q.
        effective: float64 `[Q]`, slots each query spreads over: the exponential of its addressing's entropy.
        mean: float64 `[n]`, mean addressing weight of each slot; sums to 1.
        covering: how many slots, the most used first, make 50, 90 and 99 % of the weight.
        never: how many slots are no query's first choice.
    """

    modality: Modality
    queries: int
    effective: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    covering: tuple[int, ...]
    never: int


@dataclass(frozen=True)
class Slot:
    """A slot and the items that address it most.

    Attributes:
        number: its row in both sub-memories.
        mean: mean addressing weight by modality.
        exemplars: by modality, places in the sample with the item's weight on this slot, the highest first.
    """

    number: int
    mean: dict[Modality, float]
    exemplars: dict[Modality, list[tuple[int, float]]]


def measure_usage(sample: Sample) -> Usage:
    """Usage of the slots by a sample, each query counting the same."""
    mean = np.average(sample.weights.astype(np.float64), axis=0, weights=sample.queries)
    reached = np.cumsum(np.sort(mean)[::-1])
    covering = tuple(min(int(np.searchsorted(reached, share)) + 1, len(mean)) for share in SHARES)
    never = len(mean) - len(np.unique(sample.first))
    return Usage(sample.modality, len(sample.first), np.exp(sample.entropies.astype(np.float64)), mean, covering, never)


def measure_alikeness(sample: Sample) -> npt.NDArray[np.float64]:
    """Cosine between what two items recall, of all pairs of a sample's N items that recall anything: `[N (N - 1) / 2]`
    where all do. Near 1 everywhere: the memory answers the same whatever it is asked."""
    recalled = sample.recalled.astype(np.float64)
    lengths = np.linalg.norm(recalled, axis=1)
    directions = recalled[lengths > 0] / lengths[lengths > 0, None]
    return np.clip((directions @ directions.T)[np.triu_indices(len(directions), 1)], -1, 1)


def measure_agreement(samples: list[Sample]) -> tuple[float, float] | None:
    """How well the slots link classes: draw a slot by its mean weight over both modalities, then an image and a sound
    by their weights on it; how often they are of the same class. With it the same for slots that link nothing, that is
    for any image with any sound. None where classes or a memory are missing."""
    names = sorted({label for sample in samples for label in sample.items.labels if label})
    if not names or not all(sample.weights.shape[1] for sample in samples):
        return None
    by_class = []  # [classes, n]: each column how a slot's weight is shared among classes
    alone = []
    for sample in samples:
        members = np.array([[label == name for label in sample.items.labels] for name in names], np.float64)
        weights = members @ sample.weights.astype(np.float64)
        by_class.append(weights / np.maximum(weights.sum(axis=0), np.finfo(np.float64).tiny))
        alone.append(members.sum(axis=1) / members.sum())
    slots = np.mean([measure_usage(sample).mean for sample in samples], axis=0)
    return float((slots * (by_class[0] * by_class[1]).sum(axis=0)).sum()), float(alone[0] @ alone[1])


def find_slots(samples: list[Sample], usages: list[Usage], many: int, k: int = 4) -> list[Slot]:
    """The slots with the highest mean weight over both modalities, and the k items of each that address them most."""
    together = np.mean([usage.mean for usage in usages], axis=0)
    return [
        Slot(
            number,
            {usage.modality: float(usage.mean[number]) for usage in usages},
            {sample.modality: _strongest(sample, number, k) for sample in samples},
        )
        for number in np.argsort(-together, kind="stable")[:many].tolist()
    ]


def _strongest(sample: Sample, slot: int, k: int) -> list[tuple[int, float]]:
    weights = sample.weights[:, slot]
    return [(place, float(weights[place])) for place in np.argsort(-weights, kind="stable")[:k].tolist()]
