"""Arrays in MATLAB files, written byte by byte from the format's description."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.prepare.mat import MAX_BYTES, read_matrix
from training.model.media.source import MediaError

FUZZ = settings(deadline=None, derandomize=True, database=None, max_examples=200)


def small(dtype: type = np.float32) -> np.ndarray:
    return np.arange(2 * 3 * 4).reshape(2, 3, 4).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, np.int16])
def test_an_array_is_found_by_its_name(release: ModuleType, dtype: type) -> None:
    # MATLAB stores whole numbers in fewer bytes than their class has
    file = release.mat_header() + release.matrix("other", small()) + release.matrix("MFCC", small(dtype))
    array = read_matrix(file, "MFCC", 3)
    assert array.dtype == np.float32
    assert np.array_equal(array, small())


def test_a_compressed_array(release: ModuleType) -> None:
    packed = zlib.compress(release.matrix("MFCC", small()))
    file = release.mat_header() + struct.pack("<II", 15, len(packed)) + packed
    assert np.array_equal(read_matrix(file + release.matrix("after", small()), "MFCC", 3), small())


def test_other_files(release: ModuleType) -> None:
    def compressed(data: bytes) -> bytes:
        return struct.pack("<II", 15, len(data)) + data

    head, good = release.mat_header(), release.matrix("MFCC", small())
    for file, says in (
        (b"", "is empty"),
        (b"x", "is not a MATLAB file of level 5"),
        (head[:124] + b"\x00\x02IM" + good, "is not a MATLAB file of level 5; save it with -v7"),  # 7.3: HDF5
        (head[:126] + b"MI" + good, "is not a MATLAB file of level 5"),
        (head, "holds no array 'MFCC'"),
        (head + release.matrix("MFC", small()), "holds no array 'MFCC'"),
        (head + release.matrix("MFCC", small(), 7 | 0x800), "holds no array 'MFCC' of real numbers"),
        (head + release.matrix("MFCC", small()[0]), r"in the shape (3, 4); it takes 3 dimensions"),
        (head + release.matrix("MFCC", small()[:0]), "in the shape (0, 3, 4)"),
        (head + good[:-8], "is cut off or damaged"),
        (head + good[:5], "is cut off or damaged"),
        (head + compressed(zlib.compress(good)[:-9]), "is cut off or damaged"),
        (head + compressed(b"no zlib"), "is cut off or damaged"),
        (head + compressed(zlib.compress(bytes(MAX_BYTES + 1))), "is cut off or damaged"),
        (head + compressed(zlib.compress(b"")), "holds no array"),
        (head + bytes(MAX_BYTES), "has more than"),
    ):
        with pytest.raises(MediaError) as caught:
            read_matrix(file, "MFCC", 3, name="Data_1.mat")
        assert says in str(caught.value)
        assert str(caught.value).startswith("Data_1.mat ")


def test_numbers_too_large_become_infinite(release: ModuleType) -> None:
    file = release.mat_file("MFCC", np.full((1, 1, 1), 1e300))
    assert np.isinf(read_matrix(file, "MFCC", 3)).all()


@FUZZ
@given(st.binary(max_size=200))
def test_random_elements_raise_nothing_else(release: ModuleType, data: bytes) -> None:
    for body in (data, release.element(14, data), struct.pack("<II", 15, len(data)) + data):
        attempt(release.mat_header() + body)


@FUZZ
@given(st.data())
def test_changed_bytes_raise_nothing_else(release: ModuleType, data: st.DataObject) -> None:
    file = bytearray(release.mat_file("MFCC", small()))
    for place in data.draw(st.lists(st.integers(128, len(file) - 1), min_size=1, max_size=4)):
        file[place] = data.draw(st.integers(0, 255))
    attempt(bytes(file))


def attempt(file: bytes) -> None:
    with suppress(MediaError):
        assert read_matrix(file, "MFCC", 3).ndim == 3
