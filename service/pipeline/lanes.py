"""How batches share the machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lanes:
    """Places of batches that are computed at once.

    Attributes:
        most: how many.
        together: cores that they take together.
        processes: whether each is a process.
    """

    most: int
    together: int
    processes: bool

    @property
    def threads(self) -> int:
        """Cores of a batch beside all others that can be."""
        return max(1, self.together // self.most)

    def share(self, items: int) -> int:
        """Cores of each batch where the service has so many files: a file that is alone gets all."""
        return max(1, self.together // min(self.most, max(1, items)))
