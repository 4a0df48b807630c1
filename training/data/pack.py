"""Making a packed data set: decode every file once, in parallel, keep going past broken ones and after a kill."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.journal import Entry, Journal
from training.data.packed import (
    INDEX,
    PACK,
    ROWS,
    SCHEMA,
    UNREADABLE,
    PackedData,
    PackError,
    file_digest,
    hash_files,
    images_file,
    offsets_file,
    read_info,
    source_state,
    waves_file,
)
from training.data.parallel import cores, in_parallel
from training.data.partial import Partial, clear_partial, hold_partial
from training.data.rows import Row, RowsError, read_rows
from training.model.draft import clear_drafts, replace_folder
from training.model.media.image import read_image
from training.model.media.sound import MAX_SECONDS, Span, read_segments
from training.model.media.source import MediaError, MissingMedia

Array = npt.NDArray[Any]
_WHOLE: Span = (0.0, None)


def open_data(data: Path, image_size: int, sample_rate: int) -> PackedData:
    """Open DATA: a packed set as it is; a rows file or its folder is packed first where needed (see `beside`).

    Processes that do so at the same moment share the work of one: the others wait for it.

    Raises:
        RowsError, PackError: what is there can't be used, or the packed set can't be written; one sentence with the
            remedy.
    """
    if (data / PACK).is_file():
        return PackedData.open(data, image_size, sample_rate)
    rows_file = data / ROWS if data.is_dir() else data
    if data.is_dir() and not rows_file.is_file():
        raise RowsError(f"{data} holds neither {PACK} nor {ROWS}; name a packed set, a rows file or its folder")
    return pack(rows_file, beside(rows_file, image_size), image_size, sample_rate)


def beside(rows_file: Path, image_size: int) -> Path:
    """Where a rows file is packed of itself: `packed/` beside it, `packed-NAME/` for one that is not called `rows.csv`;
    with the size at its end where that folder is packed at another size, so that models of both sizes can be used in
    turns.
    """
    folder = rows_file.with_name("packed" if rows_file.name == ROWS else f"packed-{rows_file.stem}")
    try:
        sizes = read_info(folder)["image_sizes"]
    except PackError:  # there is none, or another version made it
        return folder
    return folder if image_size in sizes else folder.with_name(f"{folder.name}-{image_size}")


def open_current(
    rows_file: Path, rows: Sequence[Row], folder: Path, image_size: int, sample_rate: int
) -> PackedData | None:
    """A packed folder, if it is what packing these rows now would make, judged by sizes and times of the files.

    Raises:
        PackError: it is, and is damaged.
    """
    try:
        info = read_info(folder)
    except PackError:  # there is none, or another version made it
        return None
    if (
        image_size not in info["image_sizes"]
        or sample_rate != info["sample_rate"]
        or info["source"] != source_state(rows_file, rows)
    ):
        return None
    place = folder.resolve()
    clear_partial(place)  # left by a kill after the pack was complete, or for files that have changed back since
    clear_drafts(place)
    return PackedData.open(folder, image_size, sample_rate, current=True)


def pack(rows_file: Path, folder: Path, image_size: int, sample_rate: int) -> PackedData:
    """Pack a rows file's media into a folder, or open the folder where that is done already.

    Files that can't be read are left out, counted and listed in `unreadable.csv`. A folder that holds an older pack is
    replaced once the new one is complete. The work is done in a hidden folder beside it (`.NAME-partial`), which one
    process holds at a time and which stays when that is killed or the disk is full: the next call goes on there, if
    neither rows nor files have changed.

    Memory, beside the rows and a kilobyte or so for each file: one picture a core while it is decoded (100 million
    pixels at most) and four packed ones; what is kept of two sounds a core and of the one being written, an hour of
    each at most (159 MB at 22 050 Hz, twice that in the moment when its pieces are joined).

    Raises:
        RowsError: the rows file can't be used.
        PackError: not one file could be read, the folder holds something else, can't be written, or is damaged.
    """
    rows = read_rows(rows_file)
    found = open_current(rows_file, rows, folder, image_size, sample_rate)
    if found is not None:
        return found
    place = folder.resolve()  # behind a link, the folder that it leads to
    try:
        if place.exists() and any(place.iterdir()) and not (place / PACK).is_file():
            raise PackError(f"{folder} exists and is not a packed data set; name another folder")
        with hold_partial(place) as partial:
            rows = read_rows(rows_file)  # as it is after the wait for another process
            found = open_current(rows_file, rows, folder, image_size, sample_rate)  # another process's, meanwhile
            if found is None:
                clear_drafts(place)
                try:
                    _Packing(rows_file, rows, place, partial, image_size, sample_rate).run()
                except PackError:
                    partial.clear()
                    raise
                replace_folder(partial.contents, place)
            partial.clear()
    except OSError as error:
        raise PackError(
            f"{folder} can't be written ({error.strerror or error}); make room for it or name another folder, "
            "and run the same command again: what is packed so far is kept"
        ) from None
    return found or PackedData.open(folder, image_size, sample_rate, current=True)


@dataclass(frozen=True)
class _Item:
    """A file to read: an image, or stretches of a sound that last an hour together at most."""

    path: str
    spans: tuple[Span, ...] = (_WHOLE,)


_Read = Callable[[Path, _Item], Sequence[Array | MediaError]]


class _Packing:
    def __init__(
        self, rows_file: Path, rows: list[Row], place: Path, partial: Partial, image_size: int, sample_rate: int
    ) -> None:
        self.rows_file, self.rows, self.place = rows_file, rows, place
        self.image_size, self.sample_rate = image_size, sample_rate
        self.info: dict[str, Any] = {
            "schema": SCHEMA,
            "image_sizes": [image_size],
            "sample_rate": sample_rate,
            "source": source_state(rows_file, rows),  # before reading: a file that changes meanwhile is seen later
        }
        self.journal = Journal(partial.journal, self.info)
        self.folder = partial.contents
        if not self.journal.entries:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(exist_ok=True)
        shutil.copyfile(rows_file, self.folder / ROWS)

    def run(self) -> None:
        """Fill the partial folder's contents. Raises `PackError` where not one file can be read."""
        pictures, sounds = _image_items(self.rows), _sound_items(self.rows)
        self._grow(images_file(self.image_size), 1, 0, pictures, self._read_image, "packing images", 4)
        self._grow(waves_file(self.sample_rate), 2, len(pictures), sounds, self._read_sound, "packing sounds", 2)
        entries = self.journal.entries
        images = _places(pictures, entries)
        waves = _places(sounds, entries[len(pictures) :])
        unreadable = list(dict.fromkeys((entry.file, part) for entry in entries for part in entry.reasons))
        if not images and not waves:
            first = f" (the first: {' '.join(unreadable[0])})" if unreadable else ""
            raise PackError(f"{self.rows_file}: not one of its files could be read{first}")
        index = [(images.get((row.image, _WHOLE), -1), waves.get((row.sound, _span(row)), -1)) for row in self.rows]
        lengths = [length for entry in entries[len(pictures) :] for length in entry.sizes]
        np.save(self.folder / INDEX, np.array(index, dtype=np.int32))
        np.save(self.folder / offsets_file(self.sample_rate), np.cumsum([0, *lengths], dtype=np.int64))
        with (self.folder / UNREADABLE).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerows([("file", "reason"), *unreadable])
        self.info |= {
            "fingerprint": self._fingerprint(),
            "rows": len(self.rows),
            "images": len(images),
            "sounds": len(waves),
            "unreadable": len(unreadable),
            "rows_file": os.path.relpath(self.rows_file.resolve(), self.place),
            "sha256": hash_files(self.folder, sorted(file.name for file in self.folder.iterdir() if file.name != PACK)),
        }
        (self.folder / PACK).write_text(json.dumps(self.info, indent=2) + "\n", encoding="utf-8")
        for file in self.folder.iterdir():  # so that not even a power cut leaves a pack.json without its arrays
            with file.open("rb") as stream:
                os.fsync(stream.fileno())

    def _grow(
        self, name: str, width: int, before: int, items: Sequence[_Item], read: _Read, what: str, ahead: int
    ) -> None:
        """Append to an array, of elements of `width` bytes, what the items give and the journal does not yet tell.

        The journal's entries for them begin after `before` others. At most `ahead` items a core are at work or wait
        to be written.
        """
        known = self.journal.entries[before : before + len(items)]
        with (self.folder / name).open("ab") as stream:
            ends = list(accumulate((width * sum(entry.sizes) for entry in known), initial=0))
            while ends[-1] > stream.tell():  # the disk lost what was written last, as when power fails
                ends.pop()
            stream.truncate(ends[-1])
            done = len(ends) - 1
            if done < len(items):
                self.journal.keep(before + done)
            work = in_parallel(lambda item: self._read(item, read), items[done:], what, ahead=ahead * cores())
            with closing(work):
                for entry, arrays in work:
                    for array in arrays:
                        stream.write(array.data)
                    stream.flush()
                    self.journal.add(entry)

    def _read(self, item: _Item, read: _Read) -> tuple[Entry, list[Array]]:
        file = self.rows_file.parent / item.path
        digest = file_digest(file)
        try:
            results = read(file, item)
        except MediaError as error:
            results = [error]
        except OSError as error:
            results = [MissingMedia(item.path, f"can't be read ({error.strerror or error}); check the disk it is on")]
        parts = tuple(result.reason if isinstance(result, MediaError) else result.size for result in results)
        return Entry(item.path, digest, parts), [result for result in results if not isinstance(result, MediaError)]

    def _read_image(self, file: Path, item: _Item) -> Sequence[Array | MediaError]:
        return [read_image(file, self.image_size, name=item.path)]

    def _read_sound(self, file: Path, item: _Item) -> Sequence[Array | MediaError]:
        return read_segments(file, self.sample_rate, item.spans, name=item.path)

    def _fingerprint(self) -> str:
        """A hash over the rows and, for each array, over the content of the file it came from."""
        content = hashlib.sha256((self.folder / ROWS).read_bytes())
        for entry in self.journal.entries:
            content.update(bytes.fromhex(entry.digest) * len(entry.sizes))
        return content.hexdigest()


