"""Convolutions of 3 × 3 with a quarter of the multiplications: F(4 × 4, 3 × 3) of Lavin and Gray (CVPR 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TILE = 4  # outputs on a side of a tile
POINTS = TILE + 2  # inputs on a side; the last two are the next tile's first
# the paper's Aᵀ and G; its Bᵀ is what `_to_points` multiplies by
AT = torch.tensor([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])
G = torch.tensor([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]).double() / 24
ALL_ONES = POINTS + 1  # the point that counts once in each of a tile's outputs


class Winograd:
    """A convolution of 3 × 3 with stride 1, padding 1 and a bias, in float32.

    Its error is some 2e-6 of the outputs' norm, where a direct one's is 0.5e-6 to 1e-6.

    Args:
        convolution: left as it is. Its weights take four times as much memory here.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        assert convolution.bias is not None
        weight = convolution.weight.detach().double()
        points = torch.einsum("ik,ockl,jl->ijco", G, weight, G)
        self.weight = points.reshape(POINTS**2, convolution.in_channels, convolution.out_channels).float()
        self.bias = convolution.bias.detach().float()
        self._to_outputs = torch.kron(AT, AT).float()

    def __call__(self, x: Tensor, relu: bool = False) -> Tensor:
        """Float32 `[N, in_channels, H, W]` to float32 `[N, out_channels, H, W]`, channels last."""
        count, channels, height, width = x.shape
        rows, columns = tiles(height), tiles(width)
        right, below = TILE * columns + 1 - width, TILE * rows + 1 - height
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, right, 1, below))
        lines = x.new_empty(POINTS, count, rows, padded.shape[2], channels)
        _to_points(_shifted(padded, 1, rows), lines)
        points = x.new_empty(POINTS, POINTS, count, rows, columns, channels)
        _to_points(_shifted(lines, 3, columns), points.transpose(0, 1))
        products = torch.bmm(points.view(POINTS**2, -1, channels), self.weight)
        products[ALL_ONES] += self.bias
        outputs = torch.mm(self._to_outputs, products.view(POINTS**2, -1))
        tiled = outputs.view(TILE, TILE, count, rows, columns, -1).permute(2, 3, 0, 4, 1, 5)
        found = torch.empty(tiled.shape, dtype=x.dtype)
        if relu:
            torch.clamp_min(tiled, 0, out=found)
        else:
            found.copy_(tiled)
        whole = found.view(count, TILE * rows, TILE * columns, -1)
        return whole[:, :height, :width].permute(0, 3, 1, 2)


def tiles(side: int) -> int:
    """Tiles along a side of a map."""
    return -(-side // TILE)


def _shifted(x: Tensor, dim: int, count: int) -> list[Tensor]:
    """Of each of so many tiles along a dimension the first input, then of each the second, and so on."""
    place = (slice(None),) * dim
    return [x[(*place, slice(first, first + TILE * count - TILE + 1, TILE))] for first in range(POINTS)]


def _to_points(d: Sequence[Tensor], out: Tensor) -> None:
    """The paper's Bᵀd along one dimension, in 12 sums."""
    torch.add(d[4], d[2], alpha=-5, out=out[0]).add_(d[0], alpha=4)
    torch.add(d[5], d[3], alpha=-5, out=out[5]).add_(d[1], alpha=4)
    even, odd = torch.add(d[4], d[2], alpha=-4, out=out[1]), torch.add(d[3], d[1], alpha=-4)
    torch.sub(even, odd, out=out[2])
    even.add_(odd)
    even, odd = torch.sub(d[4], d[2], out=out[3]), torch.sub(d[3], d[1])
    torch.add(even, odd, alpha=-2, out=out[4])
    even.add_(odd, alpha=2)
