"""All vectors of a catalogue made anew, by another model: beside the old ones, which stay until the last is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from index import items as rows
from index.catalogue import MODALITIES, CatalogueError, Item
from index.local import LocalCatalogue
from index.tuning import Tuning

PAGE = 256


class ReEmbedding:
    """New vectors for a catalogue, kept in its database until all are there; ended and begun again, it goes on.

    The catalogue is open for writing meanwhile, so that no other process changes it; others may search the old vectors.

    Args:
        folder: the catalogue's.
        fingerprint: of the bundle that makes the new vectors.
        dimension: of them.

    Raises:
        CatalogueError: there is no catalogue, or another process has it open for writing.
    """

    def __init__(self, folder: Path, fingerprint: str, dimension: int) -> None:
        self.catalogue = LocalCatalogue.open(folder, writable=True, tuning=Tuning(background=False))
        self.fingerprint, self.dimension = fingerprint, dimension
        self._begin()

    def _begin(self) -> None:
        """A table for the new vectors; what another model has left in it goes."""
        made_for = f"{self.fingerprint} {self.dimension}"
        with self.catalogue.database.writing() as connection:
            known = connection.execute("SELECT value FROM settings WHERE key = 'staged'").fetchone()
            connection.execute(
                "CREATE TABLE IF NOT EXISTS staged (number INTEGER PRIMARY KEY REFERENCES items (number)"
                " ON DELETE CASCADE, z BLOB NOT NULL) STRICT"
            )
            if known is None or known[0] != made_for:
                connection.execute("DELETE FROM staged")
                connection.execute("INSERT OR REPLACE INTO settings VALUES ('staged', ?)", (made_for,))
            connection.execute("COMMIT")

    def count(self) -> int:
        """How many items have no new vector yet."""
        with self.catalogue.database.reading() as connection:
            (count,) = connection.execute(
                "SELECT count(*) FROM items WHERE number NOT IN (SELECT number FROM staged)"
            ).fetchone()
        return int(count)

    def remaining(self) -> Iterator[list[Item]]:
        """Items without a new vector, some at a time, in the order in which they came; each once."""
        after = 0
        while True:
            with self.catalogue.database.reading() as connection:
                table = connection.execute(
                    f"SELECT number, {rows.COLUMNS} FROM items WHERE number > ?"
                    " AND number NOT IN (SELECT number FROM staged) ORDER BY number LIMIT ?",
                    (after, PAGE),
                ).fetchall()
            if not table:
                return
            after = table[-1][0]
            yield rows.items_of([cells[1:] for cells in table])

    def stage(self, items: Sequence[Item], vectors: npt.NDArray[np.float32]) -> None:
        """Keep new unit vectors `[N, d]` of items.

        Raises:
            ValueError: vectors of another shape, or not of unit length.
            CatalogueError: the disk is full, or the like; those before are kept.
        """
        vectors = np.ascontiguousarray(vectors, dtype="<f4")
        if vectors.shape != (len(items), self.dimension):
            raise ValueError(f"vectors must be [{len(items)}, {self.dimension}], not {list(vectors.shape)}")
        if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
            raise ValueError("vectors must have unit length")
        with self.catalogue.database.writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO staged SELECT number, ? FROM items WHERE id = ?",
                [(vector.tobytes(), item.id) for item, vector in zip(items, vectors, strict=True)],
            )
            connection.execute("COMMIT")

    def finish(self) -> None:
        """Put the new vectors in the place of the old ones, all at once, and close the catalogue.

        Raises:
            CatalogueError: an item has no new vector (remove it, or put its file back), or the disk is full; the
                old vectors are all in place.
        """
        missing = self.count()
        if missing:
            raise CatalogueError(f"{missing} items have no new vector; put their files back, or remove the items")
        changed = {"fingerprint": self.fingerprint, "dimension": str(self.dimension)}
        with self.catalogue.database.writing() as connection:
            connection.execute("UPDATE vectors SET z = (SELECT z FROM staged WHERE staged.number = vectors.number)")
            connection.executemany("UPDATE settings SET value = ? WHERE key = ?", [(v, k) for k, v in changed.items()])
            connection.execute("UPDATE settings SET value = value + 1 WHERE key IN ('changes', 'generation')")
            connection.execute("DELETE FROM settings WHERE key = 'staged'")
            connection.execute("DROP TABLE staged")
            connection.execute("COMMIT")
        for modality in MODALITIES:
            self.catalogue.snapshots.remove(modality)
        self.close()

    def close(self) -> None:
        """Close the catalogue; what is there of new vectors stays for the next time."""
        self.catalogue.close()
