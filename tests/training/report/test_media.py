from __future__ import annotations

import base64
import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from training.model.media.sound import read_sound
from training.report.media import image_uri, sound_uri, spectrogram_uri


def content(uri: str, media_type: str) -> bytes:
    head, _, text = uri.partition(",")
    assert head == f"data:{media_type};base64"
    return base64.b64decode(text, validate=True)


def test_an_image_is_a_jpeg_of_itself() -> None:
    image = np.zeros((3, 32, 32), np.uint8)
    image[0] = 200
    with Image.open(io.BytesIO(content(image_uri(image), "image/jpeg"))) as picture:
        assert picture.format == "JPEG"
        assert picture.size == (32, 32)
        np.testing.assert_allclose(np.array(picture).mean(axis=(0, 1)), [200, 0, 0], atol=4)


def test_a_large_image_is_made_small() -> None:
    with Image.open(io.BytesIO(content(image_uri(np.zeros((3, 224, 224), np.uint8)), "image/jpeg"))) as picture:
        assert picture.size == (160, 160)


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_a_sound_is_an_mp3_of_its_beginning(rate: int, tone: Callable[..., npt.NDArray[np.int16]]) -> None:
    wave = tone(440, 6.0, 0, rate)
    mp3 = content(sound_uri(wave, rate), "audio/mpeg")
    assert len(mp3) < 30_000
    heard = read_sound(mp3, 8000)
    assert len(heard) / 8000 == pytest.approx(5, abs=0.1)
    spectrum = np.abs(np.fft.rfft(heard))
    assert np.argmax(spectrum) * 8000 / len(heard) == pytest.approx(440, abs=2)


def test_the_shortest_sound_is_one_too() -> None:
    assert len(read_sound(content(sound_uri(np.array([5], np.int16), 22_050), "audio/mpeg"), 22_050)) > 0


def test_a_spectrogram_is_a_small_picture(tone: Callable[..., npt.NDArray[np.int16]]) -> None:
    with Image.open(io.BytesIO(content(spectrogram_uri(tone(440, 0.3, 0), 8000), "image/jpeg"))) as picture:
        assert picture.size == (200, 60)
