"""A catalogue's SQLite database: its connections, its one writer, its transactions."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from index import schema
from index.catalogue import CatalogueError, InUse, NotWritable

DATABASE = "catalogue.sqlite"
LOCK = "writer.lock"
BUSY = 10.0  # seconds to wait for another connection's transaction
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class Database:
    """The database in a catalogue's folder, opened for writing by one process at a time, for reading by any.

    Changes go through one connection, in turn. Each thread that reads has a connection of its own, so that readers
    never wait for each other.

    Args:
        folder: the catalogue's.
        writable: take the writer's place; held until `close`, or the process's end however it comes.

    Raises:
        CatalogueError: there is no catalogue, or it is damaged or of a later version.
        InUse: another process has it open for writing.
        NotWritable: the folder can't be written.
    """

    def __init__(self, folder: Path, writable: bool) -> None:
        self.folder, self.file, self.writable = folder, folder / DATABASE, writable
        self._turn = threading.RLock()
        self._here = threading.local()
        self._opened: list[sqlite3.Connection] = []
        if not self.file.is_file():
            raise CatalogueError(
                f"{folder} holds no catalogue; make one with 'bma index build BUNDLE SOURCE --out {folder}', "
                f"or an empty one with 'bma index create BUNDLE --out {folder}'"
            )
        self._lock = take_lock(folder) if writable else None
        try:
            self._writer = self._open()
            self._check_schema()
            self.settings = dict(self._writer.execute("SELECT key, value FROM settings"))
        except (sqlite3.Error, ValueError) as error:
            self.close()
            if isinstance(error, CatalogueError):
                raise
            raise self._unusable(error) from None

    @classmethod
    def create(cls, folder: Path, settings: dict[str, str]) -> None:
        """Make a new database.

        Raises:
            CatalogueError: there already is one, or the folder can't be written.
        """
        if (folder / DATABASE).exists():
            raise CatalogueError(f"{folder} already holds a catalogue; name another folder")
        draft = folder / f".{DATABASE}.{os.getpid()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = take_lock(folder)
            try:
                draft.unlink(missing_ok=True)
                connection = sqlite3.connect(draft, isolation_level=None)
                try:
                    schema.create_tables(connection, settings)
                finally:
                    connection.close()
                draft.rename(folder / DATABASE)  # whole or not at all
                sync_folder(folder)
            finally:
                os.close(lock)
                draft.unlink(missing_ok=True)
        except (OSError, sqlite3.Error) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise CatalogueError(f"{folder} can't be written ({why}); name another folder") from None

    @property
    def reader(self) -> sqlite3.Connection:
        """This thread's connection for reading."""
        connection: sqlite3.Connection | None = getattr(self._here, "connection", None)
        if connection is None:
            connection = self._here.connection = self._open()
            connection.execute("PRAGMA query_only = ON")
        return connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One unchanging state of the database."""
        connection = self.reader
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("COMMIT")

    def release(self) -> None:
        """Close this thread's connection for reading: for threads that come and go."""
        connection: sqlite3.Connection | None = self._here.__dict__.pop("connection", None)
        if connection is not None and connection in self._opened:
            self._opened.remove(connection)
            connection.close()

    @contextmanager
    def turn(self) -> Iterator[sqlite3.Connection]:
        """The writer's connection, outside of a transaction, for this thread alone."""
        with self._turn:
            yield self._writer

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A turn to change: what is executed is one transaction, which the caller commits, or nothing.

        Raises:
            NotWritable: opened for reading, or the disk or folder has become read-only.
            CatalogueError: the disk is full, or the like; nothing has changed.
        """
        if not self.writable:
            raise NotWritable(f"{self.folder} is open for reading only; nothing has changed")
        with self._turn:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
            except sqlite3.Error as error:
                kind = NotWritable if _code(error) in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM) else CatalogueError
                raise kind(f"{self.folder} can't be written ({error}); nothing has changed") from None
            except OSError as error:
                raise CatalogueError(
                    f"{self.folder} can't be written ({error.strerror}); nothing has changed"
                ) from None
            finally:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    def vacuum(self) -> None:
        """Write the file anew without the room that removed rows have left.

        Raises:
            CatalogueError: there is no room for it; nothing has changed.
        """
        with self._turn:
            try:
                self._writer.execute("VACUUM")
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error as error:
                raise CatalogueError(f"{self.folder} can't be compacted ({error}); nothing is lost") from None

    def close(self) -> None:
        """Close every connection, and let another process write."""
        with self._turn:
            while self._opened:
                self._opened.pop().close()
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def _open(self) -> sqlite3.Connection:
        mode = "rw" if self.writable else "ro"
        try:
            connection = self._connect(f"mode={mode}")
        except sqlite3.OperationalError:
            # a folder that can't be written has no room for the files that readers share; without changes that wait in
            # a log, none are needed
            log = self.file.with_name(f"{DATABASE}-wal")
            if self.writable or (log.exists() and log.stat().st_size):
                raise
            connection = self._connect("mode=ro&immutable=1")
        self._opened.append(connection)
        return connection

    def _connect(self, options: str) -> sqlite3.Connection:
        address = f"file:{quote(str(self.file.resolve()))}?{options}"
        connection = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None, timeout=BUSY)
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            if self.writable:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
            connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _check_schema(self) -> None:
        found = schema.version(self._writer)
        if found == schema.SCHEMA:
            return
        if found not in schema.MIGRATIONS:
            if not found:
                raise self._unusable(ValueError("its database has no tables"))
            raise CatalogueError(
                f"{self.folder} has schema {found}, this version reads 1 to {schema.SCHEMA}; "
                "use the version of bma-memory that made it, or build it again with 'bma index build'"
            )
        if not self.writable:
            raise CatalogueError(
                f"{self.folder} was made by an earlier version; open it for writing once, as 'bma index compact' does"
            )
        schema.migrate(self._writer)

    def _unusable(self, error: Exception) -> CatalogueError:
        if self.writable and isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_READONLY:
            return NotWritable(f"{self.folder} can't be written; let this user write there, or name another folder")
        return CatalogueError(
            f"{self.folder} can't be read as a catalogue ({error}); "
            "bring it back from a copy, or delete it and build it again with 'bma index build'"
        )


def take_lock(folder: Path) -> int:
    """The writer's place, as a file that stays open and locked; the system lets go when the process ends.

    Raises:
        InUse: another has it.
        NotWritable: the folder can't be written.
    """
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno in _READ_ONLY:
            raise NotWritable(
                f"{folder} can't be written ({error.strerror}); let this user write there, or name another folder"
            ) from None
        raise CatalogueError(
            f"{folder} can't be written ({error.strerror}); free some space, or name another"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(lock, 20).decode("ascii", "replace").strip()
        os.close(lock)
        by = f" by process {holder}" if holder.isdigit() else ""
        raise InUse(
            f"{folder} is open for writing elsewhere{by}; end that first, or let it read alone (bma serve --read-only)"
        ) from None
    with suppress(OSError):  # a full disk: the lock is what counts, not that others are told who has it
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
