"""A catalogue in a folder on this machine: SQLite holds the truth, FAISS is derived from it."""

from __future__ import annotations

import datetime
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection

import numpy as np
import numpy.typing as npt

from index import items as rows
from index.catalogue import MODALITIES, BadCursor, CatalogueError, FileGone, Hit, Hits, Item, Modality, NoSuchItem, Page
from index.content import FOLDER, Content
from index.database import Database
from index.filter import Filter
from index.gate import Gate
from index.neighbours import Neighbours
from index.passing import Passed
from index.plan import code_bytes, default_memory, plan
from index.receipts import FILE, Receipts
from index.replay import Outdated, catch_up, exact_neighbours, fetch, position
from index.snapshot import Snapshots
from index.trainer import Trainer
from index.tuning import Tuning
from index.upkeep import Upkeep

PAGE = 1000
LAST = 2**63 - 1  # number of an item
_CURSOR = re.compile("[0-9]{0,19}")
_log = logging.getLogger(__name__)


class LocalCatalogue:
    """Items and their vectors in one folder.

    A change is one SQLite transaction, on disk once the call returns, also where the process is killed. One process
    at a time may have a catalogue open for writing, any number for reading; a search sees all that was put and deleted
    before it began, by whichever process. Up to `tuning.exact` vectors of a modality a search compares all of them;
    past that, an index is trained in the background and takes its place.

    Args:
        folder: the catalogue's.
        writable: take the writer's place.
        tuning: how to search.
    """

    def __init__(self, folder: Path, writable: bool, tuning: Tuning) -> None:
        self.folder, self.writable, self.tuning = folder, writable, tuning
        self.budget = default_memory() if tuning.memory is None else tuning.memory
        self.database = Database(folder, writable)
        self.content = Content(folder / FOLDER)
        self.snapshots = Snapshots(folder)
        self.receipts = Receipts(folder / FILE if writable else None)
        self._gate = Gate()
        self._passed = Passed()
        self._followed = False
        try:
            settings = self.database.settings
            self.fingerprint = settings["fingerprint"]
            self.dimension = int(settings["dimension"])
            self.root = (folder / settings["root"]).resolve()
            with self.database.reading() as connection:
                self._neighbours = {modality: self._load(connection, modality) for modality in MODALITIES}
        except (KeyError, ValueError) as error:
            self.database.close()
            raise CatalogueError(
                f"{folder} can't be read as a catalogue ({error}); bring it back from a copy, or build it again"
            ) from None
        except BaseException:
            self.database.close()
            raise
        if writable:
            self._clear()
            self.snapshots.sweep()
        self.upkeep = Upkeep(self)
        self.upkeep.look()

    @classmethod
    def create(
        cls, folder: Path, fingerprint: str, dimension: int, root: Path, tuning: Tuning | None = None
    ) -> LocalCatalogue:
        """Make a new catalogue, open for writing.

        Args:
            folder: where it will lie.
            fingerprint: of the bundle that makes the vectors.
            dimension: length of a vector.
            root: the folder below which all files by reference lie; kept relative to `folder`: both may move together.
            tuning: how to search.

        Raises:
            CatalogueError: there already is one, or the folder can't be written.
        """
        relative = os.path.relpath(root.resolve(), folder.resolve())
        settings = {"fingerprint": fingerprint, "dimension": str(dimension), "root": relative}
        Database.create(folder, settings)
        return cls(folder, True, tuning or Tuning())

    @classmethod
    def open(cls, folder: Path, writable: bool = False, tuning: Tuning | None = None) -> LocalCatalogue:
        """Open a catalogue.

        Raises:
            CatalogueError: there is none, or it can't be read.
            InUse: another process has it open for writing, and so is asked here.
            NotWritable: its folder can't be written, and writing is asked for.
        """
        return cls(folder, writable, tuning or Tuning())

    def put(
        self, items: Sequence[Item], vectors: npt.NDArray[np.float32], contents: Mapping[str, bytes] | None = None
    ) -> None:
        """As `Catalogue.put`.

        Raises:
            ValueError: vectors of another shape, or not of unit length; content that is not here.
            CatalogueError: the disk is full or the folder can't be written; nothing has changed.
        """
        vectors = np.ascontiguousarray(vectors, dtype="<f4")
        if vectors.shape != (len(items), self.dimension):
            raise ValueError(f"vectors must be [{len(items)}, {self.dimension}], not {list(vectors.shape)}")
        if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
            raise ValueError("vectors must have unit length")
        now = _now()
        with self._change(contents or {}) as connection:
            for item, vector in zip(items, vectors, strict=True):
                if item.content and not self.content.path(item.content).is_file():
                    raise ValueError(f"the content of item {item.id} is not here; give it with the item")
                rows.insert(connection, item, vector.tobytes(), now)

    def update(self, items: Sequence[Item]) -> None:
        """As `Catalogue.update`.

        Raises:
            NoSuchItem: one is not there; nothing has changed.
            CatalogueError: nothing can be written; nothing has changed.
        """
        now = _now()
        with self._change() as connection:
            for item in items:
                rows.update(connection, item, now)

    def delete(self, ids: Sequence[str]) -> list[str]:
        """Remove items; the ids of those that were there."""
        with self._change() as connection:
            return rows.remove(connection, ids)

    def get(self, id: str) -> Item | None:
        """An item by its id."""
        with self.database.reading() as connection:
            return next(iter(rows.select(connection, "id", [id]).values()), None)

    def at(self, paths: Sequence[str]) -> list[Item]:
        """The items by reference whose files have these paths."""
        with self.database.reading() as connection:
            return list(rows.select(connection, "path", [path for path in paths if path]).values())

    def vectors(self, ids: Sequence[str]) -> npt.NDArray[np.float32]:
        """As `Catalogue.vectors`."""
        with self.database.reading() as connection:
            found = rows.select(connection, "id", list(ids))
            numbers = np.sort(np.fromiter(found, np.int64, len(found)))
            places = {found[number].id: place for place, number in enumerate(numbers.tolist())}
            missing = next((id for id in ids if id not in places), None)
            if missing is not None:
                raise NoSuchItem(f"there is no item {missing}")
            return fetch(connection, numbers).reshape(-1, self.dimension)[[places[id] for id in ids]]

    def list(self, filter: Filter | None = None) -> Iterator[Item]:
        """As `Catalogue.list`."""
        cursor: str | None = ""
        while cursor is not None:
            page = self.page(PAGE, cursor, filter)
            yield from page.items
            cursor = page.cursor

    def page(self, limit: int, cursor: str = "", filter: Filter | None = None) -> Page:
        """As `Catalogue.page`."""
        if not _CURSOR.fullmatch(cursor) or int(cursor or 0) > LAST:
            raise BadCursor("the cursor is not one of this catalogue; take the one that came with the page before")
        condition, values = (filter or Filter()).sql()
        with self.database.reading() as connection:
            table = connection.execute(
                f"SELECT number, {rows.COLUMNS} FROM items WHERE number > ? AND {condition} ORDER BY number LIMIT ?",
                [int(cursor or 0), *values, limit + 1],
            ).fetchall()
        return Page(
            rows.items_of([cells[1:] for cells in table[:limit]]),
            str(table[limit - 1][0]) if len(table) > limit else None,
        )

    def count(self) -> dict[Modality, int]:
        """How many items of each modality there are."""
        with self.view():
            return {modality: len(self._neighbours[modality]) for modality in MODALITIES}

    def labels(self, modality: Modality | None = None) -> dict[str, int]:
        """As `Catalogue.labels`: one pass over the index of labels."""
        of = MODALITIES if modality is None else (modality,)
        with self.database.reading() as connection:
            return dict(
                connection.execute(
                    "SELECT label, count(*) FROM items WHERE label <> '' AND modality IN (?, ?) GROUP BY label",
                    (of[0], of[-1]),
                )
            )

    def changes(self) -> int:
        """As `Catalogue.changes`."""
        with self.database.reading() as connection:
            return position(connection).change

    def search(
        self, vectors: npt.NDArray[np.float32], modality: Modality, k: int, filter: Filter | None = None
    ) -> Hits:
        """As `Catalogue.search`; fewer than k come back only where fewer match."""
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise ValueError(f"vectors must be [Q, {self.dimension}], not {list(vectors.shape)}")
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        with self.view() as connection:
            neighbours, passing = self._neighbours[modality], None
            if filter is not None:
                passing = self._passed.find(connection, neighbours.position.change, modality, filter)
            found = neighbours.search(
                vectors, k, self.tuning.recall, lambda numbers: fetch(connection, numbers), passing
            )
            by_number = rows.select(connection, "number", sorted({number for row in found for _, number in row}))
        return [[Hit(by_number[number], score) for score, number in row] for row in found]

    def file(self, item: Item) -> Path:
        """As `Catalogue.file`."""
        if item.content:
            path = self.content.path(item.content)
            if path.is_file():
                return path
        else:
            path = (self.root / item.path).resolve()
            if path.is_relative_to(self.root) and path.is_file():
                return path
        raise FileGone(f"the file of item {item.id} is no longer in its place; put it back, or build the index again")

    def close(self) -> None:
        """Stop what runs in the background, close the database, and let another process write."""
        self.upkeep.stop()
        self.receipts.close()
        self.database.close()

    def neighbours(self, modality: Modality) -> Neighbours:
        """The index that a modality is searched with at this moment."""
        return self._neighbours[modality]

    def swap(self, modality: Modality, neighbours: Neighbours) -> None:
        """Search a modality with another index from now on.

        Raises:
            Outdated: the index has been overtaken by more than the database remembers.
        """
        with self.database.reading() as connection:  # most of what came since, while searches go on
            catch_up(neighbours, connection, modality)
        with self._gate.changing(), self.database.reading() as connection:
            catch_up(neighbours, connection, modality)
            self._neighbours[modality] = neighbours

    @contextmanager
    def view(self) -> Iterator[Connection]:
        """One unchanging state of the database, with the indexes at the same state."""
        while True:
            with self._gate.reading():
                if self._followed:  # who has the writer's place makes every change, and none while the gate is held
                    yield self.database.reader
                    return
                with self.database.reading() as connection:
                    if self._is_there(connection):
                        yield connection
                        return
            with self._gate.changing(), self.database.reading() as connection:
                self._follow(connection)

    @contextmanager
    def _change(self, contents: Mapping[str, bytes] | None = None) -> Iterator[Connection]:
        """A transaction that is committed at the end, with the contents that its items need; contents that it leaves
        without an item are removed after it."""
        with self.database.turn():
            try:
                if contents:
                    self._keep(contents)
                with self.database.writing() as connection:
                    connection.execute("UPDATE settings SET value = value + 1 WHERE key = 'changes'")
                    rows.forget_pending(connection, contents or {})
                    yield connection
                    with self._gate.changing():
                        self._followed = False
                        connection.execute("COMMIT")
                        self._follow(connection)
            finally:
                self._clear()
        self.upkeep.look()

    def _keep(self, contents: Mapping[str, bytes]) -> None:
        """Write contents, noted first, as a crash would leave them without an item."""
        with self.database.writing() as connection:
            rows.add_pending(connection, contents)
            connection.execute("COMMIT")
            for hash, data in contents.items():
                self.content.add(hash, data)

    def _clear(self) -> None:
        """Remove noted contents that no item has. The notes stay until the next change, which has to be written
        anyway."""
        with self.database.turn() as connection:
            for hash in rows.unused(connection):
                self.content.remove(hash)

    def _is_there(self, connection: Connection) -> bool:
        """Whether the indexes are where the database is."""
        now = position(connection)
        return all(neighbours.position == now for neighbours in self._neighbours.values())

    def _follow(self, connection: Connection) -> None:
        """Bring the indexes to where the database is."""
        for modality, neighbours in self._neighbours.items():
            try:
                catch_up(neighbours, connection, modality)
            except Outdated:
                self._neighbours[modality] = self._load(connection, modality)
        self._followed = self.writable

    def _load(self, connection: Connection, modality: Modality) -> Neighbours:
        """The snapshot with what came since, or all vectors in an exact index.

        Raises:
            CatalogueError: the vectors are of another model than when the catalogue was opened.
        """
        made_with = connection.execute("SELECT value FROM settings WHERE key = 'fingerprint'").fetchone()
        if made_with != (self.fingerprint,):
            raise CatalogueError(f"{self.folder} was made anew by another model; open it again")
        neighbours = self.snapshots.load(modality)
        if neighbours is not None and neighbours.index.d == self.dimension:
            try:
                catch_up(neighbours, connection, modality)
                return neighbours
            except Outdated:
                pass
        (count,) = connection.execute("SELECT count(*) FROM vectors WHERE modality = ?", (modality,)).fetchone()
        if count * code_bytes("flat", self.dimension) <= self.budget:
            return exact_neighbours(connection, modality, self.dimension)
        _log.warning("%s: making the index of %d %ss before the first search", self.folder, count, modality)
        trainer = Trainer(plan(count, self.dimension, self.budget, self.tuning.exact), modality, self.dimension)
        trainer.sample(connection)
        trainer.train()
        return trainer.fill(connection)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
