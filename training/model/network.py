"""The whole model: encoders, memory, projection head (Figures 2 and 4)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.model.config import ModelConfig
from training.model.encoder import image_encoder, sound_encoder
from training.model.memory import BimodalMemory, Modality, other


class BMAModel(nn.Module):
    """Bimodal associative memory model.

    `f` is a feature `[N, c]`, `h` a representation `[N, 2c]`, always [visual ; sound], `z` a projection
    `[N, projection_dim]`, not normalised here. Features, representations and projections are float32.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        c = config.channels
        self.config = config
        self.image_encoder = image_encoder(c)
        self.sound_encoder = sound_encoder(c)
        self.memory = BimodalMemory(config.slots, c, config.tau_m)
        self.projection = self._head()  # of both modalities, or of images
        if config.separate_heads:
            self.sound_projection = self._head()

    def encode(self, x: Tensor, modality: Modality) -> Tensor:
        """f: images float `[N, 3, H, W]` in [0, 1], or log-mels float `[N, 1, mels, frames]`, to float32 `[N, c]`."""
        encoder = self.image_encoder if modality == "image" else self.sound_encoder
        f: Tensor = encoder(x)
        return f if f.dtype == torch.float64 else f.float()

    def recall(self, query: Tensor, modality: Modality) -> Tensor:
        """What the memory answers to a query of `modality` `[N, c]`: `[N, c]` of the other one (Eq. 3)."""
        if not self.config.use_memory:
            return torch.zeros_like(query)
        return self.memory.recall(query, modality)

    def represent(self, f: Tensor, modality: Modality) -> Tensor:
        """h of an input's feature: [f^v ; f^{s,mem}] of an image, [f^{v,mem} ; f^s] of a sound."""
        recalled = self.recall(f, modality)
        return torch.cat((f, recalled) if modality == "image" else (recalled, f), dim=1)

    def cycle(self, f: Tensor, modality: Modality) -> Tensor:
        """h of cyclic addressing (section 3.2.2): the recalled feature queries the memory on its way back.

        A sound goes S→I, and f^{v,mem} then I→S: h^{v,s} = [f^{v,mem} ; f^{s,mem}]. An image is its mirror.
        """
        recalled = self.recall(f, modality)
        returned = self.recall(recalled, other(modality))
        return torch.cat((returned, recalled) if modality == "image" else (recalled, returned), dim=1)

    def project(self, h: Tensor, modality: Modality) -> Tensor:
        """z of the representation of an input of `modality`."""
        if self.config.normalise_halves:
            visual, sound = h.chunk(2, dim=1)
            h = torch.cat((F.normalize(visual, dim=1), F.normalize(sound, dim=1)), dim=1)
        own = modality == "sound" and self.config.separate_heads
        z: Tensor = self.sound_projection(h) if own else self.projection(h)
        return z if z.dtype == torch.float64 else z.float()

    def _head(self) -> nn.Sequential:
        """Linear-ReLU-Linear without batch norm (SimCLR's head)."""
        c = self.config.channels
        return nn.Sequential(nn.Linear(2 * c, c), nn.ReLU(), nn.Linear(c, self.config.projection_dim))
