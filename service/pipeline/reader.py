"""What decodes files, in a process that has nothing else to lose."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from training.model.allocator import keep_freed_memory
from training.model.media.image import MAX_PIXELS, image_type, raise_pillows_limit, read_image
from training.model.media.sound import Allowance, read_sound, sound_type
from training.model.media.source import MediaError
from training.model.media.thumbnail import image_thumbnail, sound_thumbnail

if TYPE_CHECKING:  # a decoder needs no torch
    from training.model.memory import Modality

KEPT = 32 * 2**20  # bytes: most pictures fit, and their pages are not mapped and cleared anew for each
UNKNOWN_TYPE = "application/octet-stream"


class Reader:
    """Decodes what comes from outside; for use in a worker, whose Pillow opens as many pixels as it is given.

    Args:
        image_size: S, pixels of a side of the model's images.
        sample_rate: Hz of the model's sounds.
        max_pixels: of an image.
        max_seconds: of a sound.
    """

    def __init__(self, image_size: int, sample_rate: int, max_pixels: int, max_seconds: float) -> None:
        keep_freed_memory(KEPT)
        self.image_size, self.sample_rate = image_size, sample_rate
        self.max_pixels, self.max_seconds = max_pixels, max_seconds
        # a limit below that of `bma index build` is not to hide what that took in
        self.shown_pixels = max(max_pixels, MAX_PIXELS)
        raise_pillows_limit(self.shown_pixels)

    def read(self, data: bytes, name: str, modality: Modality, allowed: float) -> npt.NDArray[Any]:
        """A file in the packed form: an image uint8 `[3, S, S]`, a sound int16 `[L]`.

        Args:
            data: the file's bytes.
            name: what messages call it.
            modality: what it is.
            allowed: seconds of a sound that its request has left.

        Raises:
            MediaError: it can't be used.
            AllowanceSpent: it lasts longer than `allowed`.
        """
        if modality == "image":
            return read_image(data, self.image_size, name=name, max_pixels=self.max_pixels)
        allowance = Allowance(allowed)
        return read_sound(data, self.sample_rate, name=name, max_seconds=self.max_seconds, allowance=allowance)

    def media_type(self, data: bytes, name: str, modality: Modality) -> str:
        """The media type that a file's own bytes say, such as `image/jpeg`."""
        try:
            return image_type(data, name=name) if modality == "image" else sound_type(data, name=name)
        except MediaError:  # it could be decoded, so there is something in it that only this stumbles over
            return UNKNOWN_TYPE

    def thumbnail(self, file: Path, name: str, modality: Modality, stretch: Mapping[str, float]) -> bytes:
        """A JPEG of an image, or a PNG of a stretch of a sound. Raises `MediaError`."""
        if modality == "image":
            return image_thumbnail(file, name=name, max_pixels=self.shown_pixels)
        return sound_thumbnail(file, name=name, **stretch)
