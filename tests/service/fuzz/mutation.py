"""Files broken as transfers, disks, bugs and people with bad intentions break them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from random import Random

LARGEST = 400_000  # bytes, so that what is repeated stays small
_NUMBERS = (0, 1, 2, 3, 7, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_HEADER = 256  # bytes, where most lengths and sizes are
_PNG = b"\x89PNG\r\n\x1a\n"


def mutate(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A file broken once, or a few times over.

    Args:
        random: decides how.
        content: a good file.
        others: good files, pieces of which may get into it.
    """
    for _ in range(random.choice((1, 1, 1, 2, 3, 5))):
        content = random.choice(_WAYS)(random, content, others)[:LARGEST]
    return _with_checksums(content) if content.startswith(_PNG) and random.random() < 0.7 else content


def _flip(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Single bits turn over."""
    broken = bytearray(content)
    for _ in range(random.choice((1, 2, 8, 64))):
        if broken:
            broken[_place(random, broken)] ^= 1 << random.randrange(8)
    return bytes(broken)


def _number(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A length, a size or a count says something else."""
    width = random.choice((1, 2, 4, 8))
    value = random.choice((*_NUMBERS, len(content), len(content) - 1, len(content) + 1, random.getrandbits(32)))
    number = (value % (1 << 8 * width)).to_bytes(width, random.choice(("big", "little")))
    place = _place(random, content)
    return content[:place] + number + content[place + width :]


def _near(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A byte is a little more, or a little less."""
    place = _place(random, content)
    return (
        content[:place]
        + bytes([(b + random.randint(-2, 2)) % 256 for b in content[place : place + 1]])
        + content[place + 1 :]
    )


def _truncate(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """The end is missing."""
    return content[: random.randrange(len(content) + 1)]


def _cut(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A piece is missing."""
    begin, end = _piece(random, content)
    return content[:begin] + content[end:]


def _blank(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A piece is all one byte, or noise."""
    begin, end = _piece(random, content)
    blank = random.choice((bytes(end - begin), b"\xff" * (end - begin), random.randbytes(end - begin)))
    return content[:begin] + blank + content[end:]


def _repeat(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A piece is there several times."""
    begin, end = _piece(random, content)
    return content[:begin] + content[begin:end] * random.choice((2, 3, 20, 200)) + content[end:]


def _swap(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Two pieces are in each other's place."""
    a, b, c = sorted(random.randrange(len(content) + 1) for _ in range(3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def _splice(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """It goes on as another file."""
    other = random.choice(others)
    return content[: random.randrange(len(content) + 1)] + other[random.randrange(len(other) + 1) :]


def _insert(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A piece of another file, or noise, lies within."""
    other = random.choice(others)
    begin, end = _piece(random, other)
    place = _place(random, content)
    return content[:place] + random.choice((other[begin:end], random.randbytes(16))) + content[place:]


_Way = Callable[[Random, bytes, Sequence[bytes]], bytes]
_WAYS: tuple[_Way, ...] = (
    _flip, _flip, _flip, _number, _number, _number, _near, _truncate, _cut, _blank, _repeat, _swap, _splice, _insert,
)  # fmt: skip


def _place(random: Random, content: bytes | bytearray) -> int:
    """Somewhere, most often where headers are."""
    most = len(content) if random.random() < 0.4 else min(_HEADER, len(content))
    return random.randrange(max(most, 1))


def _piece(random: Random, content: bytes) -> tuple[int, int]:
    begin = _place(random, content)
    return begin, min(len(content), begin + random.choice((1, 4, 16, 64, 512, 4096)))


def _with_checksums(content: bytes) -> bytes:
    """A PNG whose chunks have the checksums that they should, else a reader looks no further than these."""
    mended, place = bytearray(content), len(_PNG)
    while place + 12 <= len(content):
        end = place + 8 + int.from_bytes(content[place : place + 4], "big")
        if end + 4 > len(content):
            break
        mended[end : end + 4] = zlib.crc32(content[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return bytes(mended)
