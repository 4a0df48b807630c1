"""Rows files of several folders become one, and every file is still found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.data.join import join_rows, part
from training.data.pack import open_data
from training.data.prepare.output import PREPARED
from training.data.rows import Row, RowsError, read_rows, write_rows


def write(file: Path, *rows: Row) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_rows(file, rows)
    return file


def test_rows_keep_what_they_say(tmp_path: Path) -> None:
    row = Row("train", "dog", "../media/a.jpg", "/abs/b.mp4", "clip", "id", ("x", "y"), 1.5, 2.0)
    other = Row("test", "", " c.jpg")
    first = write(tmp_path / "one" / "rows.csv", row, Row("val", "cat", "", "d.wav"))
    second = write(tmp_path / "two" / "more.csv", other)
    joined = join_rows(tmp_path / "out" / "all.csv", [first.parent, second]).rows
    assert read_rows(tmp_path / "out" / "all.csv") == joined
    assert joined == [
        Row("train", "dog", "../media/a.jpg", "/abs/b.mp4", "clip", "id", ("x", "y"), 1.5, 2.0),
        Row("val", "cat", "", "../one/d.wav"),
        Row("test", "", "../two/c.jpg"),
    ]
    beside = join_rows(tmp_path / "all.csv", [second]).rows
    assert beside == [Row("test", "", "two/c.jpg")]


def test_names_that_clash_are_told_apart(tmp_path: Path) -> None:
    one = write(
        tmp_path / "one.csv", Row("train", image="a.jpg", clip="c", id="x"), Row("train", image="b.jpg", id="2:x")
    )
    two = write(
        tmp_path / "two.csv",
        *(
            Row("train", image=f"{n}.jpg", clip=clip, id=id)
            for n, (clip, id) in enumerate([("c", "x"), ("c", "y"), ("d", "y")])
        ),
    )
    three = write(tmp_path / "three.csv", Row("test", image="e.jpg", clip="c", id="x"))
    rows = join_rows(tmp_path / "out.csv", [one, two, three]).rows
    assert [row.id for row in rows] == ["x", "2:x", "2:2:x", "y", "2:y", "3:x"]
    assert [row.clip for row in rows] == ["c", "", "2:c", "2:c", "d", "3:c"]


def test_clips_of_one_file_stay_apart_when_they_are_renamed(tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", Row("train", image="a.jpg", clip="c"))
    two = write(tmp_path / "two.csv", Row("train", image="b.jpg", clip="c"), Row("train", image="d.jpg", clip="2:c"))
    assert [row.clip for row in join_rows(tmp_path / "out.csv", [one, two]).rows] == ["c", "2:c", "2:2:c"]


def test_unpaired_items_of_clips_in_val_or_test_stay_out(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", Row("train", image="a.jpg", clip="k"), Row("test", image="b.jpg", clip="t"))
    second = write(tmp_path / "b.csv", Row("val", image="c.jpg", clip="v"), Row("train", image="d.jpg", clip="t"))
    unpaired = write(
        tmp_path / "u" / "rows.csv",
        *(Row("train", "x", f"{clip}.jpg", f"{clip}.wav", clip) for clip in ("k", "t", "v", "2:t", "")),
        Row("test", image="e.jpg", clip="k"),
    )
    joined = join_rows(tmp_path / "out.csv", [first, second], [unpaired])
    assert joined.held_out == 4
    items = [(row.image or row.sound, row.clip) for row in joined.rows if row.split == "unpaired"]
    clips = {"k": "3:k", "2:t": "3:2:t", "": ".wav"}
    assert items == [(f"u/{name}.{kind}", clip) for name, clip in clips.items() for kind in ("jpg", "wav")]


def test_unpaired_files_give_train_apart_without_labels(tmp_path: Path) -> None:
    pairs = write(tmp_path / "pairs.csv", Row("train", "dog", "a.jpg", "a.wav", "k", "1"))
    unpaired = write(
        tmp_path / "u" / "rows.csv",
        Row("train", "cat", "a.jpg", "v.mp4", "k", "1", start=3.0, duration=2.0),
        Row("train", "cat", "b.jpg", "v.mp4", "", "2", start=3.0, duration=2.0),
        Row("unpaired", "cat", "c.jpg", id="3"),
        Row("val", "cat", "d.jpg", "d.wav"),
        Row("test", "cat", "e.jpg", "e.wav"),
    )
    rows = join_rows(tmp_path / "out.csv", [pairs], [unpaired]).rows
    assert rows == [
        Row("train", "dog", "a.jpg", "a.wav", "k", "1"),
        Row("unpaired", "", "u/a.jpg", clip="2:k", id="1-image"),
        Row("unpaired", "", "", "u/v.mp4", "2:k", "1-sound", start=3.0, duration=2.0),
        Row("unpaired", "", "u/b.jpg", clip="v.mp4", id="2-image"),
        Row("unpaired", "", "u/c.jpg", id="3"),
    ]


def test_a_file_may_give_its_pairs_as_unpaired_too(tmp_path: Path) -> None:
    other = write(tmp_path / "o.csv", Row("train", image="o.jpg", clip="k"))
    pairs = write(tmp_path / "p.csv", Row("train", "dog", "a.jpg", "a.wav", "k", "1"))
    rows = join_rows(tmp_path / "out.csv", [other, pairs], [pairs]).rows
    assert [row.clip for row in rows] == ["k", "2:k", "2:k", "2:k"]


def test_links_and_odd_folders_lead_to_the_files(tmp_path: Path) -> None:
    real = tmp_path / "far" / "away" / "set"
    real.mkdir(parents=True)
    (tmp_path / "link").symlink_to(real)
    (real.parent / "a.jpg").touch()
    (tmp_path / " odd").mkdir()
    (tmp_path / " odd" / "b.jpg").touch()
    linked = write(tmp_path / "link" / "rows.csv", Row("train", image="../a.jpg"))
    odd = write(tmp_path / " odd" / "rows.csv", Row("train", image="b.jpg"))
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "down").symlink_to(real)
    through = write(tmp_path / "near" / "rows.csv", Row("train", image="down/../a.jpg"))
    for row in read_rows_of(tmp_path / "out.csv", [linked, odd, through]):
        assert (tmp_path / row.image).is_file()


def read_rows_of(out: Path, files: list[Path]) -> list[Row]:
    join_rows(out, files)
    return read_rows(out)


def test_what_can_not_be_joined_is_one_sentence(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", Row("test", image="a.jpg"))
    (tmp_path / "mine.txt").write_text("mine")
    made = write(tmp_path / "made" / "rows.csv", Row("test", image="a.jpg"))
    made.with_name(PREPARED).write_text("{}")
    for out, files, unpaired, says in (
        (file, [file], [], "a.csv is one of the files to join"),
        (tmp_path, [file], [], f"is a folder; name a file in it, such as {tmp_path}/rows.csv"),
        (tmp_path / "mine.txt", [file], [], "mine.txt exists and is not a rows file"),
        (file / "b.csv", [file], [], "b.csv can't be written (File exists); name another file"),
        (tmp_path / "out.csv", [tmp_path / "none.csv"], [], "none.csv does not exist"),
        (tmp_path / "out.csv", [], [file], "no row is of split train or unpaired"),
        (made, [file], [], "rows.csv is the rows file of a prepared data set; name another file"),
    ):
        with pytest.raises(RowsError, match=re.escape(says)) as caught:
            join_rows(out, files, unpaired)
        assert "\n" not in str(caught.value)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert not (tmp_path / "out.csv").exists()


NAMES = st.sampled_from(["", "a", "b", "2:a", "1:a", "3:2:a"])
ROWS = st.lists(
    st.builds(
        Row,
        split=st.sampled_from(["train", "unpaired", "val", "test"]),
        image=st.sampled_from(["", "i.jpg", "j.jpg"]),
        sound=st.sampled_from(["s.wav", "t.wav"]),
        clip=NAMES,
        id=NAMES,
    ),
    min_size=1,
    max_size=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(files=st.lists(ROWS, min_size=1, max_size=3), unpaired=st.lists(ROWS, max_size=2))
def test_ids_are_unique_and_clips_stay_apart(tmp_path: Path, files: Any, unpaired: Any) -> None:
    sources = [write(tmp_path / str(n) / "rows.csv", *rows) for n, rows in enumerate([*files, *unpaired])]
    rows = join_rows(tmp_path / "out.csv", sources[: len(files)], sources[len(files) :]).rows
    ids = [row.id for row in rows if row.id]
    assert len(set(ids)) == len(ids)
    where: dict[str, set[str]] = {}
    for row in rows:
        where.setdefault(row.clip, set()).add((row.image or row.sound).split("/")[0])
    assert all(len(folders) == 1 for clip, folders in where.items() if clip)
    paired = rows[: sum(map(len, files))]
    before = [(number, row.clip) for number, part_of in enumerate(files) for row in part_of]
    pairs_of_names = set(zip(before, (row.clip for row in paired), strict=True))
    assert len(pairs_of_names) == len(set(before))  # what was one clip is one clip
    assert len({row.clip for row in paired} - {""}) == len({key for key in before if key[1]})  # and no other
    taken = [row for row in rows if row.split != "unpaired"]
    expected = [row for part_of in files for row in part_of if row.split != "unpaired"]
    assert [(row.split, row.label, row.tags) for row in taken] == [(row.split, row.label, row.tags) for row in expected]


def test_parts_of_a_row() -> None:
    assert part(Row("train", "dog", "a.jpg", id="x")) == [Row("unpaired", "", "a.jpg", id="x")]
    image, sound = part(Row("train", "dog", "a.jpg", "a.wav", start=1.0, duration=2.0))
    assert image == Row("unpaired", "", "a.jpg", clip="a.wav")
    assert sound == Row("unpaired", "", "", "a.wav", "a.wav", start=1.0, duration=2.0)


def test_the_command_joins_and_the_result_can_be_packed(tmp_path: Path, tiny_rows: Path, bma: Any) -> None:
    done = bma("data", "join", tmp_path / "all.csv", tiny_rows, "--unpaired", tiny_rows.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"wrote {tmp_path}/all.csv: 65 rows (14 train, 42 unpaired, 3 val, 6 test), of them 12 pairs to train with\n"
    )
    packed = open_data(tmp_path / "all.csv", 32, 8000)
    assert packed.unreadable == 0
    assert len(packed.rows) == len(read_rows(tmp_path / "all.csv"))
