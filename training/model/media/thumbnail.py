"""Small pictures of items: images scaled down, sounds as spectrograms."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from training.model.media.image import MAX_PIXELS, decode_image
from training.model.media.sound import read_sound
from training.model.media.source import Source

SIDE = 320  # pixels
LONGEST = 600.0  # seconds of sound in a picture
_RATE = 22_050  # Hz
_FFT = 1024  # samples
_SEVERAL = 16  # spectra in a column at most
# Anchor colours from silence to full level, interpolated: dark violet, magenta, orange, pale yellow.
_ANCHORS = np.array([[13, 8, 35], [92, 18, 110], [187, 55, 84], [249, 142, 9], [252, 255, 190]], dtype=np.float64)
_PALETTE = np.stack([np.interp(np.linspace(0, 4, 256), np.arange(5), channel) for channel in _ANCHORS.T], axis=1)


def image_thumbnail(source: Source, *, name: str | None = None, max_pixels: int = MAX_PIXELS) -> bytes:
    """A JPEG of at most 320 pixels a side. Raises `MediaError`, also where the image has more than `max_pixels`."""
    image = decode_image(source, name=name, max_pixels=max_pixels, at_least=SIDE)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return _encode(image, "JPEG")


def sound_thumbnail(
    source: Source, *, name: str | None = None, start: float = 0.0, duration: float | None = None
) -> bytes:
    """A PNG of 320 x 160 pixels: the spectrogram of a stretch of sound, time to the right, low tones below, 80 dB of
    range. Of a stretch longer than ten minutes it is the first ten.

    Args:
        source: the file's bytes or its path.
        name: what messages call it.
        start: seconds into the file.
        duration: seconds of it, the whole rest when None.

    Raises:
        MediaError: one sentence that names the file and the remedy.
    """
    wave = read_sound(source, _RATE, name=name, start=start, duration=min(duration or LONGEST, LONGEST))
    if len(wave) < _FFT:
        wave = np.pad(wave, (0, _FFT - len(wave)))
    # a column of a long sound is the mean of several spectra, so that little goes by unseen
    several = min(_SEVERAL, -(-len(wave) // (10 * _RATE)))
    starts = np.linspace(0, len(wave) - _FFT, SIDE * several).astype(np.int64)
    frames = np.lib.stride_tricks.sliding_window_view(wave, _FFT)[starts] / 32768 * np.hanning(_FFT)
    power = np.square(np.abs(np.fft.rfft(frames, axis=1))).reshape(SIDE, several, -1).mean(axis=1)
    level = 20 * np.log10(np.sqrt(power) + 1e-6)
    # bins spaced as the ear hears: HTK mel, from 0 Hz to half the rate
    mel = np.linspace(0, 2595 * np.log10(1 + _RATE / 2 / 700), SIDE // 2)
    bins = 700 * (10 ** (mel / 2595) - 1) * _FFT / _RATE
    picture = np.stack([np.interp(bins, np.arange(level.shape[1]), column) for column in level], axis=1)[::-1]
    image = Image.fromarray(np.rint(255 * np.clip((picture - picture.max()) / 80 + 1, 0, 1)).astype(np.uint8))
    image.putpalette(_PALETTE.astype(np.uint8).tobytes())  # less than half of the bytes that colours themselves take
    return _encode(image, "PNG")


def _encode(image: Image.Image, image_format: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format, quality=85)
    return stream.getvalue()
