"""Filling a catalogue from files: embed in batches, keep going past what can't be read."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from index.catalogue import Catalogue, Item, Modality

BATCH = 64
UNREADABLE = "unreadable.csv"


@dataclass(frozen=True)
class Entry:
    """A file to be found later.

    Attributes:
        path: the file, relative to the catalogue's root.
        modality: what it is.
        id: the item's id; its content's hash when empty.
        label: class name, empty when unknown.
        tags: free words.
        metadata: free JSON object.
        start: seconds into a sound file.
        duration: seconds of it, the whole rest when None.
    """

    path: str
    modality: Modality
    id: str = ""
    label: str = ""
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    start: float = 0.0
    duration: float | None = None


@dataclass(frozen=True)
class Embedded:
    """An entry's unit vector `[d]` and its file's media type."""

    z: npt.NDArray[np.float32]
    media_type: str


@dataclass(frozen=True)
class Unreadable:
    """A file that can't be used, and why in one sentence."""

    path: str
    reason: str


Embed = Callable[[Sequence[Entry]], list[Embedded | Unreadable]]


@dataclass
class Summary:
    """What a build did."""

    images: int = 0
    sounds: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)

    def write_unreadable(self, file: Path) -> None:
        """List the files that could not be read, as CSV."""
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["file", "reason"])
            writer.writerows([entry.path, entry.reason] for entry in self.unreadable)


def build(catalogue: Catalogue, root: Path, entries: Iterable[Entry], embed: Embed) -> Summary:
    """Embed entries and put them into a catalogue, a batch at a time; each batch is durable once done.

    Args:
        catalogue: to fill; items whose id is already there are replaced.
        root: the folder that the entries' paths are relative to.
        entries: what to add.
        embed: the model, behind a function: entries of one modality in, vectors or reasons out, in order.
    """
    summary = Summary()
    remaining = iter(entries)
    owners: dict[str, Entry] = {}
    while batch := list(islice(remaining, BATCH)):
        named = [entry for entry in batch if _has_a_name(entry, summary)]
        for modality in ("image", "sound"):
            part = [entry for entry in named if entry.modality == modality and _owns_its_id(entry, owners, summary)]
            if part:
                _add(catalogue, root, part, embed(part), summary)
    return summary


def _has_a_name(entry: Entry, summary: Summary) -> bool:
    """Whether a path can be written down: names on disk may hold bytes that are no text."""
    try:
        entry.path.encode("utf-8")
    except UnicodeEncodeError:
        name = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in entry.path)
        reason = f"{name} has bytes in its name, or its folder's, that are not UTF-8; rename it"
        summary.unreadable.append(Unreadable(name, reason))
        return False
    return True


def _owns_its_id(entry: Entry, owners: dict[str, Entry], summary: Summary) -> bool:
    """Whether no entry before it has the same id: of two the second would replace the first, unsaid."""
    owner = owners.setdefault(entry.id, entry) if entry.id else entry
    if owner is not entry:
        reason = f"{entry.path} has the id '{entry.id}' that {owner.path} has; give each row an id of its own"
        summary.unreadable.append(Unreadable(entry.path, reason))
    return owner is entry


def _add(
    catalogue: Catalogue, root: Path, entries: list[Entry], results: list[Embedded | Unreadable], summary: Summary
) -> None:
    items: dict[str, Item] = {}
    vectors: dict[str, npt.NDArray[np.float32]] = {}
    for entry, result in zip(entries, results, strict=True):
        file = (root / entry.path).resolve()
        if not file.is_relative_to(root.resolve()):
            result = Unreadable(
                entry.path, f"{entry.path} lies outside the folder that is indexed; move or copy it inside"
            )
        if isinstance(result, Unreadable):
            summary.unreadable.append(result)
            continue
        try:
            item = Item(
                id=entry.id or _content_id(file, entry),
                modality=entry.modality,
                path=entry.path,
                media_type=result.media_type,
                label=entry.label,
                tags=entry.tags,
                metadata=entry.metadata,
            )
        except ValueError as error:
            summary.unreadable.append(Unreadable(entry.path, f"{entry.path}: {error}"))
            continue
        items[item.id], vectors[item.id] = item, result.z
    if items:
        catalogue.put(list(items.values()), np.stack(list(vectors.values())))
    summary.images += sum(item.modality == "image" for item in items.values())
    summary.sounds += sum(item.modality == "sound" for item in items.values())


def _content_id(file: Path, entry: Entry) -> str:
    """The hash of a file's bytes; with the stretch of the sound where only part of it is meant."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
    if entry.start or entry.duration is not None:
        digest.update(f"{entry.start!r} {entry.duration!r}".encode())
    return digest.hexdigest()
