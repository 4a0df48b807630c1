"""Pictures of every kind come out upright, RGB and on white; what can't be read says so in one sentence."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms

from training.model.media.image import decode_image, image_type, pack_image, raise_pillows_limit, read_image
from training.model.media.source import (
    DamagedMedia,
    EmptyMedia,
    MediaError,
    MediaTooLarge,
    MissingMedia,
    UnsupportedMedia,
)

Encode = Callable[..., bytes]
Pixels = npt.NDArray[np.int64]


def pixels(image: Image.Image) -> Pixels:
    assert image.mode == "RGB"
    return np.asarray(image).astype(np.int64)


def assert_close(image: Image.Image, expected: Image.Image, tolerance: int) -> None:
    """All but the seams between the photo's quarters."""
    found, wanted = pixels(image), pixels(expected)
    assert found.shape == wanted.shape
    away = np.abs(found - wanted).max(axis=2) > tolerance
    assert away.mean() < 0.12, f"{away.mean():.0%} of the pixels differ by more than {tolerance}"


@pytest.mark.parametrize(
    ("image_format", "media_type", "tolerance"),
    [
        ("PNG", "image/png", 0),
        ("BMP", "image/bmp", 0),
        ("TIFF", "image/tiff", 0),
        ("PPM", "image/x-portable-anymap", 0),
        ("GIF", "image/gif", 0),
        ("JPEG2000", "image/jp2", 2),
        ("JPEG", "image/jpeg", 6),
        ("WEBP", "image/webp", 6),
        ("AVIF", "image/avif", 6),
    ],
)
def test_a_picture_survives_every_format(
    encode_image: Encode, photo: Image.Image, image_format: str, media_type: str, tolerance: int
) -> None:
    data = encode_image(photo, image_format)
    assert_close(decode_image(data), photo, tolerance)
    assert image_type(data) == media_type


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_compressed_tiffs_are_read(encode_image: Encode, photo: Image.Image, compression: str) -> None:
    assert_close(decode_image(encode_image(photo, "TIFF", compression=compression)), photo, 6)


