"""Rows files: what is read, what is refused and how it is said, and that writing and reading are inverse."""

import contextlib
import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.data.rows import SPLITS, Row, RowsError, read_rows, write_rows


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


def test_every_column_is_read(file: Path) -> None:
    file.write_text(
        "split,label,image,sound,clip,id,tags,start,duration\n"
        "train,dog,a.jpg,b.wav,clip-1,dog-1,loud  near,1.5,2\n"
        "unpaired,,,c.wav,,,,,\n",
        encoding="utf-8",
    )
    first, second = read_rows(file)
    assert first == Row("train", "dog", "a.jpg", "b.wav", "clip-1", "dog-1", ("loud", "near"), 1.5, 2.0)
    assert second == Row("unpaired", sound="c.wav")
    assert second.duration is None


@pytest.mark.parametrize(
    "text", ["split,image\ntest,a.jpg\n", "image,split\na.jpg,test\n", "split,sound\ntest,a.wav\n"]
)
def test_split_and_one_kind_of_file_are_enough_in_any_order(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    (row,) = read_rows(file)
    assert row.split == "test"
    assert row.image or row.sound
    assert (row.label, row.clip, row.id, row.tags, row.start, row.duration) == ("", "", "", (), 0.0, None)


def test_only_training_rows_with_both_files_are_pairs() -> None:
    assert Row("train", image="a", sound="b").is_pair
    assert not Row("train", image="a").is_pair
    assert not Row("train", sound="b").is_pair
    for split in ("unpaired", "val", "test"):
        assert not Row(split, image="a", sound="b").is_pair


@pytest.mark.parametrize(
    "content",
    [
        b"split,image\r\ntest,a.jpg\r\n",
        b"\xef\xbb\xbfsplit,image\ntest,a.jpg\n",
        b"split,image\ntest,a.jpg",
        b"split,image\n\ntest,a.jpg\n\n",
        b'split,image\ntest,"a.jpg"\n',
        b"split,image\n test , a.jpg \n",
    ],
    ids=["CRLF", "BOM", "no last newline", "blank lines", "quotes", "spaces"],
)
def test_what_spreadsheets_make_of_a_csv_is_read(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert read_rows(file) == [Row("test", image="a.jpg")]


def test_a_line_may_leave_out_its_last_cells(file: Path) -> None:
    file.write_text("split,image,label\ntest,a.jpg\n", encoding="utf-8")
    assert read_rows(file) == [Row("test", image="a.jpg")]


def test_the_same_file_may_stand_in_several_rows(file: Path) -> None:
    rows = [Row("train", image="a.jpg", sound="b.wav"), Row("train", image="a.jpg", sound="c.wav")]
    write_rows(file, [*rows, rows[0]])
    assert read_rows(file) == [*rows, rows[0]]


def test_paths_are_kept_as_they_are_written(file: Path) -> None:
    rows = [Row("test", image=path) for path in ("../up.jpg", "/abs/a.jpg", "a b/ü,x.jpg", 'q"q.jpg')]
    write_rows(file, rows)
    assert read_rows(file) == rows


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not a rows file: its first line must name split, and image, sound or both"),
        ("split;label;image;sound\ntest;dog;a.jpg;\n", "image, sound or both; save it with commas between the cells"),
        ("split\timage\ntest\ta.jpg\n", "image, sound or both; save it with commas between the cells"),
        ("image,sound\na.jpg,b.wav\n", "is not a rows file"),
        ("split,label\ntrain,dog\n", "is not a rows file"),
        ("Split;Image\ntrain;a.jpg\n", "is not a rows file"),
        ("split,image,colour\ntest,a.jpg,red\n", "has an unknown column 'colour'; known are split, label"),
        ("split,image,image\ntest,a.jpg,b.jpg\n", "has two columns 'image'"),
        ("split,image\n", "has no rows; add one line for each image, sound or pair"),
        (
            "split,image\ntest,a.jpg\ndev,b.jpg\n",
            "line 3: split is 'dev'; it must be one of train, unpaired, val, test",
        ),
        ("split,image\n,a.jpg\n", "line 2: split is ''; it must be one of"),
        ("split,image\nTrain,a.jpg\n", "line 2: split is 'Train'"),
        ("split,image,sound\ntest,,\n", "line 2 names neither an image nor a sound"),
        ("split,image\ntest,a,b.jpg\n", "line 2 has more cells than the first line has columns; quote cells"),
        ("split,sound,start\ntest,a.wav,-1\n", "line 2: start is '-1'; it takes seconds, such as 2.5"),
        ("split,sound,start\ntest,a.wav,1:30\n", "line 2: start is '1:30'; it takes seconds"),
        ("split,sound,start\ntest,a.wav,nan\n", "line 2: start is 'nan'; it takes seconds"),
        ("split,sound,duration\ntest,a.wav,inf\n", "line 2: duration is 'inf'; it takes seconds"),
        ("split,sound,duration\ntest,a.wav,0\n", "line 2: duration is 0; leave the cell empty to take the whole sound"),
        ('split,image\ntest,"a.jpg\n', "can't be read as a CSV file in UTF-8"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(file: Path, text: str, sentence: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(RowsError) as refused:
        read_rows(file)
    assert str(file) in str(refused.value)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_said_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(RowsError, match="does not exist; check the path, or make one"):
        read_rows(tmp_path / "none.csv")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_another_encoding_is_refused(file: Path, encoding: str) -> None:
    file.write_text("split,image,label\ntest,a.jpg,Füchse\n", encoding=encoding)
    with pytest.raises(RowsError, match="can't be read as a CSV file in UTF-8"):
        read_rows(file)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RowsError, match="can't be read as a CSV file"):
        read_rows(tmp_path)


def test_columns_that_no_row_fills_are_left_out(file: Path) -> None:
    write_rows(file, [Row("test", image="a.jpg")])
    assert file.read_text(encoding="utf-8") == "split,label,image,sound\ntest,,a.jpg,\n"
    write_rows(file, [Row("test", image="a.jpg", clip="7"), Row("test", sound="b.wav", start=2.0, duration=0.25)])
    with file.open(encoding="utf-8") as stream:
        table = list(csv.reader(stream))
    assert table[0] == ["split", "label", "image", "sound", "clip", "start", "duration"]
    assert table[2][-2:] == ["2", "0.25"]


# What a cell can hold: any text that is not cut by stripping. Lone surrogates are not text in UTF-8.
CELL = st.text(st.characters(codec="utf-8"), max_size=12).map(str.strip)
PATH = CELL.filter(bool)
WORD = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=6)
SECONDS = st.floats(min_value=1e-6, max_value=9e6, allow_nan=False)
ROWS = st.builds(
    Row,
    split=st.sampled_from(SPLITS),
    label=CELL,
    image=PATH,
    sound=CELL,
    clip=CELL,
    id=CELL,
    tags=st.lists(WORD, max_size=3).map(tuple),
    start=st.just(0.0) | SECONDS,
    duration=st.none() | SECONDS,
)


@given(rows=st.lists(ROWS, min_size=1, max_size=4))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read_back(file: Path, rows: list[Row]) -> None:
    write_rows(file, rows)
    assert read_rows(file) == rows


@given(content=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: f"split,image\n{text}".encode()))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused_as_a_rows_file(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with contextlib.suppress(RowsError):
        assert read_rows(file)
