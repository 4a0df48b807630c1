"""Colour changes of images in [0, 1], each image with its own factor; the formulas are torchvision's."""

from __future__ import annotations

import torch
from torch import Tensor

from training.ranks import ALONE, Ranks


def jitter(images: Tensor, strength: float, chosen: Tensor, ranks: Ranks = ALONE) -> Tensor:
    """Brightness, contrast, saturation and hue of the chosen images, each in an order of its own.

    Args:
        images: float `[N, 3, H, W]`.
        strength: s; factors are uniform in [1 - 0.8s, 1 + 0.8s] but not below 0, the hue shift in [-0.2s, 0.2s].
        chosen: bool `[N]`, on the CPU.
        ranks: who draws.
    """
    n = images.shape[0]
    least, most = max(0.0, 1 - 0.8 * strength), 1 + 0.8 * strength
    factors = least + (most - least) * ranks.rand(n, 3)
    hue = min(0.2 * strength, 0.5)
    shifts = hue * (2 * ranks.rand(n, 1) - 1)
    amount = torch.cat((factors, shifts), dim=1)
    order = ranks.rand(n, 4).argsort(dim=1)
    changes = (brightness, contrast, saturation, shift_hue)
    images = images.clone()
    for turn in range(4):
        for number, change in enumerate(changes):
            index = (chosen & (order[:, turn] == number)).nonzero().squeeze(1)
            if len(index):
                factor = amount[index, number].to(images, non_blocking=True)
                index = index.to(images.device, non_blocking=True)
                images[index] = change(images[index], factor)
    return images


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Scale `[N, 3, H, W]` by `[N]`."""
    return (images * factor[:, None, None, None]).clamp(0, 1)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the image's mean grey."""
    mean = luminance(images).mean(dim=(1, 2, 3), keepdim=True)
    return mean.lerp(images, factor[:, None, None, None]).clamp(0, 1)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the image in greys."""
    return luminance(images).lerp(images, factor[:, None, None, None]).clamp(0, 1)


def shift_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue of `[N, 3, H, W]` by `[N]` turns of the colour circle."""
    value, where = images.max(dim=1)
    chroma = value - images.amin(dim=1)
    red, green, blue = images.unbind(dim=1)
    safe = torch.where(chroma == 0, 1, chroma)
    hue = torch.where(
        where == 0,
        (green - blue) / safe,
        torch.where(where == 1, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = hue + 6 * shift[:, None, None]
    # each channel is `value` less `chroma` times a trapezoid of the hue
    sector = torch.stack((hue + 5, hue + 3, hue + 1), dim=1) % 6
    dip = torch.minimum(sector, 4 - sector).clamp(0, 1)
    return value[:, None] - chroma[:, None] * dip


def greyscale(images: Tensor, chosen: Tensor) -> Tensor:
    """Take the colour out of the chosen images."""
    chosen = chosen.to(images.device, non_blocking=True)
    return torch.where(chosen[:, None, None, None], luminance(images), images)


def luminance(images: Tensor) -> Tensor:
    """Float `[N, 3, H, W]` to `[N, 1, H, W]` (ITU-R 601)."""
    red, green, blue = images.split(1, dim=1)
    return 0.2989 * red + 0.587 * green + 0.114 * blue
