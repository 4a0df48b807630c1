"""VGGSound as its owners distribute it: one list of YouTube clips, and the clips as MP4."""

from __future__ import annotations

from pathlib import Path

from training.data.prepare.clip import SUFFIX, Clip, check_limit, choose_clips, find_clips, read_clips
from training.data.prepare.cut import FRAMES
from training.data.prepare.journal import JOURNAL
from training.data.prepare.output import Output, Prepared, PrepareError, open_output
from training.data.prepare.split import take_val
from training.data.prepare.table import Line, read_table

LIST = "vggsound.csv"
_COLUMNS = ("youtube_id", "start", "label", "split")


def prepare_vggsound(src: Path, out: Path, val: float = 0.1, limit: int | None = None) -> Prepared:
    """Make a data set of VGGSound's clips: the frame in the middle of each, and the 2 s of sound around it.

    The list is `vggsound.csv` in `src`, without a header: YouTube id, start in seconds, label, split. Clips
    `ID_START.mp4` (six digits) lie anywhere below `src`. What is listed and not there is counted, and listed in
    `missing.csv`.

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
    with open_output(src, out, "vggsound", (FRAMES, JOURNAL)) as output:
        clips = choose_clips(_clips(output, src, val), limit)
        output.begin()
        return output.finish(read_clips(output, clips))


def _clips(output: Output, src: Path, val: float) -> list[Clip]:
    """The clips that are listed and there; the missing ones are noted."""
    lines: dict[str, Line] = {}
    read = read_table(src / LIST, _COLUMNS, header=False)
    for line in sorted(read, key=lambda line: line.choice("split", ("test", "train"))):  # listed in both, it is of test
        lines.setdefault(f"{line.youtube_id('youtube_id')}_{line.number('start'):06d}{SUFFIX}", line)
        if not line["label"]:
            raise line.refused("label is empty")
    held_out = take_val({line["youtube_id"] for line in lines.values()}, val)
    there = find_clips(src, src)
    if not there:
        raise PrepareError(f"{src} holds no clips: put them as ID_START{SUFFIX} into {src / 'video'}")
    clips = []
    for name, line in lines.items():
        split = "val" if line["split"] == "train" and line["youtube_id"] in held_out else line["split"]
        if name in there:
            clips.append(Clip(there[name], split, line["label"], line["youtube_id"]))
        else:
            output.missing.append((name, line.where))
    return clips
