"""ESC-50 as its owner distributes it: 2000 sounds of 5 s, and the list that says what they are."""

from __future__ import annotations

import re
from pathlib import Path

from training.data.prepare.notes import NOTES
from training.data.prepare.output import Prepared, PrepareError, open_output
from training.data.prepare.recording import read_recordings
from training.data.prepare.table import Line, read_table
from training.data.rows import Row

FOLDS = 5
_LIST = "meta/esc50.csv"
_COLUMNS = ("filename", "fold", "target", "category", "src_file", "take")
_NAME = re.compile(r"(?P<fold>\d)-(?P<src_file>\d+)-(?P<take>[A-Z])-(?P<target>\d+)\.wav", re.ASCII)


def prepare_esc50(src: Path, out: Path, test_fold: int = 5, val_fold: int = 4) -> Prepared:
    """Make a data set of ESC-50's sounds; they are not copied.

    A row is a whole sound. Its label is the category as its owner spells it, its clip the recording it was taken from:
    no recording is in two folds.

    Args:
        src: the folder that holds `audio` and `meta`; nothing in it is changed.
        out: the folder for rows.csv.
        test_fold: 1 to 5, becomes `test`.
        val_fold: 1 to 5, becomes `val`; 0 for none. The others become `train`.

    Raises:
        PrepareError: list or sounds are not where they should be, the list is broken, a fold is not one, or `out`
            can't be written.
    """
    if not (1 <= test_fold <= FOLDS and 0 <= val_fold <= FOLDS and test_fold != val_fold):
        raise PrepareError(
            f"--test-fold takes a fold from 1 to {FOLDS} and --val-fold another, or 0 for none, "
            f"not {test_fold} and {val_fold}"
        )
    with open_output(src, out, "esc50", (NOTES,)) as output:
        if not (src / "audio").is_dir():
            raise PrepareError(f"{src / 'audio'} is not there; name the folder of ESC-50 that holds audio and meta")
        lines = {f"audio/{line['filename']}": _checked(line) for line in read_table(src / _LIST, _COLUMNS)}
        output.begin()
        splits = {test_fold: "test", val_fold: "val"}
        return output.finish(
            [
                Row(
                    split=splits.get(lines[path].number("fold"), "train"),
                    label=lines[path]["category"],
                    sound=output.path_to(output.src / path),
                    clip=lines[path]["src_file"],
                    id=Path(path).stem,
                )
                for path in read_recordings(output, lines)
            ]
        )


def _checked(line: Line) -> Line:
    """A line whose file name says the same as its other cells. Raises `PrepareError`."""
    name = _NAME.fullmatch(line["filename"])
    if not name:
        raise line.refused(f"filename is {line['filename']!r}, not FOLD-CLIP-TAKE-TARGET.wav")
    wrong = next((column for column, value in name.groupdict().items() if line[column] != value), None)
    if wrong:
        raise line.refused(f"{wrong} is {line[wrong]!r}, and {line['filename']} says otherwise")
    if not 1 <= line.number("fold") <= FOLDS or not line["category"]:
        raise line.refused(f"fold must be 1 to {FOLDS}, and category not empty")
    return line
