"""A catalogue in Milvus: items and vectors on a server that many services share."""

from __future__ import annotations

import datetime
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from index.catalogue import (
    ID,
    MODALITIES,
    BadCursor,
    CatalogueError,
    FileGone,
    Hit,
    Hits,
    Item,
    Modality,
    NoSuchItem,
    NotWritable,
    Page,
)
from index.content import Content
from index.filter import Filter
from index.milvus_address import Address
from index.milvus_change import Change, Writer
from index.milvus_filter import any_of, expression, term
from index.milvus_rows import LAST, TOGETHER, Placed, Stored, item_of, nearest, ordered, place, row_of, rows, stored
from index.milvus_wire import KNOWN, MOST, SCHEMA, Wire
from index.receipts import Receipts

PAGE = 4_096  # items that a listing reads at once
MARGIN = 16  # hits more than asked for, so that a cut through ties is seen
_NUMBER = re.compile("[0-9]{1,19}")


class MilvusCatalogue:
    """Items and their vectors in Milvus, with everything that is known of them, so that services hold no state.

    Reads have Milvus's consistency level Strong: they see every change that was acknowledged before they began, by
    whichever client. Any number of clients may write.

    **What Milvus can't give.** It has no transaction over several requests. A `put`, `update` or `delete` is checked
    whole before the first byte is sent, and one that touches a single modality and is smaller than 8 MiB is one
    request. Else it is several: others may see some of its items before the rest; where a later request fails, what
    the earlier ones did is undone, as far as the server still answers. A client that is killed in between leaves some
    items changed and some not, each of them whole: the same `put` again completes it. An item that moves to the other
    modality is put there first and then removed here, so that no crash loses it; a crash in between leaves it in both,
    of which `get` gives the newer, until the id is put or deleted. Of two clients that change the same id at once, the
    later one wins.

    Contents lie in a folder that all services see. They are not removed with their items, as another client may be
    putting the same bytes: `collect` does that.

    Args:
        wire: to the server.
        writable: allow changes.
        settings: of the catalogue, as they were read.
    """

    def __init__(self, wire: Wire, writable: bool, settings: Mapping[str, Any]) -> None:
        self.address = wire.address
        self._wire, self.writable = wire, writable
        self.fingerprint, self.dimension = str(settings["fingerprint"]), int(settings["dimension"])
        self.content = Content(self.address.content) if self.address.content else None
        self._writer = Writer(wire)
        self.receipts = Receipts()  # of this client: another, to which a change is sent again, makes it again

    @classmethod
    def create(cls, address: Address, fingerprint: str, dimension: int) -> MilvusCatalogue:
        """Make a new catalogue, open for writing.

        Raises:
            CatalogueError: there already is one, pymilvus is not installed, or the server can't be reached.
        """
        wire = Wire(address)
        try:
            wire.create(fingerprint, dimension)
        except BaseException:
            wire.close()
            raise
        return cls(wire, True, {"fingerprint": fingerprint, "dimension": dimension})

    @classmethod
    def open(cls, address: Address, writable: bool = False) -> MilvusCatalogue:
        """Open a catalogue.

        Raises:
            CatalogueError: there is none, it is of another version or at odds with itself, pymilvus is not installed,
                or the server can't be reached.
        """
        wire = Wire(address)
        try:
            settings = wire.settings()
            if settings is None:
                raise CatalogueError(f"{address} is no catalogue; make one with 'bma index migrate FOLDER {address}'")
            if settings.get("schema") != SCHEMA:
                raise CatalogueError(
                    f"{address} has schema {settings.get('schema')}, not {SCHEMA}; use the version that made it"
                )
            for modality, length in wire.load().items():
                if length != settings["dimension"]:
                    raise CatalogueError(
                        f"{address} has {modality} vectors of length {length}, not {settings['dimension']}; "
                        "drop its collections and migrate it anew"
                    )
            return cls(wire, writable, settings)
        except BaseException:
            wire.close()
            raise

    @property
    def root(self) -> Path | None:
        """The folder below which files by reference lie."""
        return self.address.root

    def put(
        self, items: Sequence[Item], vectors: npt.NDArray[np.float32], contents: Mapping[str, bytes] | None = None
    ) -> None:
        """As `Catalogue.put`: all of them or none, as far as Milvus lets that be, see the class.

        Raises:
            ValueError: vectors of another shape, or not of unit length; content that is not here.
            ItemTooLarge: more is told of an item than Milvus takes. Nothing has changed.
            CatalogueError: the server or the contents' folder does not take it.
        """
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if vectors.shape != (len(items), self.dimension):
            raise ValueError(f"vectors must be [{len(items)}, {self.dimension}], not {list(vectors.shape)}")
        if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
            raise ValueError("vectors must have unit length")
        drafts = [row_of(item, vector) for item, vector in zip(items, vectors, strict=True)]
        with self._change([item.id for item in items]) as (before, change):
            self._keep(items, contents or {})
            now, number = _now(), self._writer.numbers(len(items))
            last = {item.id: (item.modality, row) for item, row in zip(items, drafts, strict=True)}
            for at, (item, row) in enumerate(zip(items, drafts, strict=True)):
                born = min((old["created"] for _, old in before.get(item.id, [])), default=item.created or now)
                row.update(number=number + at, created=born, updated=now)
            change.rows = list(last.values())
            change.gone = [(old, id) for id, copies in before.items() for old, _ in copies if old != last[id][0]]

    def update(self, items: Sequence[Item]) -> None:
        """As `Catalogue.update`.

        Raises:
            NoSuchItem: one is not there.
            ItemTooLarge: as of `put`.
            CatalogueError: the server does not take it.
        """
        with self._change([item.id for item in items]) as (before, change):
            now = _now()
            last: dict[str, Placed] = {}
            for item in items:
                copies = [old for modality, old in before.get(item.id, [])[:1] if modality == item.modality]
                if not copies or copies[0]["content"] != item.content:
                    raise NoSuchItem(f"there is no item {item.id} of this modality and content; put it with its vector")
                kept = {name: copies[0][name] for name in ("number", "created")}
                last[item.id] = (item.modality, {**row_of(item, copies[0]["vector"]), **kept, "updated": now})
            change.rows = list(last.values())

    def delete(self, ids: Sequence[str]) -> list[str]:
        """Remove items; the ids of those that were there."""
        with self._change(ids) as (before, change):
            change.gone = [(modality, id) for id, copies in before.items() for modality, _ in copies]
        return [id for id in dict.fromkeys(ids) if id in before]

    def get(self, id: str) -> Item | None:
        """An item by its id."""
        return next((item_of(copies[0]) for copies in stored(self._wire, [id], KNOWN).values()), None)

    def at(self, paths: Sequence[str]) -> list[Item]:
        """The items by reference whose files have these paths, in the order in which they came."""
        wanted = list(dict.fromkeys(path for path in paths if path))
        found: list[Placed] = []
        for start in range(0, len(wanted), TOGETHER):
            found += rows(self._wire, any_of(term("path", path) for path in wanted[start : start + TOGETHER]))
        return [item_of(placed) for placed in sorted(found, key=place)]

    def vectors(self, ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """As `Catalogue.vectors`."""
        found = stored(self._wire, ids, ("id", "number", "vector"))
        missing = next((id for id in ids if id not in found), None)
        if missing is not None:
            raise NoSuchItem(f"there is no item {missing}")
        return np.array([found[id][0][1]["vector"] for id in ids], np.float32).reshape(-1, self.dimension)

    def list(self, filter: Filter | None = None) -> Iterator[Item]:
        """As `Catalogue.list`."""
        return map(item_of, ordered(self._wire, 0, filter, PAGE))

    def page(self, limit: int, cursor: str = "", filter: Filter | None = None) -> Page:
        """As `Catalogue.page`."""
        number, _, id = cursor.partition(".")
        if cursor and not (_NUMBER.fullmatch(number) and int(number) <= LAST and ID.fullmatch(id)):
            raise BadCursor("the cursor is not one of this catalogue; take the one that came with the page before")
        after = (int(number or 0), id)
        found: list[Placed] = []
        # from one earlier, as another client may have given the same number
        for placed in ordered(self._wire, max(0, after[0] - 1), filter, min(max(4 * limit, 256), PAGE)):
            if place(placed) > after:
                found.append(placed)
            if len(found) > limit:
                last, id = place(found[limit - 1])
                return Page([item_of(placed) for placed in found[:limit]], f"{last}.{id}")
        return Page([item_of(placed) for placed in found], None)

    def count(self) -> dict[Modality, int]:
        """How many items of each modality there are."""
        return {modality: self._wire.count(modality) for modality in MODALITIES}

    def labels(self, modality: Modality | None = None) -> dict[str, int]:
        """As `Catalogue.labels`; Milvus counts no groups, so the labels of all items are read."""
        there = ordered(self._wire, 0, None, MOST, ("id", "number", "label"))
        return Counter(row["label"] for of, row in there if row["label"] and modality in (None, of))

    def changes(self) -> None:
        """As `Catalogue.changes`: Milvus does not tell a client of the changes of others."""

    def search(
        self, vectors: npt.NDArray[np.float32], modality: Modality, k: int, filter: Filter | None = None
    ) -> Hits:
        """As `Catalogue.search`.

        Which items are candidates is for Milvus's index to say, whose recall is not 1 unless it is `FLAT`. Scores are
        computed from the vectors that come back, so they are cosines as they were put, and ties go to the item that
        came first: among all, as long as no more than 16,384 items come before the end of a tie.

        Raises:
            ValueError: vectors of another shape; k below 1 or above 16,384.
        """
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise ValueError(f"vectors must be [Q, {self.dimension}], not {list(vectors.shape)}")
        if not 1 <= k <= MOST:
            raise ValueError(f"k must be 1 to {MOST}, not {k}")
        condition = expression(filter)
        if condition is None or not len(vectors):
            return [[] for _ in vectors]
        found = nearest(self._wire, modality, vectors, k, condition, MARGIN)
        return [[Hit(item_of((modality, row)), score) for score, row in near] for near in found]

    def file(self, item: Item) -> Path:
        """Where an item's content lies, as this machine sees it.

        Raises:
            FileGone: the path leads out of the root, the file is gone, or the address names no folder for it.
        """
        if item.content:
            path = self._contents().path(item.content)
            if path.is_file():
                return path
        elif self.root is None:
            raise FileGone(
                f"item {item.id} is a file by reference; name the folder that holds it with ?root=… "
                "in the catalogue's address"
            )
        else:
            path = (self.root / item.path).resolve()
            if path.is_relative_to(self.root) and path.is_file():
                return path
        raise FileGone(
            f"the file of item {item.id} is not in its place; put it back, or correct the folders in the address"
        )

    def collect(self, age: float = 3600.0) -> int:
        """Remove contents that no item has and that nobody has put for `age` seconds; how many they were."""
        self._check_writable()
        content = self._contents()
        before = time.time() - age
        old = [hash for hash in content.hashes() if content.path(hash).stat().st_mtime < before]
        used = {item.content for item in self.list()} if old else set()
        unused = [hash for hash in old if hash not in used and content.path(hash).stat().st_mtime < before]
        for hash in unused:
            content.remove(hash)
        return len(unused)

    def drop(self) -> None:
        """Remove the catalogue from the server; contents stay."""
        self._check_writable()
        self._wire.drop()

    def close(self) -> None:
        """Let go of the connection."""
        self.receipts.close()
        self._wire.close()

    def _check_writable(self) -> None:
        if not self.writable:
            raise NotWritable(f"{self.address} was opened for reading; open it for writing")

    @contextmanager
    def _change(self, ids: Sequence[str]) -> Iterator[tuple[Stored, Change]]:
        self._check_writable()
        with self._writer.change(ids) as (before, change):
            yield before, change

    def _contents(self) -> Content:
        if self.content is None:
            raise CatalogueError(f"{self.address} names no folder for contents; add &content=… to the address")
        return self.content

    def _keep(self, items: Sequence[Item], contents: Mapping[str, bytes]) -> None:
        """Write contents; those that items have must then be there, and are young again to `collect`."""
        try:
            for hash, data in contents.items():
                self._contents().add(hash, data)
            for item in items:
                if item.content:
                    os.utime(self._contents().path(item.content))
        except FileNotFoundError:
            raise ValueError(f"the content of item {item.id} is not here; give it with the item") from None
        except OSError as error:
            folder = self._contents().folder
            raise CatalogueError(
                f"{folder} can't be written ({error.strerror}); make room or correct its rights, then try again"
            ) from None


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
