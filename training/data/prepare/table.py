"""Lists of files as a data set's owners write them: comma- or tab-separated lines, each known by its number."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from training.data.prepare.output import PrepareError

_AGAIN = "download the file again"
_LONGEST = 1_000_000  # seconds into a video; file names hold six digits
_YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a list.

    Attributes:
        file: the list.
        at: the line's number, from 1 on.
        cells: column → text, without outer spaces.
    """

    file: Path
    at: int
    cells: dict[str, str]

    @property
    def where(self) -> str:
        """Its file and number, for messages."""
        return f"{self.file} line {self.at}"

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def refused(self, why: str) -> PrepareError:
        """An error about this line."""
        return PrepareError(f"{self.where}: {why}; {_AGAIN}")

    def number(self, column: str, most: int = _LONGEST - 1) -> int:
        """A whole number from 0 to `most`. Raises `PrepareError`."""
        text = self[column]
        if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= most):
            raise self.refused(f"{column} is {text!r}, not a whole number from 0 to {most}")
        return int(text)

    def choice(self, column: str, choices: Sequence[str]) -> str:
        """One of some words. Raises `PrepareError`."""
        if self[column] not in choices:
            raise self.refused(f"{column} is {self[column]!r}, not one of {', '.join(choices)}")
        return self[column]

    def youtube_id(self, column: str) -> str:
        """A YouTube id, harmless in a file's name. Raises `PrepareError`."""
        if not _YOUTUBE_ID.fullmatch(self[column]):
            raise self.refused(f"{column} is {self[column]!r}, not a YouTube id")
        return self[column]

    def path(self, column: str) -> str:
        """A path that stays below the data set's folder. Raises `PrepareError`."""
        text = self[column]
        path = PurePosixPath(text)
        if (
            path.as_posix() != text
            or path.is_absolute()
            or ".." in path.parts
            or not path.name
            or not text.isprintable()
        ):
            raise self.refused(f"{column} is {text!r}, not a path below the data set's folder")
        return text


def read_table(file: Path, columns: Sequence[str], *, header: bool = True, tabs: bool = False) -> list[Line]:
    """Read a list; empty lines are passed over.

    Args:
        file: UTF-8.
        columns: with a header, the columns that it must name, others may follow; without, what the cells are.
        header: whether the first line names the columns.
        tabs: whether tabs are between cells, which then are not quoted; else commas are, and cells may be quoted.

    Raises:
        PrepareError: it is missing, can't be read, or a line does not have the cells it should.
    """
    names = list(columns)
    lines = []
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            plain = csv.reader(stream, strict=True)
            reader = csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True) if tabs else plain
            for number, cells in enumerate((cells for cells in reader if cells), start=0 if header else 1):
                where = f"{file} line {reader.line_num}"
                if number == 0:
                    names = [cell.strip() for cell in cells]
                    lacking = [column for column in columns if column not in names]
                    if lacking or len(set(names)) < len(names):
                        raise PrepareError(f"{where} must name the columns {', '.join(columns)} once each; {_AGAIN}")
                elif len(cells) != len(names):
                    raise PrepareError(f"{where} has {len(cells)} cells, not the {len(names)} it should; {_AGAIN}")
                else:
                    stripped = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
                    lines.append(Line(file, reader.line_num, stripped))
    except FileNotFoundError:
        raise PrepareError(f"{file} does not exist; it comes with the data set: put it there") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PrepareError(f"{file} can't be read as a list in UTF-8 ({error}); {_AGAIN}") from None
    if not lines:
        raise PrepareError(f"{file} lists nothing; {_AGAIN}")
    return lines
