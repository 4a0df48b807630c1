"""A second of ACIVW: 12 blocks of sound, 12 pictures and 12 acoustic images, in either of its layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

FRAMES = 12  # a second's blocks of sound, pictures, acoustic images
BLOCK = 1024  # samples of a block
SAMPLE_RATE = FRAMES * BLOCK  # Hz


class Second(Protocol):
    """What a layout gives. What can't be read raises `MediaError`.

    Attributes:
        sources: the files that its sound, its first picture and its first acoustic image are in.
    """

    sources: list[Path]

    def sound(self) -> npt.NDArray[np.int32]:
        """The first microphone's counts, int32 `[12288]`."""

    def picture(self, frame: int) -> Image.Image:
        """A frame, 0 to 11, in RGB."""

    def picture_file(self, frame: int) -> Path | None:
        """The file that a frame is by itself, where it is one."""

    def acoustic_image(self, frame: int) -> npt.NDArray[np.float32]:
        """A frame's acoustic image, float32 `[36, 48, 12]`: y downwards, x to the right as in the picture, channel."""


def turned(stored: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """An acoustic image as the picture sees it: it is stored mirrored left to right and top to bottom."""
    return np.ascontiguousarray(stored[::-1, ::-1])
