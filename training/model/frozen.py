"""An encoder that learns no more, made for inference on a CPU."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.resnet import BasicBlock

from training.model.encoder import ResNet


class FrozenResNet(nn.Module):
    """A `ResNet` in eval mode, which gives the same features up to rounding in fewer and larger steps.

    Batch norms are folded into the convolutions before them, the weights lie in the order in which oneDNN reads them,
    and a ReLU or the sum of a residual block is the last step of its convolution. That is what TorchInductor makes of
    the encoder with `freezing` on, by the same operations of torch, without a compiler and at once.

    Args:
        encoder: left as it is.
        dtype: what the convolutions compute in, float32 or bfloat16.
        stem: what the first of them does; as the others where None.

    Shapes: float32 `[N, in_channels, H, W]` to float32 `[N, c]`.

    Raises:
        RuntimeError: this build of torch has no oneDNN, or not for `dtype`.
    """

    def __init__(self, encoder: ResNet, dtype: torch.dtype, stem: torch.dtype | None = None) -> None:
        super().__init__()
        if not torch.backends.mkldnn.is_available():
            raise RuntimeError("this build of torch has no oneDNN")
        self.dtype, self.stem_dtype = dtype, stem or dtype
        self.stem = _convolution(encoder.conv1, encoder.bn1, self.stem_dtype)
        blocks = (block for stage in _stages(encoder) for block in stage)
        self.blocks = nn.ModuleList(_FrozenBlock(block, dtype) for block in blocks)
        with torch.inference_mode():  # what oneDNN can't do here is said now, while the encoder can still stand in
            self(torch.zeros(1, encoder.conv1.in_channels, 32, 32))

    def forward(self, x: Tensor) -> Tensor:
        """Features f of a batch."""
        x = x.to(self.stem_dtype).contiguous(memory_format=torch.channels_last)
        x = F.max_pool2d(self.stem(x, relu=True), kernel_size=3, stride=2, padding=1).to(self.dtype)
        for block in self.blocks:
            x = block(x)
        return x.float().mean(dim=(2, 3))


class _FrozenBlock(nn.Module):
    """A basic block: two convolutions, and one for the shortcut where it changes the shape."""

    def __init__(self, block: BasicBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self.first = _convolution(block.conv1, block.bn1, dtype)
        self.second = _convolution(block.conv2, block.bn2, dtype)
        self.shortcut: _Convolution | None = None
        if isinstance(block.downsample, nn.Sequential):
            convolution, norm = block.downsample
            self.shortcut = _convolution(convolution, norm, dtype)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return self.second.added_to(shortcut, self.first(x, relu=True))


class _Convolution(nn.Module):
    """A convolution with a bias, its weight packed."""

    def __init__(self, folded: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        assert folded.bias is not None
        self.geometry = (list(folded.padding), list(folded.stride), list(folded.dilation), folded.groups)
        weight = folded.weight.detach().to(dtype).contiguous(memory_format=torch.channels_last)
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(weight, *self.geometry, [])
        self.bias = folded.bias.detach().to(dtype)

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        then = "relu" if relu else "none"
        found: Tensor = torch.ops.mkldnn._convolution_pointwise(x, self.weight, self.bias, *self.geometry, then, [], "")
        return found

    def added_to(self, shortcut: Tensor, x: Tensor) -> Tensor:
        """ReLU(shortcut + convolution of x), in the shortcut's own memory."""
        found: Tensor = torch.ops.mkldnn._convolution_pointwise_(
            shortcut, x, self.weight, self.bias, *self.geometry, "add", 1.0, "relu", [], ""
        )
        return found


def _stages(encoder: ResNet) -> Sequence[nn.Sequential]:
    return (encoder.layer1, encoder.layer2, encoder.layer3, encoder.layer4)


def _convolution(convolution: nn.Conv2d, norm: nn.BatchNorm2d, dtype: torch.dtype) -> _Convolution:
    # folded in float64: a variance near 0 makes weights that float32 would round
    pair = copy.deepcopy(convolution).double().eval(), copy.deepcopy(norm).double().eval()
    return _Convolution(fuse_conv_bn_eval(*pair), dtype)
