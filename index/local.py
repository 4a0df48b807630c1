"""A catalogue in a folder: SQLite holds the truth, FAISS is derived from it when opened."""

from __future__ import annotations

import datetime
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import faiss
import numpy as np
import numpy.typing as npt

from index.catalogue import CatalogueError, Hit, Hits, Item, Modality, Page
from index.filter import Filter

DATABASE = "catalogue.sqlite"
SCHEMA = 1
MODALITIES: tuple[Modality, ...] = get_args(Modality)

_TABLES = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE items (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the vector's number in FAISS, never used twice
    id TEXT NOT NULL UNIQUE,
    modality TEXT NOT NULL CHECK (modality IN ('image', 'sound')),
    path TEXT NOT NULL,
    media_type TEXT NOT NULL,
    label TEXT NOT NULL,
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created TEXT NOT NULL,
    updated TEXT NOT NULL,
    z BLOB NOT NULL
) STRICT;
CREATE INDEX items_label ON items (label);
"""
_COLUMNS = "id, modality, path, media_type, label, tags, metadata, created, updated"


class LocalCatalogue:
    """Items and their vectors in one folder on this machine; exact search.

    Every change is one SQLite transaction: it is there as a whole once the call returns, also after a crash. Safe to
    use from many threads and processes: a search sees what others have put and deleted before it began.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self._connection = connection
        self._lock = threading.RLock()
        settings = dict(connection.execute("SELECT key, value FROM settings"))
        self._fingerprint = settings["fingerprint"]
        self.dimension = int(settings["dimension"])
        self.root = (folder / settings["root"]).resolve()
        self._indexes: dict[Modality, Any] = {
            modality: faiss.IndexIDMap2(faiss.IndexFlatIP(self.dimension)) for modality in MODALITIES
        }
        self._version: int | None = None  # SQLite's count of other connections' changes, when the indexes were made
        with self._reading():
            pass

    @classmethod
    def create(cls, folder: Path, fingerprint: str, dimension: int, root: Path) -> LocalCatalogue:
        """Make a new catalogue.

        Args:
            folder: where it will lie.
            fingerprint: of the bundle that makes the vectors.
            dimension: length of a vector.
            root: the folder below which all items' files lie; kept relative to `folder`, so both may move together.

        Raises:
            CatalogueError: there already is one, or the folder can't be written.
        """
        if (folder / DATABASE).exists():
            raise CatalogueError(f"{folder} already holds a catalogue; name another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            connection = _connect(folder / DATABASE)
            settings = {
                "fingerprint": fingerprint,
                "dimension": str(dimension),
                "root": os.path.relpath(root.resolve(), folder.resolve()),
            }
            with connection:
                connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {SCHEMA};")
                connection.executemany("INSERT INTO settings VALUES (?, ?)", settings.items())
        except (OSError, sqlite3.Error) as error:
            raise CatalogueError(f"{folder} can't be written ({error}); name another folder") from None
        return cls(folder, connection)

    @classmethod
    def open(cls, folder: Path) -> LocalCatalogue:
        """Open a catalogue.

        Raises:
            CatalogueError: there is none, or it can't be read.
        """
        file = folder / DATABASE
        if not file.is_file():
            raise CatalogueError(
                f"{folder} holds no catalogue; make one with 'bma index build BUNDLE SOURCE --out {folder}'"
            )
        try:
            connection = _connect(file)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != SCHEMA:
                raise CatalogueError(
                    f"{folder} has schema {version}, this version reads {SCHEMA}; "
                    "delete it and build it again with 'bma index build'"
                )
            return cls(folder, connection)
        except (sqlite3.Error, KeyError, ValueError) as error:
            if isinstance(error, CatalogueError):
                raise
            raise CatalogueError(
                f"{folder} can't be read as a catalogue ({error}); delete it and build it again with 'bma index build'"
            ) from None

    @property
    def fingerprint(self) -> str:
        """Of the bundle that made the vectors."""
        return self._fingerprint

    def put(self, items: Sequence[Item], vectors: npt.NDArray[np.float32]) -> None:
        """Add items, or replace those whose id is there, with their unit vectors `[N, d]`: all of them or none.

        Raises:
            ValueError: vectors of another shape, or not of unit length.
            CatalogueError: the disk is full or the folder can't be written; nothing has changed.
        """
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if vectors.shape != (len(items), self.dimension):
            raise ValueError(f"vectors must be [{len(items)}, {self.dimension}], not {list(vectors.shape)}")
        if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
            raise ValueError("vectors must have unit length")
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        added: dict[Modality, list[tuple[int, npt.NDArray[np.float32]]]] = {modality: [] for modality in MODALITIES}
        removed: dict[Modality, list[int]] = {modality: [] for modality in MODALITIES}
        with self._lock:
            with self._transaction() as connection:
                for item, vector in zip(items, vectors, strict=True):
                    old = connection.execute(
                        "DELETE FROM items WHERE id = ? RETURNING number, modality, created", (item.id,)
                    ).fetchone()
                    if old:
                        removed[old[1]].append(old[0])
                    number = connection.execute(
                        f"INSERT INTO items ({_COLUMNS}, z) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        (*_cells(item, created=old[2] if old else now, updated=now), vector.tobytes()),
                    ).lastrowid
                    added[item.modality].append((int(number or 0), vector))
            for modality in MODALITIES:
                self._apply(modality, removed[modality], added[modality])

    def get(self, id: str) -> Item | None:
        """An item by its id."""
        with self._lock:
            cells = self._connection.execute(f"SELECT {_COLUMNS} FROM items WHERE id = ?", (id,)).fetchone()
        return _item(cells) if cells else None

    def delete(self, id: str) -> bool:
        """Remove an item; whether it was there."""
        with self._lock:
            with self._transaction() as connection:
                old = connection.execute("DELETE FROM items WHERE id = ? RETURNING number, modality", (id,)).fetchone()
            if old:
                self._apply(old[1], [old[0]], [])
        return old is not None

    def list(self, filter: Filter | None = None) -> Iterator[Item]:
        """Items in the order in which they came, as they are when the call begins."""
        condition, values = (filter or Filter()).sql()
        with self._lock:
            table = self._connection.execute(
                f"SELECT {_COLUMNS} FROM items WHERE {condition} ORDER BY number", values
            ).fetchall()
        return map(_item, table)

    def page(self, limit: int, cursor: str = "", filter: Filter | None = None) -> Page:
        """At most `limit` items in the order in which they came, after those of the page whose cursor is given.

        Raises:
            ValueError: not a cursor of this catalogue.
        """
        condition, values = (filter or Filter()).sql()
        with self._lock:
            table = self._connection.execute(
                f"SELECT number, {_COLUMNS} FROM items WHERE number > ? AND {condition} ORDER BY number LIMIT ?",
                [int(cursor or 0), *values, limit + 1],
            ).fetchall()
        items = [_item(cells) for _, *cells in table[:limit]]
        return Page(items, str(table[limit - 1][0]) if len(table) > limit else None)

    def count(self) -> dict[Modality, int]:
        """How many items of each modality there are."""
        with self._reading():
            return {modality: self._indexes[modality].ntotal for modality in MODALITIES}

    def search(
        self, vectors: npt.NDArray[np.float32], modality: Modality, k: int, filter: Filter | None = None
    ) -> Hits:
        """The k items of a modality nearest to each unit vector `[Q, d]` among those that pass the filter, best first.

        Exact; ties go to the item that came first. Fewer than k come back only where fewer match.
        """
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise ValueError(f"vectors must be [Q, {self.dimension}], not {list(vectors.shape)}")
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        with self._reading():
            index, params = self._indexes[modality], None
            available = index.ntotal
            if filter is not None:
                condition, values = filter.sql()
                passing = np.array(
                    self._connection.execute(
                        f"SELECT number FROM items WHERE modality = ? AND {condition}", [modality, *values]
                    ).fetchall(),
                    dtype=np.int64,
                ).reshape(-1)
                available = len(passing)
                params = faiss.SearchParameters(sel=faiss.IDSelectorBatch(passing))  # type: ignore[call-arg]
            k = min(k, available)
            if k == 0 or not len(vectors):
                return [[] for _ in vectors]
            found = _nearest(index, vectors, k, available, params)
            items = self._items({number for nearest in found for _, number in nearest})
        return [[Hit(items[number], score) for score, number in nearest] for nearest in found]

    def file(self, item: Item) -> Path:
        """Where an item's content lies.

        Raises:
            CatalogueError: the path leads out of the catalogue's root, or the file is gone.
        """
        path = (self.root / item.path).resolve()
        if not path.is_relative_to(self.root) or not path.is_file():
            raise CatalogueError(
                f"the file of item {item.id} is no longer in its place; put it back, or build the index again"
            )
        return path

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
        except sqlite3.Error as error:
            raise CatalogueError(f"{self.folder} can't be written ({error}); nothing has changed") from None

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """One unchanging state of the database, with the indexes brought up to it."""
        with self._lock, self._connection:
            self._connection.execute("BEGIN")
            self._catch_up()
            yield

    def _catch_up(self) -> None:
        """Bring the indexes up to what other connections have changed. A number keeps its vector for ever."""
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version == self._version:
            return
        for modality, index in self._indexes.items():
            numbers = self._connection.execute("SELECT number FROM items WHERE modality = ?", (modality,)).fetchall()
            there, here = np.array(numbers, dtype=np.int64).reshape(-1), faiss.vector_to_array(index.id_map)
            gone = np.setdiff1d(here, there)
            if len(gone):
                index.remove_ids(gone)
            new = np.setdiff1d(there, here)
            for start in range(0, len(new), 65536):
                self._add(index, new[start : start + 65536])
        self._version = version

    def _add(self, index: Any, numbers: npt.NDArray[np.int64]) -> None:
        table = self._connection.execute(
            "SELECT z FROM items WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number",
            (json.dumps(numbers.tolist()),),
        )
        vectors = np.frombuffer(b"".join(z for (z,) in table), dtype=np.float32)
        index.add_with_ids(vectors.reshape(len(numbers), self.dimension), numbers)

    def _items(self, numbers: set[int]) -> dict[int, Item]:
        wanted = json.dumps(sorted(numbers))
        table = self._connection.execute(
            f"SELECT number, {_COLUMNS} FROM items WHERE number IN (SELECT value FROM json_each(?))", (wanted,)
        )
        return {number: _item(cells) for number, *cells in table}

    def _apply(
        self, modality: Modality, removed: Sequence[int], added: Sequence[tuple[int, npt.NDArray[np.float32]]]
    ) -> None:
        index = self._indexes[modality]
        gone = set(removed)
        kept = {number: vector for number, vector in added if number not in gone}  # an id put twice in one call
        if removed:
            index.remove_ids(np.array(removed, dtype=np.int64))
        if kept:
            index.add_with_ids(np.stack(list(kept.values())), np.array(list(kept), dtype=np.int64))


def _nearest(
    index: Any, vectors: npt.NDArray[np.float32], k: int, available: int, params: Any
) -> list[list[tuple[float, int]]]:
    """Of each query the k best (score, number). FAISS cuts through ties as it pleases, so more is asked for until the
    cut falls between two scores."""
    wanted = min(k + 1, available)
    while True:
        scores, numbers = index.search(vectors, wanted, params=params)
        if wanted == available or (scores[:, -1] < scores[:, k - 1]).all():
            break
        wanted = min(2 * wanted, available)
    pairs = (zip(row, found, strict=True) for row, found in zip(scores.tolist(), numbers.tolist(), strict=True))
    return [sorted(row, key=_rank)[:k] for row in pairs]


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, check_same_thread=False, isolation_level=None, timeout=10)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _cells(item: Item, created: str, updated: str) -> tuple[str, ...]:
    tags, metadata = json.dumps(item.tags), json.dumps(item.metadata, allow_nan=False)
    return (item.id, item.modality, item.path, item.media_type, item.label, tags, metadata, created, updated)


def _item(cells: Sequence[Any]) -> Item:
    id, modality, path, media_type, label, tags, metadata, created, updated = cells
    return Item(id, modality, path, media_type, label, tuple(json.loads(tags)), json.loads(metadata), created, updated)


def _rank(scored: tuple[float, int]) -> tuple[float, int]:
    score, number = scored
    return -score, number
