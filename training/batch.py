"""Which items each step sees, and their tensors."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.config import TrainingConfig
from training.data.packed import PackedData
from training.data.parallel import cores
from training.ranks import ALONE, Ranks

AHEAD = 4  # batches that are gathered before they are needed
Parts = TypeVar("Parts", "Items", "Batch")

_PIECE = 2**28  # bytes copied to a GPU at once


class DataError(ValueError):
    """A data set that can't train this configuration; `str()` says what is missing."""


@dataclass(frozen=True)
class Items:
    """N items of a batch in the packed form.

    Attributes:
        clip: int64 `[N]`, equal numbers for items of the same clip.
        images: uint8 `[N, 3, S, S]`, None for sounds alone.
        windows: int16 `[N, window_samples]`, one window of each sound, drawn at random; `[2N, window_samples]` where
            each has two (`separate_windows`), row i and row N + i of the same sound; None for images alone.
    """

    clip: Tensor
    images: Tensor | None = None
    windows: Tensor | None = None

    def to(self, device: torch.device) -> Items:
        """The same on a device, on its way there where the tensors are pinned."""
        return _each(self, lambda x: x.to(device, non_blocking=True))

    def pinned(self) -> Items:
        """The same in memory that a GPU can fetch from by itself."""
        return _each(self, lambda x: x.pin_memory())


@dataclass(frozen=True)
class Batch:
    """What one step learns from; on the ranks of a job, each one's part of it."""

    pairs: Items
    unpaired_sounds: Items | None = None
    unpaired_images: Items | None = None

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return _each(self, lambda items: items.to(device))

    def pinned(self) -> Batch:
        """The same in pinned memory."""
        return _each(self, lambda items: items.pinned())


