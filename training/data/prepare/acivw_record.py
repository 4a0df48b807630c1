"""A second of ACIVW as a TFRecord file, `class_X/data_YYY/Data_ZZZ.tfrecord`."""

from __future__ import annotations

import math
import re
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from training.data.prepare.acivw_second import BLOCK, FRAMES, turned
from training.data.prepare.tfrecord import SequenceExample, read_sequence_example
from training.model.media.source import DamagedMedia

_NAME = re.compile(r"Data_([0-9]{3}|[1-9][0-9]{3,5})\.tfrecord")

# Bytes, decompressed. The release's records have 3.4 million; this bounds what a small file may claim to hold.
MAX_RECORD = 8 * 1024 * 1024


class RecordSecond:
    """A second in a record. Sizes are the record's own, and must be those of its bytes; see `Second`."""

    def __init__(self, src: Path, video: str, second: int) -> None:
        self.name = f"{video}/Data_{second:03d}.tfrecord"
        self.sources = [src / self.name]
        self._class = int(video[len("class_")])

    @staticmethod
    def numbers(folder: Path) -> set[int]:
        """The seconds whose records a video's folder holds."""
        return {int(file.stem[len("Data_") :]) for file in folder.glob("Data_*.tfrecord") if _NAME.fullmatch(file.name)}

    def sound(self) -> npt.NDArray[np.int32]:
        """The first microphone's counts, int32 `[12288]`."""
        blocks = self._entries("audio/data", "<i4", ("audio_data/mics", "audio_data/samples"))
        if blocks[0].shape[1] != BLOCK:
            raise DamagedMedia(
                self.name, f"has {blocks[0].shape[1]} samples in a block instead of {BLOCK}; convert or copy it again"
            )
        return np.concatenate([block[0] for block in blocks]).astype(np.int32)

    def picture(self, frame: int) -> Image.Image:
        """A frame, 0 to 11, in RGB."""
        bgr = self._entries("video/image", "u1", ("video/height", "video/width", "video/depth"))[frame]
        if bgr.shape[2] != 3:
            raise DamagedMedia(self.name, f"has {bgr.shape[2]} colours instead of 3; convert or copy it again")
        return Image.fromarray(np.ascontiguousarray(bgr[..., ::-1]))

    def picture_file(self, frame: int) -> None:
        """Pictures are in the record."""

    def acoustic_image(self, frame: int) -> npt.NDArray[np.float32]:
        """A frame's acoustic image, float32 `[36, 48, 12]`."""
        sizes = ("audio_image/height", "audio_image/width", "audio_image/depth")
        return turned(self._entries("audio/image", "<f4", sizes)[frame].astype(np.float32))

    @cached_property
    def _example(self) -> SequenceExample:
        example = read_sequence_example(self.sources[0], name=self.name, max_bytes=MAX_RECORD)
        said = example.integer("classes")
        if said != self._class:
            raise DamagedMedia(self.name, f"says that it is of class {said}; move it there")
        return example

    def _entries(self, key: str, kind: str, sizes: tuple[str, ...]) -> list[npt.NDArray[np.generic]]:
        """The arrays of a feature list, of the shape that the context says."""
        shape = tuple(self._example.integer(size) for size in sizes)
        values = self._example.byte_strings(key, FRAMES)
        expected = math.prod(shape) * np.dtype(kind).itemsize
        if min(shape) < 1 or any(len(value) != expected for value in values):
            raise DamagedMedia(
                self.name, f"holds '{key}' in another size than {' x '.join(map(str, shape))}; convert or copy it again"
            )
        return [np.frombuffer(value, kind).reshape(shape) for value in values]
