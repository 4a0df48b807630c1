"""Items as rows of the database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from index.catalogue import Item, NoSuchItem

COLUMNS = "id, modality, path, media_type, label, tags, metadata, content, stamp, created, updated"


def items_of(table: Sequence[Sequence[Any]]) -> list[Item]:
    """Items from their columns; the JSON in all of them is read as one text, which takes half the time."""
    parsed = json.loads(f"[{','.join(f'{cells[5]},{cells[6]}' for cells in table)}]")
    return [
        Item(id, modality, path, media_type, label, tuple(tags), metadata, *rest)
        for (id, modality, path, media_type, label, _, _, *rest), tags, metadata in zip(
            table, parsed[::2], parsed[1::2], strict=True
        )
    ]


def insert(connection: sqlite3.Connection, item: Item, vector: bytes, now: str) -> None:
    """Add an item, or replace the one of its id."""
    old = connection.execute("DELETE FROM items WHERE id = ? RETURNING created", (item.id,)).fetchone()
    cells = (*_cells(item), old[0] if old else item.created or now, now)
    number = connection.execute(
        f"INSERT INTO items ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", cells
    ).lastrowid
    connection.execute("INSERT INTO vectors VALUES (?, ?, ?)", (number, item.modality, vector))


def update(connection: sqlite3.Connection, item: Item, now: str) -> None:
    """Replace what is known of an item.

    Raises:
        NoSuchItem: there is none of its id, or it is of another modality or content.
    """
    id, modality, path, media_type, label, tags, metadata, content, stamp = _cells(item)
    changed = connection.execute(
        "UPDATE items SET path = ?, media_type = ?, label = ?, tags = ?, metadata = ?, stamp = ?, updated = ?"
        " WHERE id = ? AND modality = ? AND content = ?",
        (path, media_type, label, tags, metadata, stamp, now, id, modality, content),
    ).rowcount
    if not changed:
        raise NoSuchItem(f"there is no item {id} of this modality and content; put it with its vector")


def remove(connection: sqlite3.Connection, ids: Iterable[str]) -> list[str]:
    """Remove items; the ids of those that were there."""
    return [id for id in dict.fromkeys(ids) if connection.execute("DELETE FROM items WHERE id = ?", (id,)).rowcount]


def select(connection: sqlite3.Connection, column: str, values: Sequence[Any]) -> dict[int, Item]:
    """Items whose column is one of some values, by number."""
    table = connection.execute(
        f"SELECT number, {COLUMNS} FROM items WHERE {column} IN (SELECT value FROM json_each(?))", (json.dumps(values),)
    )
    found = table.fetchall()
    return dict(zip((number for number, *_ in found), items_of([cells[1:] for cells in found]), strict=True))


def add_pending(connection: sqlite3.Connection, contents: Iterable[str]) -> None:
    """Note contents whose files may be there without an item."""
    connection.executemany("INSERT OR IGNORE INTO pending VALUES (?)", [(hash,) for hash in contents])


def forget_pending(connection: sqlite3.Connection, kept: Iterable[str]) -> None:
    """Forget all noted contents but some."""
    connection.execute(
        "DELETE FROM pending WHERE content NOT IN (SELECT value FROM json_each(?))", (json.dumps([*kept]),)
    )


def unused(connection: sqlite3.Connection) -> list[str]:
    """Noted contents that no item has."""
    return [
        hash
        for (hash,) in connection.execute(
            "SELECT content FROM pending WHERE NOT EXISTS (SELECT 1 FROM items WHERE items.content = pending.content)"
        )
    ]


def _cells(item: Item) -> tuple[str, ...]:
    tags, metadata = json.dumps(item.tags), json.dumps(item.metadata, allow_nan=False)
    return (item.id, item.modality, item.path, item.media_type, item.label, tags, metadata, item.content, item.stamp)
