"""Journal: what packing has done so far, one line a file, so that a killed process's work is not done again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import IO, Any


@dataclass(frozen=True)
class Entry:
    """What one file gave.

    Attributes:
        file: its path in the rows file.
        digest: sha256 of its bytes in hexadecimal digits; empty where it could not be opened.
        parts: for each array that was to come of it, its number of elements or the reason why there is none.
    """

    file: str
    digest: str
    parts: tuple[int | str, ...]

    @property
    def sizes(self) -> list[int]:
        """Numbers of elements of the arrays that there are."""
        return [part for part in self.parts if isinstance(part, int)]

    @property
    def reasons(self) -> list[str]:
        """Why there are not more."""
        return [part for part in self.parts if isinstance(part, str)]


class Journal:
    """A file of JSON lines: a header that says what is being packed, then the entries in order.

    Each line is written after the data of which it tells, so what a kill leaves is at worst data without a line.

    Attributes:
        entries: what there is, of a journal with the same header; none of another.
    """

    def __init__(self, stream: IO[bytes], header: dict[str, Any]) -> None:
        """Take up the journal in a file that is open for reading and appending, or begin it anew."""
        self._stream = stream
        self.entries: list[Entry] = []
        first = _line(header)
        stream.seek(0)
        taken_up = stream.readline() == first
        self._ends = [len(first) if taken_up else 0]  # where the header and each entry end
        for line in stream if taken_up else ():
            entry = _entry(line)
            if entry is None:
                break
            self.entries.append(entry)
            self._ends.append(self._ends[-1] + len(line))
        self.keep(len(self.entries))
        if not taken_up:
            self._write(first)
            self._ends = [len(first)]

    def keep(self, count: int) -> None:
        """Forget all entries but the first ones."""
        del self.entries[count:], self._ends[count + 1 :]
        self._stream.truncate(self._ends[-1])

    def add(self, entry: Entry) -> None:
        """Write down what a file gave, once its arrays are written."""
        line = _line(asdict(entry))
        self._write(line)
        self.entries.append(entry)
        self._ends.append(self._ends[-1] + len(line))

    def _write(self, line: bytes) -> None:
        self._stream.write(line)
        self._stream.flush()


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values).encode() + b"\n"


def _entry(line: bytes) -> Entry | None:
    """The entry on a line; None where a kill cut it off."""
    try:
        values = json.loads(line)
        entry = Entry(values["file"], values["digest"], tuple(values["parts"]))
    except (ValueError, KeyError, TypeError):
        return None
    return entry if line.endswith(b"\n") else None
