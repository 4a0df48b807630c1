"""Which slots an answer came through: the memory's own addressing, and what the answer would be without a slot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from training.model.memory import BimodalMemory, Modality
from training.model.network import BMAModel

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Explanation:
    """How the memory was addressed for N items of one modality, and what its k most weighty slots did.

    Attributes:
        slots: their numbers, int64 `[N, k]`, the weightiest first.
        weights: their addressing weights (Eq. 1), float32 `[N, k]`; of a sound of several windows the mean of the
            windows' weights, which is what its recalled half was read with.
        effective: over how many slots the addressing spreads, the exponential of its entropy, float32 `[N]`.
        z: where each slot lies among the images' and among the sounds' projections, unit norm, float32 `[N, k, d]`
            each: of h = [m_r^v ; m_r^s], the representation of whatever is encoded to the slot and recalls its partner.
        h_without: representations with that slot taken out of the memory, float32 `[N, k, 2c]`.
        z_without: their projections with unit norm, float32 `[N, k, d]`.
    """

    slots: npt.NDArray[np.int64]
    weights: Floats
    effective: Floats
    z: dict[Modality, Floats]
    h_without: Floats
    z_without: Floats


@torch.inference_mode()
def explain(model: BMAModel, h: Tensor, counts: Sequence[int], modality: Modality, top: int = 5) -> Explanation:
    """Read an explanation from the memory that made some representations.

    Args:
        model: in eval mode, with its memory in use.
        h: float `[W, 2c]` on the model's device, of images, or of the windows of sounds.
        counts: how many of them belong to each item, in order; 1 for an image.
        modality: of the items.
        top: k, or the number of slots where there are fewer.

    Raises:
        ValueError: the model does not use its memory, or the counts are not those of `h`.
    """
    if not model.config.use_memory:
        raise ValueError("this model was made without a memory, so there are no slots to show")
    if sum(counts) != len(h) or min(counts, default=1) < 1:
        raise ValueError(f"{len(h)} representations can't belong to items of {list(counts)}")
    memory, c = model.memory, model.config.channels
    own = h[:, :c] if modality == "image" else h[:, c:]
    of_windows = memory.address(own, modality)
    weights = torch.stack([piece.mean(dim=0) for piece in of_windows.split(list(counts))])
    best = weights.topk(min(top, weights.shape[1]), dim=1)
    h_without = torch.stack(
        [
            torch.stack([_without(memory, f, w, int(slot), modality) for slot in chosen])
            for f, w, chosen in zip(own.split(list(counts)), of_windows.split(list(counts)), best.indices, strict=True)
        ]
    )
    pairs = torch.cat((memory.visual, memory.sound), dim=1)[best.indices]
    return Explanation(
        slots=best.indices.cpu().numpy(),
        weights=best.values.float().cpu().numpy(),
        effective=torch.special.entr(weights).sum(dim=1).exp().float().cpu().numpy(),
        z={"image": _projected(model, pairs, "image"), "sound": _projected(model, pairs, "sound")},
        h_without=h_without.float().cpu().numpy(),
        z_without=_projected(model, h_without, modality),
    )


def _without(memory: BimodalMemory, f: Tensor, weights: Tensor, slot: int, modality: Modality) -> Tensor:
    """h `[2c]` of an item's windows, features `[w, c]` and weights `[w, n]`, had the memory not this slot.

    A softmax over the other slots is their weights, brought to a sum of 1; where all weight lies on the one slot,
    nothing is left to recall.
    """
    rest = weights.clone()
    rest[:, slot] = 0
    rest /= rest.sum(dim=1, keepdim=True).clamp_min(torch.finfo(rest.dtype).tiny)
    recalled = memory.read(rest, modality)
    return torch.cat((f, recalled) if modality == "image" else (recalled, f), dim=1).mean(dim=0)


def _projected(model: BMAModel, h: Tensor, modality: Modality) -> Floats:
    """z with unit norm of `[N, k, 2c]`: float32 `[N, k, d]`."""
    z = F.normalize(model.project(h.flatten(0, 1), modality), dim=1)
    return z.reshape(*h.shape[:2], -1).float().cpu().numpy()
