"""Notes: what earlier runs found in a data set's files, so that what has not changed since is not read again."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from training.model.draft import replaced_file
from training.model.media.source import MissingMedia

NOTES = "notes.jsonl"

Numbers = list[float]

_HEADER = ["notes", 1]  # their schema


class Notes:
    """A file of one JSON line for each file read: its path, size and time of change, and the numbers found in it.

    A later line counts more than an earlier one, and what is no such line is passed over: a run may be killed at any
    time. Notes may come from several threads.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._found: dict[str, tuple[list[int], Numbers]] = {}
        self._lock = threading.Lock()
        self._read()
        self._rewrite()
        self._stream = file.open("a", encoding="utf-8")

    def __enter__(self) -> Notes:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def known(self, path: str, state: list[int]) -> Numbers | None:
        """What was found in a file of this state; None where it was not read, or has changed."""
        then, found = self._found.get(path, ([], []))
        return found if then == state else None

    def note(self, path: str, state: list[int], found: Numbers) -> None:
        """Keep what was found."""
        with self._lock:
            self._found[path] = (state, found)
            self._stream.write(_line(path, state, found))
            self._stream.flush()

    def _read(self) -> None:
        try:
            lines = self._file.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return
        if not lines or lines[0] != json.dumps(_HEADER):
            return
        for line in lines[1:]:
            try:
                path, size, time, *found = json.loads(line)
                self._found[str(path)] = ([int(size), int(time)], [float(number) for number in found])
            except (ValueError, TypeError, OverflowError):
                continue

    def _rewrite(self) -> None:
        """Each file's last line alone, and no half one at the end."""
        with replaced_file(self._file) as draft, draft.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(_HEADER) + "\n")
            stream.writelines(_line(path, *note) for path, note in self._found.items())


def state_of(file: Path, name: str) -> list[int]:
    """Size in bytes and time of change in ns: where both are the same, so is the file. Raises `MissingMedia`."""
    try:
        status = file.stat()
    except OSError as error:
        raise MissingMedia(name, f"can't be read ({error.strerror}); check the path and its permissions") from None
    return [status.st_size, status.st_mtime_ns]


def _line(path: str, state: list[int], found: Numbers) -> str:
    return json.dumps([path, *state, *found]) + "\n"
