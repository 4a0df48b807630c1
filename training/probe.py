"""Linear probe: multinomial logistic regression on frozen features, by a deterministic full-batch solver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
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


@dataclass(frozen=True)
class Probe:
    """A fitted linear probe.

    Attributes:
        head: for the raw features (the standardisation is folded into its weights), float32.
        strength: of its regularisation.
    """

    head: ClassHead
    strength: float


def fit_probe(train: Labelled, names: Sequence[str], val: Labelled | None = None) -> Probe:
    """Fit a linear classifier, its regularisation chosen on `val` (the middle strength where there is none).

    Minimises mean cross-entropy + strength / 2 * |W|^2 on features standardised by the training set, with L-BFGS in
    float64. Ties on `val` go to the stronger regularisation.
    """
    problem = _Problem(train, names)
    if val is None or not len(val.labels):
        middle = STRENGTHS[len(STRENGTHS) // 2]
        return Probe(problem.solve(middle), middle)
    # each starts from the one before
    probes = [Probe(problem.solve(strength), strength) for strength in reversed(STRENGTHS)]
    return max(probes, key=lambda probe: accuracy(probe.head, val))


def fit_head(train: Labelled, names: Sequence[str], val: Labelled | None = None) -> ClassHead:
    """The head that `fit_probe` finds."""
    return fit_probe(train, names, val).head


def predict(head: ClassHead, features: Tensor) -> Tensor:
    """The class that the head ranks first: float `[N, d]` to int64 `[N]`."""
    return head.logits(features).argmax(dim=1)


def accuracy(head: ClassHead, data: Labelled) -> float:
    """Share of items whose class the head ranks first."""
    return float((predict(head, data.features) == data.labels).double().mean())


class _Problem:
    """Standardised features, rotated onto their principal axes.

    Ridge-penalised weights lie in the span of the rows, so the rotation loses nothing and leaves at most N columns. On
    these axes the curvature of the loss at zero is diagonal, and scaling by it lets the solver take even steps: tens
    of iterations instead of hundreds.
    """

    def __init__(self, train: Labelled, names: Sequence[str]) -> None:
        self.names, self.labels = tuple(names), train.labels
        x = train.features.to(torch.float64, copy=True)
        self.mean = x.mean(dim=0)
        std = x.std(dim=0, correction=0)
        self.std = torch.where(
            std > 1e-8 * std.max().clamp(min=1e-30), std, torch.inf
        )  # a constant column says nothing
        x.sub_(self.mean).div_(self.std)  # in place, as there may be gigabytes of it
        wide = x.shape[1] > x.shape[0]
        values, vectors = torch.linalg.eigh(x @ x.T if wide else x.T @ x)
        kept = values > 1e-10 * values.max()
        self.basis = x.T @ vectors[:, kept] / values[kept].sqrt() if wide else vectors[:, kept]
        self.x = self.basis.T @ x.T  # a column for each item: on one core half the time of a row for each
        self.curvature = values[kept] / len(x) * (len(names) - 1) / len(names) ** 2
        self.weight = torch.zeros(len(names), len(self.x), dtype=x.dtype, device=x.device)
        self.bias = torch.zeros(len(names), dtype=x.dtype, device=x.device)

    def solve(self, strength: float) -> ClassHead:
        """The head of a strength, sought from the last solution."""
        scale = (self.curvature + strength).rsqrt()
        scaled = (self.weight / scale).requires_grad_()
        bias = self.bias.clone().requires_grad_()
        solver = torch.optim.LBFGS(
            [scaled, bias], max_iter=200, tolerance_grad=1e-6, history_size=20, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            solver.zero_grad()
            weight = scaled * scale
            likelihood = torch.log_softmax(weight @ self.x + bias[:, None], dim=0).gather(0, self.labels[None])
            loss = strength / 2 * weight.square().sum() - likelihood.mean()
            loss.backward()
            return loss

        with torch.enable_grad():
            solver.step(closure)
        with torch.no_grad():
            self.weight, self.bias = scaled.detach() * scale, bias.detach()
            unrotated = self.weight @ self.basis.T / self.std
            return ClassHead(unrotated.float(), (self.bias - unrotated @ self.mean).float(), self.names)
