"""SpecAugment (Park et al. 2019): frequency and time bands of a log-mel masked, each sound with its own draws."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torchaudio.functional import mask_along_axis_iid


@dataclass(frozen=True)
class SpecAugment:
    """Masks with 0, which is the mean of normalised log-mels.

    Attributes:
        masks: how many bands of each kind.
        frequency: widest frequency band, in mel bands; each width is uniform from 0 to it.
        time: widest time band, in frames.
    """

    masks: int
    frequency: int
    time: int

    def __call__(self, log_mels: Tensor) -> Tensor:
        """Float `[N, 1, mels, frames]` to the same shape; draws from torch's own generator."""
        for _ in range(self.masks):
            log_mels = mask_along_axis_iid(log_mels, min(self.frequency, log_mels.shape[2]), 0.0, axis=2)
            log_mels = mask_along_axis_iid(log_mels, min(self.time, log_mels.shape[3]), 0.0, axis=3)
        return log_mels
