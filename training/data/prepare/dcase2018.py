"""DCASE 2018, task 1A (acoustic scenes) as its owners distribute it: the development set, in its one official fold."""

from __future__ import annotations

from pathlib import Path

from training.data.prepare.cut import spread
from training.data.prepare.folder import row_id
from training.data.prepare.notes import NOTES
from training.data.prepare.output import Prepared, PrepareError, open_output
from training.data.prepare.recording import read_recordings
from training.data.prepare.split import take_val
from training.data.prepare.table import Line, read_table
from training.data.rows import Row

NAME = "TUT-urban-acoustic-scenes-2018-development"
SECONDS = 2.0  # of a segment, the models' window
_SETUP = "evaluation_setup"
_META = ("filename", "scene_label", "identifier", "source_label")


def prepare_dcase2018(src: Path, out: Path, val: float = 0.1) -> Prepared:
    """Make a data set of the development set's sounds of 10 s, each as five segments of 2 s; they are not copied.

    A row is a segment: `start` and `duration` in the file that its segments share. Its label is the scene as the owners
    spell it, its clip the place of the recording (`identifier` in `meta.csv`).

    Args:
        src: the folder of the development set, or the one that holds it; nothing in it is changed.
        out: the folder for rows.csv.
        val: share of the places of `fold1_train.txt` that becomes val; 0 leaves the official fold whole. `test` is
            `fold1_evaluate.txt`.

    Raises:
        PrepareError: lists or sounds are not where they should be, a list is broken or contradicts another, or `out`
            can't be written.
    """
    src = src / NAME if (src / NAME).is_dir() else src
    with open_output(src, out, "dcase2018", (NOTES,)) as output:
        if not (src / "audio").is_dir():
            raise PrepareError(f"{src / 'audio'} is not there; name the folder {NAME}, unpacked with all its parts")
        places, train, test = _lists(src)
        held_out = take_val({places[path]["identifier"] for path in train}, val)
        output.begin()
        rows = []
        for path, seconds in read_recordings(output, train | test).items():
            place = places[path]["identifier"]
            for start, duration in spread(seconds, SECONDS, most=10_000):
                rows.append(
                    Row(
                        split="test" if path in test else "val" if place in held_out else "train",
                        label=places[path]["scene_label"],
                        sound=output.path_to(output.src / path),
                        clip=place,
                        id=row_id(path.removeprefix("audio/").removesuffix(".wav"), f":{start:g}"),
                        start=start,
                        duration=duration,
                    )
                )
        return output.finish(rows)


def _lists(src: Path) -> tuple[dict[str, Line], dict[str, Line], dict[str, Line]]:
    """The lines of `meta.csv`, and of the fold's two parts, by path. Raises `PrepareError` where they disagree."""
    meta = _by_path(read_table(src / "meta.csv", _META, tabs=True))
    train, test = (
        _by_path(read_table(src / _SETUP / f"fold1_{part}.txt", _META[:2], header=False, tabs=True))
        for part in ("train", "evaluate")
    )
    names = _by_path(read_table(src / _SETUP / "fold1_test.txt", _META[:1], header=False, tabs=True))
    for path in sorted(names.keys() ^ test.keys()):
        line = names.get(path) or test[path]
        raise line.refused(f"{path} is not in both fold1_test.txt and fold1_evaluate.txt")
    for path, line in [*train.items(), *test.items()]:
        if path not in meta or meta[path]["scene_label"] != line["scene_label"]:
            raise line.refused(f"meta.csv does not say of {path} that it is {line['scene_label']!r}")
        if not line["scene_label"] or not meta[path]["identifier"]:
            raise line.refused(f"meta.csv has no label or no identifier of {path}")
        if path in train and path in test:
            raise line.refused(f"{path} is in fold1_train.txt and in fold1_evaluate.txt")
    return meta, train, test


def _by_path(lines: list[Line]) -> dict[str, Line]:
    return {line.path("filename"): line for line in lines}
