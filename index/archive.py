"""An export: a catalogue as JSON lines, one array and files of content; how it is read back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from index.batch import Batch
from index.catalogue import MODALITIES, Catalogue, CatalogueError, Item
from index.content import HASH, Content
from index.filter import Filter

FORMAT = 1
DOCUMENT, ITEMS, VECTORS, CONTENT = "catalogue.json", "items.jsonl", "vectors.npy", "content"
CHUNK = 1000  # items that are read, and put, at once

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]
_TEXTS = {field.name for field in fields(Item)} - {"tags", "metadata"}


class Archive:
    """An export's folder.

    Args:
        folder: that it is in.

    Raises:
        CatalogueError: it is no export, it is of a later version, or a part is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
            version = document["format"]
        except FileNotFoundError:
            raise CatalogueError(
                f"{folder} is no export (it has no {DOCUMENT}); make one with 'bma index export CATALOGUE OUT'"
            ) from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise self._damaged(f"{DOCUMENT} can't be read: {error!r}") from None
        if version != FORMAT:
            raise CatalogueError(
                f"{folder} has format {version}, this version reads {FORMAT}; use the version that made it"
            )
        try:
            self.fingerprint, self.dimension = str(document["fingerprint"]), int(document["dimension"])
            self.counts = {modality: int(document[f"{modality}s"]) for modality in MODALITIES}
            self.contents = int(document["contents"])
            self.references = int(document["references"])
            self.root = Path(document["root"])
            self._hashes = {name: str(document["sha256"][name]) for name in (ITEMS, VECTORS)}
        except (ValueError, TypeError, KeyError) as error:
            raise self._damaged(f"{DOCUMENT} lacks something: {error!r}") from None
        self.content = Content(folder / CONTENT)

    def __len__(self) -> int:
        return sum(self.counts.values())

    def verify(self, track: Track = lambda items, what, total: items) -> None:
        """Read all of it, and compare it with its counts and hashes.

        Raises:
            CatalogueError: something is damaged, cut off or missing.
        """
        for name, expected in self._hashes.items():
            if self._hash(self.folder / name) != expected:
                raise self._damaged(f"{name} has changed since it was written")
        vectors = self.vectors()
        counts, references, seen = dict.fromkeys(MODALITIES, 0), 0, set[str]()
        for start, items in track(self.chunks(), "verifying", -(-len(self) // CHUNK)):
            for item in items:
                counts[item.modality] += 1
                references += not item.content
                if item.content and item.content not in seen:
                    seen.add(item.content)
                    if self._hash(self.content.path(item.content)) != item.content:
                        raise self._damaged(f"the content of item {item.id} has changed since it was written")
            part = vectors[start : start + len(items)]
            if len(part) < len(items) or not np.allclose(np.linalg.norm(part, axis=1), 1, atol=1e-3):
                raise self._damaged(f"{VECTORS} does not hold a vector of unit length for each item")
        if counts != self.counts or references != self.references or len(seen) != self.contents:
            raise self._damaged(f"{ITEMS} does not hold what {DOCUMENT} says")

    def vectors(self) -> npt.NDArray[np.float32]:
        """All vectors `[N, d]`, memory-mapped."""
        try:
            vectors = np.load(self.folder / VECTORS, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise self._damaged(f"{VECTORS} can't be read: {error}") from None
        if vectors.dtype != np.dtype("<f4") or vectors.shape != (len(self), self.dimension):
            raise self._damaged(f"{VECTORS} is not float32 [{len(self)}, {self.dimension}]")
        return vectors

    def chunks(self) -> Iterator[tuple[int, list[Item]]]:
        """The items in order, some at a time, each time with the number of the first."""
        start = 0
        with (self.folder / ITEMS).open("rb") as stream:
            while lines := list(islice(stream, CHUNK)):
                yield start, [self._item(line, start + number) for number, line in enumerate(lines)]
                start += len(lines)

    def find_root(self, given: Path | None) -> Path | None:
        """The folder below which its files by reference lie; None where it has none, and none is given.

        Raises:
            CatalogueError: it is not there.
        """
        root = given or self.root
        if root.is_dir():
            return root
        if given is None and not self.references:
            return None
        raise CatalogueError(f"{root} is not there, below which the files of {self.folder} lie; name it with --root")

    def check_fits(self, catalogue: Catalogue, theirs: Path | None, root: Path | None, place: object) -> None:
        """Whether a catalogue can take its items.

        Args:
            catalogue: that is asked.
            theirs: the root of the catalogue.
            root: of this archive's files.
            place: what messages call the catalogue.

        Raises:
            CatalogueError: its vectors are another model's, or its files lie elsewhere.
        """
        if (catalogue.fingerprint, catalogue.dimension) != (self.fingerprint, self.dimension):
            raise CatalogueError(
                f"{place} was made with another model ({catalogue.fingerprint[:8]}, not {self.fingerprint[:8]} as "
                f"{self.folder}); name a new catalogue with --out"
            )
        if self.references and root and theirs and theirs.resolve() != root.resolve():
            raise CatalogueError(f"{place} holds files of {theirs}, not of {root}; name another catalogue with --out")

    def _item(self, line: bytes, number: int) -> Item:
        try:
            document = json.loads(line)
            if not all(isinstance(document[name], str) for name in _TEXTS):
                raise TypeError("a text is no text")
            item = Item(**{**document, "tags": tuple(document["tags"])})
            if not isinstance(item.metadata, dict) or item.modality not in MODALITIES:
                raise TypeError("no such item")
            if bool(item.path) == bool(item.content) or (item.content and not HASH.fullmatch(item.content)):
                raise ValueError("neither a file nor content")
        except (ValueError, TypeError, KeyError) as error:
            raise self._damaged(f"{ITEMS} line {number + 1} is no item: {error}") from None
        return item

    def _hash(self, file: Path) -> str:
        try:
            with file.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise self._damaged(f"{file.relative_to(self.folder)} can't be read: {error.strerror}") from None

    def _damaged(self, what: str) -> CatalogueError:
        return CatalogueError(f"{self.folder} is damaged or incomplete ({what}); copy it or export it again")


def bring_in(archive: Archive, catalogue: Catalogue, track: Track = lambda items, what, total: items) -> dict[str, int]:
    """Put a verified archive's items into a catalogue, a batch at a time; what is there as it is stays untouched, so
    that one that was stopped goes on.

    Args:
        archive: to read.
        catalogue: that fits; items of the same id are replaced.
        track: told of the chunks that are gone through, what that is called, and how many there are.

    Returns:
        How many items were `added`, `changed` and `unchanged`.

    Raises:
        CatalogueError: the catalogue can't be written; what was put before stays.
    """
    vectors = archive.vectors()
    done = {"added": 0, "changed": 0, "unchanged": 0}
    batch = Batch(catalogue, CHUNK)
    for start, items in track(archive.chunks(), "importing", -(-len(archive) // CHUNK)):
        part = np.array(vectors[start : start + len(items)])
        there = {item.id: item for item in catalogue.list(Filter(ids=tuple(item.id for item in items)))}
        known = dict(zip(there, catalogue.vectors(list(there)), strict=True))
        for item, vector in zip(items, part, strict=True):
            old = there.get(item.id)
            if old and _plain(old) == _plain(item) and np.array_equal(known[item.id], vector):
                done["unchanged"] += 1
                continue
            done["changed" if old else "added"] += 1
            content = archive.content.path(item.content).read_bytes() if item.content else None
            batch.add(item, vector, content)
        batch.put()
    return done


def _plain(item: Item) -> Item:
    return replace(item, created="", updated="")
