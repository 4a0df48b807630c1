"""Pictures of phones come out upright and on white, whatever the container says of them; broken ones get a sentence.

The files in `heic/` hold `conftest.make_photo()`, encoded once by pillow-heif 1.8.1 (x265, quality 90):

- `upright.heic`: `photo.save(…)`;
- `turned.heic`: the photo turned by 90°, saved with EXIF orientation 6, which pillow-heif writes as an `irot` box too;
- `deep.heic`: `pillow_heif.from_bytes("RGB;16", …)`, 10 bits;
- `clear.heic`: as RGBA, the left half transparent;
- `several.heic`: `save_all=True` with a black picture behind it;
- `tiled.heic`: the photo at twice the size, `tile_size=64`: a grid, as phones write it.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.model.media.image import decode_image, image_type, read_image
from training.model.media.source import DamagedMedia, MediaTooLarge, UnsupportedMedia
from training.model.media.thumbnail import image_thumbnail

FILES = Path(__file__).parent / "heic"


def assert_same(image: Image.Image, expected: Image.Image) -> None:
    """All but the seams between the photo's quarters."""
    assert (image.mode, image.size) == ("RGB", expected.size)
    away = np.abs(np.asarray(image).astype(int) - np.asarray(expected).astype(int)).max(axis=2) > 6
    assert away.mean() < 0.12


@pytest.mark.parametrize("name", ["upright", "turned", "deep", "several"])
def test_a_phones_picture_is_read_upright(photo: Image.Image, name: str) -> None:
    file = FILES / f"{name}.heic"
    assert_same(decode_image(file), photo)
    assert_same(decode_image(file.read_bytes(), name="upload", at_least=32), photo)
    assert image_type(file) == "image/heic"


def test_exif_turns_nothing_that_the_container_has_turned(photo: Image.Image) -> None:
    data = (FILES / "turned.heic").read_bytes()
    irot = data.index(b"irot") + 4
    assert data[irot] == 3  # three quarter turns, anticlockwise: what EXIF's 6 says
    flat = decode_image(data[:irot] + b"\0" + data[irot + 1 :])
    assert_same(flat, photo.transpose(Image.Transpose.ROTATE_90))


def test_tiles_are_put_together(photo: Image.Image) -> None:
    assert_same(decode_image(FILES / "tiled.heic"), photo.resize((192, 128), Image.Resampling.NEAREST))


def test_transparency_is_laid_on_white(photo: Image.Image) -> None:
    white = photo.copy()
    white.paste("white", (0, 0, 48, 64))
    assert_same(decode_image(FILES / "clear.heic"), white)


def test_it_is_packed_like_any_picture(photo: Image.Image, encode_image: Callable[..., bytes]) -> None:
    packed, same = read_image(FILES / "turned.heic", 16), read_image(encode_image(photo, "PNG"), 16)
    assert np.abs(packed.astype(int) - same).mean() < 3


def test_its_thumbnail_is_a_jpeg(photo: Image.Image) -> None:
    with Image.open(io.BytesIO(image_thumbnail(FILES / "turned.heic"))) as picture:
        assert picture.format == "JPEG"
        assert_same(picture, photo)


@pytest.mark.parametrize("name", ["upright", "tiled", "clear"])
def test_a_truncated_picture_is_refused_wherever_it_ends(name: str) -> None:
    data = (FILES / f"{name}.heic").read_bytes()
    for end in range(1, len(data) - 1, len(data) // 40):
        with pytest.raises((DamagedMedia, UnsupportedMedia), match=r"^cut\.heic is [^\n]+$"):
            decode_image(data[:end], name="cut.heic")


def test_too_many_pixels_are_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr("pillow_heif.HeifImage.load", decoded)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoded)
    data = (FILES / "upright.heic").read_bytes()
    extent = data.index(b"ispe") + 8
    for width, height in [(12_000, 10_000), (40_000, 40_000), (2**31 - 1, 2**31 - 1)]:
        huge = data[:extent] + struct.pack(">II", width, height) + data[extent + 8 :]
        with pytest.raises(MediaTooLarge, match=r"^huge\.heic has .*; scale it down first$"):
            decode_image(huge, name="huge.heic")
    with pytest.raises(MediaTooLarge, match=r"^p\.heic has 96 x 64 pixels, over the limit of 6,143; scale it down"):
        decode_image(data, name="p.heic", max_pixels=96 * 64 - 1)
