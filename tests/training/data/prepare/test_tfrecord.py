"""TFRecord files, written byte by byte, are read without TensorFlow; whatever else they hold is one sentence."""

from __future__ import annotations

import gzip
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.prepare.tfrecord import SequenceExample, read_sequence_example
from training.model.media.source import DamagedMedia, EmptyMedia, MediaError, MediaTooLarge, MissingMedia

LIMIT = 100_000
FUZZ = settings(deadline=None, derandomize=True, database=None, max_examples=200)


def read(data: bytes) -> SequenceExample:
    return read_sequence_example(data, name="Data_001.tfrecord", max_bytes=LIMIT)


@pytest.fixture
def record(release: ModuleType) -> bytes:
    """A whole file."""
    context = {
        "classes": release.int64_feature(7),
        "below": release.int64_feature(-(2**63)),
        "two": release.int64_feature(1, 2),
        "real": release.float_feature(1.5),
    }
    lists = {
        "bytes": [release.bytes_feature(b"\0\xff"), release.bytes_feature(b"")],
        "pairs": [release.bytes_feature(b"a", b"b")],
        "numbers": [release.int64_feature(1)],
    }
    return gzip.compress(release.framed(release.sequence_example(context, lists)))


def test_the_checksums_of_these_tests_are_true(release: ModuleType) -> None:
    assert release.crc32c(b"123456789") == 0xE3069283  # the value that CRC-32C's definition gives
    # a record as TensorFlow's own writer makes it: the length's masked checksum
    assert release.framed(b"")[:12].hex() == "000000000000000029039807"


def test_what_a_record_holds(record: bytes) -> None:
    example = read(record)
    assert example.integer("classes") == 7
    assert example.integer("below") == -(2**63)
    assert example.byte_strings("bytes", 2) == [b"\0\xff", b""]


@pytest.mark.parametrize("key", ["none", "two", "real", "bytes"])
def test_an_integer_that_is_not_there(record: bytes, key: str) -> None:
    with pytest.raises(DamagedMedia, match=rf"^Data_001.tfrecord does not say '{key}'"):
        read(record).integer(key)


@pytest.mark.parametrize(
    ("key", "count", "says"),
    [
        ("none", 2, "holds 0 entries of 'none' instead of 2"),
        ("bytes", 3, "holds 2 entries of 'bytes' instead of 3"),
        ("pairs", 1, "as something else than bytes"),
        ("numbers", 1, "as something else than bytes"),
    ],
)
def test_byte_strings_that_are_not_there(record: bytes, key: str, count: int, says: str) -> None:
    with pytest.raises(DamagedMedia, match=says):
        read(record).byte_strings(key, count)


def test_asking_for_what_is_not_there_changes_nothing(record: bytes) -> None:
    example = read(record)
    for _ in range(2):
        with pytest.raises(DamagedMedia):
            example.integer("none")


def test_broken_files(release: ModuleType, record: bytes) -> None:
    plain = gzip.decompress(record)
    broken = {
        b"": EmptyMedia,
        plain: DamagedMedia,
        record[: len(record) // 2]: DamagedMedia,
        record[:-8]: DamagedMedia,
        record[:-8] + bytes([record[-8] ^ 1]) + record[-7:]: DamagedMedia,  # GZIP's checksum
        record[:-4] + bytes(4): DamagedMedia,  # GZIP's length
        record + b"more": DamagedMedia,
        gzip.compress(b""): DamagedMedia,
        gzip.compress(plain[:11]): DamagedMedia,
        gzip.compress(plain[:-1]): DamagedMedia,
        gzip.compress(plain + plain): DamagedMedia,
        gzip.compress(b"\xff" * 8 + plain[8:]): DamagedMedia,
        gzip.compress(release.framed(b"\xff" * 40)): DamagedMedia,
        gzip.compress(release.framed(release.chunk(1, b"\x0a\xff"))): DamagedMedia,
    }
    for data, kind in broken.items():
        with pytest.raises(kind, match=r"^Data_001.tfrecord .*; .*again$") as caught:
            read(data)
        assert "\n" not in str(caught.value)


def test_gzips_checksum_stands_for_the_records_own(release: ModuleType, record: bytes) -> None:
    plain = gzip.decompress(record)
    assert read(gzip.compress(plain[:-4] + bytes(4))).integer("classes") == 7


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingMedia, match=r"x.tfrecord can't be read \(No such file"):
        read_sequence_example(tmp_path / "x.tfrecord", max_bytes=LIMIT)


def test_a_small_file_that_unpacks_to_gigabytes_takes_no_memory() -> None:
    member = gzip.compress(bytes(20_000_000))
    bomb = member * 50
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(MediaTooLarge, match="more than 100,000 bytes"):
        read(bomb)
    assert time.monotonic() - began < 5
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@FUZZ
@given(st.binary(max_size=300))
def test_random_messages_raise_nothing_else(release: ModuleType, data: bytes) -> None:
    for file in (data, gzip.compress(data), gzip.compress(release.framed(data))):
        try:
            example = read(file)
        except MediaError:
            continue
        ask(example)


@FUZZ
@given(st.data())
def test_records_with_changed_bytes_raise_nothing_else(release: ModuleType, data: st.DataObject) -> None:
    context = {"classes": release.int64_feature(7)}
    plain = bytearray(release.sequence_example(context, {"bytes": [release.bytes_feature(b"abc")] * 2}))
    for place in data.draw(st.lists(st.integers(0, len(plain) - 1), min_size=1, max_size=4)):
        plain[place] = data.draw(st.integers(0, 255))
    with suppress(MediaError):
        ask(read(gzip.compress(release.framed(bytes(plain)))))


def ask(example: SequenceExample) -> None:
    for key in ("classes", "bytes", ""):
        for question in (lambda key=key: example.integer(key), lambda key=key: example.byte_strings(key, 2)):
            with suppress(DamagedMedia):
                question()
