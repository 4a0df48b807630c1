"""Which items each step sees, and their tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.config import TrainingConfig
from training.data.packed import PackedData


class DataError(ValueError):
    """A data set that can't train this configuration; `str()` says what is missing."""


@dataclass(frozen=True)
class Items:
    """N items of a batch in the packed form, on the device.

    Attributes:
        clip: int64 `[N]`, equal numbers for items of the same clip.
        images: uint8 `[N, 3, S, S]`, None for sounds alone.
        windows: int16 `[N, window_samples]`, one window of each sound, drawn at random; None for images alone.
    """

    clip: Tensor
    images: Tensor | None = None
    windows: Tensor | None = None


@dataclass(frozen=True)
class Batch:
    """What one step learns from."""

    pairs: Items
    unpaired_sounds: Items | None = None
    unpaired_images: Items | None = None


class Sampler:
    """Draws the items of a step.

    Stateless: the draw depends on the seed and the step's number alone, so a resumed run sees what an uninterrupted one
    would. Each kind of item is shuffled anew every epoch.
    """

    def __init__(self, pools: dict[str, npt.NDArray[np.int64]], batch_size: int, seed: int) -> None:
        self.pools = pools
        self.batch_size = batch_size
        self.seed = seed

    def draw(self, kind: str, step: int) -> npt.NDArray[np.int64]:
        """Row numbers int64 `[batch_size]` of a kind for a step."""
        pool = self.pools[kind]
        number = list(self.pools).index(kind)
        first = step * self.batch_size
        epochs = range(first // len(pool), (first + self.batch_size - 1) // len(pool) + 1)
        orders = [np.random.default_rng((self.seed, number, epoch)).permutation(len(pool)) for epoch in epochs]
        offset = first - epochs[0] * len(pool)
        return pool[np.concatenate(orders)[offset : offset + self.batch_size]]


class Feeder:
    """Turns a packed data set into batches on the device, without a decoder in the loop.

    The arrays are copied to the device where they take at most half of the memory that is free there; else each step
    gathers its items from the memory-mapped files.

    Raises:
        DataError: there are no pairs, or not the unpaired items that the configuration asks for.
    """

    def __init__(self, data: PackedData, config: TrainingConfig, device: torch.device) -> None:
        self.data = data
        self.device = device
        self.samples = config.preprocess_config.window_samples
        self.uses_sounds = config.uses_unpaired_sounds
        self.uses_images = config.uses_unpaired_images
        self.pools = find_pools(data)
        self._require("pairs", 2, "rows of split 'train' with both an image and a sound")
        if self.uses_sounds:
            self._require("unpaired sounds", 2, "rows of split 'unpaired' with a sound")
        if self.uses_images:
            self._require("unpaired images", 2, "rows of split 'unpaired' with an image")
        self.sampler = Sampler(self.pools, config.batch_size, config.seed)
        resident = data.images.nbytes + data.waves.nbytes <= _free_memory(device) / 2
        self.images = torch.from_numpy(np.array(data.images)).to(device) if resident else None
        self.waves = torch.from_numpy(np.array(data.waves)).to(device) if resident else None

    def batch(self, step: int) -> Batch:
        """The items of a step; the windows of sounds are drawn from torch's CPU generator."""
        return Batch(
            pairs=self._items("pairs", step, image=True, sound=True),
            unpaired_sounds=self._items("unpaired sounds", step, sound=True) if self.uses_sounds else None,
            unpaired_images=self._items("unpaired images", step, image=True) if self.uses_images else None,
        )

    def _items(self, kind: str, step: int, image: bool = False, sound: bool = False) -> Items:
        rows = self.sampler.draw(kind, step)
        return Items(
            clip=torch.from_numpy(self.data.clips[rows]).to(self.device),
            images=self._gather_images(self.data.index[rows, 0]) if image else None,
            windows=self._gather_windows(self.data.index[rows, 1]) if sound else None,
        )

    def _gather_images(self, numbers: npt.NDArray[np.int32]) -> Tensor:
        if self.images is not None:
            return self.images[torch.from_numpy(numbers).to(self.device)]
        return torch.from_numpy(self.data.images[numbers]).to(self.device)

    def _gather_windows(self, numbers: npt.NDArray[np.int32]) -> Tensor:
        """One window of each sound at a random place; a shorter sound repeats until it fills the window."""
        begin = torch.from_numpy(self.data.offsets[numbers])
        length = torch.from_numpy(self.data.offsets[numbers + 1]) - begin
        room = (length - self.samples).clamp(min=0)
        start = (torch.rand(len(numbers), dtype=torch.float64) * (room + 1)).long()
        if self.waves is not None and self.device.type != "cpu":
            begin, length, start = (x.to(self.device)[:, None] for x in (begin, length, start))
            place = begin + (start + torch.arange(self.samples, device=self.device)) % length
            return self.waves[place]
        # On a CPU a copy for each sound beats an index for each sample
        waves = self.data.waves if self.waves is None else self.waves.numpy()
        windows = np.empty((len(numbers), self.samples), np.int16)
        for row, first, samples, skipped in zip(windows, begin.tolist(), length.tolist(), start.tolist(), strict=True):
            wave = waves[first + skipped : first + min(samples, skipped + self.samples)]
            row[: len(wave)] = wave
            for filled in range(len(wave), self.samples, max(len(wave), 1)):  # a short sound repeats
                row[filled : filled + len(wave)] = wave[: self.samples - filled]
        return torch.from_numpy(windows).to(self.device)

    def _require(self, kind: str, least: int, what: str) -> None:
        if len(self.pools[kind]) < least:
            raise DataError(f"{self.data.folder} has {len(self.pools[kind])} {what}; training needs at least {least}")


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


def _free_memory(device: torch.device) -> int:
    """Bytes free on a device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo", encoding="ascii") as stream:  # noqa: PTH123 - a kernel table, not a file of ours
            table = dict(line.split(":") for line in stream)
        return int(table["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return 2**32  # not Linux: take 4 GiB as free
