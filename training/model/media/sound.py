"""Sound files, and the sound tracks of videos, to int16 mono, through PyAV (FFmpeg)."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from training.model.media import suffixes
from training.model.media.container import check_packets, films, opened
from training.model.media.source import (
    DamagedMedia,
    EmptyMedia,
    MediaError,
    MediaTooLarge,
    Source,
    UnsupportedMedia,
    name_of,
)

Wave = npt.NDArray[np.int16]
Span = tuple[float, float | None]  # start and duration in seconds; None: to the end

SUFFIXES = suffixes.SOUNDS
VIDEO_SUFFIXES = suffixes.VIDEOS
MAX_SECONDS = 3600.0

# Hz. Outside of these a header is wrong, and following it costs memory: a few kilobytes that claim 1 Hz become hours,
# and a filter down from 1 GHz fills gigabytes.
_SLOWEST, _FASTEST = 1_000, 1_000_000
_CHANNELS = 64  # the most that FFmpeg's resampler takes

_READ = "send WAV, FLAC, MP3, Ogg, Opus, M4A/AAC, WebM, MP4 or MKV"
_NOT_SOUND = f"is not a sound that can be read, or is cut off; {_READ}"
_TYPES = {
    "wav": "audio/wav",
    "w64": "audio/x-w64",
    "aiff": "audio/aiff",
    "caf": "audio/x-caf",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "aac": "audio/aac",
}


class AllowanceSpent(Exception):
    """Sounds that may last only so long together last longer."""


class Allowance:
    """How many seconds several sounds may last together; to be shared by the threads that decode them."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds
        self._lock = threading.Lock()

    @property
    def spent(self) -> bool:
        """Whether more was asked of it than there was."""
        return self.left < 0

    def take(self, seconds: float) -> None:
        """Raises `AllowanceSpent`: there is not that much left, now and from then on."""
        with self._lock:
            self.left = self.left - seconds if self.left >= seconds else -1.0
            if self.spent:
                raise AllowanceSpent


def read_sound(
    source: Source,
    sample_rate: int,
    *,
    name: str | None = None,
    start: float = 0.0,
    duration: float | None = None,
    max_seconds: float = MAX_SECONDS,
    allowance: Allowance | None = None,
) -> Wave:
    """A sound file as one wave: the packed form, int16 `[L]` at `sample_rate` Hz.

    Any sample rate is resampled, several channels are averaged. A handful of undecodable packets (the odd ends of
    MP3 files) is passed over; a file with more is damaged.

    Args:
        source: the file's bytes or its path.
        sample_rate: Hz.
        name: what messages call it.
        start: seconds to leave out at the beginning.
        duration: seconds to keep after that, all when None.
        max_seconds: a longer stretch is refused.
        allowance: what is kept is taken from it, where several sounds may last only so long together.

    Raises:
        MediaError: one sentence that names the file and the remedy.
        AllowanceSpent: nothing is left of the allowance.
        ValueError: `start` is below 0, or `duration` is not above it.
    """
    (wave,) = read_segments(
        source, sample_rate, [(start, duration)], name=name, max_seconds=max_seconds, allowance=allowance
    )
    if isinstance(wave, MediaError):
        raise wave
    return wave


def read_segments(
    source: Source,
    sample_rate: int,
    spans: Sequence[Span],
    *,
    name: str | None = None,
    max_seconds: float = MAX_SECONDS,
    allowance: Allowance | None = None,
) -> list[Wave | MediaError]:
    """Several stretches of a sound file, which is decoded once for all of them and only as far as they reach.

    Args:
        source: the file's bytes or its path.
        sample_rate: Hz.
        spans: start and duration of each in seconds, to the end where the duration is None; in any order, and they
            may overlap.
        name: what messages call it.
        max_seconds: a longer stretch is refused.
        allowance: what is kept is taken from it.

    Returns:
        For each span what `read_sound` does with it alone: int16 `[L]`, or the `MediaError` that it raises. So a
        stretch before the place where a file is damaged is whole.

    Raises:
        AllowanceSpent: nothing is left of the allowance.
        ValueError: a start is below 0, or a duration is not above it.
    """
    name = name_of(source, name)
    cuts = [_Cut(span, sample_rate, max_seconds, name) for span in spans]
    coming = sorted(cuts, key=lambda cut: cut.first, reverse=True)
    open_cuts: list[_Cut] = []
    position = 0
    failure: MediaError | None = None
    try:
        for piece in decode_sound(source, sample_rate, name=name):
            while coming and coming[-1].first < position + len(piece):
                open_cuts.append(coming.pop())
            kept = sum(cut.add(piece, position) for cut in open_cuts)
            if allowance is not None:
                allowance.take(kept / sample_rate)
            position += len(piece)
            open_cuts = [cut for cut in open_cuts if cut.result is None]
            if not open_cuts and not coming:
                break
    except MediaError as error:
        failure = error
    return [cut.result if cut.result is not None else failure or cut.close(position) for cut in cuts]


def decode_sound(source: Source, sample_rate: int, *, name: str | None = None) -> Iterator[Wave]:
    """What `read_sound` gives, piece by piece as it is decoded: however long, little of it is in memory.

    Yields int16 `[l]` at `sample_rate` Hz; one after the other they are the wave. Raises as `read_sound` does, but
    neither for a long sound nor for one without samples.
    """
    name = name_of(source, name)
    good = bad = 0
    with opened(source, name, _NOT_SOUND) as container:
        if not container.streams.audio:
            raise UnsupportedMedia(name, "has no sound track; send a file with sound")
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise UnsupportedMedia(name, f"has sound in a coding that can't be read; {_READ}")
        resampler = _Resampler(sample_rate, name)
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                bad += 1
                continue
            good += bool(frames)
            for frame in frames:
                yield from resampler(frame)
        yield from resampler(None)
    check_packets(name, good, bad)


