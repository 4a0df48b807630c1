"""What changes were answered with: one that is sent again is then answered alike, and not made twice."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FILE = "receipts.sqlite"
AGE = 24 * 3600.0  # seconds for which a receipt is kept
ROOM = 64 * 2**20  # bytes that all of them may take; the oldest make room
LARGEST = ROOM // 64  # bytes of an answer; a longer one is not kept
_EACH = 256  # bytes that a receipt takes besides its answer, about

_TABLE = """CREATE TABLE IF NOT EXISTS receipts (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    asked TEXT NOT NULL,
    answer TEXT NOT NULL,
    size INTEGER NOT NULL,
    moment REAL NOT NULL
) STRICT"""
_OLDEST = "SELECT position, moment FROM receipts ORDER BY position LIMIT 1"
_log = logging.getLogger(__name__)


class UnderWay(Exception):
    """What the key names is being done."""


@dataclass(frozen=True)
class Receipt:
    """That something was done.

    Attributes:
        asked: tells what was asked for from anything else, such as a hash of it.
        answer: what it was answered with.
    """

    asked: str
    answer: str


class Receipts:
    """Receipts by key, on disk once `keep` returns. Safe to use from many threads.

    They may be lost without harm, as the same change made twice makes nothing new: where they can't be read or
    written, the log says so and there are none.

    Args:
        file: the database, made with the first receipt; None to have them in memory.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._claimed: set[str] = set()
        self._connection: sqlite3.Connection | None = None
        self._size = 0

    @contextmanager
    def claim(self, key: str) -> Iterator[None]:
        """Have a key while what it names is done.

        Raises:
            UnderWay: another has it.
        """
        if key in self._claimed:
            raise UnderWay
        self._claimed.add(key)
        try:
            yield
        finally:
            self._claimed.discard(key)

    def find(self, key: str) -> Receipt | None:
        """The receipt of a key, for a day after it was kept."""
        with self._lock:
            try:
                row = (
                    self._open()
                    .execute(
                        "SELECT asked, answer FROM receipts WHERE key = ? AND moment > ?", (key, time.time() - AGE)
                    )
                    .fetchone()
                )
            except sqlite3.Error as error:
                _log.warning("%s can't be read (%s): a change that is sent again is made again", self.file, error)
                return None
        return None if row is None else Receipt(*row)

    def keep(self, key: str, receipt: Receipt) -> None:
        """Note what a key was answered with."""
        size = len(receipt.answer.encode()) + _EACH
        if size > LARGEST:
            return
        with self._lock:
            try:
                connection, now = self._open(), time.time()
                with connection:  # one transaction
                    connection.execute("BEGIN IMMEDIATE")
                    taken = self._size + size - _remove(connection, "key", key)
                    connection.execute(
                        "INSERT INTO receipts (key, asked, answer, size, moment) VALUES (?, ?, ?, ?, ?)",
                        (key, receipt.asked, receipt.answer, size, now),
                    )
                    while True:
                        position, moment = connection.execute(_OLDEST).fetchone()
                        if taken <= ROOM and moment > now - AGE:
                            break
                        taken -= _remove(connection, "position", position)
                self._size = taken
            except sqlite3.Error as error:
                _log.warning("%s can't be written (%s): a change that is sent again is made again", self.file, error)

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            place = self.file or ":memory:"
            connection = sqlite3.connect(place, check_same_thread=False, isolation_level=None)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute(_TABLE)
                (self._size,) = connection.execute("SELECT coalesce(sum(size), 0) FROM receipts").fetchone()
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection


def _remove(connection: sqlite3.Connection, column: str, value: str | int) -> int:
    """Remove a receipt, where there is one; the bytes that it took."""
    removed = connection.execute(f"DELETE FROM receipts WHERE {column} = ? RETURNING size", (value,)).fetchall()
    return sum(size for (size,) in removed)
