"""A source's entries beside the items of a catalogue: which are there, which are outdated, which items are gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from index.catalogue import Item
from index.content import HASH
from index.source import Entry, Source
from index.stamp import Look, Stamp, state_of


class Comparison:
    """What a catalogue has of a source; entries are known by their numbers.

    Attributes:
        held: entries whose items are there, with vectors that hold, by id.
        updates: of these, the ones whose path, label, tags, metadata or stamp are to be updated, with what is known of
            the file.
        stale: entries whose items may be outdated: id → SHA-256 of the bytes it was made of, empty where that does not
            tell.
        gone: ids of items that came from this source and that no entry names.

    Args:
        source: that is compared.
        entries: its usable ones.
        copy: whether items by reference are to become copies.
    """

    def __init__(self, source: Source, entries: Mapping[int, Entry], copy: bool) -> None:
        self.held: dict[int, str] = {}
        self.updates: dict[int, Look] = {}
        self.stale: dict[int, dict[str, str]] = {}
        self.gone: set[str] = set()
        self._source, self._entries, self._copy = source, entries, copy
        self._by_id = {entry.id: number for number, entry in entries.items() if entry.id}
        self._by_place: dict[tuple[Any, ...], int] = {}
        for number, entry in entries.items():
            if not entry.id:
                self._by_place.setdefault((entry.path, entry.modality, entry.start, entry.duration), number)

    def see(self, items: Iterable[Item]) -> None:
        """Go through the catalogue's items."""
        for item in items:
            stamp = Stamp.parse(item.stamp)
            number = self._number(item, stamp)
            if number is not None:
                self._match(number, item, stamp)
            elif stamp is not None and self._is_ours(stamp):
                self.gone.add(item.id)

    def outdated(self) -> set[str]:
        """Ids of items whose files have other content now."""
        return {id for items in self.stale.values() for id in items}

    def _number(self, item: Item, stamp: Stamp | None) -> int | None:
        """The entry that an item is of: by its id, else by the file where the id is but the content's hash."""
        if item.id in self._by_id:
            return self._by_id[item.id]
        if stamp is not None and stamp.id == item.id:
            return self._by_place.get((stamp.path, item.modality, stamp.start, stamp.duration))
        if stamp is None and item.path and HASH.fullmatch(item.id):  # of a time before there were stamps
            return self._by_place.get((item.path, item.modality, *_stretch(item)))
        return None

    def _match(self, number: int, item: Item, stamp: Stamp | None) -> None:
        entry = self._entries[number]
        if stamp is None and not entry.id and _stretch(item) == (0, None):
            self.stale.setdefault(number, {})[item.id] = item.id
        elif stamp is None or not stamp.is_of(entry) or item.modality != entry.modality:
            self.stale.setdefault(number, {})[item.id] = ""
        elif (
            number in self.held
            or stamp.path != entry.path
            or stamp.state != current_state(self._source.root, entry.path)
        ):
            self.stale.setdefault(number, {})[item.id] = stamp.sha256
        else:
            self.held[number] = item.id
            look = Look(stamp.state, stamp.sha256)
            if stamp != Stamp.of(entry, self._source.name, look) or (self._copy and item.path):
                self.updates[number] = look

    def _state(self, entry: Entry) -> str | None:
        return current_state(self._source.root, entry.path)

    def _is_ours(self, stamp: Stamp) -> bool:
        source = self._source
        in_scope = source.parts is None or stamp.part in source.parts
        return stamp.source == source.name and in_scope and not source.hides(stamp.path)


def _stretch(item: Item) -> tuple[float, float | None]:
    """`start` and `duration` as the metadata have them."""
    start, duration = item.metadata.get("start"), item.metadata.get("duration")
    return start if isinstance(start, int | float) else 0, duration if isinstance(duration, int | float) else None


def current_state(root: Path, path: str) -> str | None:
    """Of a file: empty where it is not there, None where nobody can tell."""
    try:
        return state_of(root / path)
    except (OSError, ValueError):
        return None
