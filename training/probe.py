"""Linear probe: multinomial logistic regression on frozen features, by a deterministic full-batch solver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.model.head import ClassHead

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


@dataclass(frozen=True)
class Labelled:
    """Features with labels.

    Attributes:
        features: float `[N, d]`.
        labels: int64 `[N]`, indices of class names.
    """

    features: Tensor
    labels: Tensor


def fit_head(train: Labelled, names: Sequence[str], val: Labelled | None = None) -> ClassHead:
    """Fit a linear classifier, its regularisation chosen on `val` (the middle strength where there is none).

    Minimises mean cross-entropy + strength / 2 * |W|^2 on features standardised by the training set, with L-BFGS in
    float64. Ties on `val` go to the stronger regularisation.

    Returns:
        A head for the raw features (the standardisation is folded into its weights), float32.
    """
    problem = _Problem(train, names)
    if val is None or not len(val.labels):
        return problem.solve(STRENGTHS[len(STRENGTHS) // 2])
    heads = [problem.solve(strength) for strength in reversed(STRENGTHS)]
    return max(heads, key=lambda head: accuracy(head, val))


def accuracy(head: ClassHead, data: Labelled) -> float:
    """Share of items whose class the head ranks first."""
    return float((head.logits(data.features).argmax(dim=1) == data.labels).float().mean())


class _Problem:
    """Standardised features in coordinates of at most N columns.

    Ridge-penalised weights lie in the span of the rows, so where there are more columns than rows, rotating onto
    that span changes nothing but the time it takes.
    """

    def __init__(self, train: Labelled, names: Sequence[str]) -> None:
        self.names, self.labels = tuple(names), train.labels
        self.mean = train.features.mean(dim=0, dtype=torch.float64)
        std = train.features.double().std(dim=0, correction=0)
        self.std = torch.where(
            std > 1e-8 * std.max().clamp(min=1e-30), std, torch.inf
        )  # a constant column says nothing
        x = (train.features.double() - self.mean) / self.std
        self.basis: Tensor | None = None
        if x.shape[1] > x.shape[0]:
            values, vectors = torch.linalg.eigh(x @ x.T)
            kept = values > 1e-10 * values.max()
            self.basis = x.T @ vectors[:, kept] / values[kept].sqrt()
            x = x @ self.basis
        self.x = x

    def solve(self, strength: float) -> ClassHead:
        weight = torch.zeros(len(self.names), self.x.shape[1], dtype=self.x.dtype, device=self.x.device)
        bias = torch.zeros(len(self.names), dtype=self.x.dtype, device=self.x.device)
        weight.requires_grad_()
        bias.requires_grad_()
        solver = torch.optim.LBFGS(
            [weight, bias], max_iter=200, tolerance_grad=1e-6, history_size=20, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            solver.zero_grad()
            loss = F.cross_entropy(self.x @ weight.T + bias, self.labels) + strength / 2 * weight.square().sum()
            loss.backward()
            return loss

        with torch.enable_grad():
            solver.step(closure)
        with torch.no_grad():
            scaled = (weight if self.basis is None else weight @ self.basis.T) / self.std
            return ClassHead(scaled.float(), (bias - scaled @ self.mean).float(), self.names)
