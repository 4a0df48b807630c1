"""Packed data set: a rows file made fast to read, as memory-mapped arrays.

A packed folder holds

- `pack.json`: schema, counts, fingerprints;
- `rows.csv`: the rows, as they were;
- `index.npy`: int32 `[rows, 2]`, each row's image and sound in the arrays below, -1 for none;
- `images-S.u8`: uint8 `[images, 3, S, S]`, one array for each size S it was packed at;
- `waves-R.i16`: int16, all sounds one after the other at R Hz, and `offsets-R.npy`: int64 `[sounds + 1]`;
- `unreadable.csv`: files that could not be read, and why.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.rows import Row, read_rows

SCHEMA = 1
KEYS = {
    "fingerprint",
    "image_sizes",
    "sample_rate",
    "images",
    "sounds",
    "unreadable",
    "source",
}  # of pack.json, beside schema
PACK, ROWS, INDEX, UNREADABLE = "pack.json", "rows.csv", "index.npy", "unreadable.csv"


class PackError(ValueError):
    """A packed data set that can't be used; `str()` is one sentence that names the folder and the remedy."""


def images_file(size: int) -> str:
    """Name of the array of images at a size."""
    return f"images-{size}.u8"


def waves_file(sample_rate: int) -> str:
    """Name of the array of waves at a rate."""
    return f"waves-{sample_rate}.i16"


def offsets_file(sample_rate: int) -> str:
    """Name of the array of where each wave begins."""
    return f"offsets-{sample_rate}.npy"


@dataclass(frozen=True)
class PackedData:
    """An open packed data set.

    Attributes:
        folder: where it lies.
        rows: its rows.
        index: int32 `[rows, 2]`: which image and which sound each row has, -1 for none.
        images: uint8 `[images, 3, S, S]`, memory-mapped.
        waves: int16 `[samples]`, memory-mapped: all sounds one after the other.
        offsets: int64 `[sounds + 1]`: where each begins and ends.
        fingerprint: hash over the rows and over every file's content.
        unreadable: how many files could not be read.
    """

    folder: Path
    rows: list[Row]
    index: npt.NDArray[np.int32]
    images: npt.NDArray[np.uint8]
    waves: npt.NDArray[np.int16]
    offsets: npt.NDArray[np.int64]
    fingerprint: str
    unreadable: int

    @classmethod
    def open(cls, folder: Path, image_size: int, sample_rate: int) -> PackedData:
        """Open a packed folder at an image size and a sample rate.

        Raises:
            PackError: it is not one, lacks this size or rate, or is damaged.
        """
        info = read_info(folder)
        again = f"pack it again: bma data pack ROWS {folder} --image-size {image_size}"
        if image_size not in info["image_sizes"]:
            raise PackError(f"{folder} is packed for images of {info['image_sizes']} pixels, not {image_size}; {again}")
        if sample_rate != info["sample_rate"]:
            raise PackError(f"{folder} is packed at {info['sample_rate']} Hz, not {sample_rate}; {again}")
        try:
            rows = read_rows(folder / ROWS)
            index = np.load(folder / INDEX, allow_pickle=False)
            offsets = np.load(folder / offsets_file(sample_rate), allow_pickle=False)
            images = _map(folder / images_file(image_size), np.uint8, (info["images"], 3, image_size, image_size))
            waves = _map(folder / waves_file(sample_rate), np.int16, (int(offsets[-1]),))
            if index.shape != (len(rows), 2) or len(offsets) != info["sounds"] + 1:
                raise ValueError("its parts do not belong together")
            if not (index.min() >= -1 and (index.max(axis=0) < (info["images"], info["sounds"])).all()):
                raise ValueError(f"{INDEX} points outside the arrays")
        except (OSError, ValueError, EOFError) as error:
            raise PackError(f"{folder} is damaged ({error}); delete the folder and {again}") from None
        return cls(folder, rows, index, images, waves, offsets, info["fingerprint"], info["unreadable"])

    @cached_property
    def clips(self) -> npt.NDArray[np.int64]:
        """Each row's clip as a number `[rows]`: the clip column, else the sound's path, else the row itself."""
        names: dict[tuple[str, object], int] = {}
        keys = (
            ("clip", row.clip) if row.clip else ("sound", row.sound) if row.sound else ("row", number)
            for number, row in enumerate(self.rows)
        )
        return np.array([names.setdefault(key, len(names)) for key in keys], dtype=np.int64)

    def wave(self, sound: int) -> npt.NDArray[np.int16]:
        """One sound, int16 `[L]`."""
        return np.asarray(self.waves[self.offsets[sound] : self.offsets[sound + 1]])


def read_info(folder: Path) -> dict[str, Any]:
    """What `pack.json` says. Raises `PackError` where there is none or it is not understood."""
    try:
        info = json.loads((folder / PACK).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PackError(f"{folder} is not a packed data set; make one with 'bma data pack ROWS {folder}'") from None
    except (OSError, ValueError) as error:
        raise PackError(f"{folder / PACK} can't be read ({error}); delete the folder and pack it again") from None
    if not isinstance(info, dict) or info.get("schema") != SCHEMA or not set(info) >= KEYS:
        raise PackError(f"{folder} was packed by another version; delete the folder and pack it again")
    return info


def _map(file: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """A raw array on disk; an empty one can't be mapped and needs no file."""
    expected = int(np.prod(shape)) * np.dtype(dtype).itemsize
    size = file.stat().st_size
    if size != expected:
        raise ValueError(f"{file.name} has {size} bytes, not {expected}")
    if expected == 0:
        return np.empty(shape, dtype)
    return np.memmap(file, dtype=dtype, mode="r", shape=shape)
