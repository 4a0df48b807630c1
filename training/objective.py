"""The total loss L = L_pair + L_unpair of a batch (section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from training.augment.level import LevelAugment
from training.augment.simclr import SimCLRAugment
from training.augment.spec import SpecAugment
from training.batch import Batch, Items
from training.config import TrainingConfig
from training.loss import contrastive_loss
from training.model.device import autocast
from training.model.memory import Modality
from training.model.network import BMAModel
from training.model.preprocess import Preprocessor
from training.ranks import ALONE, Ranks


class Objective(nn.Module):
    """Computes the losses of a batch.

    Each path has an encoder forward of its own (so its own batch-norm statistics), and no negatives cross from one
    loss to another.

    Args:
        config: of the run.
        model: in train mode.
        preprocessor: on the model's device.
        dtype: of the encoders' convolutions.
        ranks: who shares each batch.
    """

    def __init__(
        self,
        config: TrainingConfig,
        model: BMAModel,
        preprocessor: Preprocessor,
        dtype: torch.dtype = torch.float32,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__()
        self.config = config
        self.model = model
        self.preprocessor = preprocessor
        self.dtype = dtype
        self.ranks = ranks
        self.augment_image = SimCLRAugment(config.crop_scale, config.colour_jitter, ranks=ranks)
        self.augment_paired_image = SimCLRAugment(config.paired_crop_scale, config.paired_colour_jitter, ranks=ranks)
        self.level = LevelAugment(config.sound_gain, config.sound_tilt, preprocessor.std, ranks)
        self.mask = SpecAugment(config.spec_masks, config.spec_frequency, config.spec_time, ranks)

    def forward(self, batch: Batch, unpaired_weight: float) -> dict[str, Tensor]:
        """Scalars by name: `loss` (the total, with its graph), each of its terms, and what to watch of the memory."""
        losses = self.paired(batch.pairs)
        total = losses["loss_pair"]
        for modality, items in (("sound", batch.unpaired_sounds), ("image", batch.unpaired_images)):
            if items is not None:
                loss = self.unpaired(items, "sound" if modality == "sound" else "image")
                losses[f"loss_unpaired_{modality}s"] = loss
                total = total + unpaired_weight * loss
        return {"loss": total, **losses}

    def paired(self, pairs: Items) -> dict[str, Tensor]:
        """L_pair (Eq. 4)."""
        assert pairs.images is not None
        assert pairs.windows is not None
        images, log_mels = self.preprocessor.image(pairs.images), self.preprocessor.sound(pairs.windows)
        if self.config.paired_augment:
            images, log_mels = self.augment_paired_image(images), self.augment_sound(log_mels)
        f_v, f_s = self.encode(images, "image"), self.encode(log_mels, "sound")
        h_v, h_s = self.model.represent(f_v, "image"), self.model.represent(f_s, "sound")
        z_v, z_s = self.model.project(h_v, "image"), self.model.project(h_s, "sound")
        self.features = f_v.detach(), f_s.detach()
        return {"loss_pair": self._contrast(z_v, z_s, pairs), **self.watch(f_v, f_s)}

    def unpaired(self, items: Items, modality: Modality) -> Tensor:
        """L_unpair (Eq. 5) between two augmented views: one by cyclic addressing, the other single-hop, unless
        `first_view` or `second_view` say otherwise."""
        views = self._views(items, modality)
        with kept_statistics(self.model, self.config.separate_statistics):
            f = self.encode(torch.cat(views), modality)
        first, second = f.chunk(2)
        by = {"cyclic": self.model.cycle, "single": self.model.represent}
        h_first = by[self.config.first_view](first, modality)
        h_second = by[self.config.second_view](second, modality)
        z_first, z_second = self.model.project(h_first, modality), self.model.project(h_second, modality)
        return self._contrast(z_first, z_second, items)

    def augment_sound(self, log_mels: Tensor) -> Tensor:
        """Level and tilt, then SpecAugment's masks."""
        return self.mask(self.level(log_mels))

    def encode(self, x: Tensor, modality: Modality) -> Tensor:
        """f of a batch, the convolutions in the run's precision."""
        with autocast(x.device, self.dtype):
            return self.model.encode(x.contiguous(memory_format=torch.channels_last), modality)

    @torch.no_grad()
    def watch(self, f_v: Tensor, f_s: Tensor) -> dict[str, Tensor]:
        """How the memory answers the pairs: effective slots (the exponential of the mean addressing entropy), how many
        slots are the first choice of some query of the batch, and how long the recalled half of h is beside the
        encoder's half."""
        if not self.config.use_memory:
            return {}
        memory, watched = self.model.memory, {}
        queries: tuple[tuple[Modality, Tensor], ...] = (("image", f_v), ("sound", f_s))
        for modality, f in queries:
            weights = memory.address(f, modality)
            entropy = -torch.xlogy(weights, weights).sum(dim=1).mean()
            recalled = memory.read(weights, modality)
            first_choices = torch.zeros_like(weights[0]).scatter_(0, weights.argmax(dim=1), 1.0)
            watched[f"effective_slots_{modality}"] = entropy.exp()
            watched[f"used_slots_{modality}"] = first_choices.sum()
            watched[f"recalled_norm_{modality}"] = (recalled.norm(dim=1) / f.norm(dim=1).clamp(min=1e-12)).mean()
        return watched

    def _contrast(self, z_first: Tensor, z_second: Tensor, items: Items) -> Tensor:
        return contrastive_loss(
            z_first,
            z_second,
            items.clip,
            self.config.tau_l,
            self.ranks,
            clip_mates=self.config.clip_mates,
            decoupled=self.config.decoupled,
        )

    def _views(self, items: Items, modality: Modality) -> tuple[Tensor, Tensor]:
        """Two augmentations of each item: of one input, or of the two windows that a sound came with."""
        if modality == "image":
            assert items.images is not None
            x = self.preprocessor.image(items.images)
            return self.augment_image(x), self.augment_image(x)
        assert items.windows is not None
        x = self.preprocessor.sound(items.windows)
        first, second = x.chunk(2) if self.config.separate_windows else (x, x)
        return self.augment_sound(first), self.augment_sound(second)


@contextmanager
def kept_statistics(model: nn.Module, kept: bool) -> Iterator[None]:
    """Batch norms use the batch's own statistics, as in any training step, but do not add them to the running ones."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)] if kept else []
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
