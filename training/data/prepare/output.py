"""The folder that a reader fills: media that it had to make, what it left out, and the rows file, written last."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from training.data.packed import ROWS, UNREADABLE
from training.data.rows import SPLITS, Row, write_rows
from training.model.draft import replaced_file
from training.model.media.source import MediaError

MISSING = "missing.csv"
PREPARED = "prepared.json"  # says that a folder was made here, and may be made anew
_SCHEMA = 1


class PrepareError(ValueError):
    """A data set that can't be prepared; `str()` is one sentence that names the file or folder and the remedy."""


@dataclass(frozen=True)
class Prepared:
    """What preparing a data set made.

    Attributes:
        rows_file: the data set.
        splits: rows of each split.
        train_pairs: rows of split `train` with an image and a sound.
        pairs: rows with an image and a sound, of all splits.
        classes: how many labels there are.
        unreadable: files that were left out; `unreadable.csv` beside the rows file lists them.
        missing: files that the data set's lists name and that are not there; `missing.csv` lists them.
        unlisted: files that are there and in none of the lists.
        copies: files with the bytes of another one.
    """

    rows_file: Path
    splits: dict[str, int]
    train_pairs: int
    pairs: int
    classes: int
    unreadable: int
    missing: int = 0
    unlisted: int = 0
    copies: int = 0


class Output:
    """The output folder of a reader; see `open_output`.

    Attributes:
        folder: absolute and without links, so that a path from it to the source leads there.
        src: the source's folder, likewise.
        unreadable: what was left out so far.
        missing: what lists name and is not there, so far: a path below `src`, and where it is listed.
        unlisted: how many files are there and in no list.
        copies: how many files have the bytes of another one.
    """

    def __init__(self, src: Path, out: Path, kind: str) -> None:
        self.src, self.folder = src.resolve(), out.resolve()
        self._out, self._kind = out, kind
        self.unreadable: list[MediaError] = []
        self.missing: list[tuple[str, str]] = []
        self.unlisted = self.copies = 0

    def begin(self) -> None:
        """Make the folder, and note in it that it is made here. The rows file of an earlier run goes: see `finish`."""
        with replaced_file(self.folder / PREPARED) as draft:
            made_of = {"schema": _SCHEMA, "kind": self._kind, "source": str(self.src)}
            draft.write_text(json.dumps(made_of) + "\n", encoding="utf-8")
        (self.folder / ROWS).unlink(missing_ok=True)

    def leave_out(self, error: MediaError) -> None:
        """Note a file that can't be used."""
        self.unreadable.append(error)

    def path_to(self, file: Path) -> str:
        """A file's path as the rows file names it: relative to the output folder.

        Args:
            file: below `src` or `folder`.
        """
        path = Path(os.path.relpath(file, self.folder)).as_posix()
        return f"./{path}" if path[0].isspace() else path  # a cell's outer spaces are not read

    def finish(self, rows: Sequence[Row]) -> Prepared:
        """Write what was left out, and then the rows file: where it is, the set is complete.

        Raises:
            PrepareError: there is not one row.
        """
        left_out = sorted(self.unreadable, key=str)
        self._list(UNREADABLE, ["file", "reason"], [(error.name, error.reason) for error in left_out])
        if self.missing:
            self._list(MISSING, ["file", "listed"], sorted(self.missing))
        else:
            (self.folder / MISSING).unlink(missing_ok=True)
        if not rows:
            first = f" (the first: {min(self.unreadable, key=str)})" if self.unreadable else ""
            absent = f"; {self.folder / MISSING} lists {len(self.missing)} that are not there" if self.missing else ""
            raise PrepareError(f"{self.src}: not one file could be read{first}{absent}")
        with replaced_file(self.folder / ROWS) as draft:
            write_rows(draft, rows)
        splits = Counter(row.split for row in rows)
        return Prepared(
            rows_file=self._out / ROWS,
            splits={split: splits[split] for split in SPLITS if splits[split]},
            train_pairs=sum(row.is_pair for row in rows),
            pairs=sum(bool(row.image and row.sound) for row in rows),
            classes=len({row.label for row in rows if row.label}),
            unreadable=len(self.unreadable),
            missing=len(self.missing),
            unlisted=self.unlisted,
            copies=self.copies,
        )

    def _list(self, name: str, columns: Sequence[str], lines: Sequence[tuple[str, str]]) -> None:
        with replaced_file(self.folder / name) as draft, draft.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(lines)


@contextmanager
def open_output(src: Path, out: Path, kind: str, made: Sequence[str] = ()) -> Iterator[Output]:
    """Check both folders, and turn what goes wrong in writing into one sentence. Nothing is on disk before `begin`.

    Args:
        src: the folder that is prepared.
        out: the folder to fill; a folder that the same kind was prepared in before is filled anew.
        kind: `folder`, `acivw`, …
        made: the folders that the reader makes in `out`.

    Raises:
        PrepareError: `src` is no folder, `out` is the same, holds something else or what was made of another folder,
            or can't be written.
    """
    if not src.is_dir():
        raise PrepareError(f"{src} is not a folder; name the folder that holds the data set")
    where, target = src.resolve(), out.resolve()
    if where == target:
        raise PrepareError(f"{out} is the folder that is prepared; name another folder for the data set")
    if any(where.is_relative_to(target / own) for own in made):
        raise PrepareError(f"{src} lies in what {out} is made of; name another folder for the data set")
    before, source = _made_of(target)
    there = next((name for name in (ROWS, *made) if (target / name).exists()), None)
    if there and before != kind:
        owner = f"data set of kind {before}" if before else "data set"
        raise PrepareError(f"{out} already holds {there} of another {owner}; name another folder")
    if there and source and source != str(where):
        raise PrepareError(f"{out} was made of {source}; name another folder, or delete it to make it of {src}")
    try:
        yield Output(src, out, kind)
    except OSError as error:
        raise PrepareError(f"{out} can't be written ({error.strerror or error}); name another folder") from None


def _made_of(folder: Path) -> tuple[str, str]:
    """The kind that a folder was prepared from, and from where; empty where it was not, or that is not known."""
    try:
        noted = json.loads((folder / PREPARED).read_text(encoding="utf-8"))
        return str(noted["kind"]), str(noted.get("source", ""))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return "", ""
