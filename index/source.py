"""What a catalogue is filled from: files by name, and what a model makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from index.catalogue import Modality


@dataclass(frozen=True)
class Entry:
    """A file to be found later.

    Attributes:
        path: the file, relative to the catalogue's root.
        modality: what it is.
        id: the item's id; its content's hash when empty.
        label: class name, empty when unknown.
        tags: free words.
        metadata: free JSON object.
        start: seconds into a sound file.
        duration: seconds of it, the whole rest when None.
        part: of the source that it is in, such as a split; empty where a source has no parts.
    """

    path: str
    modality: Modality
    id: str = ""
    label: str = ""
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    start: float = 0.0
    duration: float | None = None
    part: str = ""


@dataclass(frozen=True)
class Source:
    """A rows file or a folder, as entries.

    Attributes:
        root: the folder that the entries' paths are relative to.
        entries: what it names, in its order.
        name: what tells it from other sources of the same catalogue: its path from the root.
        parts: the parts that the entries were taken from; all where None.
        closed: folders below the root that can't be read, with the reason; what is in them is not known.
    """

    root: Path
    entries: Sequence[Entry]
    name: str = "."
    parts: frozenset[str] | None = None
    closed: dict[str, str] = field(default_factory=dict)

    def hides(self, path: str) -> bool:
        """Whether a file may well be there, in a folder that can't be read."""
        return any(folder == "." or path.startswith(f"{folder}/") for folder in self.closed)


@dataclass(frozen=True)
class Embedded:
    """An entry's unit vector `[d]` and its file's media type."""

    z: npt.NDArray[np.float32]
    media_type: str


@dataclass(frozen=True)
class Unreadable:
    """A file that can't be used, and why in one sentence."""

    path: str
    reason: str


# The model, behind a function: numbered entries in, as they are asked for; under their numbers, in any order, vectors
# or reasons out. It reads ahead as far as its batches need.
Embed = Callable[[Iterable[tuple[int, Entry]]], Iterator[tuple[int, Embedded | Unreadable]]]
