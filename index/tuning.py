"""How a catalogue in a folder searches."""

from __future__ import annotations

from dataclasses import dataclass

from index.plan import EXACT


@dataclass(frozen=True)
class Tuning:
    """How exactly a catalogue searches, and in how much memory.

    Attributes:
        recall: share of the k nearest that a search finds on average, where not all vectors are compared.
        memory: bytes that the vectors of a modality may take in memory; half of the machine's where None.
        exact: up to so many vectors of a modality are all compared.
        background: train and save indexes when there is a reason to; else searches use what is there.
    """

    recall: float = 0.99
    memory: int | None = None
    exact: int = EXACT
    background: bool = True
