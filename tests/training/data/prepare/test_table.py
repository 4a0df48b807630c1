"""Lists are read line by line; whatever is in them, the only error is a sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.prepare.output import PrepareError
from training.data.prepare.table import Line, read_table


def test_a_header_names_the_columns_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes('\ufeffb, a,c\r\n1,"x, ""y""\nz",\r\n\r\n 2 ,w,3\r\n'.encode())
    first, second = read_table(tmp_path / "x.csv", ("a", "b"))
    assert first.cells == {"a": 'x, "y"\nz', "b": "1", "c": ""}
    assert (second["b"], second.number("c")) == ("2", 3)
    assert (first.where, second.where) == (f"{tmp_path}/x.csv line 3", f"{tmp_path}/x.csv line 5")
    assert not hasattr(first, "__dict__")  # there may be a million


def test_tabs_and_no_header(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text('audio/a.wav\tsay "no", twice\n')
    (line,) = read_table(tmp_path / "x.txt", ("filename", "label"), header=False, tabs=True)
    assert line.cells == {"filename": "audio/a.wav", "label": 'say "no", twice'}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a,c\n1,2\n", "x.csv line 1 must name the columns a, b once each"),
        (b"a,b,a\n1,2,3\n", "x.csv line 1 must name the columns a, b once each"),
        (b"a,b\n1,2\n1\n", "x.csv line 3 has 1 cells, not the 2 it should"),
        (b"a,b\n1,2,3\n", "x.csv line 2 has 3 cells, not the 2 it should"),
        (b"a,b\n", "x.csv lists nothing"),
        (b"", "x.csv lists nothing"),
        (b"a,b\n\xff,2\n", "can't be read as a list in UTF-8"),
        (b'a,b\n"1,2\n', "can't be read as a list in UTF-8"),
    ],
)
def test_a_broken_list_is_one_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(PrepareError, match=says):
        read_table(tmp_path / "x.csv", ("a", "b"))
    with pytest.raises(PrepareError, match=r"none.csv does not exist; .* put it there"):
        read_table(tmp_path / "none.csv", ("a", "b"))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("-1", lambda line: line.number("x")),
        ("1.5", lambda line: line.number("x")),
        ("1000000", lambda line: line.number("x")),
        ("9" * 5000, lambda line: line.number("x")),
        ("\u0663", lambda line: line.number("x")),
        ("trian", lambda line: line.choice("x", ("train", "test"))),
        ("../../etc", lambda line: line.youtube_id("x")),
        ("", lambda line: line.youtube_id("x")),
        ("../a.wav", lambda line: line.path("x")),
        ("audio/../../a.wav", lambda line: line.path("x")),
        ("/etc/passwd", lambda line: line.path("x")),
        ("", lambda line: line.path("x")),
        ("audio/a\0.wav", lambda line: line.path("x")),
        ("audio//a.wav", lambda line: line.path("x")),
    ],
)
def test_a_cell_that_can_not_be_is_refused(text: str, read: Callable[[Line], object]) -> None:
    with pytest.raises(PrepareError, match=r"^x.csv line 7: x is .*; download the file again$"):
        read(Line(Path("x.csv"), 7, {"x": text}))


@given(
    content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode), header=st.booleans(), tabs=st.booleans()
)
def test_no_content_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, header: bool, tabs: bool
) -> None:
    file = tmp_path_factory.getbasetemp() / "list.csv"
    file.write_bytes(content)
    with contextlib.suppress(PrepareError):
        lines = read_table(file, ("a", "b"), header=header, tabs=tabs)
        assert all({"a", "b"} <= line.cells.keys() for line in lines)


@given(text=st.text())
def test_a_path_that_is_taken_stays_below(text: str) -> None:
    try:
        path = Line(Path("x"), 1, {"x": text}).path("x")
    except PrepareError:
        return
    assert (Path("/data") / path).resolve().is_relative_to("/data")
