"""Feature encoders E_v and E_s: residual networks.

torchvision's own would do, but to import it takes as long as to import torch (it loads torch's compiler), at each start
of the service and of each of its workers; the tests hold these to it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ONEDNN_BLOCK = 16  # channels that oneDNN takes at once, 8 with AVX2


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut (He et al. 2016), under torchvision's names.

    Args:
        in_channels, out_channels: of the input and the output.
        stride: of the first convolution.
        downsample: the shortcut, where it changes the shape.

    Shapes: float `[N, in_channels, H, W]` to float `[N, out_channels, H / stride, W / stride]`, rounded up.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, downsample: nn.Sequential | None = None
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """A block's output."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        x += shortcut  # in place: x has to be on the left
        out: Tensor = self.relu(x)
        return out


class ResNet(nn.Module):
    """Residual network with basic blocks (He et al. 2016), ended by a global average pool.

    Parameters carry torchvision's names, so an ImageNet ResNet-18 of torchvision loads into
    `image_encoder(512)` once its `fc` is left out.

    Args:
        in_channels: channels of the input, 3 for an image, 1 for a log-mel.
        blocks: how many basic blocks each of the four stages has.
        out_channels: c; the four stages have c/8, c/4, c/2 and c channels.

    Shapes: float `[N, in_channels, H, W]` to float `[N, c]`.
    """

    def __init__(self, in_channels: int, blocks: tuple[int, int, int, int], out_channels: int) -> None:
        super().__init__()
        if out_channels % 8:
            raise ValueError(f"out_channels must be a multiple of 8, not {out_channels}")
        stem = out_channels // 8
        self.conv1 = nn.Conv2d(in_channels, stem, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = _stage(stem, stem, blocks[0], stride=1)
        self.layer2 = _stage(stem, stem * 2, blocks[1], stride=2)
        self.layer3 = _stage(stem * 2, stem * 4, blocks[2], stride=2)
        self.layer4 = _stage(stem * 4, stem * 8, blocks[3], stride=2)
        for module in self.modules():
            # nothing can be drawn for a model whose weights are read later, and torch would load its compiler to do so
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Features f of a batch."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return (x.float() if x.dtype == torch.bfloat16 else x).mean(dim=(2, 3))  # f is not rounded to 8 bits


def image_encoder(channels: int) -> ResNet:
    """E_v: ResNet-18 for RGB images."""
    return ResNet(3, (2, 2, 2, 2), channels)


def sound_encoder(channels: int) -> ResNet:
    """E_s: ResNet-10 for log-mels."""
    return ResNet(1, (1, 1, 1, 1), channels)


def _stage(in_channels: int, out_channels: int, blocks: int, stride: int) -> nn.Sequential:
    downsample = None
    if stride != 1 or in_channels != out_channels:
        downsample = nn.Sequential(
            _Shortcut(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
            nn.BatchNorm2d(out_channels),
        )
    first = BasicBlock(in_channels, out_channels, stride, downsample)
    return nn.Sequential(first, *(BasicBlock(out_channels, out_channels) for _ in range(blocks - 1)))


class _Shortcut(nn.Conv2d):
    """A 1 × 1 convolution with a stride.

    oneDNN writes past its buffer for the gradient of one with fewer input channels than a block, and has it wrong
    (uxlfoundation/oneDNN#6035), so there what the stride leaves out is dropped before.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Float `[N, in_channels, H, W]` to float `[N, out_channels, H / stride, W / stride]`, rounded up."""
        if self.in_channels >= ONEDNN_BLOCK:
            return super().forward(x)
        rows, columns = self.stride
        return F.conv2d(x[:, :, ::rows, ::columns], self.weight)
