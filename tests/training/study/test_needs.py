"""What a data set must have for a study is looked at before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from training.data.packed import PackedData
from training.data.rows import Row, read_rows, write_rows
from training.study.needs import in_words, missing_rows, missing_scores, require
from training.study.plan import Arm, Study
from training.study.runs import Run, StudyError, make_config, runs_of
from training.study.studies import ALL, STUDIES

StudyTiny = Callable[..., int]


def packed(*kinds: str, name: str = "set") -> PackedData:
    """A data set of such rows: "train a both" is a pair of class a in train, "test - image" an image without label."""
    rows, index = [], []
    for number, kind in enumerate(kinds):
        split, label, what = kind.split()
        has = [what in ("both", "image"), what in ("both", "sound")]
        image, sound = (
            f"{number}.{ending}" if there else "" for there, ending in zip(has, ("jpg", "wav"), strict=True)
        )
        rows.append(Row(split=split, label=label.strip("-"), image=image, sound=sound))
        index.append([number if there else -1 for there in has])
    nothing = np.zeros(len(rows) + 1, np.int64)
    media = np.zeros((len(rows), 3, 1, 1), np.uint8)
    places = np.array(index, np.int32)
    return PackedData(Path(name), rows, places, media, np.zeros(0, np.int16), nothing, "data", 0)


PAIRS = ("train a both", "train b both")
WHOLE = (*PAIRS, "test a both", "test b both")
UNPAIRED = ("unpaired - sound", "unpaired - sound", "unpaired - image", "unpaired - image")


def of(names: Sequence[str], out: Path) -> tuple[list[Study], dict[str, dict[str, dict[int, Run]]]]:
    return [STUDIES[name] for name in names], {
        name: runs_of(STUDIES[name], out, "small", [], [0, 1], "data") for name in names
    }


def test_a_whole_data_set_serves_every_study(tmp_path: Path) -> None:
    assert require(*of(list(STUDIES), tmp_path), packed(*WHOLE, *UNPAIRED), packed(*WHOLE)) == []


@pytest.mark.parametrize(
    ("rows", "score", "lack"),
    [
        (("train a both", "test a both"), "image.probe", "labelled training images of two classes, and set has 1"),
        (("train - both", "test a both"), "sound.knn", "labelled training sounds of two classes, and set has 0"),
        (("train a image", "train b image", "test a both"), "sound.probe", "sounds of two classes, and set has 0"),
        (PAIRS, "image.knn", "set has no test images of a class that its split 'train' has"),
        ((*PAIRS, "test c both"), "sound.probe", "set has no test sounds of a class that its split 'train' has"),
        ((*PAIRS, "test a sound"), "sound_to_image.hit@1", "set has no labelled test images"),
        ((*PAIRS, "test a image", "test - sound"), "image_to_sound.map", "set has no labelled test sounds"),
    ],
)
def test_what_a_score_lacks_is_said(rows: Sequence[str], score: str, lack: str) -> None:
    study = Study("try", "A try", STUDIES["unpaired"].arms, ALL, [])
    assert lack in missing_scores(study, packed(*rows), None)[score]


def test_probes_of_a_study_that_transfers_are_looked_for_in_the_other_data_set() -> None:
    whole, bare = packed(*WHOLE, name="own"), packed(*PAIRS, name="other")
    assert missing_scores(STUDIES["table4"], bare, whole) == {}
    assert set(missing_scores(STUDIES["table4"], whole, bare)) == set(STUDIES["table4"].scores)
    assert "other has no test sounds" in in_words(missing_scores(STUDIES["table4"], whole, bare))


@pytest.mark.parametrize(
    ("unpaired", "lacks"), [("none", 0), ("sounds", 1), ("images", 1), ("both", 2)], ids=lambda value: str(value)
)
def test_an_arm_needs_the_unpaired_rows_that_it_trains_on(unpaired: str, lacks: int) -> None:
    arm = Arm("a", {"unpaired": unpaired})
    config = make_config(arm, "small", [], 0)
    assert missing_rows([config], packed(*WHOLE, *UNPAIRED)) == []
    found = missing_rows([config], packed(*WHOLE, "unpaired - sound"))
    assert len(found) == lacks
    if unpaired in ("sounds", "both"):
        assert "set has 1 rows of split 'unpaired' with a sound" in found[0]
    assert len(missing_rows([config], packed("train a both", *UNPAIRED))) == 1  # one pair is too few for any


def test_one_sentence_names_each_study_and_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(StudyError) as caught:
        require(*of(["table1", "figure6", "table2"], tmp_path), packed(*PAIRS, "test a sound", *UNPAIRED[2:]), None)
    assert str(caught.value) == (
        "table1: it trains on unpaired sounds, of which 2 are the least, and set has 0 rows of split 'unpaired' with a "
        "sound; none of its scores can be measured: image probe, image kNN (set has no test images of a class that its "
        "split 'train' has); figure6: none of its scores can be measured: image probe, image kNN (set has no test "
        "images of a class that its split 'train' has); add such rows, or leave out table1, figure6"
    )


def test_a_study_that_has_some_of_its_scores_goes_on(tmp_path: Path) -> None:
    (told,) = require(*of(["memory", "table2"], tmp_path), packed(*PAIRS, "test a sound", *UNPAIRED), None)
    assert told.startswith("memory: not all of its scores can be measured: image probe, image kNN (")
    assert "sound to image, hit@1, sound to image, mAP, image to sound, hit@1" in told


def test_nothing_is_trained_where_nothing_can_be_scored(
    study_tiny: StudyTiny, tiny_rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.csv"
    write_rows(rows, [row for row in read_rows(tiny_rows) if row.split not in ("unpaired", "test")])
    for folder in ("images", "sounds"):
        (tmp_path / folder).symlink_to(tiny_rows.parent / folder)
    assert study_tiny("table1 table3", tmp_path / "out", data=rows) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("bma: table1: it trains on unpaired sounds, ")
    assert "table3: it trains on unpaired images, " in told
    assert "sound to image, hit@5 (" in told
    assert list((tmp_path / "out").rglob("*")) == [tmp_path / "out" / "runs"]
