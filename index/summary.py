"""What a build did."""

from __future__ import annotations

import csv
import os
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from index.source import Unreadable

UNREADABLE = "unreadable.csv"


@dataclass
class Summary:
    """What a build did.

    Attributes:
        images: items of the source that the catalogue now holds.
        sounds: likewise.
        added: new items.
        changed: items whose file has other content, embedded again.
        updated: items of which only the path, label, tags or metadata changed; not embedded again.
        unchanged: items that are as they were.
        removed: items whose file or row is gone, or whose file has the content of another one now.
        gone: items that are still there and whose file or row is gone.
        duplicates: files with the content of another one.
        unreadable: files that can't be used.
    """

    images: int = 0
    sounds: int = 0
    added: int = 0
    changed: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    gone: int = 0
    duplicates: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """All of it in numbers."""
        return {**vars(self), "unreadable": len(self.unreadable)}


def write_unreadable(file: Path, unreadable: Iterable[Unreadable]) -> None:
    """List the files that could not be read as CSV, whole or not at all."""
    draft = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        with draft.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["file", "reason"])
            writer.writerows([entry.path, entry.reason] for entry in unreadable)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
