"""Content that a catalogue holds itself: files named by the hash of their bytes."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

from index.database import sync_folder

FOLDER = "content"
HASH = re.compile(r"[0-9a-f]{64}")


def content_hash(data: bytes) -> str:
    """SHA-256 in hexadecimal: the name of some bytes."""
    return hashlib.sha256(data).hexdigest()


class Content:
    """A folder of files, each named by the SHA-256 of its bytes; the same bytes are there once.

    Args:
        folder: where they lie; made with the first one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, hash: str) -> Path:
        """Where bytes of this hash lie, or would."""
        if not HASH.fullmatch(hash):
            raise ValueError(f"'{hash[:80]}' is no SHA-256 in hexadecimal")
        return self.folder / hash[:2] / hash

    def add(self, hash: str, data: bytes) -> None:
        """Keep bytes, whole or not at all, on disk once this returns.

        Raises:
            ValueError: the bytes have another hash.
            OSError: the disk is full, or the like.
        """
        if content_hash(data) != hash:
            raise ValueError(f"the bytes given as {hash} have another SHA-256")
        file = self.path(hash)
        if file.is_file() and file.stat().st_size == len(data):
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{hash}.{uuid.uuid4().hex}")
        try:
            with draft.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(file.parent)
        sync_folder(self.folder)

    def remove(self, hash: str) -> None:
        """Forget bytes, and what a crash has left of them half written, where they are there."""
        file = self.path(hash)
        file.unlink(missing_ok=True)
        for draft in file.parent.glob(f".{hash}.*"):
            draft.unlink(missing_ok=True)

    def hashes(self) -> Iterator[str]:
        """Of all that is there."""
        for file in self._files():
            if HASH.fullmatch(file.name):
                yield file.name

    def drafts(self) -> Iterator[Path]:
        """What a crash has left half written."""
        for file in self._files():
            if not HASH.fullmatch(file.name):
                yield file

    def _files(self) -> Iterator[Path]:
        if self.folder.is_dir():
            for part in sorted(self.folder.iterdir()):
                if part.is_dir():
                    yield from sorted(part.iterdir())
