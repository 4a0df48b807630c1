"""The same thing in another format is the same thing: nearly the same vector, and its own item as the best hit."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from PIL import Image

CODECS = {  # container and codec, rate, layout
    "wav": ("wav", "pcm_s16le", 22_050, "mono"),
    "wav 24 bit stereo 48 kHz": ("wav", "pcm_s24le", 48_000, "stereo"),
    "flac": ("flac", "flac", 22_050, "mono"),
    "mp3": ("mp3", "libmp3lame", 44_100, "stereo"),
    "m4a": ("mp4", "aac", 44_100, "mono"),
    "webm": ("webm", "libopus", 48_000, "mono"),
    "opus": ("ogg", "libopus", 48_000, "stereo"),
    "ogg": ("ogg", "vorbis", 44_100, "stereo"),
    "mkv": ("matroska", "flac", 22_050, "mono"),
}


def encoded(file: Path, container: str, codec: str, rate: int, layout: str) -> bytes:
    out = io.BytesIO()
    with av.open(str(file)) as source, av.open(out, "w", format=container) as target:
        stream = target.add_stream(codec, rate=rate, layout=layout, options={"strict": "experimental"})
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = 192_000
        resampler = av.AudioResampler(stream.format.name, layout, rate, frame_size=stream.frame_size or 1024)
        for frame in source.decode(audio=0):
            for piece in resampler.resample(frame):
                target.mux(stream.encode(piece))
        for piece in resampler.resample(None):
            target.mux(stream.encode(piece))
        target.mux(stream.encode(None))
    return out.getvalue()


def saved(picture: Image.Image, image_format: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, image_format, **options)
    return out.getvalue()


def rotated(picture: Image.Image) -> bytes:
    """Stored on its side, with the EXIF word that turns it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(picture.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)


def see_through(picture: Image.Image) -> bytes:
    picture = picture.convert("RGBA")
    picture.putalpha(Image.new("L", picture.size, 255))
    return saved(picture, "PNG")


def indexed(picture: Image.Image) -> bytes:
    return saved(picture.convert("RGB").quantize(256), "PNG")


PICTURES: dict[str, Callable[[Image.Image], bytes]] = {
    "png": lambda picture: saved(picture, "PNG"),
    "png with alpha": see_through,
    "palette png": indexed,
    "cmyk jpeg": lambda picture: saved(picture.convert("CMYK"), "JPEG", quality=95),
    "progressive jpeg": lambda picture: saved(picture, "JPEG", quality=95, progressive=True),
    "rotated jpeg": rotated,
    "webp": lambda picture: saved(picture, "WEBP", quality=95),
    "avif": lambda picture: saved(picture, "AVIF", quality=90),
    "gif": lambda picture: saved(picture, "GIF"),
    "bmp": lambda picture: saved(picture, "BMP"),
    "tiff": lambda picture: saved(picture, "TIFF"),
    "jpeg 2000": lambda picture: saved(picture, "JPEG2000"),
}


@pytest.fixture(scope="module")
def client(service_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service_url, timeout=60) as client:
        yield client


def z(client: httpx.Client, modality: str, content: bytes, name: str) -> np.ndarray:
    answer = client.post("/v1/embed", params={"include": "z"}, files={modality: (name, content)})
    assert answer.status_code == 200, answer.text
    return np.array(answer.json()["results"][0]["z"])


def best(client: httpx.Client, modality: str, content: bytes) -> str:
    answer = client.post(f"/v1/search/{modality}s", params={"k": 1}, files={modality: ("upload", content)})
    best_id: str = answer.json()["results"][0]["hits"][0]["id"]
    return best_id


@pytest.mark.parametrize("name", CODECS)
def test_a_sound_means_the_same_in_every_format(client: httpx.Client, demo_folder: Path, name: str) -> None:
    file = next(iter(sorted(demo_folder.glob("sounds/*_test-0004.wav"))))
    content = encoded(file, *CODECS[name])
    # the name says nothing, the content decides
    assert z(client, "sound", content, "x.jpg") @ z(client, "sound", file.read_bytes(), file.name) > 0.98
    assert best(client, "sound", content) == "test-0004:sound"


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_means_the_same_in_every_format(client: httpx.Client, demo_folder: Path, name: str) -> None:
    file = next(iter(sorted(demo_folder.glob("images/*_test-0004.jpg"))))
    with Image.open(file) as picture:
        content = PICTURES[name](picture)
    assert z(client, "image", content, "x.wav") @ z(client, "image", file.read_bytes(), file.name) > 0.99
    assert best(client, "image", content) == "test-0004:image"
