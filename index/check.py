"""Whether a catalogue's database, indexes and content agree."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np

from index.catalogue import MODALITIES, CatalogueError, Modality
from index.content import content_hash
from index.local import LocalCatalogue
from index.replay import stored_vectors
from index.tuning import Tuning

SHOWN = 20  # ids or paths in a finding
NEAR = 0.99  # cosine of what an index holds to what it would hold of the same vector today

# What must be empty: findings, and the query of the ids that they name.
_QUERIES = {
    "items have no vector": "SELECT id FROM items WHERE number NOT IN (SELECT number FROM vectors)",
    "items have a vector of the other modality": (
        "SELECT id FROM items JOIN vectors USING (number) WHERE items.modality <> vectors.modality"
    ),
    "vectors belong to no item": "SELECT number FROM vectors WHERE number NOT IN (SELECT number FROM items)",
    "tags are not those of their items": (
        "SELECT * FROM (SELECT tag, number FROM tags EXCEPT"
        " SELECT atom, number FROM items, json_each(items.tags)) UNION ALL "
        "SELECT * FROM (SELECT atom, number FROM items, json_each(items.tags) EXCEPT SELECT tag, number FROM tags)"
    ),
    "metadata fields are not those of their items": (
        "SELECT * FROM (SELECT key, value, number FROM fields EXCEPT"
        " SELECT key, atom, number FROM items, json_each(items.metadata)) UNION ALL "
        "SELECT * FROM (SELECT key, atom, number FROM items, json_each(items.metadata)"
        " WHERE type IN ('text', 'true', 'false', 'integer', 'real') EXCEPT SELECT key, value, number FROM fields)"
    ),
}


def check(folder: Path, deep: bool = False) -> list[str]:
    """What is wrong with a catalogue, a sentence for each kind of fault; empty where nothing is.

    It may be in use meanwhile: what is looked at is one state of it.

    Args:
        folder: the catalogue's.
        deep: also read all content held by the catalogue, and compare it with its hash.

    Raises:
        CatalogueError: there is no catalogue, or its database can't be read at all.
    """
    catalogue = LocalCatalogue.open(folder, tuning=Tuning(background=False))
    try:
        return list(_findings(catalogue, deep))
    except sqlite3.Error as error:
        raise CatalogueError(f"{folder} is damaged ({error}); bring it back from a copy, or build it again") from None
    finally:
        catalogue.close()


def _findings(catalogue: LocalCatalogue, deep: bool) -> Iterator[str]:
    with catalogue.database.reading() as connection:
        for (verdict,) in connection.execute("PRAGMA integrity_check(20)").fetchall():
            if verdict != "ok":
                yield f"the database is damaged: {verdict}; bring the catalogue back from a copy, or build it again"
        for what, query in _QUERIES.items():
            yield from _named(what, connection.execute(query))
    for modality in MODALITIES:
        yield from _snapshot(catalogue, modality)
        yield from _vectors(catalogue, modality)
    yield from _content(catalogue, deep)


def _named(what: str, rows: sqlite3.Cursor) -> Iterator[str]:
    found = rows.fetchall()
    if found:
        names = ", ".join(" ".join(map(str, row)) for row in found[:SHOWN])
        yield f"{len(found)} {what}: {names}{' …' if len(found) > SHOWN else ''}; run 'bma index rebuild'"


def _snapshot(catalogue: LocalCatalogue, modality: Modality) -> Iterator[str]:
    snapshots = catalogue.snapshots
    if (snapshots.folder / f"{modality}.json").exists() and snapshots.load(modality) is None:
        yield f"the snapshot of {modality}s is damaged; it is made anew when the catalogue is next opened for writing"


def _vectors(catalogue: LocalCatalogue, modality: Modality) -> Iterator[str]:
    """Of the index as a search would use it: the same numbers as in the database, and vectors near to those there."""
    with catalogue.view() as connection:
        neighbours = catalogue.neighbours(modality)
        there = np.sort(neighbours.numbers())
        index, far, odd, seen = neighbours.index, 0, 0, []
        if not neighbours.is_exact:
            index.set_direct_map_type(faiss.DirectMap.Hashtable)  # type: ignore[attr-defined]
        for numbers, vectors in stored_vectors(connection, modality):
            seen.append(numbers)
            norms = np.linalg.norm(vectors, axis=1)
            odd += int((~(np.abs(norms - 1) < 2e-3)).sum())
            known = np.isin(numbers, there, assume_unique=True)
            held = index.reconstruct_batch(numbers[known])
            anew = vectors[known] if neighbours.is_exact else index.sa_decode(index.sa_encode(vectors[known]))
            norms = np.linalg.norm(held, axis=1) * np.linalg.norm(anew, axis=1)
            cosines = np.einsum("nd,nd->n", held, anew) / np.maximum(norms, 1e-12)
            far += int((~(cosines >= NEAR)).sum())
        stored = np.concatenate(seen) if seen else np.empty(0, np.int64)
        missing, extra = np.setdiff1d(stored, there), np.setdiff1d(there, stored)
    if odd:
        yield f"{odd} {modality}s have a vector that is not of unit length; put them again"
    for count, what in (
        (len(missing), "are not in the index"),
        (len(extra), "are in the index and not in the database"),
    ):
        if count:
            yield f"{count} {modality}s {what}; run 'bma index rebuild'"
    if far:
        yield f"{far} {modality}s have another vector in the index than in the database; run 'bma index rebuild'"


def _content(catalogue: LocalCatalogue, deep: bool) -> Iterator[str]:
    held: set[str] = set()
    moved, gone, changed = [], [], []
    for item in catalogue.list():
        held.add(item.content)
        try:
            file = catalogue.file(item)
        except CatalogueError:
            if item.path:
                moved.append(item.path)
            else:
                gone.append(item.id)
            continue
        if deep and item.content and content_hash(file.read_bytes()) != item.content:
            changed.append(item.id)
    where = f"'bma index root {catalogue.folder} DIR'"
    for names, what in (
        (
            moved,
            f"without a file in its place below {catalogue.root}; put them back, say where they lie with {where}, "
            "or remove the items, with 'bma index sync' or over HTTP",
        ),
        (gone, "without a file in its place; put it back, or remove them over HTTP"),
        (changed, "with content that is not as it was put; put it again"),
    ):
        if names:
            items = "item" if len(names) == 1 else "items"
            yield f"{len(names)} {items} {what}: {', '.join(names[:SHOWN])}{' …' if len(names) > SHOWN else ''}"
    spare = sum(hash not in held for hash in catalogue.content.hashes()) + sum(1 for _ in catalogue.content.drafts())
    if spare:
        yield f"{spare} files of content belong to no item; run 'bma index compact'"
