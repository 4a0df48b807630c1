"""VGGSound as its owners distribute it: one list of YouTube clips, and the clips as MP4."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from training.data.prepare.clip import SUFFIX, Clip, check_limit, choose_clips, find_clips, read_clips
from training.data.prepare.cut import FRAMES
from training.data.prepare.listed import by_name, take
from training.data.prepare.notes import NOTES
from training.data.prepare.output import Output, Prepared, PrepareError, open_output
from training.data.prepare.split import take_val
from training.data.prepare.table import Line, read_table

LIST = "vggsound.csv"
_COLUMNS = ("youtube_id", "start", "label", "split")


def prepare_vggsound(src: Path, out: Path, val: float = 0.1, limit: int | None = None) -> Prepared:
    """Make a data set of VGGSound's clips: the frame in the middle of each, and the 2 s of sound around it.

    The list is `vggsound.csv` in `src`, without a header: YouTube id, start in seconds, label, split. Clips
    `ID_START.mp4` (six digits) lie anywhere below `src`. What is listed and not there is counted, and listed in
    `missing.csv`; what is there and not listed is counted.

    Args:
        src: the folder; nothing in it is changed.
        out: the folder for frames/ and rows.csv.
        val: share of the videos of split train that becomes val; 0 leaves the owners' split whole.
        limit: at most so many clips, see `choose_clips`.

    Raises:
        PrepareError: the list or clips are not where they should be, the list is broken, an option is out of its range,
            or `out` can't be written.
    """
    check_limit(limit)
    with open_output(src, out, "vggsound", (FRAMES, NOTES)) as output:
        clips = choose_clips(_clips(output, src, val), limit)
        output.begin()
        return output.finish(read_clips(output, clips))


def _clips(output: Output, src: Path, val: float) -> list[Clip]:
    """The clips that are listed and there; the others are noted."""
    listed = by_name(_lines(src))
    held_out = take_val({clip.line["youtube_id"] for clip in listed.values()}, val)
    for clip in listed.values():
        if clip.split == "train" and clip.line["youtube_id"] in held_out:
            clip.split = "val"
    there = find_clips(src, src)
    if not there:
        raise PrepareError(f"{src} holds no clips: put them as ID_START{SUFFIX} into {src / 'video'}")
    output.unlisted = len(there.keys() - listed.keys())
    return take(output, listed, there)


def _lines(src: Path) -> Iterator[tuple[str, str, Line]]:
    """Every line of the list, with its split and its clip's file name."""
    for line in read_table(src / LIST, _COLUMNS, header=False):
        if not line["label"]:
            raise line.refused("label is empty")
        name = f"{line.youtube_id('youtube_id')}_{line.number('start'):06d}{SUFFIX}"
        yield line.choice("split", ("test", "train")), name, line