class Sampler:
    """Draws the items of a step.

    Stateless: the draw depends on the seed and the step's number alone, so a resumed run sees what an uninterrupted one
    would. Each kind of item is shuffled anew every epoch.
    """

    def __init__(self, pools: dict[str, npt.NDArray[np.int64]], batch_size: int, seed: int) -> None:
        self.pools = pools
        self.batch_size = batch_size
        self.seed = seed
        self._order = lru_cache(maxsize=3 * len(pools))(self._shuffle)

    def draw(self, kind: str, step: int) -> npt.NDArray[np.int64]:
        """Row numbers int64 `[batch_size]` of a kind for a step."""
        pool = self.pools[kind]
        first = step * self.batch_size
        epochs = range(first // len(pool), (first + self.batch_size - 1) // len(pool) + 1)
        orders = [self._order(kind, epoch) for epoch in epochs]
        offset = first - epochs[0] * len(pool)
        return pool[np.concatenate(orders)[offset : offset + self.batch_size]]

    def chances(self, kind: str, step: int, number: int = 1) -> npt.NDArray[np.float64]:
        """The first or another uniform draw in [0, 1) for each of those items, float64 `[batch_size]`."""
        return np.random.default_rng((self.seed, self._number(kind), step, number)).random(self.batch_size)

    def _shuffle(self, kind: str, epoch: int) -> npt.NDArray[np.int64]:
        return np.random.default_rng((self.seed, self._number(kind), epoch)).permutation(len(self.pools[kind]))

    def _number(self, kind: str) -> int:
        return list(self.pools).index(kind)


class Feeder:
    """Turns a packed data set into batches on the device, without a decoder in the loop.

    Where the arrays take at most half of the memory that is free on a GPU they are put there whole. Else threads gather
    the items of coming steps from the memory map, a few batches ahead.

    Args:
        data: the data set.
        config: of the run; `batch_size` is of all ranks together.
        device: where batches are wanted.
        ranks: who shares each batch.

    Attributes:
        waited: seconds that `batches` has let its caller wait so far.

    Raises:
        DataError: there are no pairs, or not the unpaired items that the configuration asks for.
    """

    def __init__(self, data: PackedData, config: TrainingConfig, device: torch.device, ranks: Ranks = ALONE) -> None:
        self.data, self.device, self.ranks = data, device, ranks
        self.samples = config.preprocess_config.window_samples
        self.separate_windows = config.separate_windows
        self.waited = 0.0
        self.pools = choose_pools(data, config)
        pairs = "rows of split 'train' with both an image and a sound"
        self._require("pairs", pairs, "add pairs, or those of another data set with 'bma data join'")
        self.kinds, self.until = ["pairs"], config.unpaired_until * config.steps
        without = ("images", "sounds") if config.unpaired == "both" else ("none", "none")
        if config.uses_unpaired_sounds:
            self._require("unpaired sounds", "rows of split 'unpaired' with a sound", f"or say unpaired={without[0]}")
            self.kinds.append("unpaired sounds")
        if config.uses_unpaired_images:
            self._require("unpaired images", "rows of split 'unpaired' with an image", f"or say unpaired={without[1]}")
            self.kinds.append("unpaired images")
        self.sampler = Sampler(self.pools, config.batch_size, config.seed)
        arrays = data.images.nbytes + data.waves.nbytes
        self.resident = device.type == "cuda" and arrays <= torch.cuda.mem_get_info(device)[0] / 2
        self.images = _copy(data.images, device) if self.resident else None
        self.waves = _copy(data.waves, device) if self.resident else None

    def batches(self, first: int, last: int) -> Generator[Batch, None, None]:
        """The batches of the steps from `first` to before `last`, on the device."""
        if self.resident:
            for step in range(first, last):
                begun = time.perf_counter()
                batch = self.batch(step)
                self.waited += time.perf_counter() - begun
                yield batch
            return
        coming: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(min(AHEAD, cores()), "feeder") as pool:
            try:
                for step in range(first, last):
                    ready = range(step + len(coming), min(step + AHEAD, last))
                    coming.extend(pool.submit(self._gather, step) for step in ready)
                    begun = time.perf_counter()
                    batch = coming.popleft().result().to(self.device)
                    self.waited += time.perf_counter() - begun
                    yield batch
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def batch(self, step: int) -> Batch:
        """The items of a step, on the device: they depend on the seed and the step's number alone."""
        return self._gather(step).to(self.device)

    def rows(self, step: int) -> dict[str, list[int]]:
        """Row numbers of each kind of item in a step, those of all ranks."""
        return {kind: self.sampler.draw(kind, step).tolist() for kind in self.kinds_of(step)}

    def kinds_of(self, step: int) -> list[str]:
        """The kinds of items in a step: after `unpaired_until` pairs alone."""
        return self.kinds if step < self.until else self.kinds[:1]

    def _gather(self, step: int) -> Batch:
        """A batch: on the device where the arrays are there, else on the CPU, pinned for a GPU."""
        parts = {kind.replace(" ", "_"): self._items(kind, step) for kind in self.kinds_of(step)}
        batch = Batch(**parts)
        return batch.pinned() if self.device.type == "cuda" and not self.resident else batch

    def _items(self, kind: str, step: int) -> Items:
        rows = self.ranks.mine(self.sampler.draw(kind, step))
        chances = self.ranks.mine(self.sampler.chances(kind, step))
        sounds = self.data.index[rows, 1]
        if kind == "unpaired sounds" and self.separate_windows:
            second = self.ranks.mine(self.sampler.chances(kind, step, 2))
            sounds, chances = np.concatenate((sounds, sounds)), np.concatenate((chances, second))
        return Items(
            clip=torch.from_numpy(self.data.clips[rows]),
            images=self._gather_images(self.data.index[rows, 0]) if kind != "unpaired sounds" else None,
            windows=self._gather_windows(sounds, chances) if kind != "unpaired images" else None,
        )

    def _gather_images(self, numbers: npt.NDArray[np.int32]) -> Tensor:
        if self.images is not None:
            return self.images[torch.from_numpy(numbers).to(self.device, non_blocking=True)]
        return torch.from_numpy(self.data.images[numbers])

    def _gather_windows(self, numbers: npt.NDArray[np.int32], chances: npt.NDArray[np.float64]) -> Tensor:
        """One window of each sound at a random place; a shorter sound repeats until it fills the window."""
        begin = self.data.offsets[numbers]
        length = self.data.offsets[numbers + 1] - begin
        start = (chances * (np.maximum(length - self.samples, 0) + 1)).astype(np.int64)
        if self.waves is not None:
            places = torch.from_numpy(np.stack((begin, length, start))).to(self.device, non_blocking=True)
            on_begin, on_length, on_start = places[:, :, None]
            return self.waves[on_begin + (on_start + torch.arange(self.samples, device=self.device)) % on_length]
        # On a CPU a copy for each sound beats an index for each sample
        windows = np.empty((len(numbers), self.samples), np.int16)
        for row, first, samples, skipped in zip(windows, begin.tolist(), length.tolist(), start.tolist(), strict=True):
            wave = self.data.waves[first + skipped : first + min(samples, skipped + self.samples)]
            row[: len(wave)] = wave
            for filled in range(len(wave), self.samples, max(len(wave), 1)):  # a short sound repeats
                row[filled : filled + len(wave)] = wave[: self.samples - filled]
        return torch.from_numpy(windows)

    def _require(self, kind: str, what: str, remedy: str) -> None:
        found = len(self.pools[kind])
        if found < 2:
            raise DataError(f"{self.data.folder} has {found} {what}; training needs at least 2: {remedy}")


def find_pools(data: PackedData) -> dict[str, npt.NDArray[np.int64]]:
    """Row numbers of the pairs, the unpaired sounds and the unpaired images, files that could not be read left out."""
    unpaired = np.array([row.split == "unpaired" for row in data.rows])
    pairs = np.array([row.is_pair for row in data.rows])
    image, sound = data.index[:, 0] >= 0, data.index[:, 1] >= 0
    return {
        "pairs": np.flatnonzero(pairs & image & sound),
        "unpaired sounds": np.flatnonzero(unpaired & sound),
        "unpaired images": np.flatnonzero(unpaired & image),
    }


def choose_pools(data: PackedData, config: TrainingConfig) -> dict[str, npt.NDArray[np.int64]]:
    """Of `find_pools`' rows those that a run learns from. With one seed a smaller share is part of a larger one."""
    return {
        kind: _choose(rows, config.paired_share if kind == "pairs" else config.unpaired_share, (config.seed, number))
        for number, (kind, rows) in enumerate(find_pools(data).items())
    }


def _choose(rows: npt.NDArray[np.int64], share: float, seed: tuple[int, int]) -> npt.NDArray[np.int64]:
    if share == 1:
        return rows
    return np.sort(np.random.default_rng((*seed, 2)).permutation(rows)[: max(2, round(share * len(rows)))])


def _each(whole: Parts, change: Callable[[Any], Any]) -> Parts:
    """Items or a batch with each part changed that is there."""
    kind: Any = type(whole)
    return kind(*(None if part is None else change(part) for part in vars(whole).values()))


def _copy(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """An array on a device, copied in pieces so that it is never whole in the CPU's memory."""
    flat = array.reshape(-1)
    piece = max(1, _PIECE // array.itemsize)
    whole = torch.empty(flat.shape, dtype=torch.from_numpy(np.empty(0, array.dtype)).dtype, device=device)
    for first in range(0, len(flat), piece):
        whole[first : first + piece] = torch.from_numpy(np.array(flat[first : first + piece]))
    return whole.reshape(array.shape)
