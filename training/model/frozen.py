"""An encoder that learns no more, made for inference on a CPU."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from training.model.encoder import BasicBlock, ResNet
from training.model.winograd import Winograd, tiles


class FrozenResNet(nn.Module):
    """A `ResNet` in eval mode, which gives the same features up to rounding in fewer and larger steps.

    Batch norms are folded into the convolutions before them, in bfloat16 the weights lie in the order in which oneDNN
    reads them, and a ReLU or the sum of a residual block is the last step of its convolution. That is what
    TorchInductor makes of the encoder with `freezing` on, by the same operations of torch, without a compiler and at
    once.

    Args:
        encoder: left as it is.
        dtype: what the convolutions compute in, float32 or bfloat16.
        exact_stem: in bfloat16, the first of them hardly rounds its input and its weight, see `_Split`.
        scale: what the input is multiplied by first; it is folded into the first convolution as well. Pixels, uint8, of
            which bfloat16 holds each exactly, need no other step than that.

    Shapes: float32 or uint8 `[N, in_channels, H, W]` to float32 `[N, c]`.

    Raises:
        RuntimeError: this build of torch has no oneDNN, or not for `dtype`.
    """

    def __init__(self, encoder: ResNet, dtype: torch.dtype, exact_stem: bool = False, scale: float = 1.0) -> None:
        super().__init__()
        if not torch.backends.mkldnn.is_available():
            raise RuntimeError("this build of torch has no oneDNN")
        self.dtype = dtype
        kind = _Split if exact_stem and dtype == torch.bfloat16 else _Convolution
        stem = _folded(encoder.conv1, encoder.bn1)
        stem.weight.data *= scale
        self.stem = kind(stem, dtype)
        blocks = (module for module in encoder.modules() if isinstance(module, BasicBlock))
        self.blocks = nn.ModuleList(_FrozenBlock(block, dtype) for block in blocks)
        with torch.inference_mode():  # what oneDNN can't do here is said now, while the encoder can still stand in
            self(torch.zeros(1, encoder.conv1.in_channels, 32, 32))

    def forward(self, x: Tensor) -> Tensor:
        """Features f of a batch."""
        x = max_pool(self.stem(x, relu=True))
        for block in self.blocks:
            x = block(x)
        return x.float().mean(dim=(2, 3))


class _FrozenBlock(nn.Module):
    """A basic block: two convolutions, and one for the shortcut where it changes the shape."""

    def __init__(self, block: BasicBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self.first = _block_convolution(_folded(block.conv1, block.bn1), dtype)
        self.second = _block_convolution(_folded(block.conv2, block.bn2), dtype)
        self.shortcut: _Convolution | None = None
        if block.downsample is not None:
            convolution, norm = block.downsample
            assert isinstance(convolution, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            self.shortcut = _Convolution(_folded(convolution, norm), dtype)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return self.second.added_to(shortcut, self.first(x, relu=True))


class _Convolution(nn.Module):
    """A convolution with a bias. Terms are rounded to its dtype, sums are in float32."""

    def __init__(self, folded: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        assert folded.bias is not None
        self.dtype = dtype
        self.geometry = (list(folded.padding), list(folded.stride), list(folded.dilation), folded.groups)
        weight = self._weight(folded.weight.detach()).contiguous(memory_format=torch.channels_last)
        if dtype == torch.bfloat16:  # float32's order depends on the input's shape, and out of another one it is slow
            weight = torch.ops.mkldnn._reorder_convolution_weight(weight, *self.geometry, [])
        self.weight = weight
        self.bias = folded.bias.detach().float()

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        then = "relu" if relu else "none"
        x = self._terms(x.contiguous(memory_format=torch.channels_last))
        found: Tensor = torch.ops.mkldnn._convolution_pointwise(x, self.weight, self.bias, *self.geometry, then, [], "")
        return found

    def added_to(self, shortcut: Tensor, x: Tensor) -> Tensor:
        """ReLU(shortcut + convolution of x), in the shortcut's own memory."""
        bias = self.bias.to(self.dtype)  # here it takes no other
        found: Tensor = torch.ops.mkldnn._convolution_pointwise_(
            shortcut, x, self.weight, bias, *self.geometry, "add", 1.0, "relu", [], ""
        )
        return found

    def _weight(self, weight: Tensor) -> Tensor:
        return weight.to(self.dtype)

    def _terms(self, x: Tensor) -> Tensor:
        return x.to(self.dtype)