def sound_seconds(source: Source, *, name: str | None = None) -> float | None:
    """How long a file says it is, without decoding it; None where it does not say. Raises as `read_sound` does."""
    with opened(source, name_of(source, name), _NOT_SOUND) as container:
        claims = [stream.duration * stream.time_base for stream in container.streams.audio if stream.duration]
        if container.duration:
            claims.append(container.duration / av.time_base)
        return float(max(claims)) if claims else None


def sound_type(source: Source, *, name: str | None = None) -> str:
    """The media type that the file's own bytes say, such as `audio/wav`. Raises as `read_sound` does."""
    name = name_of(source, name)
    with opened(source, name, _NOT_SOUND) as container:
        kind = "video" if films(container) else "audio"
        form = str(container.format.name)
        if form.startswith("mov"):
            return f"{kind}/mp4"
        if form.startswith("matroska"):
            return f"{kind}/webm" if _webm_codecs(container) else f"{kind}/x-matroska"
        return _TYPES.get(form, "application/octet-stream")


def _webm_codecs(container: Any) -> bool:
    allowed = {"vp8", "vp9", "av1", "opus", "vorbis"}
    # a stream whose codec FFmpeg does not know has no codec context
    names = [stream.codec_context.name if stream.codec_context else "" for stream in container.streams]
    return all(name.removeprefix("lib") in allowed for name in names)


class _Cut:
    """A stretch of a sound that goes by piece by piece; `result` is None until it is whole, or too long."""

    def __init__(self, span: Span, sample_rate: int, max_seconds: float, name: str) -> None:
        start, duration = span
        if start < 0 or (duration is not None and duration <= 0):
            raise ValueError(f"start must be at least 0 and duration above 0, not {start} and {duration}")
        self.start, self.sample_rate, self.max_seconds, self.name = start, sample_rate, max_seconds, name
        self.first = round(start * sample_rate)
        self.last = None if duration is None else self.first + max(1, round(duration * sample_rate))
        self.pieces: list[Wave] = []
        self.kept = 0
        self.result: Wave | MediaError | None = None

    def add(self, piece: Wave, position: int) -> int:
        """Keep what belongs to the stretch of a piece at a position, and say how many samples that is."""
        wanted = piece[max(0, self.first - position) : None if self.last is None else self.last - position]
        self.kept += len(wanted)
        if self.kept > round(self.max_seconds * self.sample_rate):
            self.pieces.clear()
            said = f"is longer than {self.max_seconds:g} s; cut it into shorter files"
            self.result = MediaTooLarge(self.name, said, self.max_seconds)
            return 0
        self.pieces.append(wanted)
        if self.last is not None and position + len(piece) >= self.last:
            self.result = self.close(self.last)
        return len(wanted)

    def close(self, position: int) -> Wave | MediaError:
        """What is kept, once the sound has ended at a position or the stretch is whole."""
        if self.kept:
            wave = np.concatenate(self.pieces)
            self.pieces.clear()
            return wave
        if position and self.start > 0:
            ends = f"ends at {position / self.sample_rate:.2f} s, before the {self.start:g} s asked for"
            return EmptyMedia(self.name, f"{ends}; choose an earlier start")
        return EmptyMedia(self.name, "holds no sound; check how it was recorded or exported")


class _Resampler:
    """Frames to int16 mono; starts anew where a stream changes its rate or channels half-way."""

    def __init__(self, sample_rate: int, name: str) -> None:
        self.sample_rate = sample_rate
        self.name = name
        self.kind: tuple[Any, ...] | None = None
        self.resampler: av.AudioResampler | None = None

    def __call__(self, frame: av.AudioFrame | None) -> Iterator[Wave]:
        kind = None if frame is None else (frame.sample_rate, frame.layout.name, frame.format.name)
        if kind != self.kind:
            if self.resampler is not None:
                yield from self._samples(self.resampler.resample(None))
            self.resampler = None if frame is None else self._anew(frame)
            self.kind = kind
        if frame is not None and self.resampler is not None:
            frame.pts = None  # gaps in time stamps are no reason to invent or drop samples
            yield from self._samples(self.resampler.resample(frame))

    def _anew(self, frame: av.AudioFrame) -> av.AudioResampler:
        if not _SLOWEST <= frame.sample_rate <= _FASTEST:
            raise UnsupportedMedia(
                self.name, f"has a sample rate of {frame.sample_rate:,} Hz; export it at 8,000 to 192,000 Hz"
            )
        if frame.layout.nb_channels > _CHANNELS:
            raise UnsupportedMedia(
                self.name, f"has {frame.layout.nb_channels} channels; export it with at most {_CHANNELS}"
            )
        # interleaved: PyAV finds the end of a planar frame's list of planes by a null pointer, and with 8 or more
        # channels there is none
        return av.AudioResampler(format="flt", rate=self.sample_rate)

    def _samples(self, frames: list[av.AudioFrame]) -> Iterator[Wave]:
        for frame in frames:
            interleaved = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
            with np.errstate(invalid="ignore"):
                mono = interleaved.mean(axis=1, dtype=np.float64)
            if not np.isfinite(mono).all():
                raise DamagedMedia(
                    self.name, "holds samples that are not numbers (NaN or infinity); export it again as 16-bit PCM"
                )
            yield np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16)
