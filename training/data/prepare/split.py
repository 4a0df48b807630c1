"""Which split a clip belongs to: decided by its name, so that it stays when other clips come and go."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from training.data.prepare.output import PrepareError

SHARES = (("train", 0.8), ("val", 0.1), ("test", 0.1))


def assign(clips: Collection[str], pairs: Collection[str]) -> dict[str, str]:
    """A split for each clip: about 80 % train, 10 % val, 10 % test.

    A hash of the clip's name alone decides, with one exception: one clip with pairs goes to train, of two each of train
    and test gets one, of three or more every split. For that, a split that has none takes one from the split that can
    spare most: the one whose hash is highest.

    Args:
        clips: names.
        pairs: those of them that have an image and a sound.

    Returns:
        clip → `train`, `val` or `test`.
    """
    splits = {clip: _of_share(share_of(clip)) for clip in clips}
    members = {
        split: sorted((clip for clip in set(pairs) if splits[clip] == split), key=share_of) for split, _ in SHARES
    }
    needed = ("train", "test", "val")[: len(set(pairs))]
    for split in needed:
        if not members[split]:
            giver = max(members, key=lambda other: len(members[other]) - (other in needed))
            clip = members[giver].pop()
            members[split].append(clip)
            splits[clip] = split
    return splits


def take_val(names: Collection[str], share: float) -> set[str]:
    """Those of some names, of clips or places, that become `val` where a data set has no such split of its own.

    A hash of the name alone decides, so that a name stays where it is when others come and go.

    Args:
        names: to choose from.
        share: about how many of them, from 0 to 0.9.

    Raises:
        PrepareError: the share is out of its range.
    """
    if not 0 <= share <= 0.9:
        raise PrepareError(f"--val takes a share from 0 to 0.9, such as 0.1, not {share:g}")
    return {name for name in names if share_of(name) < share}


def share_of(clip: str) -> float:
    """A number in [0, 1), evenly spread over names."""
    return int.from_bytes(hashlib.sha256(clip.encode()).digest()[:6]) / 2**48


def _of_share(share: float) -> str:
    for split, width in SHARES[:-1]:
        if share < width:
            return split
        share -= width
    return SHARES[-1][0]
