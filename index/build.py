"""Filling a catalogue from a source: what is new or has changed is embedded, the rest is left as it is."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import Any

from index.batch import Batch
from index.catalogue import ID, Catalogue, CatalogueError, Item
from index.compare import Comparison, current_state
from index.source import Embed, Embedded, Entry, Source, Unreadable
from index.stamp import Look, Stamp, look_at
from index.summary import Summary

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]
TOGETHER = 500  # updates in a transaction
AHEAD = 64  # files that are read before their turn


def build(
    catalogue: Catalogue,
    source: Source,
    embed: Embed,
    *,
    copy: bool = False,
    remove: bool = False,
    track: Track = lambda items, what, total: items,
) -> Summary:
    """Bring a catalogue to where a source is. Killed at any moment and run again, it does the rest.

    An item whose file, stretch and words are as they were is left alone; where only path, label, tags or metadata
    differ it is updated; it is embedded where the content is new. Files with the same bytes and no id of their own are
    one item: that of the first of them, for as long as its file is there.

    Args:
        catalogue: to fill.
        source: what to fill it from.
        embed: the model.
        copy: keep the files' bytes in the catalogue rather than their paths. Items that are kept so stay so.
        remove: also remove the items that came from this source and whose file or entry is gone.
        track: told of what is gone through, what that is called, and how much of it there is; gives it back.

    Raises:
        CatalogueError: not one of the source's files is there, and items are to be removed; or what `put` raises.
    """
    run = _Build(catalogue, source, embed, copy, track)
    if remove and not any(current_state(source.root, entry.path) for entry in run.entries.values()):
        raise CatalogueError(
            f"not one file that {source.root / source.name} names is there, so nothing was removed; "
            "check that its disk is mounted"
        )
    return run.fill(remove)


class _Build:
    """One run. Entries are known by their numbers in the source."""

    def __init__(self, catalogue: Catalogue, source: Source, embed: Embed, copy: bool, track: Track) -> None:
        self.catalogue, self.source, self.embed, self.copy, self.track = catalogue, source, embed, copy, track
        self.root = source.root.resolve()
        self.summary = Summary(unreadable=[Unreadable(*closed) for closed in source.closed.items()])
        self.entries = dict(self._usable())
        self.there = Comparison(source, self.entries, copy)
        self.owners: dict[str, int] = {}  # ids that an entry's item has, or is about to have
        self.looks: dict[int, Look | None] = {}
        self.twins: dict[int, str] = {}  # entries with the content of another, by its id
        self.renamed: dict[int, Look] = {}
        self.failed: set[int] = set()

    def fill(self, remove: bool) -> Summary:
        """Everything, in the order in which one needs the other."""
        there, summary = self.there, self.summary
        there.see(self.track(self.catalogue.list(), "comparing", sum(self.catalogue.count().values())))
        summary.unchanged = len(there.held) - len(there.updates)
        self._update(there.updates.items())
        self._update(self._touched())
        self.owners = {id: number for number, id in there.held.items()}
        pending = [number for number in self.entries if number not in there.held]
        self._embed(self._new(pending), len(pending))
        failed = {id for id, number in self.owners.items() if number in self.failed}
        again = [number for number, id in self.twins.items() if id in failed]  # each has a reason of its own
        self._embed(((number, self.entries[number]) for number in again), len(again))
        self._update(self.renamed.items())
        self._clear(remove)
        summary.duplicates = len(self.twins) - len(again)
        summary.images = sum(self.entries[number].modality == "image" for number in there.held)
        summary.sounds = len(there.held) - summary.images
        return summary

    def _usable(self) -> Iterator[tuple[int, Entry]]:
        """Entries whose path is text, and whose id can be one and is theirs alone."""
        owners: dict[str, Entry] = {}
        for number, entry in enumerate(self.source.entries):
            path = entry.path
            if not _is_text(path):  # names on disk may hold other bytes
                path = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in path)
                self._leave_out(path, "has bytes in its name, or its folder's, that are not UTF-8; rename it")
            elif entry.id and not ID.fullmatch(entry.id):
                allowed = "use 1 to 128 of the characters A-Z a-z 0-9 . _ : -"
                self._leave_out(path, f"has a row whose id '{entry.id[:140]}' can't be an id; {allowed}")
            elif entry.id and (owner := owners.setdefault(entry.id, entry)) is not entry:
                # the second would replace the first, unsaid
                self._leave_out(path, f"has the id '{entry.id}' that {owner.path} has; give each row an id of its own")
            else:
                yield number, entry

    def _leave_out(self, path: str, why: str) -> None:
        self.summary.unreadable.append(Unreadable(path, f"{path} {why}"))

    def _touched(self) -> Iterator[tuple[int, Look]]:
        """Entries whose file has another time or path, and yet the bytes that their item was made of."""
        stale = self.there.stale
        numbers = [number for number in stale if number not in self.there.held]
        for number, look in self.track(self._read(numbers), "reading", len(numbers)):
            self.looks[number] = look
            same = [id for id, sha256 in stale[number].items() if look is not None and sha256 == look.sha256]
            if look is not None and same:
                del stale[number][same[0]]
                self.there.held[number] = same[0]
                yield number, look

    def _new(self, numbers: list[int]) -> Iterator[tuple[int, Entry]]:
        """Of entries without an item, those to embed; where an item is there under another path, that is noted."""
        leaving = self.there.gone | self.there.outdated()
        for number, look in self._read(numbers):
            entry = self.entries[number]
            file = (self.root / entry.path).resolve()
            if not file.is_relative_to(self.root) and file.exists():  # a link that leads nowhere has a reason below
                self._leave_out(entry.path, "lies outside the folder that is indexed; move or copy it inside")
                self.failed.add(number)
                continue
            self.looks[number] = look
            if look is None:
                yield number, entry  # for the reason
                continue
            id = self._id(entry, look)
            if not entry.id:
                found = None if id in self.owners else self.catalogue.get(id)
                if id in self.owners or (found and id not in leaving and self._stays(found, entry)):
                    self.twins[number] = id
                    continue
                if found and found.modality == entry.modality:
                    self.owners[id], self.there.held[number], self.renamed[number] = number, id, look
                    continue
            self.owners[id] = number
            yield number, entry

    def _stays(self, item: Item, entry: Entry) -> bool:
        """Whether an item with an entry's content was added by hand, or belongs to another file that is there."""
        stamp = Stamp.parse(item.stamp)
        path = item.path if stamp is None else stamp.path
        return not path or (path != entry.path and current_state(self.root, path) != "")

    def _embed(self, entries: Iterable[tuple[int, Entry]], total: int) -> None:
        """Embed entries and put them a batch at a time; each is durable once it is put."""
        batch = Batch(self.catalogue)
        for number, result in self.embed(self.track(entries, "embedding", total)):
            look = self.looks.pop(number)
            if isinstance(result, Embedded):
                made = self._made(number, look, result)
                if isinstance(made, Unreadable):
                    result = made
                else:
                    batch.add(made[0], result.z, made[1])
                    self.there.held[number] = made[0].id
                    self.summary.changed += number in self.there.stale
                    self.summary.added += number not in self.there.stale
                    continue
            self.summary.unreadable.append(result)
            self.failed.add(number)
            self.looks[number] = look
        batch.put()

    def _made(self, number: int, look: Look | None, result: Embedded) -> tuple[Item, bytes | None] | Unreadable:
        """An entry's new item, with the content that the catalogue is to hold."""
        entry = self.entries[number]
        old = next((item for id in self.there.stale.get(number, ()) if (item := self.catalogue.get(id))), None)
        copy = self.copy or (old is not None and bool(old.content))
        content = self._content(entry, look) if copy and look is not None else None
        if look is None or (copy and content is None):
            return Unreadable(entry.path, f"{entry.path} was changed while it was read; run this again")
        item = Item(self._id(entry, look), entry.modality, entry.path, result.media_type)
        if content is not None:
            item = replace(item, path="", content=look.sha256)
        return self._described(item, entry, look, old), content

    def _described(self, item: Item, entry: Entry, look: Look, old: Item | None) -> Item:
        """An item with what its entry says; words given in the catalogue stay until the entry says something new."""
        stamp = Stamp.of(entry, self.source.name, look)
        before = Stamp.parse(old.stamp) if old else None
        same = [was == now for was, now in zip(before.said, stamp.said, strict=True)] if before else [False] * 3
        return replace(
            item,
            label=old.label if old and same[0] else entry.label,
            tags=old.tags if old and same[1] else entry.tags,
            metadata=old.metadata if old and same[2] else entry.metadata,
            stamp=str(stamp),
        )

    def _update(self, entries: Iterable[tuple[int, Look]]) -> None:
        """Change what is known of items whose vectors hold."""
        remaining = iter(entries)
        while some := list(islice(remaining, TOGETHER)):
            changed, copies = [], Batch(self.catalogue)
            for number, look in some:
                entry, item = self.entries[number], self.catalogue.get(self.there.held[number])
                assert item is not None  # nobody else writes
                new = self._described(item if item.content else replace(item, path=entry.path), entry, look, item)
                content = self._content(entry, look) if self.copy and item.path else None
                if content is None:
                    changed.append(new)
                else:
                    new = replace(new, path="", content=look.sha256)
                    copies.add(new, self.catalogue.vectors([item.id])[0], content)
            copies.put()
            self.catalogue.update(changed)
            self.summary.updated += len(some)

    def _clear(self, remove: bool) -> None:
        """Remove items whose files hold something else by now and, if asked to, those whose files are gone."""
        held = set(self.there.held.values())
        replaced, merged, gone = set[str](), set[str](), set(self.there.gone)
        for number, items in self.there.stale.items():
            if number in self.there.held:
                replaced.update(items)
            elif number in self.twins:
                merged.update(items)
            elif self.looks.get(number) or current_state(self.root, self.entries[number].path) == "":
                gone.update(items)
        self._delete(replaced - held)
        self.summary.removed = self._delete(merged - held - replaced)
        left = gone - held - replaced - merged
        if remove:
            self.summary.removed += self._delete(left)
        else:
            self.summary.gone = len(left)

    def _delete(self, ids: set[str]) -> int:
        remaining = iter(sorted(ids))
        return sum(len(self.catalogue.delete(some)) for some in iter(lambda: list(islice(remaining, TOGETHER)), []))

    def _id(self, entry: Entry, look: Look) -> str:
        return entry.id or Stamp.of(entry, self.source.name, look).id

    def _content(self, entry: Entry, look: Look) -> bytes | None:
        """A file's bytes, where they are still those that it had."""
        try:
            data = (self.root / entry.path).read_bytes()
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == look.sha256 else None

    def _read(self, numbers: Iterable[int]) -> Iterator[tuple[int, Look | None]]:
        """Look at entries' files, in order; some ahead, in threads. Those that were seen before are not read again."""
        with ThreadPoolExecutor(os.cpu_count(), "read") as pool:
            waiting: deque[tuple[int, Future[Look | None]]] = deque()
            try:
                for number in numbers:
                    waiting.append((number, pool.submit(self._look, number)))
                    if len(waiting) >= AHEAD:
                        first, look = waiting.popleft()
                        yield first, look.result()
                while waiting:
                    first, look = waiting.popleft()
                    yield first, look.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _look(self, number: int) -> Look | None:
        return self.looks.get(number) or look_at(self.root / self.entries[number].path)


def _is_text(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
