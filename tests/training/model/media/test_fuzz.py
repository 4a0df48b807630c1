"""Random bytes and broken files decode or raise `MediaError`: nothing else, and without delay."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from training.model.media.image import image_type, read_image
from training.model.media.sound import read_sound, sound_type
from training.model.media.source import MediaError

SECONDS = 10  # a file of a few kilobytes takes milliseconds
FUZZ = settings(
    deadline=None, derandomize=True, database=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)

IMAGES = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "JPEG2000", "PPM")
SOUNDS = ("wav", "wav float", "w64", "aiff", "caf", "flac", "mp3", "ogg vorbis", "webm opus", "m4a", "aac", "mkv film")
MAGIC = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    b"GIF89a",
    b"BM",
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08",
    b"P6 ",
    b"P2 ",
    b"RIFF\xff\xff\xff\xffWEBPVP8 ",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\0\0\0\x20ftypavif",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\1\0meta",
    b"RIFF\xff\xff\xff\xffWAVEfmt ",
    b"fLaC\0\0\0\x22",
    b"OggS\0\2",
    b"ID3\3\0",
    b"\xff\xfb\x90\0",
    b"\xff\xf1\x50\x80",
    b"FORM\0\0\xff\xffAIFF",
    b"caff\0\1\0\0desc",
    b"\x1aE\xdf\xa3",
    b"\0\0\0\x20ftypM4A ",
)
HEIC = Path(__file__).parent / "heic"
HOSTILE = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\1", b"\1\0\0\0")

edit = st.tuples(
    st.sampled_from(("set", "flip", "hostile", "delete", "repeat", "cut")),
    st.one_of(st.integers(0, 200), st.integers(0, 1 << 20)),  # headers are where it hurts
    st.integers(0, 255),
)


def mutate(data: bytes, edits: list[tuple[str, int, int]]) -> bytes:
    broken = bytearray(data)
    for kind, position, value in edits:
        at = position % len(broken)
        if kind == "set":
            broken[at] = value
        elif kind == "flip":
            broken[at] ^= 1 << value % 8
        elif kind == "hostile":
            broken[at : at + 4] = HOSTILE[value % len(HOSTILE)]
        elif kind == "delete" and len(broken) > at + value:
            del broken[at : at + value]
        elif kind == "repeat":
            broken[at:at] = broken[at : at + value]
        elif kind == "cut" and at:
            del broken[at:]
    return bytes(broken)


def outcome(read: Callable[..., Any], data: bytes) -> Any:
    """What came out, or None where it was refused properly."""
    result, refusal = None, "fuzz.bin is fine"
    started = time.monotonic()
    try:
        result = read(data, name="fuzz.bin")
    except MediaError as error:
        refusal = str(error)
    assert time.monotonic() - started < SECONDS
    assert refusal.startswith("fuzz.bin ")
    assert "\n" not in refusal
    return result


def survives(data: bytes) -> None:
    packed = outcome(lambda source, name: read_image(source, 16, name=name), data)
    assert packed is None or (packed.shape == (3, 16, 16) and packed.dtype == np.uint8)
    wave = outcome(lambda source, name: read_sound(source, 22_050, name=name), data)
    assert wave is None or (wave.ndim == 1 and len(wave) and wave.dtype == np.int16)
    for media_type in (outcome(image_type, data), outcome(sound_type, data)):
        assert media_type is None or "/" in media_type


@FUZZ
@given(st.one_of(st.binary(max_size=400), st.builds(bytes.__add__, st.sampled_from(MAGIC), st.binary(max_size=400))))
def test_random_bytes_never_surprise(data: bytes) -> None:
    survives(data)


@pytest.mark.parametrize("image_format", IMAGES)
@FUZZ
@given(edits=st.lists(edit, min_size=1, max_size=12))
def test_broken_pictures_never_surprise(
    encode_image: Callable[..., bytes], photo: Image.Image, image_format: str, edits: list[tuple[str, int, int]]
) -> None:
    survives(mutate(encode_image(photo, image_format), edits))


@pytest.mark.parametrize("name", ["turned", "clear", "tiled"])
@FUZZ
@given(edits=st.lists(edit, min_size=1, max_size=12))
def test_broken_pictures_of_phones_never_surprise(name: str, edits: list[tuple[str, int, int]]) -> None:
    survives(mutate((HEIC / f"{name}.heic").read_bytes(), edits))


@pytest.mark.parametrize("label", SOUNDS)
@FUZZ
@given(edits=st.lists(edit, min_size=1, max_size=12))
def test_broken_sounds_never_surprise(
    sound_files: dict[str, bytes], label: str, edits: list[tuple[str, int, int]]
) -> None:
    survives(mutate(sound_files[label], edits))
