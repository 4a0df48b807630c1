"""Small pictures of items: images scaled down, sounds as spectrograms."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from training.model.media.image import decode_image
from training.model.media.sound import read_sound
from training.model.media.source import Source

SIDE = 320  # pixels
_RATE = 22_050  # Hz
_FFT = 1024  # samples
# Anchor colours from silence to full level, interpolated: dark violet, magenta, orange, pale yellow.
_COLOURS = np.array([[13, 8, 35], [92, 18, 110], [187, 55, 84], [249, 142, 9], [252, 255, 190]], dtype=np.float64)


def image_thumbnail(source: Source, *, name: str | None = None) -> bytes:
    """A JPEG of at most 320 pixels a side. Raises `MediaError`."""
    image = decode_image(source, name=name, at_least=SIDE)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return _encode(image, "JPEG")


def sound_thumbnail(source: Source, *, name: str | None = None) -> bytes:
    """A PNG of 320 x 160 pixels: the spectrogram of the first ten seconds, time to the right, low tones below, 80 dB of
    range. Raises `MediaError`."""
    wave = read_sound(source, _RATE, name=name, duration=10.0).astype(np.float64) / 32768
    if len(wave) < _FFT:
        wave = np.pad(wave, (0, _FFT - len(wave)))
    starts = np.linspace(0, len(wave) - _FFT, SIDE).astype(np.int64)
    frames = np.lib.stride_tricks.sliding_window_view(wave, _FFT)[starts] * np.hanning(_FFT)
    level = 20 * np.log10(np.abs(np.fft.rfft(frames, axis=1)) + 1e-6)
    # bins spaced as the ear hears: HTK mel, from 0 Hz to half the rate
    mel = np.linspace(0, 2595 * np.log10(1 + _RATE / 2 / 700), SIDE // 2)
    bins = 700 * (10 ** (mel / 2595) - 1) * _FFT / _RATE
    picture = np.stack([np.interp(bins, np.arange(level.shape[1]), column) for column in level], axis=1)[::-1]
    picture = np.clip((picture - picture.max()) / 80 + 1, 0, 1) * (len(_COLOURS) - 1)
    channels = [np.interp(picture, np.arange(len(_COLOURS)), _COLOURS[:, channel]) for channel in range(3)]
    return _encode(Image.fromarray(np.stack(channels, axis=2).astype(np.uint8)), "PNG")


def _encode(image: Image.Image, image_format: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, quality=85)
    return stream.getvalue()
