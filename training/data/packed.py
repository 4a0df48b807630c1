"""Packed data set: a rows file made fast to read, as memory-mapped arrays.

A packed folder holds

- `pack.json`: schema, counts, fingerprint, where the rows file was and its state, sha256 of the files below;
- `rows.csv`: the rows, as they were;
- `index.npy`: int32 `[rows, 2]`, each row's image and sound in the arrays below, -1 for none;
- `images-S.u8`: uint8 `[images, 3, S, S]`, at S pixels;
- `waves-R.i16`: int16, all sounds one after the other at R Hz, and `offsets-R.npy`: int64 `[sounds + 1]`;
- `unreadable.csv`: files that could not be read, and why.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.parallel import in_parallel
from training.data.rows import Row, read_rows

SCHEMA = 2
KEYS = {  # of pack.json, beside schema
    "fingerprint",
    "image_sizes",
    "sample_rate",
    "images",
    "sounds",
    "unreadable",
    "rows_file",
    "source",
    "sha256",
}
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
    def open(cls, folder: Path, image_size: int, sample_rate: int, *, current: bool = False) -> PackedData:
        """Open a packed folder at an image size and a sample rate.

        It is stale when its rows file is still where it was, as seen from the folder, and that or a file it names has
        another size or time than when it was packed. A folder that was carried off from its rows file can't be stale.

        Args:
            folder: the packed data set.
            image_size: pixels.
            sample_rate: Hz.
            current: do not look whether it is stale.

        Raises:
            PackError: it is not one, lacks this size or rate, or is damaged or stale.
        """
        info = read_info(folder)
        rows_file = Path(os.path.normpath(folder.resolve() / info["rows_file"]))
        named = shlex.quote(str(rows_file)) if rows_file.is_file() else "ROWS"
        again = f"pack it again: bma data pack {named} {shlex.quote(str(folder))} --image-size {image_size}"
        if image_size not in info["image_sizes"]:
            sizes = ", ".join(map(str, info["image_sizes"]))
            raise PackError(f"{folder} is packed for images of {sizes} pixels, not {image_size}; {again}")
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
        except (OSError, ValueError, EOFError, LookupError, TypeError) as error:
            raise PackError(f"{folder} is damaged ({error}); delete the folder and {again}") from None
        if not current and rows_file.is_file() and source_state(rows_file, rows) != info["source"]:
            raise PackError(
                f"{folder} is stale, as {rows_file} or a file that it names has changed since; "
                f"move the folder elsewhere to use it as it is, or {again}"
            )
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
        if not folder.exists():
            raise PackError(f"{folder} does not exist; make it with 'bma data pack ROWS {folder}'") from None
        raise PackError(f"{folder} is not a packed data set; make one with 'bma data pack ROWS OUT'") from None
    except (OSError, ValueError) as error:
        raise PackError(f"{folder / PACK} can't be read ({error}); delete the folder and pack it again") from None
    if not isinstance(info, dict) or info.get("schema") != SCHEMA or not set(info) >= KEYS:
        raise PackError(f"{folder} was packed by another version; delete the folder and pack it again")
    return info


def check(folder: Path) -> dict[str, Any]:
    """Read a packed folder whole and compare it with the sha256 in its `pack.json`, whose content is returned.

    Raises:
        PackError: it is no packed folder, or names the first file that is not what was packed.
    """
    info = read_info(folder)
    for name, digest in hash_files(folder, list(info["sha256"])).items():
        if digest != info["sha256"][name]:
            raise PackError(f"{folder / name} is not as it was packed; delete the folder and pack it again")
    return info


def hash_files(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """The sha256 of files in a folder, in hexadecimal digits; empty for one that can't be read."""
    return dict(zip(names, in_parallel(lambda name: file_digest(folder / name), names, "checking"), strict=True))


def file_digest(file: Path) -> str:
    """The sha256 of a file's bytes in hexadecimal digits; empty where it can't be read."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def source_state(rows_file: Path, rows: Sequence[Row]) -> str:
    """A hash over a rows file and over size and time of every file that its rows name.

    Raises:
        OSError: the rows file can't be read.
    """
    state = hashlib.sha256(rows_file.read_bytes())
    for path in dict.fromkeys(path for row in rows for path in (row.image, row.sound) if path):
        try:
            status = (rows_file.parent / path).stat()
            state.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        except OSError:
            state.update(f"{path}\0missing\n".encode())
    return state.hexdigest()


def _map(file: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """A raw array on disk; an empty one can't be mapped and needs no file."""
    expected = int(np.prod(shape)) * np.dtype(dtype).itemsize
    size = file.stat().st_size
    if size != expected:
        raise ValueError(f"{file.name} has {size} bytes, not {expected}")
    if expected == 0:
        return np.empty(shape, dtype)
    return np.memmap(file, dtype=dtype, mode="r", shape=shape)
