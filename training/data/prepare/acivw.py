"""ACIVW as its owners distribute it: videos of 10 outdoor classes with their sound and acoustic images."""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.data.parallel import in_parallel
from training.data.prepare.acivw_lists import Listed, pair_up, read_lists
from training.data.prepare.acivw_raw import RawSecond
from training.data.prepare.acivw_record import RecordSecond
from training.data.prepare.acivw_second import SAMPLE_RATE, Second
from training.data.prepare.cut import write_flac
from training.data.prepare.notes import NOTES, Notes, state_of
from training.data.prepare.output import Output, Prepared, PrepareError, open_output
from training.data.rows import Row
from training.model.draft import replaced_file
from training.model.media.source import DamagedMedia, MediaError, MissingMedia

# by the number in class_0 to class_9
LABELS = (
    *("train", "boat", "drone", "fountain", "drill"),
    *("razor", "hair dryer", "vacuum cleaner", "shopping cart", "traffic"),
)
IMAGES, SOUNDS, ACOUSTIC = "images", "sounds", "acoustic"
_SUFFIXES = {IMAGES: ".png", SOUNDS: ".flac", ACOUSTIC: ".npy"}
PEAK = 16_384  # where a sample's loudest point comes to lie: half of full scale, as resampling may overshoot it

_FULL_SCALE = 32_767
_AHEAD = 256  # results are small; a slow file must not hold up the others


@dataclass(frozen=True)
class PreparedAcivw(Prepared):
    """What preparing ACIVW made.

    Attributes:
        single: seconds that are listed without a neighbour to go with, and are in no sample.
    """

    single: int = 0


def prepare_acivw(
    src: Path, out: Path, lists: Path | None = None, gain: float | None = None, acoustic: bool = False
) -> PreparedAcivw:
    """Make a data set of ACIVW, converted to TFRecord files or as it was recorded.

    - Two consecutive seconds of a video that one list names are a sample; no second is in two samples.
    - Its picture is the frame at its middle, the first of the later second: written as PNG, or the recording's BMP.
    - Its sound is the first microphone's 24,576 counts at 12,288 Hz, less their mean, written as 16-bit FLAC. What full
      scale is in counts is not known, so each sample is scaled to a peak of half of full scale; the release's own
      loader, too, divides each by its peak. A `gain` keeps loudness instead.
    - Its split is the list's, its clip the video.

    Files that can't be read are left out and listed in `unreadable.csv`, seconds that are listed and not there in
    `missing.csv`. The rows file is written last. Run again, only what has changed is made.

    Args:
        src: the folder with class_0 to class_9; nothing in it is changed.
        out: the folder for images/, sounds/, acoustic/ and rows.csv.
        lists: the folder with the split lists; `src/lists` when None.
        gain: one factor from counts to int16 for all; samples that it would clip are left out.
        acoustic: also write each picture's acoustic image, see `read_acoustic_image`.

    Raises:
        PrepareError: a list is missing or broken, no video that they name is there, the gain is no number above 0, or
            `out` can't be written or holds something else.
    """
    if gain is not None and not 0 < gain < math.inf:
        raise PrepareError(f"--gain takes a number above 0, not {gain:g}")
    with open_output(src, out, "acivw", (IMAGES, SOUNDS, ACOUSTIC, NOTES)) as output:
        listed = read_lists(src / "lists" if lists is None else lists)
        found = _find_seconds(output.src)
        there = {(line.video, line.second) for line in listed} & found
        if not there:
            raise PrepareError(
                f"{src} holds nothing that the lists name, such as {_record(listed[0])}; name the folder with class_0 "
                "to class_9"
            )
        samples = _pair_up(listed)
        output.missing += [(_record(line), line.where) for line in listed if (line.video, line.second) not in there]
        output.unlisted = len(found - there)
        output.begin()
        rows = _Making(output, gain, acoustic).run([sample for sample in samples if sample.seconds <= there])
        made = output.finish(rows)
        return PreparedAcivw(**vars(made), single=len(listed) - 2 * len(samples))


def read_acoustic_image(data: Path, row: Row) -> npt.NDArray[np.float32]:
    """The acoustic image of a row's picture, where the data set was prepared with them.

    Args:
        data: the data set's folder.
        row: one of its rows.

    Returns:
        float32 `[36, 48, 12]`: y downwards and x to the right as in the picture, coefficient.

    Raises:
        PrepareError: there is none, or it can't be read.
    """
    file = data / ACOUSTIC / f"{row.id.replace(':', '/')}{_SUFFIXES[ACOUSTIC]}"
    try:
        with file.open("rb") as stream:
            return np.lib.format.read_array(stream, allow_pickle=False).astype(np.float32, copy=False)
    except (OSError, ValueError, EOFError):
        raise PrepareError(f"{file} can't be read; prepare the data set with --acoustic") from None


@dataclass(frozen=True)
class _Sample:
    """Two seconds of a video, the first of which is number `second`."""

    split: str
    video: str
    second: int

    @property
    def seconds(self) -> set[tuple[str, int]]:
        return {(self.video, self.second), (self.video, self.second + 1)}

    @property
    def name(self) -> str:
        return f"{self.video}/{self.second:03d}"

    @property
    def id(self) -> str:
        return self.name.replace("/", ":")

    def file(self, kind: str) -> str:
        """The path of its picture, sound or acoustic image in the output folder."""
        return f"{kind}/{self.name}{_SUFFIXES[kind]}"


