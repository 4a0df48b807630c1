"""Stand-ins for a model and its source: vectors by a file's bytes, without torch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from index.build import build
from index.catalogue import Catalogue
from index.source import Embedded, Entry, Source, Unreadable
from index.summary import Summary

DIMENSION = 4


def vector(data: bytes) -> npt.NDArray[np.float32]:
    """A unit vector that the bytes decide."""
    seed = int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
    z = np.random.default_rng(seed).normal(size=DIMENSION)
    return (z / np.linalg.norm(z)).astype(np.float32)


class Model:
    """Vectors by content, and a complaint about content with `bad`; remembers what it was given."""

    def __init__(self, root: Path) -> None:
        self.root, self.seen = root, list[str]()

    def __call__(self, entries: Iterable[tuple[int, Entry]]) -> Iterator[tuple[int, Embedded | Unreadable]]:
        for number, entry in entries:
            self.seen.append(entry.path)
            try:
                data = (self.root / entry.path).read_bytes()
            except OSError:
                data = b"bad"
            if b"bad" in data:
                yield number, Unreadable(entry.path, f"{entry.path} is damaged; export it again")
            else:
                yield number, Embedded(vector(data), "image/png" if entry.modality == "image" else "audio/wav")


def files(root: Path, **contents: str) -> None:
    """Write files; `a_png="…"` is `a.png`. Each write is a moment of its own."""
    root.mkdir(exist_ok=True)
    for name, text in contents.items():
        file = root / name.replace("_", ".")
        before = file.stat().st_mtime_ns if file.exists() else 0
        file.write_text(text)
        os.utime(file, ns=(max(before, file.stat().st_mtime_ns) + 10**6,) * 2)


def entries_of(root: Path) -> list[Entry]:
    """A folder's pictures and sounds, by name."""
    return [
        Entry(file.name, "image" if file.suffix == ".png" else "sound")
        for file in sorted(root.iterdir())
        if file.suffix in (".png", ".wav")
    ]


class Filling:
    """A folder `media`, and the catalogue that is filled from it."""

    def __init__(self, catalogue: Catalogue, root: Path) -> None:
        self.catalogue, self.root = catalogue, root
        self.embedded: list[str] = []  # in the last run

    def __call__(self, entries: Sequence[Entry] | None = None, *, sync: bool = False, copy: bool = False) -> Summary:
        """Build, or sync, from some entries or all that is in the folder."""
        return self.of(Source(self.root, entries_of(self.root) if entries is None else entries), sync=sync, copy=copy)

    def of(self, source: Source, *, sync: bool = False, copy: bool = False) -> Summary:
        """Build, or sync, from a source."""
        model = Model(self.root)
        summary = build(self.catalogue, source, model, copy=copy, remove=sync)
        self.embedded = model.seen
        self.check()
        return summary

    def check(self) -> None:
        """Each item's vector is that of its content as it is served."""
        for item in self.catalogue.list():
            if item.stamp and (item.content or (self.root / item.path).is_file()):
                data = self.catalogue.file(item).read_bytes()
                np.testing.assert_allclose(self.catalogue.vectors([item.id])[0], vector(data), atol=1e-6)

    @property
    def paths(self) -> list[str]:
        """Of the items by reference."""
        return sorted(item.path for item in self.catalogue.list() if item.path)
