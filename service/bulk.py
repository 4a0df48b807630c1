"""Files through the model: the next batch is decoded while the model has this one."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy.typing as npt

from index.catalogue import Modality
from index.source import Embedded, Entry, Unreadable
from training.model.embedder import Embedder
from training.model.media import image, sound
from training.model.media.source import MediaError

TOGETHER = 1800.0  # seconds of sound that are in memory at once; of one that is longer, all
AT_ONCE = 2  # groups: one in the model, one that is being decoded
ROUNDS = 2  # of the model's batches that a group fills

Numbered = tuple[int, Entry]
Decoded = tuple[npt.NDArray[Any], str] | Unreadable | None  # None: found no room beside the others of its group


class BulkEmbedder:
    """Decodes entries on all cores and embeds them in full batches, of one modality each.

    In memory at once are two groups: some batches of images, or sounds that last `TOGETHER` seconds in both.

    Args:
        embedder: the model.
        root: the folder that the entries' paths are relative to.
    """

    def __init__(self, embedder: Embedder, root: Path) -> None:
        self.embedder, self.root = embedder, root
        self._pool = ThreadPoolExecutor(os.cpu_count(), "decode")

    def __enter__(self) -> BulkEmbedder:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __call__(self, entries: Iterable[Numbered]) -> Iterator[tuple[int, Embedded | Unreadable]]:
        """Vectors of numbered entries, or why a file can't be used; an `index.source.Embed`."""
        waiting: deque[tuple[list[Numbered], list[Future[Decoded]]]] = deque()
        for group in self._groups(entries):
            waiting.append((group, self._decode(group)))
            if len(waiting) == AT_ONCE:
                yield from self._embed(*waiting.popleft())
        while waiting:
            yield from self._embed(*waiting.popleft())

    def _groups(self, entries: Iterable[Numbered]) -> Iterator[list[Numbered]]:
        """Entries that go through the model together: as many as fill its batches, and of sounds no more than last
        their share of `TOGETHER`, as far as their files say."""
        most, room = ROUNDS * self.embedder.batch_size, TOGETHER / AT_ONCE
        groups: dict[Modality, list[Numbered]] = {"image": [], "sound": []}
        seconds = 0.0
        for number, entry, more in self._measured(entries, most):
            if entry.modality == "sound":
                if groups["sound"] and seconds + more > room:
                    yield groups["sound"]
                    groups["sound"], seconds = [], 0.0
                seconds += more
            group = groups[entry.modality]
            group.append((number, entry))
            if len(group) == most:
                yield group
                groups[entry.modality] = []
                seconds = 0.0 if entry.modality == "sound" else seconds
        yield from filter(None, groups.values())

    def _measured(self, entries: Iterable[Numbered], ahead: int) -> Iterator[tuple[int, Entry, float]]:
        """Entries with their seconds, which are read from the files some entries ahead."""
        waiting: deque[tuple[int, Entry, Future[float]]] = deque()
        for number, entry in entries:
            waiting.append((number, entry, self._pool.submit(self._seconds, entry)))
            if len(waiting) > ahead:
                first, other, more = waiting.popleft()
                yield first, other, more.result()
        for first, other, more in waiting:
            yield first, other, more.result()

    def _seconds(self, entry: Entry) -> float:
        if entry.modality == "image":
            return 0.0
        if entry.duration is not None:
            return entry.duration
        try:
            seconds = sound.sound_seconds(self.root / entry.path)
        except MediaError:
            return 0.0  # reading it says what is wrong
        return sound.MAX_SECONDS if seconds is None else max(0.0, seconds - entry.start)

    def _decode(self, group: list[Numbered]) -> list[Future[Decoded]]:
        # files may be longer than they say: what then finds no room is embedded by itself
        allowance = sound.Allowance(TOGETHER / AT_ONCE) if len(group) > 1 else None
        return [self._pool.submit(self._read, entry, allowance) for _, entry in group]

    def _embed(
        self, group: list[Numbered], decoding: list[Future[Decoded]]
    ) -> Iterator[tuple[int, Embedded | Unreadable]]:
        decoded = [future.result() for future in decoding]
        decoding.clear()
        good = [result for result in decoded if isinstance(result, tuple)]
        if good:
            vectors = iter(self.embedder.embed_packed([array for array, _ in good], group[0][1].modality).z)
        results = [Embedded(next(vectors), result[1]) if isinstance(result, tuple) else result for result in decoded]
        del decoded, good
        for (number, entry), result in zip(group, results, strict=True):
            if result is not None:
                yield number, result
            else:
                alone = [(number, entry)]
                yield from self._embed(alone, self._decode(alone))

    def _read(self, entry: Entry, allowance: sound.Allowance | None) -> Decoded:
        file, config = self.root / entry.path, self.embedder.preprocessor.config
        try:
            if entry.modality == "image":
                pixels = image.read_image(file, config.image_size, name=entry.path)
                return pixels, image.image_type(file, name=entry.path)
            wave = sound.read_sound(
                file,
                config.sample_rate,
                name=entry.path,
                start=entry.start,
                duration=entry.duration,
                allowance=allowance,
            )
            return wave, sound.sound_type(file, name=entry.path)
        except MediaError as error:
            return Unreadable(entry.path, str(error))
        except sound.AllowanceSpent:
            return None