def test_the_extension_does_not_matter(encode_image: Encode, photo: Image.Image, tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(encode_image(photo, "PNG"))
    assert_close(decode_image(file), photo, 0)
    assert image_type(file) == "image/png"


def test_transparency_is_laid_on_white(encode_image: Encode) -> None:
    picture = np.zeros((2, 3, 4), np.uint8)
    picture[..., 0] = 200
    picture[0, :, 3] = (0, 128, 255)
    for image in (Image.fromarray(picture), Image.fromarray(picture).convert("LA")):
        red = image.convert("RGB").getpixel((2, 0))
        assert isinstance(red, tuple)
        row = pixels(decode_image(encode_image(image, "PNG")))[0]
        assert row[0].tolist() == [255, 255, 255]
        assert np.abs(row[1] - (np.array(red) + 255) / 2).max() <= 2
        assert row[2].tolist() == list(red)


def test_a_transparent_palette_is_laid_on_white(encode_image: Encode) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    decoded = pixels(decode_image(encode_image(image, "PNG", transparency=0)))
    assert decoded[0].tolist() == [[255, 255, 255], [40, 50, 60]]


def test_greyscale_and_palette_become_rgb(encode_image: Encode, photo: Image.Image) -> None:
    grey = photo.convert("L")
    assert_close(decode_image(encode_image(grey, "PNG")), grey.convert("RGB"), 0)
    palette = photo.quantize(4)
    assert_close(decode_image(encode_image(palette, "PNG")), photo, 2)
    assert_close(decode_image(encode_image(photo.convert("1"), "PNG")), photo.convert("1").convert("RGB"), 0)


def test_colours_of_a_cmyk_jpeg_are_about_right(encode_image: Encode, photo: Image.Image) -> None:
    assert_close(decode_image(encode_image(photo.convert("CMYK"), "JPEG", quality=95)), photo, 10)


def test_colours_of_a_lab_tiff_are_about_right(encode_image: Encode, photo: Image.Image) -> None:
    lab = ImageCms.profileToProfile(
        photo, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    assert_close(decode_image(encode_image(lab, "TIFF")), photo, 16)


def test_sixteen_bit_greyscale_is_scaled_not_clipped(png: Callable[..., bytes]) -> None:
    levels = (0, 257, 32_896, 65_535)
    rows = b"\0" + struct.pack(">4H", *levels)
    decoded = pixels(decode_image(png(4, 1, 16, 0, rows)))
    assert decoded[0, :, 0].tolist() == [0, 1, 128, 255]


def test_sixteen_bit_colour_keeps_its_levels(png: Callable[..., bytes]) -> None:
    rows = b"\0" + struct.pack(">6H", 0, 257 * 100, 65_535, 257 * 9, 257 * 8, 257 * 7)
    assert pixels(decode_image(png(2, 1, 16, 2, rows)))[0].tolist() == [[0, 100, 255], [9, 8, 7]]


def test_floating_point_is_scaled_from_its_own_range(encode_image: Encode) -> None:
    values = np.array([[-1.0, 0.0, np.nan, 1.0]], np.float32)
    decoded = pixels(decode_image(encode_image(Image.fromarray(values), "TIFF")))
    assert decoded[0, :, 0].tolist() == [0, 128, 128, 255]


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_a_picture_upright(
    encode_image: Encode, photo: Image.Image, orientation: int, image_format: str
) -> None:
    # what a camera stores when it is held so that `orientation` undoes it
    stored = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: np.rot90(p, -1),
    }[orientation](np.asarray(photo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode_image(Image.fromarray(np.ascontiguousarray(stored)), image_format, exif=exif)
    assert_close(decode_image(data), photo, 6)
    small = read_image(data, 8).astype(np.int64)
    assert np.abs(small[:, 1, 1] - (220, 30, 30)).max() < 12
    assert np.abs(small[:, 1, 6] - (30, 200, 30)).max() < 12


@pytest.mark.parametrize(
    "tags",
    [
        b"Exif\0\0no tags at all",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x09\0\0\0\0\0\0",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x01A\0\0\0\0\0\0\0",
    ],
    ids=["no tags", "orientation 9", "orientation A"],
)
def test_broken_exif_does_not_cost_the_picture(encode_image: Encode, photo: Image.Image, tags: bytes) -> None:
    assert_close(decode_image(encode_image(photo, "JPEG", exif=tags)), photo, 6)


def test_a_picture_is_turned_though_another_tag_is_broken(encode_image: Encode, photo: Image.Image) -> None:
    turn = b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"
    resolution_as_text = b"\x01\x1a\0\x02\0\0\0\x01A\0\0\0"
    tags = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + turn + resolution_as_text + b"\0\0\0\0"
    upright = photo.transpose(Image.Transpose.ROTATE_270)
    assert_close(decode_image(encode_image(photo, "JPEG", exif=tags)), upright, 6)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_the_first_frame_of_an_animation_is_taken(encode_image: Encode, photo: Image.Image, image_format: str) -> None:
    other = [Image.new("RGB", photo.size, colour) for colour in ("black", "yellow")]
    data = encode_image(photo, image_format, save_all=True, append_images=other)
    assert_close(decode_image(data), photo, 6)


def test_packing_is_a_plain_resize_without_a_crop(encode_image: Encode) -> None:
    wide = Image.new("RGB", (400, 40), (0, 0, 255))
    wide.paste((255, 0, 0), (0, 0, 200, 40))
    packed = read_image(encode_image(wide, "PNG"), 16)
    assert packed.dtype == np.uint8
    assert packed.shape == (3, 16, 16)
    assert packed.flags["C_CONTIGUOUS"]
    assert packed[:, 8, 0].tolist() == [255, 0, 0]
    assert packed[:, 8, 15].tolist() == [0, 0, 255]


def test_a_shortcut_through_jpeg_scaling_changes_little(encode_image: Encode) -> None:
    y, x = np.mgrid[0:900, 0:1200]
    scene = np.stack([x * 255 // 1199, y * 255 // 899, (x + y) * 255 // 2098], axis=2).astype(np.uint8)
    data = encode_image(Image.fromarray(scene), "JPEG", quality=95)
    assert decode_image(data, at_least=192).size < (1200, 900)
    short = read_image(data, 64).astype(np.int64)
    whole = pack_image(decode_image(data), 64).astype(np.int64)
    assert np.abs(short - whole).mean() < 1.5


def test_a_single_pixel_fills_the_packed_form(encode_image: Encode) -> None:
    packed = read_image(encode_image(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG"), 32)
    assert (packed == np.array([1, 2, 3], np.uint8)[:, None, None]).all()


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "JPEG2000", "PPM"])
def test_a_truncated_picture_is_refused_wherever_it_ends(encode_image: Encode, image_format: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    data = encode_image(Image.fromarray(noise), image_format)
    for tenth in range(10):
        part = data[: max(1, len(data) * tenth // 10)]
        with pytest.raises((DamagedMedia, UnsupportedMedia)) as caught:
            decode_image(part, name="cut.img")
        assert str(caught.value).startswith("cut.img is ")


def test_what_a_library_says_of_damage_stands_without_brackets_around_brackets(encode_image: Encode) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    data = encode_image(Image.fromarray(noise), "JPEG")
    with pytest.raises(
        DamagedMedia, match=r"^cut\.jpg is damaged: image file is truncated \(\d+ bytes not processed\); "
    ):
        decode_image(data[: len(data) // 2], name="cut.jpg")


def refusal(source: bytes | Path, name: str | None = None) -> MediaError:
    with pytest.raises(MediaError) as caught:
        decode_image(source, name=name)
    return caught.value


def test_no_bytes_are_called_empty(tmp_path: Path) -> None:
    error = refusal(b"", "a.png")
    assert isinstance(error, EmptyMedia)
    assert str(error) == "a.png is empty (0 bytes); send the file again"
    (tmp_path / "b.png").touch()
    assert str(refusal(tmp_path / "b.png")) == f"{tmp_path / 'b.png'} is empty (0 bytes); copy the file again"


@pytest.mark.parametrize(
    "data",
    [
        b"hello, I am a text file\n" * 40,
        b"\0" * 1000,
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"%PDF-1.7\n" + b" " * 100,
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + b"\0" * 200,
    ],
    ids=["text", "zeros", "wav", "pdf", "eps", "heic"],
)
def test_what_is_no_picture_gets_the_formats_that_are_read(data: bytes) -> None:
    error = refusal(data, "x.jpg")
    assert isinstance(error, UnsupportedMedia)
    assert str(error).startswith("x.jpg is not an image that can be read; send JPEG, PNG, WebP, AVIF")


def test_a_missing_file_and_a_folder_say_what_to_check(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.png", tmp_path):
        error = refusal(path)
        assert isinstance(error, MissingMedia)
        assert str(path) in str(error)
        assert "check the path and its permissions" in str(error)


@pytest.mark.parametrize(("width", "height"), [(40_000, 40_000), (40_000, 2_501), (2**31 - 1, 2**31 - 1)])
def test_too_many_declared_pixels_are_refused_before_decoding(
    png: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, width: int, height: int
) -> None:
    def decoded(image: Image.Image) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoded)
    error = refusal(png(width, height, 8, 2, b"\0" * 100), "huge.png")
    assert isinstance(error, MediaTooLarge)
    assert str(error).startswith("huge.png has ")
    assert str(error).endswith("scale it down first")


def test_the_limit_on_pixels_is_the_callers(encode_image: Encode, photo: Image.Image) -> None:
    data = encode_image(photo, "PNG")
    assert decode_image(data, max_pixels=96 * 64).size == (96, 64)
    with pytest.raises(MediaTooLarge, match=r"^p\.png has 96 x 64 pixels, over the limit of 6,143; scale it down"):
        decode_image(data, name="p.png", max_pixels=96 * 64 - 1)


def test_pillows_own_limit_is_named_as_what_it_is_and_can_be_raised(
    encode_image: Encode, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode_image(photo, "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for most, named in ((10_000, "2,000"), (1_500, "1,500")):
        with pytest.raises(MediaTooLarge, match=rf"^p\.png has far more pixels than the limit of {named}; scale"):
            decode_image(data, name="p.png", max_pixels=most)
    assert Image.MAX_IMAGE_PIXELS == 1000  # it is not this code's to change, unless asked
    raise_pillows_limit(10_000)
    raise_pillows_limit(500)
    assert decode_image(data, max_pixels=10_000).size == (96, 64)
    with pytest.raises(MediaTooLarge, match="96 x 64 pixels, over the limit of 5,000"):
        decode_image(data, max_pixels=5_000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    raise_pillows_limit(500)
    assert decode_image(data, max_pixels=10_000).size == (96, 64)
