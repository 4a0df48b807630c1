"""ACIVW's lists say which seconds there are; what they name and is not there is listed, or one sentence."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.training.data.prepare.acivw.made import Make, listed, rows_of, write_lists
from training.data.prepare.acivw import prepare_acivw
from training.data.prepare.acivw_lists import pair_up, read_lists
from training.data.prepare.output import PrepareError


def remove(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder)


def test_gaps_odd_ends_and_what_no_list_names(
    tmp_path: Path, release: ModuleType, small: dict[str, Any], make: Make
) -> None:
    src = tmp_path / "src"
    small["train"] |= {100 + n: second for n, second in make(7, 5, [1, 2, 3, 5, 6, 8, 9, 10, 11]).items()}
    write_lists(release, src / "lists", small)
    make(6, 1, [1, 2])  # in no list
    (src / "class_6" / "data_001" / "Data_0099.tfrecord").touch()  # no name of a record
    make(3, 12, [5, 6, 7])  # beyond what the list names
    (src / "class_7" / "data_005" / "Data_006.tfrecord").unlink()
    shutil.rmtree(src / "class_9")
    made = prepare_acivw(src, tmp_path / "out")
    samples = {id for id in rows_of(tmp_path / "out") if id.startswith("class_7")}
    assert samples == {f"class_7:data_005:{second:03d}" for second in (1, 8, 10)}
    assert (made.single, made.unlisted, made.missing, made.unreadable) == (1, 5, 3, 0)
    missing = listed(tmp_path / "out" / "missing.csv")
    assert missing == {
        "class_7/data_005/Data_006.tfrecord": "training.txt line 9",
        "class_9/data_060/Data_001.tfrecord": "testing.txt line 1",
        "class_9/data_060/Data_002.tfrecord": "testing.txt line 2",
    }


@pytest.mark.parametrize(
    ("seconds", "firsts"),
    [
        ([], []),
        ([4], []),
        ([1, 2, 3, 4], [1, 3]),
        ([1, 2, 3], [1]),
        ([3, 1, 2, 5, 6, 9], [1, 5]),
        ([2, 3, 5, 7, 8, 9, 10], [2, 7, 9]),
    ],
)
def test_pairs_do_not_overlap(seconds: list[int], firsts: list[int]) -> None:
    assert pair_up(seconds) == firsts


def test_lists_with_other_prefixes_and_line_ends(tmp_path: Path, release: ModuleType) -> None:
    release.write_lists(tmp_path, ["class_0/data_001/Data_001.tfrecord"], [], [])
    (tmp_path / "Test_List.txt").write_bytes(
        b"\xef\xbb\xbfD:\\acivw\\class_1\\data_002\\Data_0012.tfrecord \r\n\r\nclass_1/data_002/Data_3.tfrecord\r\n"
    )
    (tmp_path / "testing.txt").unlink()
    (tmp_path / "readme.txt").write_text("not a list")
    assert [(line.split, line.video, line.second, line.where) for line in read_lists(tmp_path)] == [
        ("test", "class_1/data_002", 3, "Test_List.txt line 3"),
        ("test", "class_1/data_002", 12, "Test_List.txt line 1"),
        ("train", "class_0/data_001", 1, "training.txt line 1"),
    ]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda src: remove(src), "is not a folder"),
        (lambda src: remove(src / "lists"), "lists holds no list for train; put the release's"),
        (lambda src: (src / "lists" / "testing.txt").unlink(), "holds no list for test"),
        (lambda src: (src / "lists" / "val.txt").write_text(""), "holds val.txt and validation.txt for val"),
        (
            lambda src: shutil.copy(src / "lists" / "training.txt", src / "lists" / "testing.txt"),
            "testing.txt line 1 lists what training.txt line 1 lists",
        ),
        (lambda src: (src / "lists" / "testing.txt").write_text("class_1/data_1"), "testing.txt line 1 does not end"),
        (
            lambda src: (src / "lists" / "testing.txt").write_text("class_10/data_001/Data_001.tfrecord"),
            "testing.txt line 1 does not end in class_X/data_YYY/Data_ZZZ.tfrecord",
        ),
        (lambda src: (src / "lists" / "testing.txt").write_bytes(b"\xff"), "can't be read as text"),
        (
            lambda src: remove(*src.glob("class_*")),
            "holds nothing that the lists name, such as class_9/data_060/Data_001.tfrecord; name the folder with",
        ),
        (
            lambda src: [file.write_text("") for file in (src / "lists").iterdir()],
            "the lists name nothing",
        ),
    ],
)
def test_what_is_missing_is_one_sentence(
    tmp_path: Path, small: dict[str, Any], spoil: Callable[[Path], Any], says: str
) -> None:
    spoil(tmp_path / "src")
    with pytest.raises(PrepareError, match=re.escape(says)) as caught:
        prepare_acivw(tmp_path / "src", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
