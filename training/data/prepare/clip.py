"""A short video as data sets distribute it: the picture in its middle, and the place of the sound around that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from training.data.prepare.cut import FRAMES, SAMPLE_RATE, SHORTEST, save_frame
from training.data.prepare.files import read_files, walk
from training.data.prepare.notes import Numbers
from training.data.prepare.output import Output, PrepareError
from training.data.prepare.split import share_of
from training.data.rows import Row
from training.model.draft import replaced_file
from training.model.media.container import opened
from training.model.media.sound import read_sound
from training.model.media.source import DamagedMedia, EmptyMedia
from training.model.media.video import read_frames, video_info

SECONDS = 2.0  # of sound, the models' window
SUFFIX = ".mp4"
_AGAIN = "download it again"


@dataclass(frozen=True)
class Clip:
    """A video of a data set.

    Attributes:
        path: its file, below the data set's folder.
        split: of its row.
        label: its class, empty where unknown.
        youtube_id: the video that it was taken from.
    """

    path: str
    split: str
    label: str
    youtube_id: str

    @property
    def name(self) -> str:
        """The file's name without its ending: a data set has it once."""
        return Path(self.path).stem


def find_clips(folder: Path, src: Path) -> dict[str, str]:
    """All videos below a folder, in subfolders too: file name → path below `src`; of two of one name, the first.

    Raises:
        PrepareError: a folder can't be read.
    """
    found: dict[str, str] = {}
    for parent, folders, names in walk(folder, _closed):
        folders[:] = filter(_is_text, folders)
        below = parent.relative_to(src).as_posix()
        for name in names:
            if name.endswith(SUFFIX):
                found.setdefault(name, name if below == "." else f"{below}/{name}")
    return found


def check_limit(limit: int | None) -> None:
    """Raises `PrepareError`: so many clips can't be chosen."""
    if limit is not None and limit < 1:
        raise PrepareError(f"--limit takes a whole number of at least 1, not {limit}")


def choose_clips(clips: Sequence[Clip], limit: int | None) -> list[Clip]:
    """At most so many clips, by a hash of their names alone: a larger limit adds clips, and takes none away."""
    if limit is None:
        return list(clips)
    return sorted(clips, key=lambda clip: share_of(f"limit {clip.name}"))[:limit]


def read_clips(output: Output, clips: Sequence[Clip]) -> list[Row]:
    """A row for each clip that can be read, by split and name.

    A row's image is the clip's middle frame, written to `frames/`; its sound is the clip's own file, with the middle
    2 s as `start` and `duration`. A clip without sound there has an image alone. Frames of earlier runs are kept where
    the clip is the same.

    Raises:
        OSError: the output folder can't be written.
    """

    def frame(path: str) -> Path:
        return output.folder / _frame(path)

    def read(file: Path, path: str) -> Numbers:
        return _read(file, path, frame(path))

    clips = sorted(clips, key=lambda clip: (clip.split, clip.name))
    found = read_files(output, [clip.path for clip in clips], read, frame)
    return [_row(output, clip, found[clip.path]) for clip in clips if clip.path in found]


def _row(output: Output, clip: Clip, heard: Numbers) -> Row:
    row = Row(clip.split, clip.label, _frame(clip.path), clip=clip.youtube_id, id=clip.name)
    if not heard:
        return row
    start, duration = heard
    return replace(row, sound=output.path_to(output.src / clip.path), start=start, duration=duration)


def _frame(path: str) -> str:
    return f"{FRAMES}/{path.removesuffix(SUFFIX)}.jpg"


def _read(file: Path, path: str, frame: Path) -> Numbers:
    """Write a clip's middle frame; start and duration of its sound, nothing where there is none to hear."""
    info = video_info(file, name=path)
    pictures = list(read_frames(file, [info.seconds / 2], name=path))
    if not pictures:
        raise DamagedMedia(path, f"ends before its middle; {_AGAIN}")
    duration = round(max(min(SECONDS, info.seconds), 0.001), 3)
    start = round(max(0.0, (info.seconds - duration) / 2), 3)
    heard = [start, duration] if info.has_sound and _is_heard(file, path, start, duration) else []
    with replaced_file(frame) as draft:
        save_frame(pictures[0], draft)
    return heard


def _is_heard(file: Path, path: str, start: float, duration: float) -> bool:
    """Whether there is a second of sound in a stretch, or all of a shorter one.

    Raises:
        MediaError: the sound can't be read, or ends before the file itself says that it does.
    """
    needed = min(SHORTEST, duration) - 0.1
    try:
        seconds = len(read_sound(file, SAMPLE_RATE, name=path, start=start, duration=duration)) / SAMPLE_RATE
    except EmptyMedia:  # the track is empty, or ends before
        seconds = 0.0
    if seconds < needed <= _claimed(file, path) - start:
        raise DamagedMedia(path, f"is cut off; {_AGAIN}")
    return seconds > 0 and seconds >= needed  # of a clip below 0.1 s nothing is needed


def _claimed(file: Path, path: str) -> float:
    """Seconds of sound that the file says it holds, 0.0 where it does not say."""
    with opened(file, path, f"can't be read; {_AGAIN}") as container:
        track = container.streams.audio[0]
        return float(track.duration * track.time_base) if track.duration else 0.0


def _is_text(name: str) -> bool:
    """Whether a rows file can hold a name: its bytes are UTF-8."""
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def _closed(error: OSError) -> None:
    raise PrepareError(f"{error.filename} can't be read ({error.strerror}); check the folder's permissions")
