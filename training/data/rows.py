"""Rows file: the one description of a data set, a CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "unpaired", "val", "test")
COLUMNS = ("split", "label", "image", "sound", "clip", "id", "tags", "start", "duration")


class RowsError(ValueError):
    """A rows file that can't be used; `str()` is one sentence that names the file, the line and the remedy."""


@dataclass(frozen=True)
class Row:
    """One line: an image, a sound, or a pair.

    Attributes:
        split: `train`, `unpaired`, `val` or `test`; decides alone what the row is for.
        label: class name, empty when unknown.
        image: path relative to the rows file's folder, empty for none.
        sound: likewise.
        clip: what was recorded together, empty when unknown.
        id: the row's own name, empty for none.
        tags: free words.
        start: seconds into the sound file.
        duration: seconds of it, the whole rest when None.
    """

    split: str
    label: str = ""
    image: str = ""
    sound: str = ""
    clip: str = ""
    id: str = ""
    tags: tuple[str, ...] = ()
    start: float = 0.0
    duration: float | None = None

    @property
    def is_pair(self) -> bool:
        """Whether the row trains the paired loss."""
        return self.split == "train" and bool(self.image) and bool(self.sound)


def read_rows(file: Path) -> list[Row]:
    """Read a rows file.

    Raises:
        RowsError: it is missing, not a CSV with the known columns, or a line makes no sense.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            columns = reader.fieldnames or []
            if "split" not in columns or not {"image", "sound"} & set(columns):
                otherwise = any(separator in column for column in columns for separator in ";\t")
                remedy = "; save it with commas between the cells" if otherwise else ""
                raise RowsError(
                    f"{file} is not a rows file: its first line must name split, and image, sound or both{remedy}"
                )
            unknown = [column for column in columns if column not in COLUMNS]
            if unknown:
                raise RowsError(f"{file} has an unknown column '{unknown[0]}'; known are {', '.join(COLUMNS)}")
            if len(set(columns)) < len(columns):
                twice = next(column for column in columns if columns.count(column) > 1)
                raise RowsError(f"{file} has two columns '{twice}'; remove or rename one")
            rows = [_row(values, f"{file} line {reader.line_num}") for values in reader]
    except FileNotFoundError:
        raise RowsError(f"{file} does not exist; check the path, or make one with 'bma data prepare'") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RowsError(f"{file} can't be read as a CSV file in UTF-8 ({error}); save it again as such") from None
    if not rows:
        raise RowsError(f"{file} has no rows; add one line for each image, sound or pair")
    return rows


def write_rows(file: Path, rows: Iterable[Row]) -> None:
    """Write a rows file; columns that no row fills are left out."""
    rows = list(rows)
    table = [_cells(row) for row in rows]
    columns = [name for name in COLUMNS if name in COLUMNS[:4] or any(cells[name] for cells in table)]
    # before Python 3.13 a lone carriage return is not quoted of itself, and would end the line when read
    returns = any("\r" in cell for cells in table for cell in cells.values())
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(
            stream,
            columns,
            extrasaction="ignore",
            lineterminator="\n",
            quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL,
        )
        writer.writeheader()
        writer.writerows(table)


def _row(values: dict[str | None, str | None], where: str) -> Row:
    if None in values:
        raise RowsError(f"{where} has more cells than the first line has columns; quote cells that hold a comma")
    cells = {str(key): (value or "").strip() for key, value in values.items()}
    if cells["split"] not in SPLITS:
        raise RowsError(f"{where}: split is '{cells['split']}'; it must be one of {', '.join(SPLITS)}")
    if not cells.get("image") and not cells.get("sound"):
        raise RowsError(f"{where} names neither an image nor a sound")
    duration = _seconds(cells, "duration", where)
    if duration == 0:
        raise RowsError(f"{where}: duration is 0; leave the cell empty to take the whole sound")
    return Row(
        split=cells["split"],
        label=cells.get("label", ""),
        image=cells.get("image", ""),
        sound=cells.get("sound", ""),
        clip=cells.get("clip", ""),
        id=cells.get("id", ""),
        tags=tuple(cells.get("tags", "").split()),
        start=_seconds(cells, "start", where) or 0.0,
        duration=duration,
    )


def _seconds(cells: dict[str, str], key: str, where: str) -> float | None:
    text = cells.get(key, "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e7:
        raise RowsError(f"{where}: {key} is '{text}'; it takes seconds, such as 2.5")
    return seconds


def _cells(row: Row) -> dict[str, str]:
    return {
        "split": row.split,
        "label": row.label,
        "image": row.image,
        "sound": row.sound,
        "clip": row.clip,
        "id": row.id,
        "tags": " ".join(row.tags),
        "start": _text(row.start) if row.start else "",
        "duration": "" if row.duration is None else _text(row.duration),
    }


def _text(seconds: float) -> str:
    """The shortest text that reads back as the same number."""
    return repr(float(seconds)).removesuffix(".0")
