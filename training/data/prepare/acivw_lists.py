"""ACIVW's split lists: which seconds of which video train, validate and test."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from training.data.prepare.output import PrepareError

_SPLITS = ("train", "val", "test")  # each is in its list's name: training.txt, validation.txt, testing.txt
_RECORD = re.compile(r"(?:^|/)(class_[0-9]/data_[0-9]{1,6})/Data_([0-9]{1,6})\.tfrecord$")


@dataclass(frozen=True, order=True)
class Listed:
    """A line of a list.

    Attributes:
        split: `train`, `val` or `test`.
        video: such as `class_0/data_046`.
        second: 1 is the video's first.
        where: the list and the line's number.
    """

    split: str
    video: str
    second: int
    where: str


def read_lists(folder: Path) -> list[Listed]:
    """Read a folder's three lists, the text files with train, val and test in their names; each second once, in order.

    A line ends in `class_X/data_YYY/Data_ZZZ.tfrecord`; what is before that is not looked at.

    Raises:
        PrepareError: a list is missing, there are two for a split, a line is something else, a second is in two, or all
            are empty.
    """
    texts = sorted(folder.glob("*.txt"))
    seconds: dict[tuple[str, int], Listed] = {}
    for split in _SPLITS:
        files = [file for file in texts if split in file.name.lower()]
        if len(files) != 1:
            found = " and ".join(file.name for file in files) or "no list"
            raise PrepareError(
                f"{folder} holds {found} for {split}; put the release's training.txt, validation.txt and testing.txt "
                "there and no others, or name their folder with --lists"
            )
        for line in _read_list(files[0], split):
            other = seconds.setdefault((line.video, line.second), line)
            if other.split != split:
                raise PrepareError(f"{folder}: {line.where} lists what {other.where} lists; remove one of the lines")
    if not seconds:
        raise PrepareError(f"{folder}: the lists name nothing; copy the release's again")
    return sorted(seconds.values())


def pair_up(seconds: Iterable[int]) -> list[int]:
    """First seconds of pairs of seconds that follow each other; no second is in two pairs."""
    firsts: list[int] = []
    waiting: int | None = None
    for second in sorted(seconds):
        if waiting is not None and second == waiting + 1:
            firsts.append(waiting)
            waiting = None
        else:
            waiting = second
    return firsts


def _read_list(file: Path, split: str) -> Iterable[Listed]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PrepareError(f"{file} can't be read as text ({error}); copy it again") from None
    for number, line in enumerate(lines, 1):
        match = _RECORD.search(line.strip().replace("\\", "/"))
        if match:
            yield Listed(split, match[1], int(match[2]), f"{file.name} line {number}")
        elif line.strip():
            raise PrepareError(f"{file} line {number} does not end in class_X/data_YYY/Data_ZZZ.tfrecord; correct it")
