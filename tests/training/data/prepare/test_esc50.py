"""A small ESC-50, with its list as its owner writes it, becomes a data set."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from training.data.pack import pack
from training.data.prepare.esc50 import prepare_esc50
from training.data.prepare.output import PrepareError
from training.data.rows import read_rows

HEADER = "filename,fold,target,category,esc10,src_file,take\n"
NAMES = {"1-100032-A-0.wav": "dog", "1-100038-B-14.wav": "chirping_birds", "4-5-A-0.wav": "dog", "5-7-A-0.wav": "dog"}


def line(name: str, category: str) -> str:
    fold, clip, take, target = name.removesuffix(".wav").split("-")
    return f"{name},{fold},{target},{category},True,{clip},{take}\n"


@pytest.fixture
def src(tmp_path: Path, write_sound: Callable[..., None], tone: Any) -> Path:
    """Four sounds of 1 s at 44.1 kHz; of two more one is broken, one gone."""
    src = tmp_path / "ESC-50-master"
    for number, name in enumerate(NAMES):
        write_sound(src / "audio" / name, tone(300.0, 1.0, number, 44_100), 44_100)
    (src / "audio" / "2-1-A-36.wav").write_bytes(b"RIFF")
    listed = {**NAMES, "2-1-A-36.wav": "vacuum_cleaner", "3-2-A-36.wav": "vacuum_cleaner"}
    (src / "meta").mkdir()
    (src / "meta" / "esc50.csv").write_text(HEADER + "".join(line(*entry) for entry in listed.items()))
    return src


def test_sounds_become_rows(src: Path, tmp_path: Path, rows_of: Any, listed_in: Any) -> None:
    made = prepare_esc50(src, tmp_path / "out")
    rows = rows_of(made)
    assert {id: (row.split, row.label, row.clip) for id, row in rows.items()} == {
        "1-100032-A-0": ("train", "dog", "100032"),
        "1-100038-B-14": ("train", "chirping_birds", "100038"),
        "4-5-A-0": ("val", "dog", "5"),
        "5-7-A-0": ("test", "dog", "7"),
    }
    assert rows["4-5-A-0"].sound == "../ESC-50-master/audio/4-5-A-0.wav"
    assert {(row.image, row.start, row.duration) for row in rows.values()} == {("", 0.0, None)}
    assert (made.pairs, made.classes, made.unreadable, made.missing) == (0, 2, 1, 1)
    assert set(listed_in(made, "unreadable.csv")) == {"audio/2-1-A-36.wav"}
    assert listed_in(made, "missing.csv") == {"audio/3-2-A-36.wav": f"{src}/meta/esc50.csv line 7"}
    packed = pack(made.rows_file, tmp_path / "packed", 32, 8000)
    assert (len(packed.offsets) - 1, packed.unreadable) == (4, 0)


def test_other_folds(src: Path, tmp_path: Path) -> None:
    made = prepare_esc50(src, tmp_path / "out", test_fold=1, val_fold=0)
    assert made.splits == {"train": 2, "test": 2}


def test_what_is_wrong_is_one_sentence(src: Path, tmp_path: Path) -> None:
    def says(text: str, *folds: int) -> None:
        with pytest.raises(PrepareError, match=re.escape(text)) as caught:
            prepare_esc50(src, tmp_path / "out", *folds)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()

    says("--test-fold takes a fold from 1 to 5 and --val-fold another, or 0 for none, not 4 and 4", 4, 4)
    says("--test-fold takes a fold from 1 to 5 and --val-fold another, or 0 for none, not 6 and 4", 6)
    file = src / "meta" / "esc50.csv"
    for text, why in (
        ("../1-2-A-3.wav,1,3,dog,True,2,A\n", "filename is '../1-2-A-3.wav', not FOLD-CLIP-TAKE-TARGET.wav"),
        ("1-2-A-3.wav,2,3,dog,True,2,A\n", "fold is '2', and 1-2-A-3.wav says otherwise"),
        ("1-2-A-3.wav,1,3,dog,True,5,A\n", "src_file is '5', and 1-2-A-3.wav says otherwise"),
        ("6-2-A-3.wav,6,3,dog,True,2,A\n", "fold must be 1 to 5"),
        ("1-2-A-3.wav,1,3,,True,2,A\n", "category not empty"),
    ):
        file.write_text(HEADER + text)
        says(f"{file} line 2: ")
        says(why)
    file.unlink()
    says(f"{file} does not exist")
    (src / "audio").rename(src / "sounds")
    says(f"{src}/audio is not there; name the folder of ESC-50 that holds audio and meta")


GOOD = line("1-2-A-3.wav", "dog")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@example(text=GOOD)
@given(text=st.text(alphabet='1-2A.wav,3dog\n"', max_size=60) | st.text(max_size=40))
def test_no_list_breaks_it(tmp_path: Path, write_sound: Callable[..., None], tone: Any, text: str) -> None:
    src = tmp_path / "in"
    if not src.exists():
        (src / "meta").mkdir(parents=True)
        write_sound(src / "audio" / "1-2-A-3.wav", tone(300.0, 0.5, 0))
    (src / "meta" / "esc50.csv").write_text(HEADER + text, encoding="utf-8")
    try:
        rows = read_rows(prepare_esc50(src, tmp_path / "out").rows_file)
    except PrepareError:
        assert text != GOOD
        return
    (row,) = rows
    assert (row.split, row.clip, row.id) == ("train", "2", "1-2-A-3")
    assert row.id in text
    assert row.label in text
