"""Files into a catalogue: where the model and the index meet."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from index.build import Embedded, Entry, Summary, Unreadable, build
from index.catalogue import CatalogueError
from index.database import DATABASE
from index.local import LocalCatalogue
from service.fingerprint import check_fingerprint
from training.data.rows import Row, RowsError, read_rows
from training.model.embedder import Embedder
from training.model.media import image, sound
from training.model.media.source import MediaError
from training.progress import track

TOGETHER = 1800.0  # seconds of sound that are in memory at once; of one that is longer, all


def build_catalogue(embedder: Embedder, source: Path, out: Path, splits: Sequence[str] | None = None) -> Summary:
    """Embed a rows file's or a folder's files into a catalogue; files that can't be read are left out and listed.

    A catalogue that is there is added to; items whose id it has are replaced.

    Raises:
        RowsError: the rows file can't be used, or no row is of the splits asked for.
        CatalogueError: the source has nothing to index, or the catalogue was made with another bundle or folder.
    """
    entries, root = find_entries(source, splits)
    catalogue = _open(embedder, out, root)
    try:
        with _EntryEmbedder(embedder, root) as embed:
            summary = build(catalogue, root, track(entries, "indexing", len(entries)), embed)
        summary.write_unreadable(out / "unreadable.csv")
    finally:
        catalogue.close()
    if not summary.images and not summary.sounds:
        raise CatalogueError(f"{source}: not one file could be indexed (the first: {summary.unreadable[0].reason})")
    return summary


def find_entries(source: Path, splits: Sequence[str] | None = None) -> tuple[list[Entry], Path]:
    """What a rows file names, or what a folder holds, and the folder that the paths are relative to.

    Of a rows file that is its own folder; where it names files that lie elsewhere, the deepest folder that holds them
    too. Rows of other splits count, so that every split goes into the same catalogue.
    """
    if source.is_dir() and not (source / "rows.csv").is_file():
        if splits:
            raise RowsError(f"{source} is a folder without rows.csv, so it has no splits; leave out --split")
        entries = sorted(_walk(source), key=lambda entry: entry.path)
        if not entries:
            raise CatalogueError(f"{source} holds no image or sound files; name a folder that does")
        return entries, source
    rows_file = source / "rows.csv" if source.is_dir() else source
    everything = read_rows(rows_file)
    rows = [row for row in everything if not splits or row.split in splits]
    if not rows:
        raise RowsError(f"{rows_file} has no rows of split {' or '.join(splits or ())}")
    first: dict[tuple[Any, ...], Entry] = {}  # an image that stands in several rows is one item
    for entry in _of_rows(rows):
        first.setdefault((entry.path, entry.id, entry.start, entry.duration), entry)
    entries = list(first.values())
    root = _root(rows_file.parent, everything)
    if root == rows_file.parent:
        return entries, root
    return [replace(entry, path=_below(root, rows_file.parent / entry.path)) for entry in entries], root


def _root(folder: Path, rows: Sequence[Row]) -> Path:
    """The deepest folder that holds a rows file's folder and all its files that are there."""
    paths = dict.fromkeys(path for row in rows for path in (row.image, row.sound) if path)
    files = [file for path in paths if (file := (folder / path).resolve()).is_file()]
    base = folder.resolve()
    if all(file.is_relative_to(base) for file in files):
        return folder
    return Path(os.path.commonpath([base, *(file.parent for file in files)]))


def _below(root: Path, file: Path) -> str:
    return Path(os.path.relpath(file.resolve(), root)).as_posix()


def _of_rows(rows: Sequence[Row]) -> Iterator[Entry]:
    for row in rows:
        common: dict[str, Any] = {"split": row.split, **({"clip": row.clip} if row.clip else {})}
        if row.image:
            id = f"{row.id}:image" if row.id else ""
            yield Entry(row.image, "image", id, row.label, row.tags, common)
        if row.sound:
            id = f"{row.id}:sound" if row.id else ""
            part = {"start": row.start} if row.start else {}
            if row.duration is not None:
                part["duration"] = row.duration
            yield Entry(row.sound, "sound", id, row.label, row.tags, {**common, **part}, row.start, row.duration)


