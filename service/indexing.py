"""Files into a catalogue: where the model and the index meet."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from index.build import build
from index.catalogue import CatalogueError
from index.database import DATABASE
from index.local import LocalCatalogue
from index.source import Entry, Source
from index.summary import UNREADABLE, Summary, write_unreadable
from service.bulk import BulkEmbedder
from service.fingerprint import check_fingerprint
from training.data.rows import Row, RowsError, read_rows
from training.model.bundle import load_bundle
from training.model.embedder import Embedder
from training.model.media import image, sound
from training.progress import track


def build_catalogue(
    embedder: Embedder,
    source: Path,
    out: Path,
    splits: Sequence[str] | None = None,
    *,
    copy: bool = False,
    sync: bool = False,
) -> Summary:
    """Embed what is new or changed in a rows file or a folder into a catalogue; files that can't be read are left out,
    and listed in the catalogue's folder.

    Args:
        embedder: the model.
        source: a rows file, or a folder of images and sounds.
        out: the catalogue's folder; one that is there is added to.
        splits: of a rows file, only these.
        copy: keep the files' bytes in the catalogue rather than their paths.
        sync: also remove items that came from this source, and these splits, and whose file or row is gone.

    Raises:
        RowsError: the rows file can't be used, or no row is of the splits asked for.
        CatalogueError: the source has nothing to index, or the catalogue was made with another bundle or folder.
        InUse: another process has the catalogue open for writing.
    """
    catalogue = _open(embedder, out) if (out / DATABASE).exists() else None
    try:
        found = find_entries(source, splits, catalogue.root if catalogue else None)
        if catalogue is None and out.resolve() == source.resolve():
            raise CatalogueError(f"{out} holds the files themselves; name another folder with --out, for the catalogue")
        if catalogue is None:
            dimension = embedder.bundle.model.config.projection_dim
            catalogue = LocalCatalogue.create(out, embedder.bundle.fingerprint, dimension, found.root)
        if catalogue.root != found.root.resolve():
            raise CatalogueError(
                f"{out} holds files of {catalogue.root}, not of {found.root}; name another catalogue with --out, "
                f"or where they were moved there, say so with 'bma index root {out} {found.root}'"
            )
        with BulkEmbedder(embedder, found.root) as embed:
            summary = build(catalogue, found, embed, copy=copy, remove=sync, track=track)
        catalogue.upkeep.finish()  # who serves it next need not train the index first
        write_unreadable(out / UNREADABLE, summary.unreadable)
    finally:
        if catalogue is not None:
            catalogue.close()
    if not summary.images and not summary.sounds and not summary.duplicates:
        raise CatalogueError(f"{source}: not one file could be indexed (the first: {summary.unreadable[0].reason})")
    return summary


def create_empty(bundle: Path, out: Path) -> None:
    """Make a catalogue without items for a bundle, to be filled over HTTP.

    Raises:
        BundleError: the bundle can't be used.
        CatalogueError: there already is a catalogue, or the folder can't be written.
    """
    made_by = load_bundle(bundle)
    LocalCatalogue.create(out, made_by.fingerprint, made_by.model.config.projection_dim, out).close()


def find_entries(source: Path, splits: Sequence[str] | None = None, known: Path | None = None) -> Source:
    """What a rows file names, or what a folder holds, and the folder that the paths are relative to.

    Of a rows file that is its own folder; where it names files that lie elsewhere, the deepest folder that holds them
    too, or `known`, the root of a catalogue that is there, where it does. Rows of other splits count, so that every
    split goes into the same catalogue.
    """
    if source.is_dir() and not (source / "rows.csv").is_file():
        if splits:
            raise RowsError(f"{source} is a folder without rows.csv, so it has no splits; leave out --split")
        closed: dict[str, str] = {}
        entries = sorted(_walk(source, closed), key=lambda entry: entry.path)
        if not entries:
            raise CatalogueError(f"{source} holds no image or sound files; name a folder that does")
        return Source(source, entries, closed=closed)
    if source.is_file() and source.suffix.lower() in image.SUFFIXES | sound.SUFFIXES:
        raise CatalogueError(f"{source} is a single file; name the folder that it is in, or a rows file")
    if not source.exists():
        raise CatalogueError(f"{source} does not exist; name a folder with images and sounds, or a rows file")
    rows_file = source / "rows.csv" if source.is_dir() else source
    everything = read_rows(rows_file)
    rows = [row for row in everything if not splits or row.split in splits]
    if not rows:
        raise RowsError(f"{rows_file} has no rows of split {' or '.join(splits or ())}")
    first: dict[tuple[Any, ...], Entry] = {}  # an image that stands in several rows is one item
    for entry in _of_rows(rows):
        first.setdefault((entry.path, entry.id, entry.start, entry.duration), entry)
    entries, root = list(first.values()), _root(rows_file.parent, everything, known)
    if root != rows_file.parent:
        entries = [replace(entry, path=_below(root, rows_file.parent / entry.path)) for entry in entries]
    return Source(root, entries, _below(root, rows_file), frozenset(splits) if splits else None)


def _root(folder: Path, rows: Sequence[Row], known: Path | None) -> Path:
    """The deepest folder that holds a rows file's folder and all its files that are there."""
    paths = dict.fromkeys(path for row in rows for path in (row.image, row.sound) if path)
    files = [file for path in paths if (file := (folder / path).resolve()).is_file()]
    base = folder.resolve()
    if known is not None and all(place.is_relative_to(known) for place in (base, *files)):
        return folder if known == base else known
    if all(file.is_relative_to(base) for file in files):
        return folder
    return Path(os.path.commonpath([base, *(file.parent for file in files)]))


def _below(root: Path, file: Path) -> str:
    return Path(os.path.relpath(file.resolve(), root.resolve())).as_posix()


def _of_rows(rows: Sequence[Row]) -> Iterator[Entry]:
    for row in rows:
        common: dict[str, Any] = {"split": row.split, **({"clip": row.clip} if row.clip else {})}
        if row.image:
            id = f"{row.id}:image" if row.id else ""
            yield Entry(row.image, "image", id, row.label, row.tags, common, part=row.split)
        if row.sound:
            id = f"{row.id}:sound" if row.id else ""
            part = {"start": row.start} if row.start else {}
            if row.duration is not None:
                part["duration"] = row.duration
            words = (row.label, row.tags, {**common, **part})
            yield Entry(row.sound, "sound", id, *words, row.start, row.duration, row.split)


def _walk(folder: Path, closed: dict[str, str]) -> Iterator[Entry]:
    """A folder's files; those of its folders that can't be read go to `closed`, each with the reason."""

    def close(error: OSError) -> None:
        path = Path(error.filename).relative_to(folder).as_posix()
        closed[path] = f"{path} can't be read ({error.strerror}), so neither can what is in it; allow it"

    for parent, folders, files in os.walk(folder, onerror=close):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            suffix = Path(name).suffix.lower()
            path = str((Path(parent) / name).relative_to(folder))
            if name.startswith("."):
                continue
            if suffix in image.SUFFIXES:
                yield Entry(path, "image", metadata={"path": path})
            elif suffix in sound.SUFFIXES:
                yield Entry(path, "sound", metadata={"path": path})


def _open(embedder: Embedder, out: Path) -> LocalCatalogue:
    catalogue = LocalCatalogue.open(out, writable=True)
    try:
        check_fingerprint(catalogue, embedder, out)
    except BaseException:
        catalogue.close()
        raise
    return catalogue
