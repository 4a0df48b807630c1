"""Why an answer: the memory slots that it came through, and the catalogue's items that lie nearest to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from index.catalogue import Catalogue, Hit, Modality, NoSuchItem
from service.engine import Engine
from service.parts import Parts
from service.problems import Problem
from training.model.explanation import Explanation

SLOTS = 5  # that an explanation shows
ITEMS = 3  # of each modality, for a slot

Floats = npt.NDArray[np.float32]


class Explained:
    """The explanations of N items.

    Args:
        model: what the model's memory says.
        nearest: of each modality and slot, item after item, the catalogue's nearest items.
        size: how many slots the memory has.
    """

    def __init__(self, model: Explanation, nearest: dict[Modality, list[list[Hit]]], size: int) -> None:
        self.model, self.nearest, self.size = model, nearest, size

    def items(self, place: int, rank: int, modality: Modality) -> list[Hit]:
        """The items nearest to one item's slot, best first; none without a catalogue."""
        found = self.nearest[modality]
        return found[place * self.model.slots.shape[1] + rank] if found else []


async def explain(engine: Engine, parts: Parts) -> Explained:
    """Read the explanations of some items from the model.

    Raises:
        Problem: the model has no memory.
    """
    config = engine.embedder.bundle.model.config
    if not config.use_memory:
        raise Problem(
            "no-memory", "This model was made without a memory, so there are no slots to show; leave explain out."
        )
    model = await engine.call(engine.embedder.explain, parts.each.h, parts.counts, parts.modality, SLOTS)
    nearest: dict[Modality, list[list[Hit]]] = {"image": [], "sound": []}
    if engine.catalogue is not None:
        for modality in nearest:
            z = model.z[modality]
            nearest[modality] = await engine.search(z.reshape(-1, z.shape[-1]), modality, ITEMS, None)
    return Explained(model, nearest, config.slots)


def vectors_of(catalogue: Catalogue, ids: Sequence[str]) -> dict[str, Floats]:
    """The vectors `[d]` of items by their ids; of one that was deleted just now, none."""
    once = list(dict.fromkeys(ids))
    if not once:
        return {}
    try:
        return dict(zip(once, catalogue.vectors(once), strict=True))
    except NoSuchItem:  # it names one of them, and there may be more
        pass
    found = {}
    for id in once:
        try:
            found[id] = catalogue.vectors([id])[0]
        except NoSuchItem:
            continue
    return found
