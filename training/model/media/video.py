"""Videos to single pictures, through PyAV (FFmpeg). Their sound is read by `sound`, which opens the same containers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import av
from PIL import Image

from training.model.media.container import check_packets, films, opened
from training.model.media.image import MAX_PIXELS
from training.model.media.source import DamagedMedia, EmptyMedia, MediaTooLarge, Source, UnsupportedMedia, name_of

_READ = "send MP4, MOV, MKV or WebM"
_NOT_VIDEO = f"is not a video that can be read, or is cut off; {_READ}"
_SKIP = 8.0  # seconds ahead from which jumping to a key frame is cheaper than decoding what lies between
_HOLD = 10.0  # seconds that the last picture stands at most; a header that claims more is wrong


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Attributes:
        seconds: from its first sound (its first picture where it is mute) to the end of its pictures, as the file
            itself claims; 0.0 without pictures.
        has_pictures: whether there are moving pictures; a cover is none.
        has_sound: whether there is a sound track.
    """

    seconds: float
    has_pictures: bool
    has_sound: bool


def video_info(source: Source, *, name: str | None = None) -> VideoInfo:
    """How long a video is and what it holds, without decoding it.

    Raises:
        MediaError: one sentence that names the file and the remedy.
    """
    name = name_of(source, name)
    with opened(source, name, _NOT_VIDEO) as container:
        film = next(iter(films(container)), None)
        seconds = 0.0 if film is None else max(0.0, _end(container, film) - _origin(container, film))
        return VideoInfo(seconds, film is not None, bool(container.streams.audio))


def read_frames(
    source: Source,
    times: Sequence[float],
    *,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Image.Image]:
    """The pictures that a video shows at given times, upright RGB, one after the other as they are decoded.

    Time 0 is where the sound track begins, as in `read_sound`; of a mute video, where its pictures begin. Before the
    first picture the first is given. Rotation that the file asks for is applied. Pictures end where the video ends:
    of times beyond it none is given.

    Args:
        source: the file's bytes or its path.
        times: seconds, rising.
        name: what messages call it.
        max_pixels: larger pictures are refused before they are decoded.

    Raises:
        MediaError: one sentence that names the file and the remedy.
        ValueError: times do not rise, or begin below 0.
    """
    if any(second <= first for first, second in pairwise([-1e-9, *times])):
        raise ValueError(f"times must rise from 0, not {list(times)}")
    name = name_of(source, name)
    with opened(source, name, _NOT_VIDEO) as container:
        film = _Film(container, name, max_pixels)
        for time in times:
            picture = film.at(time)
            if picture is None:
                break
            yield picture
        film.check()


class _Film:
    """Pictures of an open video, by rising time."""

    def __init__(self, container: Any, name: str, max_pixels: int) -> None:
        self.container, self.name, self.max_pixels = container, name, max_pixels
        stream = next(iter(films(container)), None)
        if stream is None:
            raise UnsupportedMedia(name, "has no moving pictures; send a video")
        if stream.codec_context is None:
            raise UnsupportedMedia(name, f"has pictures in a coding that can't be read; {_READ}")
        stream.codec_context.thread_count = 1  # files are read in parallel already
        self.stream = stream
        self._check_size(stream.codec_context.width, stream.codec_context.height)
        self.origin = _origin(container, stream)
        self.good = self.bad = 0
        self.jumps = True
        self.frames = self._decode()
        self.shown: av.VideoFrame | None = None
        self.coming: av.VideoFrame | None = next(self.frames, None)

    def at(self, time: float) -> Image.Image | None:
        """The picture that is shown at a time, None after the end."""
        if self.jumps and self.coming is not None and time - self._time(self.coming) > _SKIP:
            self._jump(time, self._time(self.coming))
        while self.coming is not None and self._time(self.coming) <= time + 1e-6:
            self.shown, self.coming = self.coming, next(self.frames, None)
        if self.coming is None and (self.shown is None or time - self._time(self.shown) > _HOLD):
            return None
        frame = self.shown or self.coming
        return None if frame is None else self._picture(frame)

    def check(self) -> None:
        """Complain of a video that could not be decoded."""
        check_packets(self.name, self.good, self.bad)
        if not self.good:
            raise EmptyMedia(self.name, "holds no pictures; check how it was recorded or exported")

    def _jump(self, time: float, here: float) -> None:
        offset = int((time + self.origin) / self.stream.time_base)
        try:
            self.container.seek(offset, stream=self.stream, backward=True)
        except av.FFmpegError:
            self.jumps = False  # no way to jump in this file: decode what lies between
            return
        self.frames = self._decode()
        self.shown, self.coming = None, next(self.frames, None)
        # with hardly any key frames a jump leads back, and every further one would again
        self.jumps = self.coming is not None and self._time(self.coming) > here

    def _decode(self) -> Iterator[av.VideoFrame]:
        for packet in self.container.demux(self.stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.bad += 1
                continue
            self.good += bool(frames)
            yield from (frame for frame in frames if frame.time is not None)

    def _time(self, frame: av.VideoFrame) -> float:
        return float(frame.time or 0.0) - self.origin

    def _picture(self, frame: av.VideoFrame) -> Image.Image:
        self._check_size(frame.width, frame.height)
        try:
            picture = frame.to_image()
        except ValueError as error:  # a layout of pixels that FFmpeg can't convert
            raise DamagedMedia(self.name, f"has pictures that can't be converted ({error}); export it again") from None
        turn = frame.rotation % 360  # degrees, against the clock, as Pillow counts
        return picture.rotate(turn, expand=True) if turn else picture

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self.max_pixels:
            said = f"has {width} x {height} pixels, over the limit of {self.max_pixels:,}; scale it down first"
            raise MediaTooLarge(self.name, said, self.max_pixels)


def _origin(container: Any, film: Any) -> float:
    """When the sound track begins, on the file's own clock; of a mute video, when the pictures do."""
    first = next(iter(container.streams.audio), film)
    return float(first.start_time * first.time_base) if first.start_time is not None else 0.0


def _end(container: Any, film: Any) -> float:
    """When the pictures end, on the file's own clock."""
    if film.duration is not None:
        return float(((film.start_time or 0) + film.duration) * film.time_base)
    if container.duration is not None:
        return float(((container.start_time or 0) + container.duration) / av.time_base)
    # browsers record WebM without saying how long it became: see when the last packet ends
    ends = [packet.pts + (packet.duration or 0) for packet in container.demux(film) if packet.pts is not None]
    return float(max(ends, default=0) * film.time_base)
