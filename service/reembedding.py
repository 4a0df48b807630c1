"""`bma index rebuild --model`: a catalogue's items embedded again with another bundle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from index.catalogue import CatalogueError, Item
from index.reembed import ReEmbedding
from index.source import Embedded, Entry, Unreadable
from index.stamp import Stamp
from index.summary import UNREADABLE, write_unreadable
from service.bulk import BulkEmbedder
from training.model.embedder import Embedder
from training.progress import track

TOGETHER = 64  # vectors that are kept at once; a crash costs no more


@dataclass
class _Outcome:
    embedded: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)  # of the unreadable ones


def re_embed(embedder: Embedder, folder: Path, remove_unreadable: bool = False) -> dict[str, int]:
    """Embed all items of a catalogue with a bundle; the old vectors serve until the last new one is there. Killed at
    any moment and run again, it does the rest.

    Args:
        embedder: the bundle.
        folder: the catalogue's.
        remove_unreadable: remove items whose file is gone or can't be read.

    Returns:
        How many items were `embedded` (in this run) and `removed`.

    Raises:
        CatalogueError: some files can't be read, and are to stay: the old vectors are all in place, and the files are
            listed in the catalogue's folder. Or another process has the catalogue open for writing.
    """
    work = ReEmbedding(folder, embedder.bundle.fingerprint, embedder.bundle.model.config.projection_dim)
    try:
        outcome = _embed(work, embedder)
        write_unreadable(folder / UNREADABLE, outcome.unreadable)
        if outcome.ids and not remove_unreadable:
            raise CatalogueError(
                f"{len(outcome.ids)} items of {folder} can't be read (the first: {outcome.unreadable[0].reason}), so "
                "it stays with its old model; put their files back, or remove the items with --remove-unreadable"
            )
        removed = work.catalogue.delete(outcome.ids)
        work.finish()
    finally:
        work.close()
    return {"embedded": outcome.embedded, "removed": len(removed)}


def _embed(work: ReEmbedding, embedder: Embedder) -> _Outcome:
    outcome, waiting = _Outcome(), dict[int, Item]()
    batch: list[tuple[Item, npt.NDArray[np.float32]]] = []

    def entries() -> Iterator[tuple[int, Entry]]:
        every = (item for some in work.remaining() for item in some)
        for number, item in enumerate(track(every, "embedding", work.count(), "item")):
            try:
                file = work.catalogue.file(item)
            except CatalogueError as error:
                outcome.unreadable.append(Unreadable(item.path, str(error)))
                outcome.ids.append(item.id)
                continue
            waiting[number] = item
            yield number, Entry(str(file), item.modality, item.id, **_stretch(item))

    def keep() -> None:
        if batch:
            work.stage([item for item, _ in batch], np.stack([z for _, z in batch]))
            outcome.embedded += len(batch)
            batch.clear()

    with BulkEmbedder(embedder, folder := work.catalogue.root) as embed:
        for number, result in embed(entries()):
            item = waiting.pop(number)
            if isinstance(result, Embedded):
                batch.append((item, result.z))
            else:
                reason = result.reason.replace(f"{folder}/", "")
                outcome.unreadable.append(Unreadable(item.path or item.id, reason))
                outcome.ids.append(item.id)
            if len(batch) == TOGETHER:
                keep()
    keep()
    return outcome


def _stretch(item: Item) -> dict[str, Any]:
    """Which part of its file a sound item is: as its stamp says, else as the metadata do of one by reference."""
    stamp = Stamp.parse(item.stamp)
    if stamp is not None:
        return {"start": stamp.start, "duration": stamp.duration}
    if not item.path:
        return {}
    given = {key: item.metadata.get(key) for key in ("start", "duration")}
    return {key: float(value) for key, value in given.items() if isinstance(value, int | float) and 0 < value < 1e7}
