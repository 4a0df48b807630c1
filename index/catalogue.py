"""The seam: items with vectors, and what every catalogue can do with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from index.filter import Filter

Modality = Literal["image", "sound"]
ID = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._:-]{1,128}")


class CatalogueError(ValueError):
    """A catalogue that can't be used as asked; `str()` is one sentence that names the folder and the remedy."""


@dataclass(frozen=True)
class Item:
    """Something that can be found.

    Attributes:
        id: the item's name, `[A-Za-z0-9._:-]{1,128}` but neither `.` nor `..`.
        modality: `image` or `sound`.
        path: the file, relative to the catalogue's root.
        media_type: of the file, such as `image/jpeg`.
        label: class name, empty when unknown.
        tags: free words.
        metadata: free JSON object.
        created: when it was first put, UTC, ISO 8601.
        updated: when it was last put.
    """

    id: str
    modality: Modality
    path: str
    media_type: str
    label: str = ""
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    created: str = ""
    updated: str = ""

    def __post_init__(self) -> None:
        if not ID.fullmatch(self.id):
            raise ValueError(f"'{self.id[:140]}' can't be an id; use 1 to 128 of the characters A-Z a-z 0-9 . _ : -")


@dataclass(frozen=True)
class Hit:
    """An item that a search found, with the cosine of its vector to the query's."""

    item: Item
    score: float


@dataclass(frozen=True)
class Page:
    """Some items in order, and the cursor that asks for those after them (None where there are none)."""

    items: list[Item]
    cursor: str | None


Hits = list[list[Hit]]  # of each query, best first


class Catalogue(Protocol):
    """Items by id, searched by vector."""

    @property
    def fingerprint(self) -> str:
        """Of the bundle that made the vectors."""

    def put(self, items: Sequence[Item], vectors: npt.NDArray[np.float32]) -> None:
        """Add items, or replace those whose id is there, with their unit vectors `[N, d]`: all of them or none."""

    def get(self, id: str) -> Item | None:
        """An item by its id."""

    def delete(self, id: str) -> bool:
        """Remove an item; whether it was there."""

    def list(self, filter: Filter | None = None) -> Iterator[Item]:
        """Items in the order in which they came."""

    def page(self, limit: int, cursor: str = "", filter: Filter | None = None) -> Page:
        """At most `limit` items in the order of `list`, from where a page's cursor says."""

    def count(self) -> dict[Modality, int]:
        """How many items of each modality there are."""

    def search(
        self, vectors: npt.NDArray[np.float32], modality: Modality, k: int, filter: Filter | None = None
    ) -> Hits:
        """The k items of a modality nearest to each unit vector `[Q, d]` among those that pass the filter, best
        first."""

    def file(self, item: Item) -> Path:
        """Where an item's content lies, checked to be inside the catalogue's root."""
