"""ACIVW's files as its release has them, written byte by byte from the formats' descriptions.

It shares no code with the readers under test: protocol buffers are spelled out, CRC-32C goes bit by bit.
"""

import gzip
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]

FRAMES, BLOCK = 12, 1024


# -- protocol buffers ------------------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    number %= 1 << 64  # negative numbers are written as their 64-bit complement
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def chunk(field: int, data: bytes) -> bytes:
    """A field of wire type 2: bytes, a string, a message or packed numbers."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def int64_feature(*values: int) -> bytes:
    return chunk(3, chunk(1, b"".join(map(varint, values))))


def float_feature(*values: float) -> bytes:
    return chunk(2, chunk(1, struct.pack(f"<{len(values)}f", *values)))


def bytes_feature(*values: bytes) -> bytes:
    return chunk(1, b"".join(chunk(1, value) for value in values))


def sequence_example(context: Mapping[str, bytes], lists: Mapping[str, Sequence[bytes]]) -> bytes:
    """Context and feature lists, of features."""
    features = b"".join(chunk(1, chunk(1, key.encode()) + chunk(2, value)) for key, value in context.items())
    feature_lists = b"".join(
        chunk(1, chunk(1, key.encode()) + chunk(2, b"".join(chunk(1, value) for value in values)))
        for key, values in lists.items()
    )
    return chunk(1, features) + chunk(2, feature_lists)


# -- TFRecord --------------------------------------------------------------------------------------------------------


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def framed(data: bytes, check: bool = True) -> bytes:
    """A record; the long checksum of its bytes takes long, and may be left at 0."""
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + (masked(data) if check else bytes(4))


# -- a second --------------------------------------------------------------------------------------------------------


class Second:
    """What one second holds, different in every place; full size, or small pictures and acoustic images."""

    def __init__(self, label: int, location: int, number: int, full: bool = False) -> None:
        rng = np.random.default_rng((label, location, number))
        self.label, self.location, self.number = label, location, number
        self.sound = rng.integers(-90_000, 90_000, (FRAMES, BLOCK)).astype(np.int32)
        height, width = (224, 298) if full else (6, 8)
        self.bgr = rng.integers(0, 256, (FRAMES, height, width, 3)).astype(np.uint8)
        shape = (36, 48, 12) if full else (3, 4, 2)
        self.acoustic = rng.normal(size=(FRAMES, *shape)).astype(np.float32)

    @property
    def video(self) -> str:
        return f"class_{self.label}/data_{self.location:03d}"

    @property
    def record(self) -> str:
        return f"{self.video}/Data_{self.number:03d}.tfrecord"

    def context(self) -> dict[str, bytes]:
        sizes = {
            "audio_image/height": self.acoustic.shape[1],
            "audio_image/width": self.acoustic.shape[2],
            "audio_image/depth": self.acoustic.shape[3],
            "audio_data/mics": 1,
            "audio_data/samples": BLOCK,
            "video/height": self.bgr.shape[1],
            "video/width": self.bgr.shape[2],
            "video/depth": 3,
        }
        return {key: int64_feature(n) for key, n in {"classes": self.label, "location": self.location, **sizes}.items()}

    def lists(self) -> dict[str, list[bytes]]:
        return {
            "audio/image": [bytes_feature(image.astype("<f4").tobytes()) for image in self.acoustic],
            "audio/data": [bytes_feature(block.astype("<i4").tobytes()) for block in self.sound],
            "video/image": [bytes_feature(picture.tobytes()) for picture in self.bgr],
        }

    def example(self, without: str = "", **changes: Any) -> bytes:
        """The SequenceExample; a key may be left out."""
        context, lists = self.context(), self.lists()
        context.pop(without, None)
        lists.pop(without, None)
        context.update(changes.get("context", {}))
        lists.update(changes.get("lists", {}))
        return sequence_example(context, lists)

    def write(self, src: Path, **changes: Any) -> Path:
        """The record's file."""
        file = src / self.record
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(framed(self.example(**changes), check=False), compresslevel=1))
        return file

    def write_raw(self, src: Path) -> None:
        """Its files as they were recorded: the other 127 microphones are loud."""
        folder = src / self.video
        for part in ("audio", "video", "MFCC_Image"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        for frame in range(FRAMES):
            number = FRAMES * (self.number - 1) + frame + 1
            samples = np.full((BLOCK, 128), 2**30, "<i4")  # a moment's microphones lie together
            samples[:, 0] = self.sound[frame]
            (folder / "audio" / f"A_{number:06d}.dc").write_bytes(samples.tobytes())
            Image.fromarray(self.bgr[frame][..., ::-1].copy()).save(folder / "video" / f"I_{number:06d}.bmp")
            (folder / "MFCC_Image" / f"Data_{number}.mat").write_bytes(mat_file("MFCC", self.acoustic[frame]))


def write_lists(folder: Path, training: Sequence[str], validation: Sequence[str], testing: Sequence[str]) -> None:
    """The release's three lists, whose lines begin differently."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, prefix, records in (
        ("training", "/Dataset/", training),
        ("validation", "/media/disk/acivw/", validation),
        ("testing", "/dataset/", testing),
    ):
        (folder / f"{name}.txt").write_text("".join(f"{prefix}{record}\n" for record in records))


# -- MATLAB, level 5 -------------------------------------------------------------------------------------------------


def element(kind: int, data: bytes) -> bytes:
    if len(data) <= 4:
        return struct.pack("<HH", kind, len(data)) + data.ljust(4, b"\0")
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(key: str, array: Array, class_and_flags: int = 7) -> bytes:
    """An array of class single; its numbers are stored in the array's own type, column by column."""
    kinds = {"uint8": 2, "int16": 3, "float32": 7, "float64": 9}
    parts = (
        element(6, struct.pack("<II", class_and_flags, 0)),
        element(5, struct.pack(f"<{array.ndim}i", *array.shape)),
        element(1, key.encode()),
        element(kinds[array.dtype.name], array.tobytes(order="F")),
    )
    return element(14, b"".join(parts))


def mat_file(key: str, array: Array) -> bytes:
    return mat_header() + matrix(key, array)


def mat_header() -> bytes:
    return b"MATLAB 5.0 MAT-file, Platform: PCWIN64".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