class _Tiled(_Convolution):
    """A convolution in float32 that computes maps of enough tiles by `Winograd`."""

    CHANNELS = 128, 256  # with fewer, sums before and after outweigh what is saved; with more, weights take 38 MB each
    ENOUGH = 16  # in a batch; of fewer each reads too much of the weights

    def __init__(self, folded: nn.Conv2d) -> None:
        super().__init__(folded, torch.float32)
        self.winograd = Winograd(folded)

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        return self.winograd(x, relu) if self._enough(x) else super().forward(x, relu)

    def added_to(self, shortcut: Tensor, x: Tensor) -> Tensor:
        if not self._enough(x):
            return super().added_to(shortcut, x)
        shortcut += self.winograd(x)
        return shortcut.relu_()

    def _enough(self, x: Tensor) -> bool:
        count, _, height, width = x.shape
        return count * tiles(height) * tiles(width) >= self.ENOUGH


def _block_convolution(folded: nn.Conv2d, dtype: torch.dtype) -> _Convolution:
    """One of 3 × 3 in whichever way is fastest."""
    fewest, most = _Tiled.CHANNELS
    fits = folded.stride == (1, 1) and fewest <= folded.in_channels <= most
    # where it was measured: others have instructions for more at once, and by those less may be won
    if fits and dtype == torch.float32 and torch.backends.cpu.get_cpu_capability() == "AVX2":
        return _Tiled(folded)
    return _Convolution(folded, dtype)


class _Split(_Convolution):
    """A convolution in bfloat16 that hardly rounds: input and weight are each the sum of a bfloat16 and of what that
    leaves out, as three times as many channels. The products of what both leave out are left out."""

    def _weight(self, weight: Tensor) -> Tensor:
        high, low = _halves(weight)
        return torch.cat((high, high, low), dim=1)

    def _terms(self, x: Tensor) -> Tensor:
        high, low = _halves(x)
        return torch.cat((high, low, high), dim=1)


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    high = x.bfloat16()
    return high, (x - high).bfloat16()


def max_pool(x: Tensor) -> Tensor:
    """`max_pool2d(x, kernel_size=3, stride=2, padding=1)` on a CPU, of what a ReLU leaves, in channels-last order."""
    if x.dtype != torch.bfloat16:
        return F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
    # from 0 on, bfloat16 is in the order of its bits read as integers, and of these a processor compares many at once
    bits = x.permute(0, 2, 3, 1).view(torch.int16)
    return _peaks(_peaks(bits, 2), 1).view(x.dtype).permute(0, 3, 1, 2)


def _peaks(x: Tensor, dim: int) -> Tensor:
    """The largest of three neighbours along a dimension, at every second place of it."""

    def part(x: Tensor, first: int, last: int | None = None, step: int = 1) -> Tensor:
        return x[(slice(None),) * dim + (slice(first, last, step),)]

    even, odd = part(x, 0, step=2), part(x, 1, step=2)
    pairs = odd.shape[dim]
    found = torch.empty(even.shape, dtype=x.dtype)
    torch.maximum(part(even, 0, pairs), odd, out=part(found, 0, pairs))
    part(found, pairs).copy_(part(even, pairs))  # the last of an odd number has one neighbour alone
    later = part(found, 1)
    torch.maximum(later, part(odd, 0, later.shape[dim]), out=later)
    return found


def _folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    # in float64: a variance near 0 makes weights that float32 would round
    pair = copy.deepcopy(convolution).double().eval(), copy.deepcopy(norm).double().eval()
    return fuse_conv_bn_eval(*pair)
