"""SimCLR's image augmentations (Chen et al. 2020, appendix A), batched, each image with its own draws.

Numbers are drawn on the CPU (see `Ranks.rand`); all that is as large as pictures is made where the pictures are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.augment import colour
from training.ranks import ALONE, Ranks


@dataclass(frozen=True)
class SimCLRAugment:
    """Random resized crop, mirror, colour jitter, greyscale, blur.

    Attributes:
        min_scale: smallest share of the picture's area that a crop keeps.
        jitter: strength s of the colour jitter: brightness, contrast, saturation 0.8s, hue 0.2s.
        blur: whether half of the images are blurred.
        ranks: who draws.
    """

    min_scale: float = 0.08
    jitter: float = 1.0
    blur: bool = True
    ranks: Ranks = ALONE

    def __call__(self, images: Tensor) -> Tensor:
        """Float `[N, 3, S, S]` in [0, 1] to the same shape and range."""
        n, size, rand = images.shape[0], images.shape[-1], self.ranks.rand
        images = crop(images, *draw_boxes(n, size, self.min_scale, self.ranks), mirror=rand(n) < 0.5)
        if self.jitter > 0:
            images = colour.jitter(images, self.jitter, rand(n) < 0.8, self.ranks)
            images = colour.greyscale(images, rand(n) < 0.2)
        if self.blur:
            images = gaussian_blur(images, 0.1 + 1.9 * rand(n), rand(n) < 0.5)
        return images


def draw_boxes(n: int, size: int, min_scale: float, ranks: Ranks = ALONE) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Crop boxes as torchvision's RandomResizedCrop draws them: top, left, height, width, each int64 `[N]`.

    Ten candidates an image, area uniform in [min_scale, 1], aspect ratio log-uniform in [3/4, 4/3]; the first that
    fits is taken, the whole picture where none does.
    """
    area = size * size * (min_scale + (1 - min_scale) * ranks.rand(n, 10))
    ratio = (math.log(3 / 4) + (math.log(4 / 3) - math.log(3 / 4)) * ranks.rand(n, 10)).exp()
    width = (area * ratio).sqrt().round().long()
    height = (area / ratio).sqrt().round().long()
    fits = (width > 0) & (width <= size) & (height > 0) & (height <= size)
    first = fits.float().argmax(dim=1, keepdim=True)
    none = ~fits.any(dim=1)
    width = width.gather(1, first).squeeze(1).masked_fill(none, size)
    height = height.gather(1, first).squeeze(1).masked_fill(none, size)
    top = (ranks.rand(n) * (size - height + 1)).long()
    left = (ranks.rand(n) * (size - width + 1)).long()
    return top, left, height, width


def crop(images: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor, mirror: Tensor) -> Tensor:
    """Cut each image's own box and resize it to the full size, antialiased bilinear; `mirror` flips left and right.

    Both directions are matrix products, one small matrix an image, which is what processors do fastest.

    Args:
        images: float `[N, 3, S, S]`.
        top, left, height, width: int64 `[N]`, pixels.
        mirror: bool `[N]`.
    """
    size = images.shape[-1]
    top, left, height, width = (side.to(images.device, non_blocking=True) for side in (top, left, height, width))
    mirror = mirror.to(images.device, non_blocking=True)
    rows = _resize_matrix(top, height, size)
    columns = _resize_matrix(left, width, size)
    columns = torch.where(mirror[:, None, None], columns.flip(1), columns)
    rows, columns = rows.to(images.dtype), columns.to(images.dtype)
    return (rows[:, None] @ images @ columns[:, None].transpose(2, 3)).clamp(0, 1)


def gaussian_blur(images: Tensor, sigma: Tensor, chosen: Tensor) -> Tensor:
    """Blur the chosen images with their own sigma (pixels); kernel a tenth of the side, edges reflected.

    Args:
        images: float `[N, 3, S, S]`.
        sigma: float `[N]`.
        chosen: bool `[N]`.
    """
    size = images.shape[-1]
    radius = max(1, size // 20)
    index = chosen.nonzero().squeeze(1)
    sigma = sigma[index].to(images.device, non_blocking=True)
    index = index.to(images.device, non_blocking=True)
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    kernel = torch.softmax(-(offsets**2) / (2 * sigma[:, None] ** 2), dim=1)  # a normalised Gaussian
    source = (torch.arange(size, device=images.device) + offsets[:, None]).abs()
    source = torch.where(source >= size, 2 * (size - 1) - source, source)
    taps = F.one_hot(source, size).to(kernel)  # [K, S, S]: which pixel each tap of each output pixel reads
    matrix = torch.einsum("nk,kij->nij", kernel, taps).to(images.dtype)[:, None]
    return images.index_copy(0, index, matrix @ images[index] @ matrix.transpose(2, 3))


def _resize_matrix(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Weights that resize `length` pixels from `start` to `size` pixels: float `[N, size, size]`, rows summing to 1."""
    scale = (length / size)[:, None, None]
    places = torch.arange(size, device=start.device)
    centre = start[:, None, None] + (places[None, :, None] + 0.5) * scale
    pixel = places[None, None, :]
    weight = (1 - (pixel + 0.5 - centre).abs() / scale.clamp(min=1)).clamp(min=0)
    inside = (pixel >= start[:, None, None]) & (pixel < (start + length)[:, None, None])
    weight = weight * inside
    return weight / weight.sum(dim=2, keepdim=True)
