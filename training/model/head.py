"""A class head: linear classifier on h, fitted after training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ClassHead:
    """Multinomial logistic regression on representations.

    Attributes:
        weight: float32 `[classes, 2c]`.
        bias: float32 `[classes]`.
        labels: class names, in the order of the rows.
    """

    weight: Tensor
    bias: Tensor
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.weight.shape[0] != len(self.labels) or self.bias.shape != (len(self.labels),):
            raise ValueError(
                f"a head for {len(self.labels)} labels can't have a weight of shape {list(self.weight.shape)} "
                f"and a bias of shape {list(self.bias.shape)}"
            )

    def logits(self, h: Tensor) -> Tensor:
        """Float `[N, 2c]` to float32 `[N, classes]`."""
        return h.to(self.weight) @ self.weight.T + self.bias

    def probabilities(self, h: Tensor) -> Tensor:
        """Float `[N, 2c]` to float32 `[N, classes]`, each row summing to 1."""
        return torch.softmax(self.logits(h), dim=1)

    def to(self, device: torch.device) -> ClassHead:
        """The same head on another device."""
        return ClassHead(self.weight.to(device), self.bias.to(device), self.labels)
