"""What becomes of files that are to be items. Runs where changes of the catalogue take turns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from index.catalogue import Catalogue, FileGone, Item
from index.content import content_hash
from service.api.items import no_such_item, stretch_of
from service.problems import Problem


@dataclass(frozen=True)
class Candidate:
    """A file that could be decoded, as the item that it would be: its bytes, and its projection z `[d]`."""

    item: Item
    data: bytes
    z: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Known:
    """What a client says of an item; None where it says nothing."""

    label: str | None = None
    tags: tuple[str, ...] | None = None
    metadata: dict[str, Any] | None = None

    def of(self, item: Item) -> Item:
        """The item with that in place of what was known."""
        said = {key: value for key, value in vars(self).items() if value is not None}
        return dataclasses.replace(item, **said)


@dataclass(frozen=True)
class Outcome:
    """An item as the catalogue now has it, and whether it was not there before."""

    item: Item
    created: bool


def add(catalogue: Catalogue, candidates: Sequence[Candidate]) -> list[Outcome | Problem]:
    """Put in what is new, all at once, and leave what is there; of each candidate what became of it.

    Raises:
        CatalogueError: nothing could be put in.
    """
    new: dict[str, Candidate] = {}
    outcomes: list[bool | Problem] = []
    for candidate in candidates:
        id = candidate.item.id
        there = new[id].item if id in new else catalogue.get(id)
        if there is None:
            new[id] = candidate
        outcomes.append(there is None if there is None or _same(catalogue, there, candidate) else _taken(there))
    if new:
        _put(catalogue, list(new.values()))
    return [
        outcome if isinstance(outcome, Problem) else Outcome(_read(catalogue, candidate.item.id), outcome)
        for candidate, outcome in zip(candidates, outcomes, strict=True)
    ]


def replace(catalogue: Catalogue, candidate: Candidate, known: Known) -> Outcome:
    """Put an item in, or give the one of its id another content; what is not said anew stays known of it.

    Raises:
        Problem: the item that is there is of the other modality.
        CatalogueError: it could not be put in.
    """
    item = candidate.item
    there = catalogue.get(item.id)
    if there is not None:
        if there.modality != item.modality:
            raise Problem(
                "modality-clash",
                f"Item '{item.id}' is {_a(there)}; send {_a(there)} to replace it, delete it first, or use another id.",
            )
        item = Known(there.label, there.tags, there.metadata).of(item)
    _put(catalogue, [dataclasses.replace(candidate, item=known.of(item))])
    return Outcome(_read(catalogue, item.id), there is None)


def change(catalogue: Catalogue, id: str, known: Known) -> Outcome:
    """Replace what is known of an item that is there.

    Raises:
        Problem: it is not there.
        CatalogueError: it could not be changed.
    """
    there = catalogue.get(id)
    if there is None:
        raise no_such_item(id)
    catalogue.update([known.of(there)])
    return Outcome(_read(catalogue, id), False)


def delete(catalogue: Catalogue, id: str) -> None:
    """Remove an item, and its content where no other item has the same.

    Raises:
        Problem: it is not there.
        CatalogueError: it could not be removed.
    """
    if not catalogue.delete([id]):
        raise no_such_item(id)


def _put(catalogue: Catalogue, candidates: Sequence[Candidate]) -> None:
    vectors = np.stack([candidate.z for candidate in candidates])
    contents = {candidate.item.content: candidate.data for candidate in candidates}
    catalogue.put([candidate.item for candidate in candidates], vectors, contents)


def _read(catalogue: Catalogue, id: str) -> Item:
    item = catalogue.get(id)
    assert item is not None, "changes take turns"
    return item


def _same(catalogue: Catalogue, there: Item, candidate: Candidate) -> bool:
    """Whether an item is of the same bytes as a candidate, and all of them."""
    if there.modality != candidate.item.modality or stretch_of(there):
        return False
    if there.content:
        return there.content == candidate.item.content
    try:
        return content_hash(catalogue.file(there).read_bytes()) == candidate.item.content
    except (FileGone, OSError):
        return False


def _taken(there: Item) -> Problem:
    return Problem(
        "id-taken", f"Item '{there.id}' is another {there.modality}; PUT to replace it, or give the file another id."
    )


def _a(item: Item) -> str:
    return "an image" if item.modality == "image" else "a sound"
