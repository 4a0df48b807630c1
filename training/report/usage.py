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
