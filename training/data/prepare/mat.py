"""Arrays in MATLAB's files of level 5 (`save` without -v7.3), plain or compressed."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from training.model.media.source import DamagedMedia, MediaTooLarge, Source, UnsupportedMedia, name_of, read_bytes

MAX_BYTES = 4 * 1024 * 1024  # of a file, and of what it holds decompressed

_HEADER = 128
_MATRIX, _COMPRESSED, _INT8, _INT32 = 14, 15, 1, 5
_KINDS = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
_COMPLEX = 0x800


def read_matrix(source: Source, key: str, dimensions: int, *, name: str | None = None) -> npt.NDArray[np.float32]:
    """A real, full array of a file, by its name.

    Args:
        source: the file's bytes or its path.
        key: the array's name.
        dimensions: how many it has.
        name: what messages call the file.

    Returns:
        float32, of the array's own shape.

    Raises:
        MediaError: one sentence that names the file and the remedy.
    """
    name = name_of(source, name)
    data = read_bytes(source, name, MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise MediaTooLarge(name, f"has more than {MAX_BYTES:,} bytes; save '{key}' alone")
    if data[126:128] != b"IM" or data[125] != 1:
        raise UnsupportedMedia(name, "is not a MATLAB file of level 5; save it with -v7")
    try:
        array = next(_arrays(data[_HEADER:], key), None)
    except (struct.error, ValueError, zlib.error):
        raise DamagedMedia(name, "is cut off or damaged; copy it again") from None
    if array is None:
        raise DamagedMedia(name, f"holds no array '{key}' of real numbers; copy it again")
    if array.ndim != dimensions or not array.size:
        raise DamagedMedia(name, f"holds '{key}' in the shape {array.shape}; it takes {dimensions} dimensions")
    with np.errstate(all="ignore"):  # a double too large for float32 becomes infinite
        return array.astype(np.float32)


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Data elements: type and bytes. Up to 4 bytes lie within the tag; others are filled up to 8, unless compressed."""
    offset = 0
    while offset < len(data):
        kind, size = struct.unpack_from("<II", data, offset)
        if kind >> 16:
            kind, size, start, step = kind & 0xFFFF, kind >> 16, offset + 4, 8
        else:
            start, step = offset + 8, 8 + (size if kind == _COMPRESSED else -(-size // 8) * 8)
        if start + size > len(data):
            raise ValueError("cut off")
        yield kind, data[start : start + size]
        offset += step


def _decompressed(element: bytes) -> bytes:
    reader = zlib.decompressobj()
    data = reader.decompress(element, MAX_BYTES)
    if not reader.eof:
        raise ValueError("cut off, or more than an array of the limit's size")
    return data


def _arrays(data: bytes, key: str) -> Iterator[npt.NDArray[np.generic]]:
    """The arrays of real numbers that have a name."""
    for kind, element in _elements(data):
        if kind == _COMPRESSED:
            kind, element = next(_elements(_decompressed(element)), (0, b""))
        parts = list(_elements(element)) if kind == _MATRIX else []
        if [part for part, _ in parts[1:3]] != [_INT32, _INT8] or parts[2][1] != key.encode():
            continue
        flags = struct.unpack_from("<I", parts[0][1])[0]
        if not flags & _COMPLEX and len(parts) == 4 and parts[3][0] in _KINDS:
            shape = np.frombuffer(parts[1][1], "<u4")
            yield np.frombuffer(parts[3][1], _KINDS[parts[3][0]]).reshape(shape, order="F")
