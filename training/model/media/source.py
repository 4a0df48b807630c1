"""Where media bytes come from, and what can be wrong with them."""

from __future__ import annotations

import errno
import io
import stat
from pathlib import Path
from typing import Any, BinaryIO

Source = bytes | Path


class MediaError(ValueError):
    """A file that can't be used; `str()` is one sentence that names the file and the remedy."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} {reason}")
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type[MediaError], tuple[Any, ...]]:
        return type(self), (self.name, self.reason)  # so that it goes from one process to another


class EmptyMedia(MediaError):
    """No bytes, or no samples."""


class UnsupportedMedia(MediaError):
    """Not a format that is read here."""


class DamagedMedia(MediaError):
    """The right format, but broken."""


class MediaTooLarge(MediaError):
    """More pixels or seconds than the limit allows, or more than fits in memory.

    Args:
        name: of the file.
        reason: with the remedy.
        limit: in pixels or seconds, where it is one of these.
    """

    def __init__(self, name: str, reason: str, limit: float | None = None) -> None:
        super().__init__(name, reason)
        self.limit = limit

    def __reduce__(self) -> tuple[type[MediaError], tuple[Any, ...]]:
        return type(self), (self.name, self.reason, self.limit)


class MissingMedia(MediaError):
    """No such file, or not readable."""


class _Nameless:
    """A stream without a name, so that a file's extension can't sway FFmpeg's guess of its format."""

    def __init__(self, stream: BinaryIO) -> None:
        self.read = stream.read
        self.tell = stream.tell
        self.close = stream.close
        self._seek = stream.seek

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Where the stream then is, or a number below 0, as FFmpeg has it, for a place that no file has.

        A broken header names such places; an exception would be taken for a broken disk, or printed by PyAV.
        """
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -errno.EINVAL


def name_of(source: Source, name: str | None) -> str:
    """What a source is called in messages: the given name, else the path's."""
    if name is not None:
        return name
    return str(source) if isinstance(source, Path) else "the data"


def open_source(source: Source, name: str) -> BinaryIO:
    """A seekable stream of a source's bytes; a path is read as it is needed, not loaded whole.

    Raises:
        MissingMedia: there is no such file, it can't be read, or it is none, such as a pipe.
        EmptyMedia: it has 0 bytes.
    """
    if isinstance(source, bytes):
        if not source:
            raise EmptyMedia(name, "is empty (0 bytes); send the file again")
        return io.BytesIO(source)
    try:
        kind = source.stat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # to open a pipe would wait for who writes to it
            raise MissingMedia(name, "is no file but a pipe, a device or the like; name a file")
        stream = source.open("rb")
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
    except OSError as error:
        raise MissingMedia(
            name, f"can't be read ({error.strerror or error}); check the path and its permissions"
        ) from None
    if size == 0:
        stream.close()
        raise EmptyMedia(name, "is empty (0 bytes); copy the file again")
    return stream


def read_bytes(source: Source, name: str, most: int) -> bytes:
    """A source's bytes, at most so many.

    Raises:
        MissingMedia: there is no such file, or it can't be read.
        EmptyMedia: it has 0 bytes.
    """
    try:
        with open_source(source, name) as stream:
            return stream.read(most)
    except OSError as error:
        raise lost(name, error) from None


def lost(name: str, error: OSError) -> MissingMedia:
    """What to raise where an open file's bytes can't be had: a bad sector, a share that is gone."""
    return MissingMedia(name, f"can't be read ({error.strerror or error}); check the disk it is on")


def nameless(stream: BinaryIO) -> _Nameless:
    """The stream without its file's name."""
    return _Nameless(stream)
