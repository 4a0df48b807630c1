"""A stamp: what a build remembers of the file that an item was made of."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from index.source import Entry

FORMAT = 1  # counts up whenever the same bytes would give another vector


@dataclass(frozen=True)
class Look:
    """A file as it was at one moment: `size-mtime` (bytes and nanoseconds), and the SHA-256 of its bytes."""

    state: str
    sha256: str


@dataclass(frozen=True)
class Stamp:
    """Where an item comes from, and what decides its vector.

    Attributes:
        source: that named it.
        part: of the source.
        path: of the file, relative to the root; an item whose content the catalogue holds has none of its own.
        state: of the file, before it was read: a change while it is read shows the next time.
        sha256: of the file's bytes.
        start: seconds into a sound file.
        duration: seconds of it.
        said: digests of the label, the tags and the metadata that the source gave: what was changed in the catalogue
            stays until the source says something else.
    """

    source: str
    part: str
    path: str
    state: str
    sha256: str
    start: float
    duration: float | None
    said: tuple[str, str, str]

    @classmethod
    def of(cls, entry: Entry, source: str, look: Look) -> Stamp:
        """The stamp that an entry's item is to have."""
        said = (_digest(entry.label), _digest(entry.tags), _digest(entry.metadata))
        start, duration = float(entry.start), None if entry.duration is None else float(entry.duration)
        return cls(source, entry.part, entry.path, look.state, look.sha256, start, duration, said)

    @classmethod
    def parse(cls, text: str) -> Stamp | None:
        """A stamp as it was written; None where it is empty, or not ours."""
        try:
            document = json.loads(text)
            if document.pop("format") != FORMAT:
                return None
            return cls(**{**document, "said": tuple(document["said"])})
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def __str__(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False, separators=(",", ":"))

    @property
    def id(self) -> str:
        """The id of an item that has none of its own."""
        return content_id(self.sha256, self.start, self.duration)

    def is_of(self, entry: Entry) -> bool:
        """Whether it is of the same stretch of a file."""
        return (self.start, self.duration) == (entry.start, entry.duration)


def content_id(sha256: str, start: float = 0.0, duration: float | None = None) -> str:
    """The hash of a file's bytes; with the stretch of the sound where only part of it is meant."""
    if not start and duration is None:
        return sha256
    return hashlib.sha256(f"{sha256} {float(start)!r} {duration and float(duration)!r}".encode()).hexdigest()


def state_of(file: Path) -> str:
    """Size and time of a file; empty where it is not there.

    Raises:
        OSError: nobody can tell whether it is.
    """
    try:
        return _state(file.stat())
    except (FileNotFoundError, NotADirectoryError):
        return ""


def look_at(file: Path) -> Look | None:
    """Read a file; None where it can't be."""
    try:
        if not file.is_file():  # a pipe would never end
            return None
        with file.open("rb") as stream:
            state = _state(os.fstat(stream.fileno()))
            return Look(state, hashlib.file_digest(stream, "sha256").hexdigest())
    except OSError:
        return None


def _state(found: os.stat_result) -> str:
    return f"{found.st_size}-{found.st_mtime_ns}" if stat.S_ISREG(found.st_mode) else ""


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
