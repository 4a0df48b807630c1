"""A catalogue of the first version becomes one of today's when it is opened for writing, and loses nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from index.catalogue import CatalogueError, Item
from index.check import check
from index.database import DATABASE
from index.filter import Filter
from index.local import LocalCatalogue

# As the first version made them.
TABLES = """
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
D = 4
VECTORS = np.eye(D, dtype=np.float32)
EARLIER = "2025-01-01T00:00:00.000+00:00"


def first_version(folder: Path, items: int) -> None:
    folder.mkdir()
    connection = sqlite3.connect(folder / DATABASE)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(f"{TABLES} PRAGMA user_version = 1;")
    connection.executemany(
        "INSERT INTO settings VALUES (?, ?)", [("fingerprint", "f"), ("dimension", str(D)), ("root", "..")]
    )
    for n in range(items):
        connection.execute(
            "INSERT INTO items (id, modality, path, media_type, label, tags, metadata, created, updated, z)"
            " VALUES (?, ?, 'a.jpg', 'image/jpeg', 'dog', '[\"wet\"]', ?, ?, ?, ?)",
            (f"i{n}", "sound" if n % 2 else "image", f'{{"n": {n}}}', EARLIER, EARLIER, VECTORS[n % D].tobytes()),
        )
    connection.execute("DELETE FROM items WHERE number > ?", (max(0, items - 2),))
    connection.commit()
    connection.close()


@pytest.mark.parametrize("items", [0, 10])
def test_it_is_migrated_with_all_it_holds(tmp_path: Path, items: int) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a")
    first_version(tmp_path / "index", items)
    with pytest.raises(CatalogueError, match="earlier version; open it for writing once"):
        LocalCatalogue.open(tmp_path / "index")
    catalogue = LocalCatalogue.open(tmp_path / "index", writable=True)
    left = max(0, items - 2)
    expected = [
        Item(
            f"i{n}",
            "sound" if n % 2 else "image",
            "a.jpg",
            "image/jpeg",
            "dog",
            ("wet",),
            {"n": n},
            "",
            "",
            EARLIER,
            EARLIER,
        )
        for n in range(left)
    ]
    assert list(catalogue.list()) == expected
    assert [item.id for item in catalogue.list(Filter(tags=("wet",), bounds={"n": {"gte": 6}}))] == [
        item.id for item in expected if item.metadata["n"] >= 6
    ]
    assert catalogue.count() == {"image": left - left // 2, "sound": left // 2}
    for item in expected:
        hits = catalogue.search(VECTORS[item.metadata["n"] % D][None], item.modality, left)[0]
        assert item.id in [hit.item.id for hit in hits if hit.score == 1]
    catalogue.put([Item("new", "image", "a.jpg", "image/jpeg")], VECTORS[:1])
    with catalogue.database.reading() as connection:
        (number,) = connection.execute("SELECT number FROM items WHERE id = 'new'").fetchone()
    assert number == items + 1  # numbers that were given and removed are not given again
    catalogue.close()
    assert check(tmp_path / "index") == []
    LocalCatalogue.open(tmp_path / "index").close()


def test_a_migration_without_room_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first_version(tmp_path / "index", 10)
    monkeypatch.setattr("index.schema.MIGRATIONS", {1: "DROP TABLE settings; SELECT * FROM nowhere;"})
    with pytest.raises(CatalogueError, match="can't be read as a catalogue"):
        LocalCatalogue.open(tmp_path / "index", writable=True)
    monkeypatch.undo()
    catalogue = LocalCatalogue.open(tmp_path / "index", writable=True)
    assert sum(catalogue.count().values()) == 8
    catalogue.close()


def test_a_later_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    LocalCatalogue.create(tmp_path / "index", "f", D, tmp_path).close()
    connection = sqlite3.connect(tmp_path / "index" / DATABASE)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(CatalogueError, match="has schema 99, this version reads 1 to 2; use the version"):
        LocalCatalogue.open(tmp_path / "index")
