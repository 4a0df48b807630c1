"""Several rows files made one: the pairs of a data set with the pairs, or the unpaired items, of others."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from training.data.packed import ROWS
from training.data.prepare.output import PREPARED
from training.data.rows import Row, RowsError, read_rows, write_rows
from training.model.draft import replaced_file


@dataclass(frozen=True)
class Joined:
    """What joining made.

    Attributes:
        rows: all rows of the new file.
        held_out: how many unpaired items stayed out, as their clip's name is one of val or test.
    """

    rows: list[Row]
    held_out: int


def join_rows(out: Path, files: Sequence[Path], unpaired: Sequence[Path] = ()) -> Joined:
    """Write one rows file that holds what several hold; the media stay where they are.

    Rows keep their order and everything they say, with paths relative to the new file. Where an id is taken, and where
    a clip's name stands for another clip of an earlier file, the file's number and a colon come before it: `2:name`.

    Args:
        out: the new rows file; an older one is replaced.
        files: rows files, or their folders, all of whose rows are taken.
        unpaired: likewise, of which the splits train and unpaired are taken, apart and without labels (see `part`);
            an image or a sound that stands in several rows is taken once. What is of a clip that `files` have in val or
            test, by its name as the files spell it, stays out: nobody is to be tested on what trained them.

    Raises:
        RowsError: a rows file can't be used, `out` is one of them, is no rows file or a prepared data set's own, or it
            can't be written.
    """
    joining = _Joining(out)
    sources = [_rows_file(file) for file in (*files, *unpaired)]
    _check(out, sources)
    kept: set[str] = set()  # clips for validation and test
    held_out = 0
    for number, file in enumerate(sources, start=1):
        rows = read_rows(file)
        if number <= len(files):
            kept |= {row.clip for row in rows if row.split in ("val", "test")} - {""}
        else:
            items = list(_once(_apart(rows)))
            rows = [item for item in items if item.clip not in kept]
            held_out += len(items) - len(rows)
        joining.add(number, file, rows)
    if not joining.rows:
        raise RowsError(f"{', '.join(map(str, sources))}: no row is of split train or unpaired; name others")
    try:
        with replaced_file(out) as draft:
            write_rows(draft, joining.rows)
    except OSError as error:
        raise RowsError(f"{out} can't be written ({error.strerror or error}); name another file") from None
    return Joined(joining.rows, held_out)


def part(row: Row) -> list[Row]:
    """A row as unpaired items: its image and its sound by themselves, without the label, and of the same clip."""
    row = replace(row, split="unpaired", label="", clip=row.clip or row.sound)
    if not (row.image and row.sound):
        return [row]
    image = replace(row, sound="", start=0.0, duration=None, id=row.id and f"{row.id}-image")
    return [image, replace(row, image="", id=row.id and f"{row.id}-sound")]


class _Joining:
    """The rows so far, and the names that are taken."""

    def __init__(self, out: Path) -> None:
        self.rows: list[Row] = []
        self._folder = out.parent.resolve()
        self._ids: set[str] = set()
        self._clips: dict[tuple[Path, str], str] = {}  # a file and a clip's name in it → its name here

    def add(self, number: int, file: Path, rows: Iterable[Row]) -> None:
        """Take a file's rows; `number` tells its names from those of others."""
        whose, folder = file.resolve(), file.parent.resolve()
        taken = set(self._clips.values())
        for row in rows:
            if (whose, row.clip) not in self._clips:
                self._clips[whose, row.clip] = _free(row.clip, number, taken)
                taken.add(self._clips[whose, row.clip])
            self.rows.append(
                replace(
                    row,
                    image=self._path(folder, row.image),
                    sound=self._path(folder, row.sound),
                    clip=self._clips[whose, row.clip],
                    id=_free(row.id, number, self._ids),
                )
            )
            self._ids.add(self.rows[-1].id)

    def _path(self, folder: Path, path: str) -> str:
        if not path or Path(path).is_absolute():
            return path
        file = folder / path
        relative = Path(os.path.relpath(_real(file.parent) / file.name, self._folder)).as_posix()
        return f"./{relative}" if relative[0].isspace() else relative  # a cell's outer spaces are not read


def _free(name: str, number: int, taken: Collection[str]) -> str:
    """A name that is not taken; none stays none."""
    while name and name in taken:
        name = f"{number}:{name}"
    return name


@lru_cache(maxsize=4096)
def _real(folder: Path) -> Path:
    """A folder without links and `..`, so that a path to it from elsewhere leads there."""
    return folder.resolve()


def _apart(rows: Iterable[Row]) -> Iterable[Row]:
    return (item for row in rows if row.split in ("train", "unpaired") for item in part(row))


def _once(rows: Iterable[Row]) -> Iterable[Row]:
    """Rows of one file each, no file's stretch twice."""
    seen: set[tuple[object, ...]] = set()
    for row in rows:
        item = (row.image, row.sound, row.start, row.duration)
        if item not in seen:
            seen.add(item)
            yield row


def _rows_file(file: Path) -> Path:
    return file / ROWS if file.is_dir() else file


def _check(out: Path, sources: Sequence[Path]) -> None:
    """Raises `RowsError` where writing `out` would lose something."""
    if any(out.resolve() == file.resolve() for file in sources):
        raise RowsError(f"{out} is one of the files to join; name another file")
    if out.is_dir():
        raise RowsError(f"{out} is a folder; name a file in it, such as {out / ROWS}")
    if out.name == ROWS and out.with_name(PREPARED).exists():
        raise RowsError(f"{out} is the rows file of a prepared data set; name another file")
    if out.exists():
        try:
            read_rows(out)
        except RowsError:
            raise RowsError(f"{out} exists and is not a rows file; name another file") from None
