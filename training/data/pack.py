"""Making a packed data set: decode every file once, in parallel, and keep going past broken ones."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from training.data.packed import (
    INDEX,
    PACK,
    ROWS,
    SCHEMA,
    UNREADABLE,
    PackedData,
    PackError,
    images_file,
    offsets_file,
    read_info,
    waves_file,
)
from training.data.rows import Row, RowsError, read_rows
from training.model.draft import clear_drafts, make_draft, replace_folder
from training.model.media.image import read_image
from training.model.media.sound import read_sound
from training.model.media.source import MediaError
from training.progress import track

T = TypeVar("T")
R = TypeVar("R")
Segment = tuple[str, float, float | None]  # a sound's path, start and duration


def open_data(data: Path, image_size: int, sample_rate: int) -> PackedData:
    """Open DATA: a packed set as it is; a rows file or its folder is packed beside it (`packed/`) first where needed.

    Raises:
        RowsError, PackError: what is there can't be used; one sentence with the remedy.
        OSError: the packed set can't be written.
    """
    if (data / PACK).is_file():
        return PackedData.open(data, image_size, sample_rate)
    rows_file = data / ROWS if data.is_dir() else data
    if data.is_dir() and not rows_file.is_file():
        raise RowsError(f"{data} holds neither {PACK} nor {ROWS}; name a packed set, a rows file or its folder")
    rows = read_rows(rows_file)
    folder = rows_file.parent / "packed"
    if is_current(folder, rows_file, rows, image_size, sample_rate):
        return PackedData.open(folder, image_size, sample_rate)
    return pack(rows_file, folder, image_size, sample_rate)


def is_current(folder: Path, rows_file: Path, rows: Sequence[Row], image_size: int, sample_rate: int) -> bool:
    """Whether a packed folder is what packing these rows now would make, judged by sizes and times of the files."""
    if not (folder / PACK).is_file():
        return False
    info = read_info(folder)
    return bool(
        image_size in info["image_sizes"]
        and sample_rate == info["sample_rate"]
        and info["source"] == _source_state(rows_file, rows)
    )


def pack(rows_file: Path, folder: Path, image_size: int, sample_rate: int) -> PackedData:
    """Pack a rows file's media into a folder.

    Files that can't be read are left out, counted and listed in `unreadable.csv`. A folder that holds an older pack is
    replaced once the new one is complete; what killed processes have left beside it is removed.

    Raises:
        RowsError: the rows file can't be used.
        PackError: not one file could be read, or the folder holds something else.
        OSError: the folder can't be written.
    """
    rows = read_rows(rows_file)
    if folder.exists() and any(folder.iterdir()) and not (folder / PACK).is_file():
        raise PackError(f"{folder} exists and is not a packed data set; name another folder")
    clear_drafts(folder)
    with make_draft(folder) as draft:
        _Packing(rows_file, rows, draft, image_size, sample_rate).run()
        draft.chmod(0o755)
        replace_folder(draft, folder)
    return PackedData.open(folder, image_size, sample_rate)


@dataclass
class _Packing:
    rows_file: Path
    rows: list[Row]
    draft: Path
    image_size: int
    sample_rate: int
    unreadable: list[MediaError] = field(default_factory=list)

    def run(self) -> None:
        state = _source_state(self.rows_file, self.rows)  # before reading: a file that changes meanwhile is seen later
        content = hashlib.sha256(self.rows_file.read_bytes())
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            images = self._images(pool, content)
            sounds = self._sounds(pool, content)
        if not images and not sounds:
            first = f" (the first: {self.unreadable[0]})" if self.unreadable else ""
            raise PackError(f"{self.rows_file}: not one of its files could be read{first}")
        index = [(images.get(row.image, -1), sounds.get(_segment(row), -1)) for row in self.rows]
        np.save(self.draft / INDEX, np.array(index, dtype=np.int32))
        shutil.copyfile(self.rows_file, self.draft / ROWS)
        self._report()
        info: dict[str, Any] = {
            "schema": SCHEMA,
            "fingerprint": content.hexdigest(),
            "image_sizes": [self.image_size],
            "sample_rate": self.sample_rate,
            "rows": len(self.rows),
            "images": len(images),
            "sounds": len(sounds),
            "unreadable": len(self.unreadable),
            "source": state,
        }
        (self.draft / PACK).write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")

    def _images(self, pool: ThreadPoolExecutor, content: Any) -> dict[str, int]:
        paths = list(dict.fromkeys(row.image for row in self.rows if row.image))

        def read(path: str) -> tuple[bytes, npt.NDArray[np.uint8]] | MediaError:
            file = self.rows_file.parent / path
            return _attempt(lambda: (_digest(file), read_image(file, self.image_size, name=path)))

        places: dict[str, int] = {}
        with (self.draft / images_file(self.image_size)).open("wb") as stream:
            for path, result in track(_ahead(pool, read, paths), "packing images", len(paths)):
                if isinstance(result, MediaError):
                    self.unreadable.append(result)
                    continue
                places[path] = len(places)
                self._append(stream, content, *result)
        return places

    def _sounds(self, pool: ThreadPoolExecutor, content: Any) -> dict[Segment, int]:
        segments = list(dict.fromkeys(_segment(row) for row in self.rows if row.sound))

        def read(segment: Segment) -> tuple[bytes, npt.NDArray[np.int16]] | MediaError:
            path, start, duration = segment
            file = self.rows_file.parent / path
            return _attempt(
                lambda: (
                    _digest(file),
                    read_sound(file, self.sample_rate, name=path, start=start, duration=duration),
                )
            )

        places: dict[Segment, int] = {}
        offsets = [0]
        with (self.draft / waves_file(self.sample_rate)).open("wb") as stream:
            for segment, result in track(_ahead(pool, read, segments), "packing sounds", len(segments)):
                if isinstance(result, MediaError):
                    self.unreadable.append(result)
                    continue
                places[segment] = len(places)
                offsets.append(offsets[-1] + len(result[1]))
                self._append(stream, content, *result)
        np.save(self.draft / offsets_file(self.sample_rate), np.array(offsets, dtype=np.int64))
        return places

    def _append(self, stream: BinaryIO, content: Any, digest: bytes, array: npt.NDArray[Any]) -> None:
        content.update(digest)
        stream.write(array.tobytes())

    def _report(self) -> None:
        with (self.draft / UNREADABLE).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["file", "reason"])
            writer.writerows([error.name, error.reason] for error in self.unreadable)


def _segment(row: Row) -> Segment:
    return (row.sound, row.start, row.duration)


def _attempt(read: Callable[[], T]) -> T | MediaError:
    try:
        return read()
    except MediaError as error:
        return error


def _digest(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError:
        return b""  # the reader right after says what is wrong, in one sentence


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[T], R], items: Sequence[T], chunk: int = 256
) -> Iterator[tuple[T, R]]:
    """Results in order, worked out by the pool a chunk at a time so that what waits stays bounded."""
    remaining = iter(items)
    while part := list(islice(remaining, chunk)):
        yield from zip(part, pool.map(work, part), strict=True)


def _source_state(rows_file: Path, rows: Sequence[Row]) -> str:
    """A hash over the rows file and over size and time of every file it names."""
    state = hashlib.sha256(rows_file.read_bytes())
    for path in dict.fromkeys(path for row in rows for path in (row.image, row.sound) if path):
        try:
            status = (rows_file.parent / path).stat()
            state.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        except OSError:
            state.update(f"{path}\0missing\n".encode())
    return state.hexdigest()
