"""Thumbnails: small, in proportion, and showing what is in the file."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import training.model.media.thumbnail as thumbnail_module
from training.model.media.source import MediaError
from training.model.media.thumbnail import SIDE, image_thumbnail, sound_thumbnail

Encode = Callable[..., bytes]
Sine = Callable[..., npt.NDArray[np.float64]]
RATE = 22_050


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def brightness(data: bytes) -> npt.NDArray[np.int64]:
    return np.asarray(opened(data).convert("RGB")).astype(np.int64).sum(axis=2)


@pytest.mark.parametrize(
    ("size", "expected"), [((1200, 800), (320, 213)), ((100, 4000), (8, 320)), ((64, 48), (64, 48)), ((1, 1), (1, 1))]
)
def test_an_image_keeps_its_proportions(
    encode_image: Encode, photo: Image.Image, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    for image_format in ("JPEG", "PNG"):
        thumbnail = opened(image_thumbnail(encode_image(photo.resize(size), image_format)))
        assert thumbnail.format == "JPEG"
        assert thumbnail.mode == "RGB"
        assert thumbnail.size == expected


def test_an_image_is_turned_upright(encode_image: Encode, photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = photo.resize((960, 640)).transpose(Image.Transpose.ROTATE_90)
    thumbnail = opened(image_thumbnail(encode_image(stored, "JPEG", exif=exif)))
    assert thumbnail.size == (320, 213)
    corner = np.asarray(thumbnail)[20, 20].astype(int)
    assert np.abs(corner - (220, 30, 30)).max() < 12


def wav_of(wav: Encode, samples: npt.NDArray[np.float64]) -> bytes:
    return wav(np.rint(samples * 32_767).astype("<i2").tobytes(), RATE)


def test_a_tone_is_a_bright_line_and_higher_tones_lie_higher(wav: Encode, sine: Sine) -> None:
    rows = []
    for frequency in (300.0, 1500.0, 6000.0):
        data = sound_thumbnail(wav_of(wav, sine(frequency, RATE, 2.0)))
        assert opened(data).format == "PNG"
        assert opened(data).size == (SIDE, SIDE // 2)
        rows.append(int(brightness(data).mean(axis=1).argmax()))
    assert rows[0] > rows[1] > rows[2]


def test_time_runs_to_the_right(wav: Encode, sine: Sine) -> None:
    samples = np.concatenate([np.zeros(2 * RATE), sine(1000, RATE, 2.0)])
    columns = brightness(sound_thumbnail(wav_of(wav, samples))).max(axis=0)
    assert columns[: SIDE // 2 - 8].max() < columns[SIDE // 2 + 8 :].min()


def test_a_stretch_is_drawn_as_if_it_were_the_file(wav: Encode, sine: Sine) -> None:
    parts = [0.3 * sine(frequency, RATE, 2.0) for frequency in (400, 5000, 1500)]
    whole = wav_of(wav, np.concatenate(parts))
    for place, part in enumerate(parts):
        assert sound_thumbnail(whole, start=2.0 * place, duration=2.0) == sound_thumbnail(wav_of(wav, part))
    assert sound_thumbnail(whole, start=2.0) == sound_thumbnail(wav_of(wav, np.concatenate(parts[1:])))


@pytest.mark.parametrize("seconds", [9, 25, 70])
def test_the_whole_is_drawn_in_proportion(wav: Encode, sine: Sine, seconds: int) -> None:
    """A tone in the last third, so that a playhead over the picture stands where the sound is."""
    samples = np.zeros(seconds * RATE)
    begin = 2 * len(samples) // 3
    samples[begin:] = sine(1000, RATE, seconds / 3 + 1)[: len(samples) - begin]
    bright = brightness(sound_thumbnail(wav_of(wav, samples))).max(axis=0) > 400
    assert bright[2 * SIDE // 3 + 2 :].all()
    assert not bright[: 2 * SIDE // 3 - 2].any()


def test_a_click_in_a_long_sound_is_seen(wav: Encode) -> None:
    samples = np.zeros(30 * RATE)
    click = round(10.07 * RATE)
    samples[click : click + RATE // 10] = np.random.default_rng(0).normal(0, 0.2, RATE // 10)
    columns = brightness(sound_thumbnail(wav_of(wav, samples))).mean(axis=0)
    assert abs(int(columns.argmax()) - SIDE * 10.1 / 30) < 3


def test_of_a_very_long_sound_the_beginning_is_drawn(wav: Encode, sine: Sine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnail_module, "LONGEST", 3.0)
    quiet = 0.3 * sine(1000, RATE, 3.0)
    longer = wav_of(wav, np.concatenate([quiet, sine(5000, RATE, 3.0)]))
    assert sound_thumbnail(longer) == sound_thumbnail(longer, duration=5.0) == sound_thumbnail(wav_of(wav, quiet))


def test_a_single_sample_and_silence_are_drawn_too(wav: Encode) -> None:
    for samples in (np.full(1, 0.5), np.zeros(RATE)):
        assert opened(sound_thumbnail(wav_of(wav, samples))).size == (SIDE, SIDE // 2)


def test_what_cannot_be_read_is_a_media_error() -> None:
    for thumbnail in (image_thumbnail, sound_thumbnail):
        with pytest.raises(MediaError, match=r"^x\.bin is not "):
            thumbnail(b"no media at all", name="x.bin")
