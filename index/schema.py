"""The tables of a catalogue's database, and how those of earlier versions become them."""

from __future__ import annotations

import sqlite3

SCHEMA = 2
COUNTERS = {"generation": "1", "changes": "1"}  # vectors made anew, transactions

# `number` names a vector in FAISS and is never used twice: a new vector is a new number. `tags` and `fields` are the
# items' tags and metadata once more, in the order in which filters look; triggers keep them. `removed` is what an index
# that was made earlier has to forget. `pending` are contents whose files are to be looked at after a crash: they may be
# there without an item.
_TABLES = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE items (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    modality TEXT NOT NULL CHECK (modality IN ('image', 'sound')),
    path TEXT NOT NULL,
    content TEXT NOT NULL CHECK ((path = '') <> (content = '')),
    media_type TEXT NOT NULL,
    label TEXT NOT NULL,
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    stamp TEXT NOT NULL,
    created TEXT NOT NULL,
    updated TEXT NOT NULL
) STRICT;
CREATE INDEX items_label ON items (label, modality);
CREATE INDEX items_path ON items (path) WHERE path <> '';
CREATE INDEX items_content ON items (content) WHERE content <> '';
CREATE TABLE vectors (
    number INTEGER PRIMARY KEY REFERENCES items (number) ON DELETE CASCADE,
    modality TEXT NOT NULL,
    z BLOB NOT NULL
) STRICT;
CREATE INDEX vectors_modality ON vectors (modality);
CREATE TABLE tags (tag TEXT, number INTEGER, PRIMARY KEY (tag, number)) STRICT, WITHOUT ROWID;
CREATE TABLE fields (
    key TEXT, type TEXT, value ANY, number INTEGER, PRIMARY KEY (key, type, value, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE removed (
    position INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER NOT NULL, modality TEXT NOT NULL
) STRICT;
CREATE TABLE pending (content TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""
_FIELDS = """SELECT key,
        CASE type WHEN 'text' THEN 'text' WHEN 'true' THEN 'bool' WHEN 'false' THEN 'bool' ELSE 'number' END,
        atom, {0}.number FROM json_each({0}.metadata) WHERE type IN ('text', 'true', 'false', 'integer', 'real')"""
_SPREAD = f"""
    INSERT OR IGNORE INTO tags SELECT atom, NEW.number FROM json_each(NEW.tags);
    INSERT OR IGNORE INTO fields {_FIELDS.format("NEW")};
"""
_GATHER = f"""
    DELETE FROM tags WHERE (tag, number) IN (SELECT atom, OLD.number FROM json_each(OLD.tags));
    DELETE FROM fields WHERE (key, type, value, number) IN ({_FIELDS.format("OLD")});
"""
_TRIGGERS = f"""
CREATE TRIGGER items_added AFTER INSERT ON items BEGIN {_SPREAD} END;
CREATE TRIGGER items_changed AFTER UPDATE OF tags, metadata ON items BEGIN {_GATHER} {_SPREAD} END;
CREATE TRIGGER items_removed AFTER DELETE ON items BEGIN
    {_GATHER} INSERT INTO removed (number, modality) VALUES (OLD.number, OLD.modality);
    INSERT OR IGNORE INTO pending SELECT OLD.content WHERE OLD.content <> '';
END;
"""

# Numbers start anew past all that schema 1 gave: AUTOINCREMENT remembers only those of its own table.
_FROM_1 = f"""
ALTER TABLE items RENAME TO items_1;
ALTER TABLE settings RENAME TO settings_1;
DROP INDEX items_label;
{_TABLES}
{_TRIGGERS}
INSERT INTO settings SELECT key, value FROM settings_1;
INSERT INTO settings VALUES ('generation', '1'), ('changes', '1');
INSERT INTO items
    SELECT number, id, modality, path, '', media_type, label, tags, metadata, '', created, updated FROM items_1;
INSERT INTO vectors SELECT number, modality, z FROM items_1;
INSERT INTO sqlite_sequence SELECT 'items', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'items');
UPDATE sqlite_sequence SET seq = max(seq, (SELECT max(seq) FROM sqlite_sequence)) WHERE name = 'items';
DROP TABLE items_1;
DROP TABLE settings_1;
"""
MIGRATIONS = {1: _FROM_1}  # from the schema that is the key to the one after it


SPREAD = f"""
DELETE FROM tags;
DELETE FROM fields;
{_SPREAD.replace("NEW.", "items.").replace("FROM json_each", "FROM items, json_each")}
"""  # both made anew from the items


def create_tables(connection: sqlite3.Connection, settings: dict[str, str]) -> None:
    """Make the tables of an empty database, in one transaction."""
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} {_TRIGGERS} PRAGMA user_version = {SCHEMA};")
        connection.executemany("INSERT INTO settings VALUES (?, ?)", {**settings, **COUNTERS}.items())
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def version(connection: sqlite3.Connection) -> int:
    """The schema of a database."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables of an earlier version to this one's, each step in one transaction."""
    while (old := version(connection)) < SCHEMA:
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[old]} PRAGMA user_version = {old + 1};")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
