"""Contrastive losses L_pair and L_unpair: one formula over two views of a batch (Eq. 4, 5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.ranks import ALONE, Ranks


def contrastive_loss(
    first: Tensor,
    second: Tensor,
    clip: Tensor,
    tau_l: float,
    ranks: Ranks = ALONE,
    *,
    clip_mates: str = "positives",
    decoupled: bool = False,
) -> Tensor:
    """Noise contrastive loss with the sum over all positives inside the logarithm.

    The 2N projections are compared by cosine; each one's positives are the others of its clip, its own counterpart
    among them, and the denominator holds every projection but itself (so positives too), as Eq. 4 and 5 are written.

    Args:
        first: float `[N, d]`: z^v of pairs for L_pair; z^{v,s} of unpaired items for L_unpair.
        second: float `[N, d]`, row i the counterpart of row i: z^s; z^{s,v}.
        clip: int64 `[N]`, equal numbers for rows of the same clip.
        tau_l: temperature.
        ranks: who has the other items of the batch; this one's are contrasted with those of all.
        clip_mates: what the others of a clip are, the counterpart aside: `positives`, `negatives`, or `masked`, which
            is neither.
        decoupled: the positives are in the numerator alone (Yeh et al., Decoupled Contrastive Learning, ECCV 2022):
            how near they are does not scale the gradient of the negatives. What has no negatives is 0.

    Returns:
        The mean over the 2N projections, a float32 scalar (float64 for float64 inputs); the whole batch's loss is the
        mean over the ranks, and its gradient the mean of theirs.

    Raises:
        ValueError: shapes that do not belong together, or N below 2 (nothing to contrast).
    """
    if first.ndim != 2 or first.shape != second.shape or clip.shape != first.shape[:1]:
        raise ValueError(
            f"first and second must be [N, d] and clip [N], "
            f"not {list(first.shape)}, {list(second.shape)} and {list(clip.shape)}"
        )
    if first.shape[0] < 2:
        raise ValueError("a contrastive loss needs at least two items in a batch")
    with torch.autocast(first.device.type, enabled=False):
        z = torch.cat((first, second))
        z = F.normalize(z if z.dtype == torch.float64 else z.float(), dim=1)
        clips = torch.cat((clip, clip))
        everyone, everyones_clips = ranks.gather(z), ranks.gather(clips)
        place = ranks.rank * len(z) + torch.arange(len(z), device=z.device)
        itself = place[:, None] == torch.arange(len(everyone), device=z.device)[None, :]
        logits = (z @ everyone.T / tau_l).masked_fill(itself, -torch.inf)
        positive = (clips[:, None] == everyones_clips[None, :]) & ~itself
        if clip_mates != "positives":
            counterpart = ranks.rank * len(z) + (torch.arange(len(z), device=z.device) + len(first)) % len(z)
            mates = positive.scatter(1, counterpart[:, None], False)
            positive = positive & ~mates
            if clip_mates == "masked":
                logits = logits.masked_fill(mates, -torch.inf)
        numerator = torch.logsumexp(logits.masked_fill(~positive, -torch.inf), dim=1)
        if decoupled:
            contrasts = (~positive & logits.isfinite()).any(dim=1, keepdim=True)  # else there is nothing to push away
            logits = logits.masked_fill(positive & contrasts, -torch.inf)
        return (torch.logsumexp(logits, dim=1) - numerator).mean()
