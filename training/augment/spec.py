"""SpecAugment (Park et al. 2019): frequency and time bands of a log-mel masked, each sound with its own draws."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from training.ranks import ALONE, Ranks


@dataclass(frozen=True)
class SpecAugment:
    """Masks with 0, which is the mean of normalised log-mels.

    A band's width is drawn uniformly from 0 to the widest, and its place among all where it fits, as torchaudio's
    `mask_along_axis_iid` does; the draws come from `ranks.rand`.

    Attributes:
        masks: how many bands of each kind.
        frequency: widest frequency band, in mel bands.
        time: widest time band, in frames.
        ranks: who draws.
    """

    masks: int
    frequency: int
    time: int
    ranks: Ranks = ALONE

    def __call__(self, log_mels: Tensor) -> Tensor:
        """Float `[N, 1, mels, frames]` to the same shape."""
        n, _, mels, frames = log_mels.shape
        masked = torch.zeros(n, mels, frames, dtype=torch.bool, device=log_mels.device)
        for _ in range(self.masks):
            masked |= self._bands(n, mels, self.frequency, log_mels.device)[:, :, None]
            masked |= self._bands(n, frames, self.time, log_mels.device)[:, None, :]
        return log_mels.masked_fill(masked[:, None], 0.0)

    def _bands(self, n: int, size: int, widest: int, device: torch.device) -> Tensor:
        """Which of `size` places one band covers: bool `[N, size]`."""
        width = self.ranks.rand(n, 1) * min(widest, size)
        first = (self.ranks.rand(n, 1) * (size - width)).long()
        last = first + width.long()
        places = torch.arange(size, device=device)
        first, last = first.to(device, non_blocking=True), last.to(device, non_blocking=True)
        return (places >= first) & (places < last)
