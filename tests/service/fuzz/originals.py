"""Small good files of every format that the service reads, to be broken."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from PIL import Image

import training.model.media.image  # noqa: F401 - with it Pillow knows HEIF

RATE = 48_000  # Hz, which every codec here takes
SECONDS = 0.25


@dataclass(frozen=True)
class Original:
    """A good file.

    Attributes:
        name: of its format, and of the file.
        field: `image` or `sound`, by which it is sent.
        content: its bytes.
    """

    name: str
    field: str
    content: bytes


PICTURES: dict[str, tuple[str, str, dict[str, Any]]] = {  # format, mode, options
    "jpeg": ("JPEG", "RGB", {"quality": 90}),
    "jpeg-progressive": ("JPEG", "RGB", {"quality": 90, "progressive": True}),
    "jpeg-cmyk": ("JPEG", "CMYK", {}),
    "jpeg-grey": ("JPEG", "L", {}),
    "mpo": ("MPO", "RGB", {"save_all": True}),
    "png": ("PNG", "RGB", {}),
    "png-alpha": ("PNG", "RGBA", {}),
    "png-palette": ("PNG", "P", {"transparency": 3}),
    "png-16": ("PNG", "I;16", {}),
    "png-animated": ("PNG", "RGB", {"save_all": True}),
    "webp": ("WEBP", "RGB", {}),
    "webp-lossless": ("WEBP", "RGBA", {"lossless": True}),
    "webp-animated": ("WEBP", "RGB", {"save_all": True}),
    "avif": ("AVIF", "RGB", {}),
    "avif-alpha": ("AVIF", "RGBA", {}),
    "heic": ("HEIF", "RGB", {}),
    "heic-alpha": ("HEIF", "RGBA", {"save_all": True}),
    "gif": ("GIF", "P", {}),
    "gif-animated": ("GIF", "P", {"save_all": True}),
    "bmp": ("BMP", "RGB", {}),
    "bmp-palette": ("BMP", "P", {}),
    "tiff": ("TIFF", "RGB", {}),
    "tiff-lzw": ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    "tiff-deflate": ("TIFF", "RGBA", {"compression": "tiff_adobe_deflate"}),
    "tiff-jpeg": ("TIFF", "RGB", {"compression": "jpeg"}),
    "tiff-zstd": ("TIFF", "RGB", {"compression": "zstd"}),
    "tiff-fax": ("TIFF", "1", {"compression": "group4"}),
    "tiff-float": ("TIFF", "F", {}),
    "jpeg2000": ("JPEG2000", "RGB", {}),
    "ppm": ("PPM", "RGB", {}),
}

SOUNDS: dict[str, tuple[str, str, str]] = {  # container, codec, layout
    "wav": ("wav", "pcm_s16le", "mono"),
    "wav-24": ("wav", "pcm_s24le", "stereo"),
    "wav-float": ("wav", "pcm_f32le", "5.1"),
    "wav-adpcm": ("wav", "adpcm_ima_wav", "stereo"),
    "w64": ("w64", "pcm_s16le", "stereo"),
    "aiff": ("aiff", "pcm_s16be", "stereo"),
    "caf": ("caf", "pcm_s16le", "mono"),
    "flac": ("flac", "flac", "stereo"),
    "mp3": ("mp3", "libmp3lame", "stereo"),
    "ogg": ("ogg", "vorbis", "stereo"),
    "opus": ("ogg", "libopus", "mono"),
    "ogg-flac": ("ogg", "flac", "mono"),
    "aac": ("adts", "aac", "stereo"),
    "m4a": ("mp4", "aac", "mono"),
    "m4a-alac": ("ipod", "alac", "stereo"),
    "mov": ("mov", "pcm_s16be", "stereo"),
    "webm": ("webm", "libopus", "stereo"),
    "mkv": ("matroska", "flac", "mono"),
    "mkv-ac3": ("matroska", "ac3", "stereo"),
}

FILMS: dict[str, tuple[str, str, str]] = {  # container, codecs of picture and sound
    "mp4-film": ("mp4", "mpeg4", "aac"),
    "webm-film": ("webm", "libvpx-vp9", "libopus"),
}


def originals() -> list[Original]:
    """One of each format."""
    pictures = [Original(name, "image", _picture(*made)) for name, made in PICTURES.items()]
    sounds = [Original(name, "sound", _sound(*made)) for name, made in SOUNDS.items()]
    return [*pictures, *sounds, *(Original(name, "sound", _film(*made)) for name, made in FILMS.items())]


def _picture(image_format: str, mode: str, options: dict[str, Any]) -> bytes:
    rng = np.random.default_rng(0)
    frames = []
    for shade in (60, 160):
        soft = np.linspace(0, shade, 64 * 48 * 3).reshape(48, 64, 3) + rng.integers(0, 60, (48, 64, 3))
        frame = Image.fromarray(soft.astype(np.uint8))
        frame = frame.convert("L").convert(mode) if mode in ("I;16", "F", "1") else frame.convert(mode)
        if mode == "RGBA":
            frame.putalpha(Image.linear_gradient("L").resize(frame.size))
        frames.append(frame)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    if image_format in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF"):
        options = {**options, "exif": exif}
    if options.get("save_all"):
        options = {**options, "append_images": frames[1:]}
    out = io.BytesIO()
    frames[0].save(out, image_format, **options)
    return out.getvalue()


def _sound(container: str, codec: str, layout: str) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=container, options={"fflags": "+bitexact"}) as target:
        stream = target.add_stream(codec, rate=RATE, layout=layout, options={"strict": "experimental"})
        assert isinstance(stream, av.AudioStream)
        _encode_sound(target, stream, layout)
    return out.getvalue()


def _film(container: str, pictures: str, codec: str) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=container, options={"fflags": "+bitexact"}) as target:
        film = target.add_stream(pictures, rate=10)
        assert isinstance(film, av.VideoStream)
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        stream = target.add_stream(codec, rate=RATE, layout="stereo", options={"strict": "experimental"})
        assert isinstance(stream, av.AudioStream)
        for shade in range(0, 250, 50):
            target.mux(film.encode(av.VideoFrame.from_image(Image.new("RGB", (64, 48), (shade, 80, 120)))))
        target.mux(film.encode(None))
        _encode_sound(target, stream, "stereo")
    return out.getvalue()


def _encode_sound(target: Any, stream: av.AudioStream, layout: str) -> None:
    time = np.arange(int(SECONDS * RATE)) / RATE
    noise = np.random.default_rng(0).normal(0, 0.05, len(time))
    wave = (9000 * (np.sin(2 * np.pi * (300 + 500 * time) * time) + noise)).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts = RATE, 0
    resampler = av.AudioResampler(stream.format.name, layout, RATE, frame_size=stream.frame_size or 1024)
    for given in (frame, None):
        for piece in resampler.resample(given):
            target.mux(stream.encode(piece))
    target.mux(stream.encode(None))
