"""From one store into another, whichever they are, and the proof that nothing was lost on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from index.catalogue import MODALITIES, Catalogue, CatalogueError, Item, Modality
from index.content import content_hash
from index.filter import Filter

BATCH = 1_000  # items that are moved at once
BYTES = 64 * 2**20  # of contents that are moved at once
SAMPLE = 200  # items whose neighbours and files are compared
K = 10
Track = Callable[[Iterable[Any], str, int], Iterable[Any]]
CLOSE = 1e-5  # by which two scores of the same vectors may differ


@dataclass(frozen=True)
class Migration:
    """What a migration did, and what it found when it compared.

    Attributes:
        moved: items put into the target.
        kept: items that it already had as they are.
        contents: stored contents copied.
        source: how many items of each modality the source holds.
        target: how many the target holds.
        queries: sampled items whose neighbours of both modalities were compared.
        recall: share of the source's neighbours that the target gives, or gives others as near.
        difference: largest between the two scores of the same neighbour.
        files: sampled items whose file is in its place in the source.
        missing: those of them whose file is not in its place in the target, or is another.
        wanted: the recall asked for.
    """

    moved: int
    kept: int
    contents: int
    source: dict[Modality, int]
    target: dict[Modality, int]
    queries: int
    recall: float
    difference: float
    files: int
    missing: tuple[str, ...]
    wanted: float

    @property
    def faults(self) -> list[str]:
        """What is not as it must be, in sentences; empty where the target is proven equal."""
        faults = []
        for modality in MODALITIES:
            held, wanted = self.target[modality], self.source[modality]
            if held != wanted:
                more = "it held others before" if held > wanted else "run it again"
                faults.append(f"the target holds {held} {modality}s and the source {wanted}: {more}")
        if self.recall < self.wanted:
            faults.append(
                f"the target gives {self.recall:.4f} of the source's neighbours, less than {self.wanted}: "
                "one of them searches with an approximate index; ask for less, or make the target with index=FLAT"
            )
        if self.difference > CLOSE:
            faults.append(f"scores differ by up to {self.difference:.2g}: the vectors are not the same")
        if self.missing:
            faults.append(
                f"{len(self.missing)} of {self.files} sampled files are not in their place for the target, "
                f"such as that of {self.missing[0]}: correct its root or content folder"
            )
        return faults


def migrate(
    source: Catalogue,
    target: Catalogue,
    batch: int = BATCH,
    sample: int = SAMPLE,
    recall: float = 0.99,
    track: Track = lambda items, what, total: items,
) -> Migration:
    """Put all items of a catalogue, with their vectors and contents, into another, and compare the two.

    It may be stopped and started again: what the target already has as it is, is not put again. Items keep their order
    as far as the target was empty or holds what an earlier start has moved. Nobody may change the source meanwhile.

    Args:
        source: is read only.
        target: open for writing.
        batch: items that are moved at once.
        sample: items whose neighbours and files are compared.
        recall: share of the source's neighbours that the target must give; below 1 as either may be approximate.
        track: told of the items that are gone through, what that is called, and how many there are.

    Raises:
        CatalogueError: the two are of different models, or one can't be read or written.
    """
    if source.fingerprint != target.fingerprint or source.dimension != target.dimension:
        raise CatalogueError(
            f"the target holds vectors of another model ({target.fingerprint[:8]}, not {source.fingerprint[:8]}); "
            "migrate into a new one"
        )
    moved = kept = contents = 0
    sampled = _Reservoir(sample)
    remaining = iter(track(source.list(), "migrating", sum(source.count().values())))
    while items := list(islice(remaining, batch)):
        changed = _changed(source, target, items)
        for part, held in _parts(source, target, changed):
            target.put(part, source.vectors([item.id for item in part]), held)
            contents += len(held)
        moved += len(changed)
        kept += len(items) - len(changed)
        for item in items:
            sampled.offer(item.id)
    share, difference = _compare_neighbours(source, target, sampled.ids)
    files, missing = _compare_files(source, target, sampled.ids)
    return Migration(
        moved,
        kept,
        contents,
        source.count(),
        target.count(),
        len(sampled.ids),
        share,
        difference,
        files,
        tuple(missing),
        recall,
    )


def _changed(source: Catalogue, target: Catalogue, items: Sequence[Item]) -> list[Item]:
    """Those that the target has not, or not as they are."""
    ids = [item.id for item in items]
    there = {item.id: _known(item) for item in target.list(Filter(ids=tuple(ids)))} if ids else {}
    same = [item.id for item in items if there.get(item.id) == _known(item)]
    equal = (source.vectors(same) == target.vectors(same)).all(axis=1) if same else []
    unchanged = {id for id, is_equal in zip(same, equal, strict=True) if is_equal}
    return [item for item in items if item.id not in unchanged]


def _known(item: Item) -> Any:
    """What a migration moves of an item. Metadata as text: to Python, 1 and true are equal."""
    return replace(item, created="", updated="", metadata={}), json.dumps(item.metadata)


def _parts(source: Catalogue, target: Catalogue, items: Sequence[Item]) -> list[tuple[list[Item], dict[str, bytes]]]:
    """Items in order with the contents that the target lacks, as many at once as memory takes."""
    parts: list[tuple[list[Item], dict[str, bytes]]] = []
    size = 0
    for item in items:
        lacks = bool(item.content) and not _has(target, item)
        data = source.file(item).read_bytes() if lacks else b""
        if not parts or size + len(data) > BYTES:
            parts.append(([], {}))
            size = 0
        parts[-1][0].append(item)
        if lacks:
            parts[-1][1][item.content] = data
        size += len(data)
    return parts


def _has(catalogue: Catalogue, item: Item) -> bool:
    try:
        catalogue.file(item)
    except CatalogueError:
        return False
    return True


def _compare_neighbours(source: Catalogue, target: Catalogue, ids: Sequence[str]) -> tuple[float, float]:
    """The share of the source's neighbours that the target gives too, and how far their scores are apart."""
    if not ids:
        return 1.0, 0.0
    given = wanted = 0
    difference = 0.0
    vectors = source.vectors(ids)
    for modality in MODALITIES:
        ours, theirs = source.search(vectors, modality, K), target.search(vectors, modality, K)
        for mine, other in zip(ours, theirs, strict=True):
            scores = {hit.item.id: hit.score for hit in other}
            wanted += len(mine)
            given += sum(hit.score >= mine[-1].score - CLOSE for hit in other[: len(mine)]) if mine else 0
            apart = [abs(hit.score - scores[hit.item.id]) for hit in mine if hit.item.id in scores]
            difference = max(difference, *apart, 0.0)
    return (given / wanted if wanted else 1.0), difference


def _compare_files(source: Catalogue, target: Catalogue, ids: Sequence[str]) -> tuple[int, list[str]]:
    """How many files there are, and the items whose file is not the same for the target."""
    files, missing = 0, []
    for id in ids:
        item = source.get(id)
        if item is None or not _has(source, item):
            continue
        files += 1
        here = source.file(item).read_bytes()
        if not _has(target, item) or content_hash(target.file(item).read_bytes()) != content_hash(here):
            missing.append(id)
    return files, missing


class _Reservoir:
    """So many ids of all that are offered, each as likely as the other; the same ones every time."""

    def __init__(self, size: int) -> None:
        self.ids: list[str] = []
        self._size, self._seen = size, 0
        self._random = np.random.default_rng(0)

    def offer(self, id: str) -> None:
        self._seen += 1
        if len(self.ids) < self._size:
            self.ids.append(id)
        elif (at := int(self._random.integers(self._seen))) < self._size:
            self.ids[at] = id
