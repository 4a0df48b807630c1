"""Items as rows in Milvus, and how rows are read: by id, in order, nearest first."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from index.catalogue import ID, MODALITIES, Item, ItemTooLarge, Modality
from index.filter import Filter
from index.milvus_filter import among, expression, ranges_of, terms_of
from index.milvus_wire import KNOWN, MOST, TERMS, TEXT, TEXTS, Row, Wire

TOGETHER = 1_000  # ids in one request
LAST = 2**63 - 1

Placed = tuple[Modality, Row]  # a row, and the collection that it is in
Stored = dict[str, list[Placed]]  # by id, the newest first


def row_of(item: Item, vector: Any) -> Row:
    """What Milvus holds of an item, but for its number and times.

    Tags and metadata are JSON as text, so that they come back to the last digit.

    Raises:
        ValueError: it can't be written down.
        ItemTooLarge: more is told of it than Milvus takes.
    """
    row: Row = {
        "id": item.id,
        "label": item.label,
        "tags": json.dumps(item.tags),
        "metadata": json.dumps(item.metadata, allow_nan=False),
        "path": item.path,
        "content": item.content,
        "media_type": item.media_type,
        "stamp": item.stamp,
        "created": "",
        "updated": "",
        "terms": terms_of(item),
        "ranges": ranges_of(item),
        "vector": vector,
    }
    if bool(item.path) == bool(item.content):
        raise ValueError(f"item {item.id} must have a path or a content, and not both")
    for name in TEXTS:
        if len(row[name].encode()) > TEXT:
            raise ItemTooLarge(f"the {name} of item {item.id} takes more than {TEXT} bytes in Milvus; say less")
    if len(json.dumps(row["ranges"])) > TEXT:
        raise ItemTooLarge(f"the texts in the metadata of item {item.id} are too long for Milvus; use less than 32 kB")
    if len(row["terms"]) > TERMS:
        raise ItemTooLarge(f"item {item.id} has {len(row['terms'])} tags and fields; Milvus holds {TERMS}; give fewer")
    return row


def item_of(placed: Placed) -> Item:
    """An item from its row."""
    modality, row = placed
    known = {name: row[name] for name in ("path", "media_type", "label", "content", "stamp", "created", "updated")}
    tags, metadata = tuple(json.loads(row["tags"])), json.loads(row["metadata"])
    return Item(id=row["id"], modality=modality, tags=tags, metadata=metadata, **known)


def place(placed: Placed) -> tuple[int, str]:
    """Where a row stands in the order of all: by the number of its put, and by id where two clients gave the same."""
    return placed[1]["number"], placed[1]["id"]


def stored(wire: Wire, ids: Sequence[str], fields: Sequence[str]) -> Stored:
    """Rows by id, the newest first: more than one only where a client was killed while an item moved."""
    wanted = [id for id in dict.fromkeys(ids) if ID.fullmatch(id)]
    found: Stored = {}
    for start in range(0, len(wanted), TOGETHER):
        condition = among("id", wanted[start : start + TOGETHER])
        for placed in rows(wire, condition, fields):
            found.setdefault(placed[1]["id"], []).append(placed)
    return {id: sorted(copies, key=place, reverse=True) for id, copies in found.items()}


def rows(wire: Wire, condition: str, fields: Sequence[str] = KNOWN) -> list[Placed]:
    """Rows of both modalities that an expression selects, in no order."""
    return [(modality, row) for modality in MODALITIES for row in wire.query(modality, condition, fields)]


def ordered(
    wire: Wire, after: int, filter: Filter | None, most: int, fields: Sequence[str] = KNOWN
) -> Iterator[Placed]:
    """Rows of both modalities that pass a filter and whose number is above `after`, by number.

    Milvus gives rows in no order of ours and only so many at once, so they are read from one range of numbers after the
    other, each narrowed until it holds at most `most`. Numbers are times: what was put together lies together.
    """
    condition = expression(filter)
    if condition is None:
        return
    condition = f" and {condition}" if condition else ""
    low, now = after, time.time_ns()
    high = now if low < now else LAST
    while low < LAST:
        within = f"number > {low} and number <= {high}{condition}"
        count = sum(wire.count(modality, within) for modality in MODALITIES)
        if count > most and high - low > 1:
            high = low + (high - low) // 2
            continue
        if count:
            yield from sorted(rows(wire, within, fields), key=place)
        width = (high - low) * (4 if 4 * count <= most else 1)
        low, high = high, min(now, high + width) if high < now else LAST


def nearest(
    wire: Wire, modality: Modality, queries: npt.NDArray[np.float32], k: int, condition: str, margin: int
) -> list[list[tuple[float, Row]]]:
    """The k nearest rows to each query `[Q, d]` among those that an expression selects, with their scores, best first.

    The cut after k falls between two scores, as Milvus cuts through ties as it pleases: more are asked for until it
    does. Where an index gives fewer than k although more pass, those that pass are compared, all of them.
    """
    limit = min(k + margin, MOST)
    found = [
        scored(query, part)
        for query, part in zip(queries, _ask(wire, modality, queries, condition, limit), strict=True)
    ]
    for at, query in enumerate(queries):
        width = limit
        while len(found[at]) == width < MOST and found[at][k - 1][0] == found[at][-1][0]:
            width = min(4 * width, MOST)
            found[at] = scored(query, _ask(wire, modality, queries[at : at + 1], condition, width)[0])
    if any(len(row) < k for row in found):
        passing = wire.count(modality, condition)
        if any(len(row) < min(k, passing) for row in found) and passing <= MOST:
            everything = wire.query(modality, condition, [*KNOWN, "vector"])
            found = [scored(query, everything) for query in queries]
    return [row[:k] for row in found]


def scored(query: npt.NDArray[np.float32], among: Sequence[Row]) -> list[tuple[float, Row]]:
    """Rows with the inner product of their vector and a query `[d]`, best first, ties by number.

    Summed in double precision and then rounded, so that equal vectors have equal scores.
    """
    if not among:
        return []
    vectors = np.array([row["vector"] for row in among], np.float32).astype(np.float64)
    scores = (vectors @ query.astype(np.float64)).astype(np.float32).tolist()
    return sorted(zip(scores, among, strict=True), key=lambda pair: (-pair[0], pair[1]["number"], pair[1]["id"]))


def _ask(
    wire: Wire, modality: Modality, queries: npt.NDArray[np.float32], condition: str, limit: int
) -> list[list[Row]]:
    together = max(1, MOST // limit)
    found: list[list[Row]] = []
    for start in range(0, len(queries), together):
        found += wire.search(modality, queries[start : start + together].tolist(), condition, limit)
    return found