def _image_items(rows: Sequence[Row]) -> list[_Item]:
    return [_Item(path) for path in dict.fromkeys(row.image for row in rows if row.image)]


def _sound_items(rows: Sequence[Row]) -> list[_Item]:
    """Each sound once, with all that the rows cut from it; again for what is more than an hour (a stretch to the end
    counts as one)."""
    cuts: dict[str, dict[Span, None]] = {}
    for row in rows:
        if row.sound:
            cuts.setdefault(row.sound, {})[_span(row)] = None
    items = []
    for path, spans in cuts.items():
        group: list[Span] = []
        seconds = 0.0
        for span in spans:
            length = MAX_SECONDS if span[1] is None else min(span[1], MAX_SECONDS)
            if group and seconds + length > MAX_SECONDS:
                items.append(_Item(path, tuple(group)))
                group, seconds = [], 0.0
            group.append(span)
            seconds += length
        items.append(_Item(path, tuple(group)))
    return items


def _span(row: Row) -> Span:
    return (row.start, row.duration)


def _places(items: Sequence[_Item], entries: Sequence[Entry]) -> dict[tuple[str, Span], int]:
    """The number of the array of each stretch of each file that could be read."""
    keys = [
        (item.path, span)
        for item, entry in zip(items, entries, strict=False)
        for span, part in zip(item.spans, entry.parts, strict=False)
        if isinstance(part, int)
    ]
    return {key: number for number, key in enumerate(keys)}
