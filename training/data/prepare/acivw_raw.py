"""A second of ACIVW as it was recorded: `class_X/data_YYY/` with audio/, video/ and MFCC_Image/, a file a frame."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.data.prepare.acivw_second import BLOCK, FRAMES, turned
from training.data.prepare.mat import read_matrix
from training.model.media.image import decode_image
from training.model.media.source import DamagedMedia, read_bytes

MICROPHONES = 128
_NAME = re.compile(r"A_[0-9]{6}\.dc")


class RawSecond:
    """A second in single files: second 1 is in files 1 to 12, second 2 in 13 to 24; see `Second`."""

    def __init__(self, src: Path, video: str, second: int) -> None:
        self._src, self._video = src, video
        self._numbers = range(FRAMES * (second - 1) + 1, FRAMES * second + 1)
        first = self._numbers[0]
        names = [*map(self._block, self._numbers), self._picture(first), self._acoustic_image(first)]
        self.sources = [src / name for name in names]

    @staticmethod
    def numbers(folder: Path) -> set[int]:
        """The seconds that a video's folder holds blocks of sound of."""
        files = (folder / "audio").glob("A_*.dc")
        return {(int(file.stem[len("A_") :]) - 1) // FRAMES + 1 for file in files if _NAME.fullmatch(file.name)}

    def sound(self) -> npt.NDArray[np.int32]:
        """The first microphone's counts, int32 `[12288]`."""
        return np.concatenate([self._read_block(self._block(number)) for number in self._numbers])

    def picture(self, frame: int) -> Image.Image:
        """A frame, 0 to 11, in RGB."""
        return decode_image(self.picture_file(frame), name=self._picture(self._numbers[frame]))

    def picture_file(self, frame: int) -> Path:
        """The file that a frame is."""
        return self._src / self._picture(self._numbers[frame])

    def acoustic_image(self, frame: int) -> npt.NDArray[np.float32]:
        """A frame's acoustic image, float32 `[36, 48, 12]`."""
        name = self._acoustic_image(self._numbers[frame])
        return turned(read_matrix(self._src / name, "MFCC", 3, name=name))

    def _read_block(self, name: str) -> npt.NDArray[np.int32]:
        expected = 4 * MICROPHONES * BLOCK
        data = read_bytes(self._src / name, name, expected + 1)
        if len(data) != expected:
            raise DamagedMedia(name, f"has not the {expected:,} bytes of a block; copy it again")
        return np.frombuffer(data, "<i4")[::MICROPHONES].astype(np.int32)  # [128, 1024] column by column, row 0

    def _block(self, number: int) -> str:
        return f"{self._video}/audio/A_{number:06d}.dc"

    def _picture(self, number: int) -> str:
        return f"{self._video}/video/I_{number:06d}.bmp"

    def _acoustic_image(self, number: int) -> str:
        return f"{self._video}/MFCC_Image/Data_{number}.mat"
