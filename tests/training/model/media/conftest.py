"""Media files made on the spot: sounds through PyAV or byte by byte, images through Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

Samples = npt.NDArray[Any]


def make_sine(frequency: float, rate: int, seconds: float, level: float = 0.5) -> npt.NDArray[np.float64]:
    """Samples `[L]` in [-1, 1]."""
    return level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def make_wav(data: bytes, rate: int, *, channels: int = 1, bits: int = 16, code: int = 1) -> bytes:
    """A RIFF WAVE file around raw samples; `code` 1 is integer PCM, 3 is floating point."""
    width = channels * bits // 8
    form = struct.pack("<HHIIHH", code, channels, rate, (rate * width) & 0xFFFFFFFF, width & 0xFFFF, bits)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def make_sound(
    samples: Samples,
    rate: int,
    container: str,
    codec: str,
    *,
    video: str | None = None,
    sound: bool = True,
) -> bytes:
    """Samples `[channels, L]` or `[L]` in [-1, 1] encoded by FFmpeg; a film beside them where `video` names a codec."""
    samples = np.atleast_2d(samples)
    stream = io.BytesIO()
    with av.open(stream, "w", format=container) as output:
        if video is not None:
            film: Any = output.add_stream(video, rate=10)
            film.width, film.height, film.pix_fmt = 32, 32, "yuv420p"
        if sound:
            track: Any = output.add_stream(codec, rate=rate, options={"strict": "experimental"})
            track.layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)]
        if video is not None:
            for shade in range(10):
                picture = np.full((32, 32, 3), 20 * shade, np.uint8)
                output.mux(film.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            output.mux(film.encode(None))
        if sound:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples, np.float32), "fltp", track.layout.name)
            frame.sample_rate = rate
            fit = av.AudioResampler(track.format.name, track.layout.name, rate, track.codec_context.frame_size or None)
            for part in [*fit.resample(frame), *fit.resample(None)]:
                output.mux(track.encode(part))
            output.mux(track.encode(None))
    return stream.getvalue()


def make_image(image: Image.Image, image_format: str, **options: Any) -> bytes:
    """A picture in a file format."""
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def make_png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG around raw scan lines (each with its filter byte); `colour` 0 is greyscale, 2 RGB, 6 RGBA."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def make_photo(width: int = 96, height: int = 64) -> Image.Image:
    """Four plain quarters: red, green, blue, white, so that corners tell which way up it is."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (220, 30, 30)
    pixels[: height // 2, width // 2 :] = (30, 200, 30)
    pixels[height // 2 :, : width // 2] = (30, 30, 210)
    pixels[height // 2 :, width // 2 :] = (250, 250, 250)
    return Image.fromarray(pixels)


@pytest.fixture(scope="session")
def sine() -> Callable[..., npt.NDArray[np.float64]]:
    return make_sine


@pytest.fixture(scope="session")
def wav() -> Callable[..., bytes]:
    return make_wav


@pytest.fixture(scope="session")
def encode_sound() -> Callable[..., bytes]:
    return make_sound


@pytest.fixture(scope="session")
def encode_image() -> Callable[..., bytes]:
    return make_image


@pytest.fixture(scope="session")
def png() -> Callable[..., bytes]:
    return make_png


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    return make_photo()


FORMS = {
    "wav": ("wav", "pcm_s16le", 44_100, 2),
    "wav 24 bit": ("wav", "pcm_s24le", 48_000, 1),
    "wav float": ("wav", "pcm_f32le", 22_050, 1),
    "wav 8 bit": ("wav", "pcm_u8", 11_025, 1),
    "w64": ("w64", "pcm_s16le", 44_100, 1),
    "aiff": ("aiff", "pcm_s16be", 44_100, 2),
    "caf": ("caf", "pcm_s16be", 44_100, 1),
    "flac": ("flac", "flac", 96_000, 2),
    "mp3 8 kHz": ("mp3", "libmp3lame", 8_000, 2),
    "mp3": ("mp3", "libmp3lame", 44_100, 1),
    "ogg vorbis": ("ogg", "vorbis", 44_100, 2),
    "ogg opus": ("ogg", "libopus", 48_000, 1),
    "webm opus": ("webm", "libopus", 48_000, 2),
    "m4a": ("ipod", "aac", 44_100, 2),
    "aac": ("adts", "aac", 32_000, 1),
    "5.1 flac": ("flac", "flac", 48_000, 6),
}


@pytest.fixture(scope="session")
def sound_files() -> dict[str, bytes]:
    """One second of 440 Hz, the same in every channel, in every format that is read; and films with it."""
    files = {}
    for label, (container, codec, rate, channels) in FORMS.items():
        files[label] = make_sound(np.tile(make_sine(440, rate, 1.0), (channels, 1)), rate, container, codec)
    tone = make_sine(440, 44_100, 1.0)
    files["mp4 film"] = make_sound(tone, 44_100, "mp4", "aac", video="mpeg4")
    files["mkv film"] = make_sound(tone, 44_100, "matroska", "libmp3lame", video="mpeg4")
    return files
