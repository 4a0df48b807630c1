"""Sound files that a data set lists: which are there, whether they can be read, and how long they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from training.data.prepare.cut import SAMPLE_RATE
from training.data.prepare.files import read_files
from training.data.prepare.notes import Numbers
from training.data.prepare.output import Output
from training.data.prepare.table import Line
from training.model.media.sound import read_sound


def read_recordings(output: Output, listed: Mapping[str, Line]) -> dict[str, float]:
    """Decode each sound once; what is not there or can't be read is noted in the output, and left out.

    Args:
        output: begun.
        listed: path below the data set's folder → where it is listed.

    Returns:
        path → seconds, by path.
    """
    there = [path for path in sorted(listed) if (output.src / path).is_file()]
    output.missing += [(path, listed[path].where) for path in sorted(listed.keys() - set(there))]
    return {path: seconds for path, (seconds,) in read_files(output, there, _read).items()}


def _read(file: Path, path: str) -> Numbers:
    return [len(read_sound(file, SAMPLE_RATE, name=path)) / SAMPLE_RATE]
