"""The seam: items with vectors, and what every catalogue can do with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from index.filter import Filter
from index.receipts import Receipts

Modality = Literal["image", "sound"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)
ID = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._:-]{1,128}")


class CatalogueError(ValueError):
    """A catalogue that can't be used as asked; `str()` is one sentence that names the folder and the remedy."""


class NotWritable(CatalogueError):
    """A catalogue that may only be read: its folder or disk is read-only, or it was opened for reading."""


class InUse(CatalogueError):
    """A catalogue that another process has open for writing; it may still be opened for reading."""


class Unreachable(CatalogueError):
    """A catalogue whose server does not answer at the moment; the same may work a little later."""


class Refused(CatalogueError):
    """A catalogue whose server answers, and does not do what it is asked."""


class NoSuchItem(CatalogueError):
    """An item that is not there, or not as it is asked for; `str()` names its id, and nothing of the catalogue's."""


class ItemTooLarge(CatalogueError):
    """An item of which more is told than a catalogue can hold; `str()` names its id, and nothing of the catalogue's."""


class BadCursor(CatalogueError):
    """A cursor that is not one of this catalogue's; `str()` holds nothing of the catalogue's."""


class FileGone(CatalogueError):
    """An item whose file is not in its place; `str()` names its id, and nothing of the catalogue's."""


@dataclass(frozen=True)
class Item:
    """Something that can be found.

    Attributes:
        id: the item's name, `[A-Za-z0-9._:-]{1,128}` but neither `.` nor `..`.
        modality: `image` or `sound`.
        path: the file by reference, relative to the catalogue's root; empty where the catalogue holds the content.
        media_type: of the file, such as `image/jpeg`.
        label: class name, empty when unknown.
        tags: free words.
        metadata: free JSON object.
        content: SHA-256 of the bytes where the catalogue holds them, in hexadecimal; empty for a file by reference.
        stamp: what tells a changed file from an unchanged one, for whoever fills the catalogue; free text.
        created: when it was first put, UTC, ISO 8601; given with a new item (from an export), it is kept.
        updated: when it was last changed.
    """

    id: str
    modality: Modality
    path: str
    media_type: str
    label: str = ""
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    content: str = ""
    stamp: str = ""
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
    """Items by id, searched by vector. Safe to use from many threads.

    A change is there as a whole, and stays, once the call that makes it returns; whatever raises has changed nothing.
    Changes raise `NotWritable` where a catalogue may only be read. Of one on a server all calls but `file` raise
    `Unreachable` where it does not answer, and `Refused` where it says no.
    """

    @property
    def fingerprint(self) -> str:
        """Of the bundle that made the vectors."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    @property
    def writable(self) -> bool:
        """Whether items may be changed."""

    @property
    def receipts(self) -> Receipts:
        """What changes were answered with, for whoever makes them."""

    def put(
        self, items: Sequence[Item], vectors: npt.NDArray[np.float32], contents: Mapping[str, bytes] | None = None
    ) -> None:
        """Add items, or replace those whose id is there, with their unit vectors `[N, d]`: all of them or none.

        Args:
            items: by reference (`path`), or with their `content` held by the catalogue.
            vectors: one a row, in order.
            contents: bytes by SHA-256, of those items whose content the catalogue does not hold yet.
        """

    def update(self, items: Sequence[Item]) -> None:
        """Replace what is known of items that are there (all but their vectors, modality and content)."""

    def get(self, id: str) -> Item | None:
        """An item by its id."""

    def at(self, paths: Sequence[str]) -> list[Item]:
        """The items by reference whose files have these paths."""

    def vectors(self, ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """The vectors `[N, d]` of items that are there, in order.

        Raises:
            NoSuchItem: one is not there.
        """

    def delete(self, ids: Sequence[str]) -> list[str]:
        """Remove items; the ids of those that were there."""

    def list(self, filter: Filter | None = None) -> Iterator[Item]:
        """Items in the order in which they came; what is removed meanwhile may be left out."""

    def page(self, limit: int, cursor: str = "", filter: Filter | None = None) -> Page:
        """At most `limit` items in the order of `list`, after those of the page whose cursor is given.

        Raises:
            BadCursor: not a cursor of this catalogue.
        """

    def count(self) -> dict[Modality, int]:
        """How many items of each modality there are."""

    def labels(self, modality: Modality | None = None) -> dict[str, int]:
        """The labels of the items of a modality, or of all, each with how many items have it."""

    def changes(self) -> int | None:
        """A number that is another after every change, by whichever process; None where that can't be told."""

    def search(
        self, vectors: npt.NDArray[np.float32], modality: Modality, k: int, filter: Filter | None = None
    ) -> Hits:
        """The k items of a modality nearest to each unit vector `[Q, d]` among those that pass the filter, best first.

        Scores are cosines of the vectors as they were put, whatever the index. Ties go to the item that came first.

        Raises:
            ValueError: vectors of another shape, or k below 1.
        """

    def file(self, item: Item) -> Path:
        """Where an item's content lies.

        Raises:
            FileGone: the path leads out of the catalogue's root, or the file is gone.
        """

    def close(self) -> None:
        """Let go of files, locks and connections."""
