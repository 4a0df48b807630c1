"""A small VGGSound, with its list as its owners write it, becomes a data set."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from training.data.pack import pack
from training.data.prepare import clip
from training.data.prepare.clip import find_clips
from training.data.prepare.output import PrepareError
from training.data.prepare.split import take_val
from training.data.prepare.vggsound import prepare_vggsound
from training.data.rows import read_rows
from training.model.media.source import EmptyMedia

WriteClip = Callable[..., None]
LABEL = "people eating crisps, noisily"


@pytest.fixture
def src(tmp_path: Path, write_clip: WriteClip) -> Path:
    """Twelve clips of train and one of test, in a subfolder; of two more one is broken, one gone."""
    src = tmp_path / "vgg"
    lines = [f'video{number:06d},{number},"{LABEL}",train' for number in range(12)]
    lines += [
        "-testtest_t,30,barn swallow calling,test",
        "brokenbrok_,5,female singing,test",
        "gonegonegon,7,zebra,test",
    ]
    for number in range(12):
        write_clip(src / "video" / f"video{number:06d}_{number:06d}.mp4", 1.0)
    write_clip(src / "video" / "more" / "-testtest_t_000030.mp4", 3.0)
    whole = (src / "video" / "video000000_000000.mp4").read_bytes()
    (src / "video" / "brokenbrok__000005.mp4").write_bytes(whole[: len(whole) // 2])
    (src / "vggsound.csv").write_text("\n".join(lines) + "\n")
    return src


def test_clips_become_rows(src: Path, tmp_path: Path, rows_of: Any, listed_in: Any) -> None:
    made = prepare_vggsound(src, tmp_path / "out", val=0.5)
    rows = rows_of(made)
    held_out = take_val({f"video{number:06d}" for number in range(12)}, 0.5)
    assert 0 < len(held_out) < 12
    assert {row.clip for row in rows.values() if row.split == "val"} == held_out
    assert {row.label for row in rows.values() if row.split != "test"} == {LABEL}
    test = rows["-testtest_t_000030"]
    assert (test.split, test.label, test.clip) == ("test", "barn swallow calling", "-testtest_t")
    assert test.image == "frames/video/more/-testtest_t_000030.jpg"
    assert (test.start, test.duration) == pytest.approx((0.5, 2.0), abs=0.05)
    assert set(listed_in(made, "unreadable.csv")) == {"video/brokenbrok__000005.mp4"}
    assert listed_in(made, "missing.csv") == {"gonegonegon_000007.mp4": f"{src}/vggsound.csv line 15"}
    assert (made.pairs, made.unreadable, made.missing) == (13, 1, 1)
    packed = pack(made.rows_file, tmp_path / "packed", 32, 8000)
    assert (len(packed.images), len(packed.offsets) - 1, packed.unreadable) == (13, 13, 0)
    assert len(packed.wave(int(packed.index[list(rows).index(test.id), 1]))) == 16_000


def test_the_official_split_may_stay_whole(src: Path, tmp_path: Path) -> None:
    assert prepare_vggsound(src, tmp_path / "out", val=0).splits == {"train": 12, "test": 1}
    made = prepare_vggsound(src, tmp_path / "out", limit=5)
    assert sum(made.splits.values()) + made.unreadable == 5


def test_a_clip_of_both_splits_is_of_test(src: Path, tmp_path: Path, rows_of: Any) -> None:
    with (src / "vggsound.csv").open("a") as stream:
        stream.write("video000003,3,zebra braying,test\n")
    row = rows_of(prepare_vggsound(src, tmp_path / "out"))["video000003_000003"]
    assert (row.split, row.label) == ("test", "zebra braying")


def test_a_clip_with_two_labels_is_left_out(src: Path, tmp_path: Path, listed_in: Any) -> None:
    with (src / "vggsound.csv").open("a") as stream:
        stream.write(f'video000003,3,zebra braying,train\nvideo000004,4,"{LABEL}",train\n')
    made = prepare_vggsound(src, tmp_path / "out", val=0)
    where = f"{src}/vggsound.csv line"
    assert listed_in(made, "unreadable.csv")["video/video000003_000003.mp4"] == (
        f"is {LABEL!r} at {where} 4 and 'zebra braying' at {where} 16; remove one of the lines"
    )
    assert made.splits == {"train": 11, "test": 1}


def test_what_no_list_names_is_counted(src: Path, tmp_path: Path) -> None:
    assert prepare_vggsound(src, tmp_path / "out").unlisted == 0
    for name in ("unknownunkn_000000.mp4", "video000000_000001.mp4"):
        (src / "video" / name).touch()
    assert prepare_vggsound(src, tmp_path / "out").unlisted == 2


def test_sounds_of_no_length_are_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    def empty(*_: Any, **__: Any) -> None:
        raise EmptyMedia("x", "is empty")

    monkeypatch.setattr(clip, "read_sound", empty)
    monkeypatch.setattr(clip, "_claimed", lambda *_: 0.0)
    assert not clip._is_heard(Path("x"), "x", 0.0, 0.05)
    assert not clip._is_heard(Path("x"), "x", 0.0, 2.0)


def test_what_is_wrong_is_one_sentence(src: Path, tmp_path: Path) -> None:
    def says(text: str, **options: Any) -> None:
        with pytest.raises(PrepareError, match=re.escape(text)) as caught:
            prepare_vggsound(src, tmp_path / "out", **options)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()

    says("--val takes a share from 0 to 0.9, such as 0.1, not 1", val=1.0)
    says("--val takes a share from 0 to 0.9, such as 0.1, not nan", val=float("nan"))
    says("--limit takes a whole number of at least 1, not -1", limit=-1)
    for line, why in (
        ("../x,1,zebra,train", "youtube_id is '../x', not a YouTube id"),
        ("abc,1,zebra,val", "split is 'val', not one of"),
        ("abc,1.5,zebra,test", "start is '1.5', not a whole number"),
        ("abc,1,,test", "label is empty"),
    ):
        (src / "vggsound.csv").write_text(f"{line}\n")
        says(f"{src}/vggsound.csv line 1: {why}")
    (src / "vggsound.csv").unlink()
    says(f"{src}/vggsound.csv does not exist")
    (src / "vggsound.csv").write_text("abc,1,zebra,test\n")
    for file in src.rglob("*.mp4"):
        file.unlink()
    says(f"{src} holds no clips: put them as ID_START.mp4 into {src}/video")


def test_linked_folders_are_followed_once(src: Path, tmp_path: Path) -> None:
    (src / "video").rename(tmp_path / "elsewhere")
    (src / "video").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(src)
    assert prepare_vggsound(src, src / "data", val=0).splits == {"train": 12, "test": 1}
    found = find_clips(src, src)
    assert found["-testtest_t_000030.mp4"] == "video/more/-testtest_t_000030.mp4"


GOOD = "abc,1,zebra,test"
CELL = st.sampled_from(["train", "test", "1", "abc", "", '"a, b"', '"', "../x"]) | st.text(max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@example(lines=GOOD)
@given(lines=st.lists(st.lists(CELL, min_size=3, max_size=5).map(",".join), max_size=4).map("\n".join))
def test_no_list_breaks_it(tmp_path: Path, write_clip: WriteClip, lines: str) -> None:
    file = tmp_path / "in" / "abc_000001.mp4"
    if not file.exists():
        write_clip(file, 0.5)
    (tmp_path / "in" / "vggsound.csv").write_text(lines, encoding="utf-8")
    try:
        rows = read_rows(prepare_vggsound(tmp_path / "in", tmp_path / "out").rows_file)
    except PrepareError:
        assert lines != GOOD
        return
    (row,) = rows
    assert row.id == file.stem
    assert row.clip in lines
    assert row.label in lines


def test_a_list_whose_clips_are_all_gone_says_so(tmp_path: Path, write_clip: WriteClip) -> None:
    write_clip(tmp_path / "in" / "unknown_000000.mp4", 1.0)
    (tmp_path / "in" / "vggsound.csv").write_text("abc,1,zebra,test\n")
    with pytest.raises(PrepareError, match=r"not one file .*missing.csv"):
        prepare_vggsound(tmp_path / "in", tmp_path / "out")
