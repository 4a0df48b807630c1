"""Image files to uint8 pixels, through Pillow and, for what phones take, libheif."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pillow_heif
from PIL import ExifTags, Image, UnidentifiedImageError

from training.model.media import suffixes
from training.model.media.source import (
    DamagedMedia,
    MediaError,
    MediaTooLarge,
    Source,
    UnsupportedMedia,
    name_of,
    open_source,
)

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "TIFF", "JPEG2000", "PPM")
SUFFIXES = suffixes.IMAGES
MAX_PIXELS = 100_000_000
_MOST_BOXES = 1000  # at the top of a HEIF file; a phone writes three to six

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# the picture alone is read, without what phones lay beside it; one core a picture, like every other format
pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)

_READ = "send JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP, TIFF or JPEG 2000"


def decode_image(
    source: Source, *, name: str | None = None, max_pixels: int = MAX_PIXELS, at_least: int | None = None
) -> Image.Image:
    """An image file as an upright RGB picture.

    EXIF rotation is applied (of a HEIC file the container's own), transparency laid on white, 16-bit and
    floating-point greyscale scaled to 8 bits, CMYK, palette and greyscale converted; of an animation the first frame
    is taken.

    Args:
        source: the file's bytes or its path.
        name: what messages call it.
        max_pixels: more pixels are refused before anything is decoded. Above 179 million Pillow refuses by itself, see
            `raise_pillows_limit`.
        at_least: decode a JPEG no larger than needed for both sides to have this many pixels.

    Raises:
        MediaError: one sentence that names the file and the remedy.
    """
    name = name_of(source, name)
    with (
        open_source(source, name) as stream,
        _explained(name, max_pixels),
        Image.open(stream, formats=FORMATS) as image,
    ):
        width, height = image.size
        if width * height > max_pixels:
            raise MediaTooLarge(
                name,
                f"has {width} x {height} pixels, over the limit of {max_pixels:,}; scale it down first",
                max_pixels,
            )
        if image.format == "HEIF":
            _check_whole(stream, name)
        if at_least is not None:
            image.draft("RGB", (at_least, at_least))
        image.load()
        return _rgb(_upright(image))


def raise_pillows_limit(pixels: int) -> None:
    """Have Pillow open images of so many pixels, in this whole process, so that `max_pixels` alone bounds them.

    For a process that only decodes: Pillow has one limit for all that use it.
    """
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, pixels)


def pack_image(image: Image.Image, size: int) -> npt.NDArray[np.uint8]:
    """The packed form of a picture: a plain resize (no crop), uint8 `[3, size, size]`."""
    resized = image.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.ascontiguousarray(np.asarray(resized, dtype=np.uint8).transpose(2, 0, 1))


def read_image(
    source: Source, size: int, *, name: str | None = None, max_pixels: int = MAX_PIXELS
) -> npt.NDArray[np.uint8]:
    """Decode and pack in one go: uint8 `[3, size, size]`. Raises as `decode_image` does."""
    return pack_image(decode_image(source, name=name, max_pixels=max_pixels, at_least=3 * size), size)


def image_type(source: Source, *, name: str | None = None) -> str:
    """The media type that an image file's own bytes say, such as `image/jpeg`. Raises as `decode_image` does."""
    name = name_of(source, name)
    with open_source(source, name) as stream, _explained(name):
        with Image.open(stream, formats=FORMATS) as image:
            image_format = image.format
            if image_format == "HEIF":  # HEIC is HEIF whose pictures are HEVC, and has a type of its own
                return str(image.get_format_mimetype())
        return Image.MIME.get("JPEG" if image_format == "MPO" else str(image_format), "application/octet-stream")


def _check_whole(stream: BinaryIO, name: str) -> None:
    """A HEIF file that was cut: libheif would leave green what it has no data for. Raises `DamagedMedia`."""
    end, at = stream.seek(0, io.SEEK_END), 0
    for _ in range(_MOST_BOXES):
        stream.seek(at)
        header = stream.read(16)
        size, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if size == 1:
            size = int.from_bytes(header[8:], "big")
        if kind == b"mdat" and at + size > end:
            raise DamagedMedia(name, "is damaged (it ends too early); export or download it again")
        if size < 8 or at + size >= end:
            return
        at += size


def _upright(image: Image.Image) -> Image.Image:
    """The picture as EXIF says it was held. `ImageOps.exif_transpose` also rewrites the tags, and fails on odd ones."""
    if image.format == "HEIF":  # libheif has turned it
        return image
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - whatever is wrong with the tags, the pixels are good
        return image
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _eight_bits(image).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Greyscale deeper than 8 bits. The range is the format's where it has one, else the picture's own."""
    deep = np.asarray(image).astype(np.float64)
    deep = np.nan_to_num(deep, nan=0.0, posinf=0.0, neginf=0.0)
    if image.mode != "F" and deep.min() >= 0 and deep.max() <= 65535:
        low, high = 0.0, 65535.0
    else:
        low, high = float(deep.min()), float(deep.max())
    scaled = (deep - low) * (255 / (high - low)) if high > low else deep * 0
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


@contextmanager
def _explained(name: str, max_pixels: int = MAX_PIXELS) -> Iterator[None]:
    """Turn what Pillow raises for bad files into one sentence; of limits on pixels it names the one that holds."""
    try:
        with warnings.catch_warnings():
            # our own limit on pixels stands above; warnings about odd metadata are not for the user
            warnings.simplefilter("ignore")
            yield
    except UnidentifiedImageError:
        raise UnsupportedMedia(name, f"is not an image that can be read; {_READ}") from None
    except Image.DecompressionBombError:  # Pillow's own limit, which is twice the number
        most = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))
        said = f"has far more pixels than the limit of {most:,}; scale it down first"
        raise MediaTooLarge(name, said, most) from None
    except MediaError:
        raise
    except MemoryError:
        raise MediaTooLarge(name, "does not fit in memory when decoded; scale it down first") from None
    except Exception as error:  # noqa: BLE001 - Pillow's plugins raise nearly anything on broken files
        detail = str(error).strip().rstrip(".") or type(error).__name__
        raise DamagedMedia(name, f"is damaged: {detail}; export or download it again") from None
