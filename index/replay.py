"""An index and the database that it follows: what one has that the other has not."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

import numpy as np

from index.catalogue import Modality
from index.neighbours import Neighbours, Numbers, Position, Vectors
from index.plan import Plan

CHUNK = 65_536  # vectors in memory at once, beside those in the index


def position(connection: sqlite3.Connection) -> Position:
    """Where the database is."""
    return Position(
        *connection.execute(
            "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'items'), 0),"
            " coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'removed'), 0),"
            " (SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'generation'),"
            " (SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'changes')"
        ).fetchone()
    )


def exact_neighbours(connection: sqlite3.Connection, modality: Modality, dimension: int) -> Neighbours:
    """All vectors of a modality in an exact index; within a transaction."""
    plan, now = Plan("flat"), position(connection)
    neighbours = Neighbours(plan.make(dimension), plan, Position(removal=now.removal, generation=now.generation))
    catch_up(neighbours, connection, modality)
    return neighbours


def catch_up(neighbours: Neighbours, connection: sqlite3.Connection, modality: Modality) -> None:
    """Bring an index to where the database is; within a transaction, and where nothing else uses the index.

    Raises:
        Outdated: the database no longer knows what has changed since.
    """
    now, then = position(connection), neighbours.position
    if now == then:
        return
    (pruned,) = connection.execute(
        "SELECT coalesce((SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'pruned'), 0)"
    ).fetchone()
    if now.generation != then.generation or then.removal < pruned or then.number > now.number:
        raise Outdated
    if then.number:
        gone = connection.execute(
            "SELECT number FROM removed WHERE position > ? AND modality = ? AND number <= ?",
            (then.removal, modality, then.number),
        ).fetchall()
        if gone:
            neighbours.remove(as_numbers(gone))
    for numbers, vectors in stored_vectors(connection, modality, then.number):
        neighbours.add(numbers, vectors)
    neighbours.position = now


class Outdated(Exception):
    """An index has to be made anew: it comes from before what the database remembers, or from another one."""


def stored_vectors(
    connection: sqlite3.Connection, modality: Modality, after: int = 0
) -> Iterator[tuple[Numbers, Vectors]]:
    """Numbers and vectors of a modality, by ascending numbers past one, a chunk at a time."""
    table = connection.execute(
        "SELECT number, z FROM vectors WHERE modality = ? AND number > ? ORDER BY number", (modality, after)
    )
    while rows := table.fetchmany(CHUNK):
        yield np.array([number for number, _ in rows], np.int64), as_vectors([z for _, z in rows])


def fetch(connection: sqlite3.Connection, numbers: Numbers) -> Vectors:
    """Vectors by numbers that are there, ascending; in order."""
    table = connection.execute(
        "SELECT z FROM vectors WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number",
        (json.dumps(numbers.tolist()),),
    )
    return as_vectors([z for (z,) in table])


def as_vectors(blobs: list[bytes]) -> Vectors:
    """Little-endian float32 rows as one array `[N, d]`."""
    flat = np.frombuffer(b"".join(blobs), "<f4")
    return flat.reshape(len(blobs), -1 if blobs else 0)


def as_numbers(rows: list[tuple[int]]) -> Numbers:
    """One column of numbers."""
    return np.fromiter((number for (number,) in rows), np.int64, len(rows))
