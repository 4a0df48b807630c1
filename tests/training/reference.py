"""Equations 1 to 5 of the paper, one number at a time: slow, and written without a look at the code under test.

Inputs are float64 tensors, so gradients flow; every sum is a Python loop.
"""

import torch
from torch import Tensor


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """d(a, b), Eq. 2."""
    dot = torch.zeros((), dtype=torch.float64)
    a_squares, b_squares = dot, dot
    for x, y in zip(a, b, strict=True):
        dot = dot + x * y
        a_squares = a_squares + x * x
        b_squares = b_squares + y * y
    return dot / (a_squares.sqrt() * b_squares.sqrt())


def address(f: Tensor, key: Tensor, tau_m: float) -> Tensor:
    """W of one query `[c]` over a key memory `[n, c]`, Eq. 1."""
    terms = [torch.exp(cosine(f, slot) / tau_m) for slot in key]
    total = torch.zeros((), dtype=torch.float64)
    for term in terms:
        total = total + term
    return torch.stack([term / total for term in terms])


def recall(f: Tensor, key: Tensor, value: Tensor, tau_m: float) -> Tensor:
    """What one query `[c]` reads from a value memory `[n, c]`, Eq. 3."""
    result = torch.zeros(value.shape[1], dtype=torch.float64)
    for weight, slot in zip(address(f, key, tau_m), value, strict=True):
        result = result + weight * slot
    return result


def contrastive(
    first: Tensor, second: Tensor, clip: list[int], tau_l: float, mates: str = "positives", decoupled: bool = False
) -> Tensor:
    """L_pair of z^v, z^s `[N, d]` (Eq. 4), and L_unpair of z^{v,s}, z^{s,v} (Eq. 5); and what may be done otherwise."""
    z = [*first, *second]
    clips = [*clip, *clip]
    total = torch.zeros((), dtype=torch.float64)
    for i in range(len(z)):
        numerator = torch.zeros((), dtype=torch.float64)
        denominator = torch.zeros((), dtype=torch.float64)
        for j in range(len(z)):
            if j == i:
                continue
            is_counterpart = j % len(first) == i % len(first)
            is_mate = clips[j] == clips[i] and not is_counterpart
            if is_mate and mates == "masked":
                continue
            term = torch.exp(cosine(z[i], z[j]) / tau_l)
            is_positive = is_counterpart or (is_mate and mates == "positives")
            if is_positive:
                numerator = numerator + term
            if not (is_positive and decoupled):
                denominator = denominator + term
        total = total - torch.log(numerator / denominator)
    return total / len(z)


def project(h: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """z of one h `[2c]`: Linear, ReLU, Linear, with the weights `w1, b1, w2, b2`."""
    hidden = []
    for row, bias in zip(weights["w1"], weights["b1"], strict=True):
        hidden.append(torch.clamp((row * h).sum() + bias, min=0))
    layer = torch.stack(hidden)
    return torch.stack([(row * layer).sum() + bias for row, bias in zip(weights["w2"], weights["b2"], strict=True)])
