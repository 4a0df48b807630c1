"""Colour changes of images in [0, 1], each image with its own factor; the formulas are torchvision's."""

from __future__ import annotations

import torch
from torch import Tensor


def jitter(images: Tensor, strength: float, chosen: Tensor) -> Tensor:
    """Brightness, contrast, saturation and hue of the chosen images, each in an order of its own.

    Args:
        images: float `[N, 3, H, W]`.
        strength: s; factors are uniform in [1 - 0.8s, 1 + 0.8s] but not below 0, the hue shift in [-0.2s, 0.2s].
        chosen: bool `[N]`, on the CPU.
    """
    n = images.shape[0]
    spread = min(0.8 * strength, 1.0)
    factors = torch.empty(n, 3).uniform_(1 - spread, 1 + 0.8 * strength)
    hue = min(0.2 * strength, 0.5)
    shifts = torch.empty(n, 1).uniform_(-hue, hue)
    amount = torch.cat((factors, shifts), dim=1)
    order = torch.rand(n, 4).argsort(dim=1)
    changes = (brightness, contrast, saturation, shift_hue)
    images = images.clone()
    for turn in range(4):
        for number, change in enumerate(changes):
            index = (chosen & (order[:, turn] == number)).nonzero().squeeze(1)
            if len(index):
                factor = amount[index, number].to(images)
                index = index.to(images.device)
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
    sector = (hue[:, None] + torch.tensor([5.0, 3.0, 1.0]).to(images)[None, :, None, None]) % 6
    dip = torch.minimum(sector, 4 - sector).clamp(0, 1)
    return value[:, None] - chroma[:, None] * dip


def greyscale(images: Tensor, chosen: Tensor) -> Tensor:
    """Take the colour out of the chosen images."""
    return torch.where(chosen.to(images.device)[:, None, None, None], luminance(images), images)


def luminance(images: Tensor) -> Tensor:
    """Float `[N, 3, H, W]` to `[N, 1, H, W]` (ITU-R 601)."""
    weights = torch.tensor([0.2989, 0.587, 0.114]).to(images)
    return (images * weights[None, :, None, None]).sum(dim=1, keepdim=True)
