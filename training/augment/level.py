"""Random level and tilt of a spectrum: what a microphone, a distance or a room changes, and a class does not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from training.ranks import ALONE, Ranks


@dataclass(frozen=True)
class LevelAugment:
    """Adds to a log-mel a straight line over the mel bands, drawn for each sound (a filter with two random values, as
    FilterAugment's linear type with two bands; Nam et al. 2022).

    Without it two views of one recording are told from others by how loud and how bright it is, which says little about
    what sounds.

    Attributes:
        gain: dB, the level is drawn uniformly from -gain to gain.
        tilt: dB, the lowest band is raised and the highest lowered by a draw from -tilt to tilt.
        std: of the log-mels before they were normalised, in natural logarithms of power.
        ranks: who draws.
    """

    gain: float
    tilt: float
    std: float = 1.0
    ranks: Ranks = ALONE

    def __call__(self, log_mels: Tensor) -> Tensor:
        """Float `[N, 1, mels, frames]`, normalised, to the same shape."""
        if self.gain == self.tilt == 0:
            return log_mels
        n, _, mels, _ = log_mels.shape
        decibels = (2 * self.ranks.rand(n, 2) - 1) * torch.tensor([self.gain, self.tilt])
        decibels = decibels.to(log_mels, non_blocking=True)
        slope = torch.linspace(1, -1, mels, dtype=log_mels.dtype, device=log_mels.device)
        line = decibels[:, :1] + decibels[:, 1:] * slope
        return log_mels + line[:, None, :, None] * (math.log(10) / 10 / self.std)
