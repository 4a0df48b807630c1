"""Kinetics-400 as its owners and mirrors distribute it: lists of YouTube clips, and the clips as MP4."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from training.data.join import part
from training.data.prepare.clip import SUFFIX, Clip, check_limit, choose_clips, find_clips, read_clips
from training.data.prepare.cut import FRAMES
from training.data.prepare.listed import by_name, take
from training.data.prepare.notes import NOTES
from training.data.prepare.output import Output, Prepared, PrepareError, open_output
from training.data.prepare.table import Line, read_table

Use = Literal["splits", "unpaired"]

_REPLACEMENT = "replacement"
_SPLITS = {"test": "test", "val": "val", "validate": "val", "train": "train"}  # what a list may call them
_COLUMNS = ("youtube_id", "time_start", "time_end", "split")  # and `label`, but not in the list of the test split


def prepare_kinetics400(src: Path, out: Path, use: Use = "splits", limit: int | None = None) -> Prepared:
    """Make a data set of Kinetics-400's clips: the frame in the middle of each, and the 2 s of sound around it.

    Lists are `annotations/*.csv`, or `*.csv` in `src` itself, with the columns `label,youtube_id,time_start,time_end,
    split`; clips `ID_START_END.mp4` (seconds, six digits) lie in the folder of their split, in folders of classes or
    without. A clip in `replacement` is taken in place of the one of the same name. What is listed and not there is
    counted, and listed in `missing.csv`; what is there and not listed is counted.

    Args:
        src: the folder; nothing in it is changed.
        out: the folder for frames/ and rows.csv.
        use: `splits` gives a row for each clip, in the split that the list says; `unpaired` gives the clips of `train`
            alone, each as two rows of split `unpaired`, an image and a sound, without a label.
        limit: at most so many clips, see `choose_clips`.

    Raises:
        PrepareError: lists or clips are not where they should be, a list is broken, `limit` is below 1, or `out` can't
            be written.
    """
    check_limit(limit)
    with open_output(src, out, "kinetics400", (FRAMES, NOTES)) as output:
        splits = ("train",) if use == "unpaired" else ("train", "val", "test")
        clips = choose_clips(_clips(output, src, splits), limit)
        output.begin()
        rows = read_clips(output, clips)
        return output.finish([row for pair in rows for row in part(pair)] if use == "unpaired" else rows)


def _clips(output: Output, src: Path, splits: Sequence[str]) -> list[Clip]:
    """The clips of some splits that are listed and there; the others are noted."""
    listed = by_name(_lines(src))
    there: dict[str, dict[str, str]] = {split: {} for split in _SPLITS.values()}
    for name, split in _SPLITS.items():
        there[split] |= find_clips(src / name, src) if (src / name).is_dir() else {}
    if not any(there[split] for split in splits):
        raise PrepareError(f"{src} holds no clips: put them as ID_START_END{SUFFIX} into {_either(src, splits)}")
    for split in splits:
        if there[split] and split not in {clip.split for clip in listed.values()}:
            raise PrepareError(f"{src / split} holds clips that no list names; put {split}.csv into {src}/annotations")
    replaced = find_clips(src / _REPLACEMENT, src) if (src / _REPLACEMENT).is_dir() else {}
    output.unlisted = sum(len(there[split].keys() - listed.keys()) for split in splits)
    wanted = {f"{clip.split}/{name}": clip for name, clip in listed.items() if clip.split in splits}
    files = {f"{split}/{name}": path for split in splits for name, path in (there[split] | replaced).items()}
    return take(output, wanted, files)


def _lines(src: Path) -> Iterator[tuple[str, str, Line]]:
    """Every line of the lists, with its split and its clip's file name."""
    folder = src / "annotations" if (src / "annotations").is_dir() else src
    endings = tuple(f"{name}.csv" for name in _SPLITS)
    files = sorted(file for file in folder.glob("*.csv") if file.name.endswith(endings) and file.name[0] != ".")
    if not files:
        raise PrepareError(f"{src} holds no lists: put train.csv, val.csv and test.csv into {src / 'annotations'}")
    for file in files:
        for line in read_table(file, _COLUMNS):
            split = _SPLITS[line.choice("split", list(_SPLITS))]
            if split != "test" and not line.cells.get("label"):
                raise line.refused("label is empty")
            times = f"{line.number('time_start'):06d}_{line.number('time_end'):06d}"
            yield split, f"{line.youtube_id('youtube_id')}_{times}{SUFFIX}", line


def _either(src: Path, splits: Sequence[str]) -> str:
    return " or ".join(f"{src / split}" for split in splits)
