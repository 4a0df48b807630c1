"""One video cut into pieces: a picture from the middle of each, and the sound track they share."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

from training.data.prepare.notes import state_of
from training.model.media.sound import decode_sound
from training.model.media.source import EmptyMedia, UnsupportedMedia
from training.model.media.video import read_frames, video_info

FRAMES, SOUNDS = "frames", "sounds"
SIDE = 512  # pixels of a frame's long side
SAMPLE_RATE = 22_050  # Hz, what models hear by default
SHORTEST = 1.0  # seconds of a last piece; of sound that makes a piece a pair

_SOURCE = "source.json"  # beside the frames: what they were made of
_SCHEMA = 1
_LONGEST_NAME = 240  # bytes, so that a suffix still fits


@dataclass(frozen=True)
class Piece:
    """A stretch of a video.

    Attributes:
        start: seconds from the beginning of the sound track.
        duration: seconds.
        image: its middle's frame, relative to the output folder.
        sound: the whole sound track, relative to the output folder; empty where there is none for this piece.
    """

    start: float
    duration: float
    image: str
    sound: str


@dataclass(frozen=True)
class Video:
    """A video to cut: its file, and its path below the folder that is prepared."""

    file: Path
    path: str


def cut_video(video: Video, out: Path, every: float, per_video: int) -> list[Piece]:
    """Cut a video into consecutive pieces; none where it has no moving pictures but only sound.

    Frames become `frames/<path>/<middle in ms>.jpg`, the sound track `sounds/<path>.flac`: mono int16 at 22 050 Hz as
    `read_sound` gives it, bit for bit. However long, it is decoded and written piece by piece, never held whole. What
    an earlier run made of the same file (its size and time are in `source.json` beside the frames) is kept.

    Args:
        video: the file, and what it is called.
        out: the output folder.
        every: seconds of a piece. A last piece shorter than 1 s is dropped unless it is the only one.
        per_video: at most so many pieces, spread evenly.

    Raises:
        MediaError: the video can't be read; nothing of it is left in the output folder's frames.
        OSError: the output folder can't be written.
    """
    if len(os.fsencode(video.file.name)) > _LONGEST_NAME:
        raise UnsupportedMedia(video.path, f"has a name longer than {_LONGEST_NAME} bytes; rename it")
    frames, sound = out / FRAMES / video.path, out / SOUNDS / f"{video.path}.flac"
    state = state_of(video.file, video.path)
    record = _read_record(frames / _SOURCE)
    same = record is not None and record.state == state and (sound.is_file() or not record.sound_seconds)
    if same and record and (record.every, record.per_video) == (every, per_video):
        pieces = [_piece(video, start, duration, record.sound_seconds) for start, duration in record.pieces]
        if all((out / piece.image).is_file() for piece in pieces):
            return pieces
    info = video_info(video.file, name=video.path)
    if not info.has_pictures:
        return []
    out.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".prepare-", dir=out))
    try:
        if same and record:
            sound_seconds = record.sound_seconds
        else:
            sound_seconds = _write_sound(video, draft / "sound.flac") if info.has_sound else 0.0
        (draft / FRAMES).mkdir()
        spans = _write_frames(video, draft / FRAMES, spread(info.seconds, every, per_video))
        new = _Record(state, every, per_video, sound_seconds, spans)
        (draft / FRAMES / _SOURCE).write_text(json.dumps(new.as_json()) + "\n", encoding="utf-8")
        if (draft / "sound.flac").exists():
            sound.parent.mkdir(parents=True, exist_ok=True)
            (draft / "sound.flac").replace(sound)
        frames.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(frames, ignore_errors=True)
        (draft / FRAMES).rename(frames)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return [_piece(video, start, duration, sound_seconds) for start, duration in spans]


def spread(seconds: float, every: float, most: int) -> list[tuple[float, float]]:
    """Start and duration of at most `most` of the consecutive pieces of a video, spread evenly over it."""
    whole = math.floor(seconds / every + 1e-6)
    rest = round(seconds - whole * every, 3)
    count = whole + (rest >= SHORTEST or not whole)
    chosen = range(count) if count <= most else [int((place + 0.5) * count / most) for place in range(most)]
    return [(round(n * every, 3), round(every, 3) if n < whole else max(rest, 0.001)) for n in chosen]


@dataclass(frozen=True)
class _Record:
    """What was made of a video, and from which state of it."""

    state: list[int]  # size in bytes, time of change in ns
    every: float
    per_video: int
    sound_seconds: float
    pieces: list[tuple[float, float]]

    def as_json(self) -> dict[str, object]:
        return {"schema": _SCHEMA, **vars(self)}


def _read_record(file: Path) -> _Record | None:
    """What an earlier run noted; None where there is nothing, or nothing of use."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if values.pop("schema") != _SCHEMA:
            return None
        pieces = [(float(start), float(duration)) for start, duration in values.pop("pieces")]
        return _Record(values["state"], values["every"], values["per_video"], float(values["sound_seconds"]), pieces)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _piece(video: Video, start: float, duration: float, sound_seconds: float) -> Piece:
    heard = sound_seconds - start >= min(SHORTEST, duration) - 0.1  # a track may end a little before the pictures
    image = f"{FRAMES}/{video.path}/{_frame_name(start, duration)}"
    return Piece(start, duration, image, f"{SOUNDS}/{video.path}.flac" if heard and sound_seconds else "")


def _frame_name(start: float, duration: float) -> str:
    return f"{round((start + duration / 2) * 1000):08d}.jpg"


def _write_frames(video: Video, folder: Path, spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Write the middles' frames; the pieces that the video really has."""
    pictures = read_frames(video.file, [start + duration / 2 for start, duration in spans], name=video.path)
    made = []
    # pictures first: at their end the reader tells whether the file was damaged
    for picture, (start, duration) in zip(pictures, spans, strict=False):
        save_frame(picture, folder / _frame_name(start, duration))
        made.append((start, duration))
    if not made:
        raise EmptyMedia(video.path, "holds no pictures; check how it was recorded or exported")
    return made


def save_frame(picture: Image.Image, file: Path) -> None:
    """Write a video's picture as JPEG, its long side at most 512 pixels; `picture` itself becomes that small."""
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    picture.save(file, "JPEG", quality=90)


def _write_sound(video: Video, file: Path) -> float:
    """Write the sound track as FLAC; its seconds, 0.0 (and no file) where the track is empty."""
    seconds = write_flac(decode_sound(video.file, SAMPLE_RATE, name=video.path), SAMPLE_RATE, file)
    if not seconds:
        file.unlink()
    return seconds


def write_flac(pieces: Iterable[npt.NDArray[np.int16]], sample_rate: int, file: Path) -> float:
    """Write a wave that comes in pieces, int16 `[l]` each, as mono FLAC; its seconds.

    Raises:
        OSError: the file can't be written.
        MediaError: what the pieces raise.
    """
    samples = 0
    # through a stream of ours, so that a full disk is an OSError with its own words
    with file.open("wb") as stream, av.open(stream, "w", format="flac") as container:
        track = container.add_stream("flac", rate=sample_rate, layout="mono", format="s16")
        for piece in pieces:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece)[None], "s16", "mono")
            frame.sample_rate, frame.pts = sample_rate, samples
            samples += len(piece)
            container.mux(track.encode(frame))
        if samples:
            container.mux(track.encode(None))
    return samples / sample_rate
