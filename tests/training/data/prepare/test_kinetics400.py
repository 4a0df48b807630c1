"""A small Kinetics-400, laid out as its mirror does, becomes a data set."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from training.data.prepare import clip
from training.data.prepare.kinetics400 import prepare_kinetics400
from training.data.prepare.output import PrepareError
from training.data.rows import read_rows

TRAIN = """label,youtube_id,time_start,time_end,split,is_cc
"massaging person's head, slowly",aaaaaaaaaaa,1,11,train,0
air drumming,-bbbbbbbbb_,13,23,train,0
air drumming,ccccccccccc,0,10,train,1
air drumming,ddddddddddd,0,10,train,0
air drumming,eeeeeeeeeee,0,10,train,0
air drumming,fffffffffff,0,10,train,0
air drumming,ggggggggggg,0,10,train,0
"""
VAL = "label,youtube_id,time_start,time_end,split\nair drumming,hhhhhhhhhhh,1200,1210,validate\n"
TEST = "youtube_id,time_start,time_end,split\niiiiiiiiiii,2,12,test\n"

WriteClip = Callable[..., None]


@pytest.fixture
def src(tmp_path: Path, write_clip: WriteClip) -> Path:
    """Folders of classes in train (one with underscores), val and test flat; of train one clip is mute, one cut off
    in the middle, one empty, one replaced, one gone."""
    src = tmp_path / "k400"
    (src / "annotations").mkdir(parents=True)
    for name, text in (("train", TRAIN), ("val", VAL), ("test", TEST)):
        (src / "annotations" / f"{name}.csv").write_text(text)
    (src / "annotations" / "._train.csv").write_bytes(b"\0")
    drumming = src / "train" / "air_drumming"
    write_clip(src / "train" / "massaging person's head, slowly" / "aaaaaaaaaaa_000001_000011.mp4")
    write_clip(drumming / "-bbbbbbbbb__000013_000023.mp4", sound=0.0)
    whole = src / "whole.mp4"
    write_clip(whole, movflags="faststart")
    (drumming / "ccccccccccc_000000_000010.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 4])
    (drumming / "ddddddddddd_000000_000010.mp4").touch()
    (drumming / "eeeeeeeeeee_000000_000010.mp4").write_bytes(b"corrupted")
    replacement = src / "replacement" / "replacement_for_corrupted_k400"
    write_clip(replacement / "eeeeeeeeeee_000000_000010.mp4", 1.2)
    write_clip(drumming / "fffffffffff_000000_000010.mp4", sound=1.5)
    write_clip(src / "val" / "hhhhhhhhhhh_001200_001210.mp4")
    write_clip(src / "test" / "iiiiiiiiiii_000002_000012.mp4")
    whole.unlink()
    return src


def test_clips_become_rows(src: Path, tmp_path: Path, rows_of: Any, listed_in: Any) -> None:
    out = tmp_path / "out"
    made = prepare_kinetics400(src, out)
    rows = rows_of(made)
    assert list(rows) == [
        "iiiiiiiiiii_000002_000012",
        "-bbbbbbbbb__000013_000023",
        "aaaaaaaaaaa_000001_000011",
        "eeeeeeeeeee_000000_000010",
        "fffffffffff_000000_000010",
        "hhhhhhhhhhh_001200_001210",
    ]
    whole = rows["aaaaaaaaaaa_000001_000011"]
    assert (whole.split, whole.label, whole.clip) == ("train", "massaging person's head, slowly", "aaaaaaaaaaa")
    assert (whole.start, whole.duration) == pytest.approx((1.0, 2.0), abs=0.05)
    assert whole.sound == "../k400/train/massaging person's head, slowly/aaaaaaaaaaa_000001_000011.mp4"
    with Image.open(out / whole.image) as frame:
        assert frame.format == "JPEG"
        assert frame.getpixel((9, 9)) == pytest.approx((100, 100, 100), abs=5)  # the 20th of 40 pictures
    mute = rows["-bbbbbbbbb__000013_000023"]
    assert (mute.sound, mute.start, mute.duration, mute.label) == ("", 0.0, None, "air drumming")
    assert rows["fffffffffff_000000_000010"].sound == ""  # half a second in the middle is too little
    replaced = rows["eeeeeeeeeee_000000_000010"]
    assert "replacement_for_corrupted_k400" in replaced.sound
    assert (replaced.start, replaced.duration) == pytest.approx((0.0, 1.2), abs=0.05)
    assert (rows["hhhhhhhhhhh_001200_001210"].split, rows["iiiiiiiiiii_000002_000012"].split) == ("val", "test")
    assert rows["iiiiiiiiiii_000002_000012"].label == ""
    assert (made.pairs, made.train_pairs, made.unreadable, made.missing) == (4, 2, 2, 1)
    reasons = listed_in(made, "unreadable.csv")
    assert "is cut off; download it again" in reasons["train/air_drumming/ccccccccccc_000000_000010.mp4"]
    assert "is empty" in reasons["train/air_drumming/ddddddddddd_000000_000010.mp4"]
    where = f"{src}/annotations/train.csv line 8"
    assert listed_in(made, "missing.csv") == {"train/ggggggggggg_000000_000010.mp4": where}
    assert [path for path in out.rglob(".*") if path.is_file()] == []


def test_what_no_list_names_is_counted(src: Path, tmp_path: Path) -> None:
    assert prepare_kinetics400(src, tmp_path / "out").unlisted == 0
    for path in ("train/air_drumming/kkkkkkkkkkk_000000_000010.mp4", "test/aaaaaaaaaaa_000002_000012.mp4"):
        (src / path).touch()
    assert prepare_kinetics400(src, tmp_path / "out").unlisted == 2
    assert prepare_kinetics400(src, tmp_path / "unpaired", "unpaired").unlisted == 1


def test_a_clip_with_two_labels_is_left_out(src: Path, tmp_path: Path, listed_in: Any) -> None:
    lists = src / "annotations"
    with (lists / "train.csv").open("a") as stream:
        stream.write("juggling,fffffffffff,0,10,train,0\nair drumming,-bbbbbbbbb_,13,23,train,0\n")
        stream.write("juggling,ggggggggggg,0,10,train,0\njuggling,hhhhhhhhhhh,1200,1210,train,0\n")
    made = prepare_kinetics400(src, tmp_path / "out")
    path = "train/air_drumming/fffffffffff_000000_000010.mp4"
    where = f"{lists}/train.csv line"
    assert listed_in(made, "unreadable.csv")[path] == (
        f"is 'air drumming' at {where} 7 and 'juggling' at {where} 9; remove one of the lines"
    )
    assert (made.unreadable, made.missing, made.pairs) == (3, 1, 4)  # what is not there is missing, val comes first
    rows = made.rows_file.read_text()
    assert "fffffffffff" not in rows
    assert rows.count("-bbbbbbbbb_") == 3  # frame, clip, id: one row


def test_unpaired_takes_train_apart(src: Path, tmp_path: Path, rows_of: Any) -> None:
    shutil.rmtree(src / "test")
    made = prepare_kinetics400(src, tmp_path / "out", "unpaired")
    rows = rows_of(made)
    assert {(row.split, row.label) for row in rows.values()} == {("unpaired", "")}
    assert sum(bool(row.image) for row in rows.values()) == 4
    assert sum(bool(row.sound) for row in rows.values()) == 2
    assert not any(row.image and row.sound for row in rows.values())
    sound = rows["aaaaaaaaaaa_000001_000011-sound"]
    assert (sound.start, sound.duration) == pytest.approx((1.0, 2.0), abs=0.05)
    assert rows["aaaaaaaaaaa_000001_000011-image"].clip == sound.clip == "aaaaaaaaaaa"


def test_lists_beside_flat_clips(tmp_path: Path, write_clip: WriteClip, rows_of: Any) -> None:
    write_clip(tmp_path / "in" / "train" / "aaaaaaaaaaa_000001_000011.mp4", 1.0)
    (tmp_path / "in" / "kinetics-400_train.csv").write_text(TRAIN)
    (tmp_path / "in" / "kinetics-400_test.csv").write_text(TEST)
    made = prepare_kinetics400(tmp_path / "in", tmp_path / "in" / "data")
    assert [row.label for row in rows_of(made).values()] == ["massaging person's head, slowly"]
    assert made.missing == 7


def test_what_is_there_is_kept_and_what_changed_is_made_again(
    src: Path, tmp_path: Path, write_clip: WriteClip, rows_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, saved, real = tmp_path / "out", [], clip.save_frame

    def counted(picture: Image.Image, file: Path) -> None:
        saved.append(file.name)
        real(picture, file)

    monkeypatch.setattr(clip, "save_frame", counted)
    prepare_kinetics400(src, out)
    first = (out / "rows.csv").read_bytes()
    assert len(saved) == 6
    saved.clear()
    prepare_kinetics400(src, out)
    assert saved == []
    assert (out / "rows.csv").read_bytes() == first
    write_clip(src / "val" / "hhhhhhhhhhh_001200_001210.mp4", 2.0)
    (out / "frames" / "test" / "iiiiiiiiiii_000002_000012.jpg").unlink()
    write_clip(src / "train" / "ggggggggggg_000000_000010.mp4", 1.0)
    made = prepare_kinetics400(src, out)
    names = ("ggggggggggg_000000_000010", "hhhhhhhhhhh_001200_001210", "iiiiiiiiiii_000002_000012")
    assert sorted(saved) == [f".{name}.jpg" for name in names]
    assert rows_of(made)["hhhhhhhhhhh_001200_001210"].start == pytest.approx(0.0, abs=0.05)
    assert not (out / "missing.csv").exists()


def test_a_limit_chooses_the_same_clips_and_adds_to_them(src: Path, tmp_path: Path) -> None:
    def chosen(limit: int) -> set[str]:
        made = prepare_kinetics400(src, tmp_path / "out", limit=limit)
        assert made.missing == 1
        return {row.split(",")[2] for row in made.rows_file.read_text().splitlines()[1:]}

    smaller = chosen(4)
    assert smaller == chosen(4)
    assert smaller < chosen(7)
    with pytest.raises(PrepareError, match=r"--limit takes a whole number of at least 1, not 0"):
        chosen(0)


def test_a_wrong_layout_is_one_sentence(src: Path, tmp_path: Path) -> None:
    def says(pattern: str) -> None:
        with pytest.raises(PrepareError, match=pattern) as caught:
            prepare_kinetics400(src, tmp_path / "out")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()

    lists, train = src / "annotations", (src / "annotations" / "train.csv").read_text()
    (lists / "val.csv").unlink()
    says(re.escape(f"{src}/val holds clips that no list names; put val.csv into {src}/annotations"))
    for line, why in (
        ("air drumming,../../../abc,1,11,train,0", "line 9: youtube_id is '../../../abc', not a YouTube id"),
        ("air drumming,aaaaaaaaaab,x,11,train,0", "line 9: time_start is 'x', not a whole number"),
        ("air drumming,aaaaaaaaaab,1,11,trian,0", "line 9: split is 'trian', not one of"),
        (",aaaaaaaaaab,1,11,train,0", "line 9: label is empty"),
        ("air drumming,aaaaaaaaaab,1", "line 9 has 3 cells"),
    ):
        (lists / "train.csv").write_text(f"{train}{line}\n")
        says(re.escape(f"{lists}/train.csv {why}"))
    shutil.rmtree(lists)
    says(r"holds no lists: put train.csv, val.csv and test.csv into .*/annotations")
    lists.mkdir()
    (lists / "train.csv").write_text(train)
    for split in ("train", "val", "test"):
        shutil.rmtree(src / split)
    says(r"holds no clips: put them as ID_START_END.mp4 into .*/train or .*/val or .*/test")


GOOD = "drumming,aaaaaaaaaaa,1,11,train"
CELL = st.sampled_from(["train", "test", "1", "11", "aaaaaaaaaaa", "", "a,b", '"', "../x", "\n"]) | st.text(max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@example(lines=GOOD)
@given(lines=st.lists(st.lists(CELL, min_size=4, max_size=6).map(",".join), max_size=4).map("\n".join))
def test_no_list_breaks_it(tmp_path: Path, write_clip: WriteClip, lines: str) -> None:
    file = tmp_path / "in" / "train" / "aaaaaaaaaaa_000001_000011.mp4"
    if not file.exists():
        write_clip(file, 0.5)
    (tmp_path / "in" / "train.csv").write_text(f"label,youtube_id,time_start,time_end,split\n{lines}", encoding="utf-8")
    try:
        rows = read_rows(prepare_kinetics400(tmp_path / "in", tmp_path / "out").rows_file)
    except PrepareError:
        assert lines != GOOD
        return
    (row,) = rows
    assert row.id == file.stem
    assert row.clip in lines
    assert row.label in lines