def _walk(folder: Path) -> Iterator[Entry]:
    for parent, folders, files in os.walk(folder):
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


def _open(embedder: Embedder, out: Path, root: Path) -> LocalCatalogue:
    if not (out / DATABASE).exists():
        dimension = embedder.bundle.model.config.projection_dim
        return LocalCatalogue.create(out, embedder.bundle.fingerprint, dimension, root)
    catalogue = LocalCatalogue.open(out, writable=True)
    check_fingerprint(catalogue, embedder, out)
    if catalogue.root != root.resolve():
        raise CatalogueError(f"{out} holds files of {catalogue.root}, not of {root}; name another catalogue with --out")
    return catalogue


class _EntryEmbedder:
    """Decodes entries on all cores, then embeds them together."""

    def __init__(self, embedder: Embedder, root: Path) -> None:
        self.embedder, self.root = embedder, root
        self.pool = ThreadPoolExecutor(os.cpu_count(), "decode")

    def __enter__(self) -> _EntryEmbedder:
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.shutdown()

    def __call__(self, entries: Sequence[Entry]) -> list[Embedded | Unreadable]:
        """Vectors of entries of one modality, or why a file can't be used."""
        return [result for group in self._groups(entries) for result in self._embed(group)]

    def _groups(self, entries: Sequence[Entry]) -> Iterator[list[Entry]]:
        """Entries that are decoded together: sounds as many as last `TOGETHER` seconds, as far as their files say."""
        group: list[Entry] = []
        seconds = 0.0
        for entry, more in zip(entries, self.pool.map(self._seconds, entries), strict=True):
            if group and seconds + more > TOGETHER:
                yield group
                group, seconds = [], 0.0
            group.append(entry)
            seconds += more
        yield group

    def _seconds(self, entry: Entry) -> float:
        if entry.modality == "image":
            return 0.0
        if entry.duration is not None:
            return entry.duration
        try:
            seconds = sound.sound_seconds(self.root / entry.path)
        except MediaError:
            return 0.0  # reading it says what is wrong
        return sound.MAX_SECONDS if seconds is None else max(0.0, seconds - entry.start)

    def _embed(self, entries: Sequence[Entry]) -> list[Embedded | Unreadable]:
        # files may be longer than they say: what then finds no room is embedded by itself
        allowance = sound.Allowance(TOGETHER) if len(entries) > 1 else None
        decoded = list(self.pool.map(self._read, entries, [allowance] * len(entries)))
        good = [result for result in decoded if isinstance(result, tuple)]
        arrays = [array for array, _ in good]
        embed = self.embedder.embed_images if entries[0].modality == "image" else self.embedder.embed_sounds
        vectors = iter(zip(embed(arrays).z, (media_type for _, media_type in good), strict=True))
        results = [Embedded(*next(vectors)) if isinstance(result, tuple) else result for result in decoded]
        del decoded, good, arrays
        return [result or self._embed([entry])[0] for entry, result in zip(entries, results, strict=True)]

    def _read(
        self, entry: Entry, allowance: sound.Allowance | None
    ) -> tuple[npt.NDArray[Any], str] | Unreadable | None:
        file, config = self.root / entry.path, self.embedder.preprocessor.config
        try:
            if entry.modality == "image":
                return image.read_image(file, config.image_size, name=entry.path), image.image_type(
                    file, name=entry.path
                )
            wave = sound.read_sound(
                file,
                config.sample_rate,
                name=entry.path,
                start=entry.start,
                duration=entry.duration,
                allowance=allowance,
            )
            return wave, sound.sound_type(file, name=entry.path)
        except MediaError as error:
            return Unreadable(entry.path, str(error))
        except sound.AllowanceSpent:
            return None
