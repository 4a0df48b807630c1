"""Copies: files of the same bytes under several names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from training.data.packed import file_digest
from training.data.parallel import in_parallel


def find_copies(files: Iterable[Path]) -> list[list[Path]]:
    """The files that lie there more than once: lists of at least two of the same bytes, in the order given.

    A file without another of its size is not read. One that has gone or can't be read is nothing's copy.
    """
    sizes: dict[int, list[Path]] = defaultdict(list)
    for file in files:
        try:
            sizes[file.stat().st_size].append(file)
        except OSError:
            continue
    alike = [file for same in sizes.values() if len(same) > 1 for file in same]
    digests: dict[str, list[Path]] = defaultdict(list)
    for file, digest in zip(alike, in_parallel(file_digest, alike, "comparing"), strict=True):
        if digest:
            digests[digest].append(file)
    return [same for same in digests.values() if len(same) > 1]


class Groups:
    """Names that belong together, directly or through others (union-find); a group goes by its first name.

    Attributes:
        joined: what groups of more than one name go by.
    """

    def __init__(self) -> None:
        self._above: dict[str, str] = {}
        self.joined: set[str] = set()

    def join(self, names: Iterable[str]) -> None:
        """They, and the groups that they are in, are one group."""
        first, *others = sorted({self.of(name) for name in names})
        for other in others:
            self._above[other] = first
        if others:
            self.joined.difference_update(others)
            self.joined.add(first)

    def of(self, name: str) -> str:
        """What the group of a name goes by; the name itself where it is alone."""
        while name in self._above:
            name = self._above[name]
        return name
