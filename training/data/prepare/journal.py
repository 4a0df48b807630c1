"""What earlier runs found in a data set's files, so that what has not changed since is not read again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from training.data.parallel import in_parallel
from training.data.prepare.output import Output
from training.model.media.source import MediaError, MissingMedia

JOURNAL = "journal.jsonl"

Numbers = list[float]
_AHEAD = 1024  # results are small; a long file must not hold up the others

_HEADER = ["journal", 1]  # its schema


class Journal:
    """A file of one JSON line for each file read: its path, size and time of change, and the numbers found in it.

    A later line counts more than an earlier one, and what is no such line is passed over: a run may be killed at any
    time. Notes may come from several threads.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._notes: dict[str, tuple[list[int], Numbers]] = {}
        self._lock = threading.Lock()
        self._read()
        self._rewrite()
        self._stream = file.open("a", encoding="utf-8")

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def known(self, path: str, state: list[int]) -> Numbers | None:
        """What was found in a file of this state; None where it was not read, or has changed."""
        then, found = self._notes.get(path, ([], []))
        return found if then == state else None

    def note(self, path: str, state: list[int], found: Numbers) -> None:
        """Keep what was found."""
        with self._lock:
            self._notes[path] = (state, found)
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
                self._notes[str(path)] = ([int(size), int(time)], [float(number) for number in found])
            except (ValueError, TypeError, OverflowError):
                continue

    def _rewrite(self) -> None:
        """Each file's last line alone, and no half one at the end."""
        draft = self._file.with_name(f".{self._file.name}")
        with draft.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(_HEADER) + "\n")
            stream.writelines(_line(path, *note) for path, note in self._notes.items())
        draft.replace(self._file)


def read_files(
    output: Output,
    paths: Sequence[str],
    read: Callable[[Path, str], Numbers],
    makes: Callable[[str], Path] | None = None,
) -> dict[str, Numbers]:
    """Read a data set's files in parallel; what can't be read is left out of the output, and listed there.

    Args:
        output: begun; its folder keeps the journal.
        paths: the files, below the data set's folder.
        read: given a file and its path, the numbers to know of it.
        makes: where reading a path puts a file; one that is no longer there is made again.

    Returns:
        path → its numbers, of those that can be read, in the order given.
    """

    def look(path: str) -> Numbers | MediaError:
        file = output.src / path
        try:
            state = state_of(file, path)
            found = journal.known(path, state)
            if found is None or (makes and not makes(path).is_file()):
                found = read(file, path)
                journal.note(path, state, found)
            return found
        except MediaError as error:
            return error

    numbers: dict[str, Numbers] = {}
    with Journal(output.folder / JOURNAL) as journal:
        for path, found in zip(paths, in_parallel(look, paths, "preparing", ahead=_AHEAD), strict=True):
            if isinstance(found, MediaError):
                output.leave_out(found)
            else:
                numbers[path] = found
    return numbers


def state_of(file: Path, name: str) -> list[int]:
    """Size in bytes and time of change in ns: where both are the same, so is the file. Raises `MissingMedia`."""
    try:
        status = file.stat()
    except OSError as error:
        raise MissingMedia(name, f"can't be read ({error.strerror}); check the path and its permissions") from None
    return [status.st_size, status.st_mtime_ns]


def _line(path: str, state: list[int], found: Numbers) -> str:
    return json.dumps([path, *state, *found]) + "\n"
