"""A data set's files: found below its folder, and each read once, in parallel."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from training.data.parallel import in_parallel
from training.data.prepare.notes import NOTES, Notes, Numbers, state_of
from training.data.prepare.output import Output
from training.model.media.source import MediaError

_AHEAD = 1024  # results are small; a long file must not hold up the others


def walk(top: Path, closed: Callable[[OSError], None]) -> Iterator[tuple[Path, list[str], list[str]]]:
    """A folder and all below it, as `os.walk` gives them: what is removed from a list of folders is not entered.

    What is hidden stays out. Links to folders are followed; what several paths lead to is given once, under its own
    path where it has one below `top`.

    Args:
        top: the folder.
        closed: told of folders that can't be read.
    """
    seen: set[str] = set()
    tops = [top]
    for first in tops:  # it grows: links wait until all that lies here itself is seen
        for parent, folders, names in os.walk(first, onerror=closed):
            real = os.path.realpath(parent)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield Path(parent), folders, [name for name in names if not name.startswith(".")]
            tops += [link for link in map(Path(parent).joinpath, folders) if link.is_symlink()]


def read_files(
    output: Output,
    paths: Sequence[str],
    read: Callable[[Path, str], Numbers],
    makes: Callable[[str], Path] | None = None,
) -> dict[str, Numbers]:
    """Read a data set's files; what can't be read is left out of the output, and listed there.

    Args:
        output: begun; its folder keeps the notes.
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
            found = notes.known(path, state)
            if found is None or (makes and not makes(path).is_file()):
                found = read(file, path)
                notes.note(path, state, found)
            return found
        except MediaError as error:
            return error

    numbers: dict[str, Numbers] = {}
    with Notes(output.folder / NOTES) as notes:
        for path, found in zip(paths, in_parallel(look, paths, "preparing", ahead=_AHEAD), strict=True):
            if isinstance(found, MediaError):
                output.leave_out(found)
            else:
                numbers[path] = found
    return numbers
