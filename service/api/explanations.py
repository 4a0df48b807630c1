"""Explanations as answers tell them."""

from __future__ import annotations

from index.catalogue import Hit
from service.api.items import described
from service.explaining import Explained, Floats
from service.schemas import Explanation, NearItem, Slot, SlotEffect


def explanation(explained: Explained, place: int) -> Explanation:
    """How the memory was addressed for one file."""
    model = explained.model
    numbers, weights = model.slots[place].tolist(), model.weights[place].tolist()
    slots = [
        Slot(
            slot=slot,
            weight=weight,
            images=list(map(_near, explained.items(place, rank, "image"))),
            sounds=list(map(_near, explained.items(place, rank, "sound"))),
        )
        for rank, (slot, weight) in enumerate(zip(numbers, weights, strict=True))
    ]
    effective = float(model.effective[place])
    return Explanation(slots=slots, covered=sum(weights), effective_slots=effective, of_slots=explained.size)


def effects(explained: Explained, place: int, lifted: Floats, similarity: Floats | None = None) -> list[SlotEffect]:
    """What each slot that is shown did for one answer.

    Args:
        explained: of all files.
        place: of the file.
        lifted: `[k]`, by how much each slot lifted the answer's score or probability.
        similarity: `[k]`, of each slot to a hit.
    """
    near = {} if similarity is None else {"similarity": similarity.tolist()}
    return [
        SlotEffect(slot=slot, effect=effect, **{key: values[rank] for key, values in near.items()})
        for rank, (slot, effect) in enumerate(zip(explained.model.slots[place].tolist(), lifted.tolist(), strict=True))
    ]


def _near(hit: Hit) -> NearItem:
    return NearItem(**described(hit.item), score=hit.score)
