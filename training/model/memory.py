"""BMA-Memory: two linked sub-memories whose key and value roles switch with the input (section 3.1)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Modality = Literal["image", "sound"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)


class BimodalMemory(nn.Module):
    """Sub-memories M^v and M^s of n slots with c channels each, drawn from N(0, 1) and learned by backpropagation.

    Slot r of one is linked to slot r of the other: a query is addressed against the memory of its own
    modality (the key) and reads the other (the value).

    Everything here is computed in float32, also under autocast: the softmax over a thousand
    nearly equal similarities is what bfloat16 can't resolve.

    Args:
        slots: n.
        channels: c.
        tau_m: temperature of addressing, Eq. 1.
    """

    def __init__(self, slots: int, channels: int, tau_m: float) -> None:
        super().__init__()
        if slots < 1 or channels < 1:
            raise ValueError(f"slots and channels must be at least 1, not {slots} and {channels}")
        if tau_m <= 0:
            raise ValueError(f"tau_m must be above 0, not {tau_m}")
        self.tau_m = tau_m
        self.visual = nn.Parameter(torch.empty(slots, channels))
        self.sound = nn.Parameter(torch.empty(slots, channels))
        if not self.visual.is_meta:  # see encoder.py
            nn.init.normal_(self.visual)
            nn.init.normal_(self.sound)

    def key(self, modality: Modality) -> Tensor:
        """The memory that queries of `modality` are addressed against, `[n, c]`."""
        return self.visual if modality == "image" else self.sound

    def value(self, modality: Modality) -> Tensor:
        """The memory that queries of `modality` read, `[n, c]`."""
        return self.sound if modality == "image" else self.visual

    def freeze(self) -> None:
        """Have the slots' unit vectors computed once: the memory learns no more from here on."""
        for modality in MODALITIES:
            self.register_buffer(_units(modality), F.normalize(self.key(modality).detach(), dim=1), persistent=False)

    def address(self, query: Tensor, modality: Modality) -> Tensor:
        """Addressing weights W (Eq. 1, 2).

        Args:
            query: `[N, c]`, any float dtype; f^v for `image`, f^s for `sound`, or what was recalled as such.
            modality: what the query is.

        Returns:
            float32 (float64 for a float64 query) `[N, n]`, each row a distribution over the slots.
        """
        with torch.autocast(query.device.type, enabled=False):
            key = self.key(modality)
            unit = self._buffers.get(_units(modality))
            if unit is None:
                unit = F.normalize(key, dim=1)
            similarity = F.normalize(query.to(key.dtype), dim=1) @ unit.T
            return torch.softmax(similarity / self.tau_m, dim=1)

    def recall(self, query: Tensor, modality: Modality) -> Tensor:
        """What the other modality's memory holds for a query (Eq. 3): f^{s,mem} of an image, f^{v,mem} of a sound.

        Shapes: `[N, c]` to float32 `[N, c]`.
        """
        return self.read(self.address(query, modality), modality)

    def read(self, weights: Tensor, modality: Modality) -> Tensor:
        """The value memory's slots by their weights: `[N, n]` of queries of `modality` to float32 `[N, c]`."""
        with torch.autocast(weights.device.type, enabled=False):
            return weights @ self.value(modality)


def _units(modality: Modality) -> str:
    """The buffer of a frozen memory's unit vectors."""
    return f"{modality}_units"


def other(modality: Modality) -> Modality:
    """The modality that a query of `modality` recalls."""
    return "sound" if modality == "image" else "image"
