"""Writing a catalogue as JSON lines, one array and files of content: see `index.archive`."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from index.archive import CHUNK, CONTENT, DOCUMENT, FORMAT, ITEMS, VECTORS, Track
from index.catalogue import MODALITIES, Catalogue, CatalogueError, Item
from index.content import Content
from index.database import sync_folder
from index.filter import Filter

ATTEMPTS = 10  # to read some items and their vectors while nobody changes them


def export(
    catalogue: Catalogue, out: Path, root: Path | None = None, track: Track = lambda items, what, total: items
) -> dict[str, int]:
    """Write a catalogue into a new folder, which is there as a whole or not at all.

    Others may change the catalogue meanwhile: each item is then as it was at one moment of the export.

    Args:
        catalogue: to write.
        out: the folder.
        root: the folder below which its files by reference lie.
        track: told of the items that are gone through, what that is called, and how many there are.

    Returns:
        How many `images`, `sounds` and `contents` there are.

    Raises:
        CatalogueError: the folder is there already or can't be written; a content is missing or damaged.
    """
    if out.exists():
        raise CatalogueError(f"{out} already exists; name a new folder")
    try:
        with _draft(out) as draft:
            document = _write(catalogue, draft, track)
            document |= {"root": str((root or Path()).resolve())}
            _write_whole(draft / DOCUMENT, json.dumps(document, indent=2) + "\n")
            for folder in (*(path for path in draft.rglob("*") if path.is_dir()), draft):
                sync_folder(folder)
            draft.rename(out)
            sync_folder(out.parent)
    except OSError as error:
        raise CatalogueError(f"{out} can't be written ({error.strerror}); free some space, or name another") from None
    return {key: document[key] for key in ("images", "sounds", "contents")}


def _write(catalogue: Catalogue, draft: Path, track: Track) -> dict[str, Any]:
    """Items, vectors and contents; what the document says of them."""
    counts, references, contents = dict.fromkeys(MODALITIES, 0), 0, set[str]()
    content = Content(draft / CONTENT)
    items = iter(track(catalogue.list(), "exporting", sum(catalogue.count().values())))
    with (draft / ITEMS).open("wb") as lines, (draft / VECTORS).open("wb") as array:
        _write_header(array, 0, catalogue.dimension)
        while some := list(islice(items, CHUNK)):
            some, vectors = _at_one_moment(catalogue, some)
            for item in some:
                lines.write(json.dumps(asdict(item), separators=(",", ":")).encode() + b"\n")
                counts[item.modality] += 1
                references += not item.content
                if item.content and item.content not in contents:
                    contents.add(item.content)
                    _copy(catalogue.file(item), content.path(item.content), item)
            array.write(np.ascontiguousarray(vectors, dtype="<f4").tobytes())
        array.seek(0)
        _write_header(array, sum(counts.values()), catalogue.dimension)
        for stream in (lines, array):
            stream.flush()
            os.fsync(stream.fileno())
    return {
        "format": FORMAT,
        "fingerprint": catalogue.fingerprint,
        "dimension": catalogue.dimension,
        **{f"{modality}s": count for modality, count in counts.items()},
        "references": references,
        "contents": len(contents),
        "sha256": {name: _hash(draft / name) for name in (ITEMS, VECTORS)},
    }


def _at_one_moment(catalogue: Catalogue, items: list[Item]) -> tuple[list[Item], npt.NDArray[np.float32]]:
    """Items with their vectors, read again where somebody changes them in between."""
    for _ in range(ATTEMPTS):
        ids = tuple(item.id for item in items)
        try:
            vectors = catalogue.vectors(ids)
        except CatalogueError:  # one has just been removed
            vectors = None
        found = {item.id: item for item in catalogue.list(Filter(ids=ids))}
        again = [found[id] for id in ids if id in found]
        if vectors is not None and again == items:
            return items, vectors
        items = again
    raise CatalogueError("the catalogue changes too fast to be exported; stop what changes it, and try again")


def _copy(file: Path, target: Path, item: Item) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)
    with target.open("rb") as stream:
        os.fsync(stream.fileno())
    if _hash(target) != item.content:
        raise CatalogueError(f"the content of item {item.id} is damaged; put the item anew, or remove it")


def _write_header(stream: BinaryIO, count: int, dimension: int) -> None:
    """The header of an `.npy` file; numpy leaves room in it for the count to grow."""
    document = {"descr": "<f4", "fortran_order": False, "shape": (count, dimension)}
    np.lib.format.write_array_header_1_0(stream, document)


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write_whole(file: Path, text: str) -> None:
    with file.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def _draft(out: Path) -> Iterator[Path]:
    """An empty folder beside the target, held by one process; what a killed one left in it goes."""
    draft = out.with_name(f".{out.name}.draft")
    draft.mkdir(parents=True, exist_ok=True)
    lock = os.open(draft, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CatalogueError(f"{out} is being written by another process; name another folder") from None
        for path in draft.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    finally:
        os.close(lock)
