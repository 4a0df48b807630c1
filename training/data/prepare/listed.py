"""Clips as lists name them: each once, though lines may repeat or contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from training.data.prepare.clip import Clip
from training.data.prepare.output import Output
from training.data.prepare.table import Line
from training.model.media.source import DamagedMedia

SPLITS = ("test", "val", "train")  # a clip that several list is of the first of them


@dataclass(slots=True)
class Listed:
    """A clip as a split's list names it.

    Attributes:
        split: `test`, `val` or `train`.
        line: the first line of that split to name it.
        other: one of the same split that gives it another label, None where there is none.
    """

    split: str
    line: Line
    other: Line | None = None

    @property
    def label(self) -> str:
        """Its class, empty where the list has none."""
        return self.line.cells.get("label", "")


def by_name(lines: Iterable[tuple[str, str, Line]]) -> dict[str, Listed]:
    """File name → the clip, of lines that come with their split and the file's name."""
    listed: dict[str, Listed] = {}
    for split, name, line in sorted(lines, key=lambda entry: SPLITS.index(entry[0])):
        clip = listed.setdefault(name, Listed(split, line))
        label = line.cells.get("label")
        if clip.split == split and clip.label and label and label != clip.label:
            clip.other = clip.other or line
    return listed


def take(output: Output, listed: Mapping[str, Listed], there: Mapping[str, str]) -> list[Clip]:
    """The clips that are listed and there; those that are not there, or are contradicted, are noted in the output.

    Args:
        output: of the data set.
        listed: name → the clip.
        there: name → its file's path below the data set's folder.
    """
    clips = []
    for name, clip in listed.items():
        if name not in there:
            output.missing.append((name, clip.line.where))
        elif clip.other:
            said = (f"{line['label']!r} at {line.where}" for line in (clip.line, clip.other))
            output.leave_out(DamagedMedia(there[name], f"is {' and '.join(said)}; remove one of the lines"))
        else:
            clips.append(Clip(there[name], clip.split, clip.label, clip.line["youtube_id"]))
    return clips