class _Making:
    def __init__(self, output: Output, gain: float | None, acoustic: bool) -> None:
        self.output, self.gain, self.acoustic = output, gain, acoustic

    def run(self, samples: Sequence[_Sample]) -> list[Row]:
        """The samples' rows; what can't be read is left out."""
        rows = []
        with Notes(self.output.folder / NOTES) as notes:

            def make(sample: _Sample) -> Row | MediaError:
                try:
                    return self._make(sample, notes)
                except MediaError as error:
                    return error

            for made in in_parallel(make, samples, "preparing", unit="sample", ahead=_AHEAD):
                if isinstance(made, MediaError):
                    self.output.leave_out(made)
                else:
                    rows.append(made)
        return rows

    def _make(self, sample: _Sample, notes: Notes) -> Row:
        """Write a sample's files, unless an earlier run has written them of the same sources."""
        first, later = (_open_second(self.output.src, sample.video, sample.second + place) for place in (0, 1))
        picture = later.picture_file(0) or self.output.folder / sample.file(IMAGES)
        files = [picture, *(self.output.folder / sample.file(kind) for kind in self._kinds())]
        state = self._state([*first.sources, *later.sources])
        if notes.known(sample.id, state) is None or not all(file.is_file() for file in files):
            self._write(sample, first, later)
            notes.note(sample.id, state, [])
        return Row(
            split=sample.split,
            label=LABELS[int(sample.video[len("class_")])],
            image=self.output.path_to(picture),
            sound=sample.file(SOUNDS),
            clip=sample.video,
            id=sample.id,
        )

    def _kinds(self) -> list[str]:
        return [SOUNDS, ACOUSTIC] if self.acoustic else [SOUNDS]

    def _write(self, sample: _Sample, first: Second, later: Second) -> None:
        """Read all of a sample, then write it: what is broken leaves nothing behind."""
        wave = to_int16(np.concatenate([first.sound(), later.sound()]), self.gain, sample.name)
        picture = later.picture(0)
        acoustic_image = later.acoustic_image(0) if self.acoustic else None
        out = self.output.folder
        with replaced_file(out / sample.file(SOUNDS)) as file:
            write_flac([wave], SAMPLE_RATE, file)
        if not later.picture_file(0):
            with replaced_file(out / sample.file(IMAGES)) as file:
                picture.save(file, "PNG")
        if acoustic_image is None:
            (out / sample.file(ACOUSTIC)).unlink(missing_ok=True)
        else:
            with replaced_file(out / sample.file(ACOUSTIC)) as file, file.open("wb") as stream:
                np.save(stream, acoustic_image, allow_pickle=False)

    def _state(self, sources: Sequence[Path]) -> list[int]:
        """A sample's own size and time: the sum of its sources' sizes, and a hash of all that it is made of."""
        states = [_state_of(file) for file in sources]
        made_of = json.dumps([states, self.gain, self.acoustic])
        digest = int.from_bytes(hashlib.sha256(made_of.encode()).digest()[:6])
        return [sum(size for size, _ in states), digest]


def to_int16(counts: npt.NDArray[np.int32], gain: float | None, name: str) -> npt.NDArray[np.int16]:
    """A sample's sound: counts less their mean, times the gain; where that is None, to a peak of half of full scale.

    Args:
        counts: int32 `[l]`.
        gain: from counts to int16.
        name: what messages call the sample.

    Raises:
        DamagedMedia: the gain would clip it.
    """
    wave = counts - counts.mean(dtype=np.float64)
    peak = float(np.abs(wave).max())
    if gain is None:
        gain = PEAK / peak if peak >= 1 else 0.0
    elif peak * gain > _FULL_SCALE:
        raise DamagedMedia(name, f"would clip at --gain {gain:g}; use at most {0.995 * _FULL_SCALE / peak:.3g}")
    return np.rint(wave * gain).astype(np.int16)


def _pair_up(listed: Sequence[Listed]) -> list[_Sample]:
    seconds: dict[tuple[str, str], list[int]] = defaultdict(list)
    for line in listed:
        seconds[line.split, line.video].append(line.second)
    return [_Sample(*key, second) for key, numbers in seconds.items() for second in pair_up(numbers)]


def _find_seconds(src: Path) -> set[tuple[str, int]]:
    """All seconds that are there, whole or not: video and number."""
    folders = src.glob("class_[0-9]/data_*")
    return {
        (folder.relative_to(src).as_posix(), second)
        for folder in folders
        for second in RecordSecond.numbers(folder) | RawSecond.numbers(folder)
    }


def _open_second(src: Path, video: str, second: int) -> Second:
    record = RecordSecond(src, video, second)
    return record if record.sources[0].exists() else RawSecond(src, video, second)


def _state_of(file: Path) -> list[int]:
    try:
        return state_of(file, file.name)
    except MissingMedia:  # whether that matters is found when it is read
        return [0, 0]


def _record(line: Listed) -> str:
    return f"{line.video}/Data_{line.second:03d}.tfrecord"
