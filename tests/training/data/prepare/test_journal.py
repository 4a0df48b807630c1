"""What is unchanged is not read again, whatever became of the journal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from training.data.prepare.journal import JOURNAL, Journal, read_files
from training.data.prepare.output import Output
from training.model.media.source import EmptyMedia


@pytest.fixture
def output(tmp_path: Path) -> Output:
    for name in ("a", "b", "c"):
        (tmp_path / "src").mkdir(exist_ok=True)
        (tmp_path / "src" / name).write_text(name)
    output = Output(tmp_path / "src", tmp_path / "out", "test")
    output.begin()
    return output


def run(output: Output, made: Path | None = None) -> tuple[dict[str, list[float]], list[str]]:
    """What is found, and what had to be read for it."""
    read: list[str] = []

    def size(file: Path, path: str) -> list[float]:
        read.append(path)
        if not file.stat().st_size:
            raise EmptyMedia(path, "is empty")
        return [float(file.stat().st_size), 0.1]

    paths = sorted(path.name for path in output.src.iterdir())
    found = read_files(output, paths, size, (lambda path: made / path) if made else None)
    return found, sorted(read)


def test_only_what_changed_is_read_again(output: Output) -> None:
    first = run(output)
    assert first == ({name: [1.0, 0.1] for name in "abc"}, ["a", "b", "c"])
    assert run(output) == (first[0], [])
    (output.src / "b").write_text("longer")
    os.utime(output.src / "c", (1, 1))
    assert run(output) == (first[0] | {"b": [6.0, 0.1]}, ["b", "c"])
    (output.src / "a").unlink()
    assert run(output)[1] == []
    assert len((output.folder / JOURNAL).read_text().splitlines()) == 4  # one a file, behind the header


def test_what_it_makes_is_made_again_when_gone(output: Output) -> None:
    made = output.folder / "made"
    made.mkdir()
    for name in ("a", "b"):
        (made / name).touch()
    run(output)
    assert run(output, made)[1] == ["c"]


def test_a_broken_file_is_left_out_and_looked_at_again(output: Output) -> None:
    (output.src / "b").write_text("")
    assert sorted(run(output)[0]) == ["a", "c"]
    assert [str(error) for error in output.unreadable] == ["b is empty"]
    assert run(output)[1] == ["b"]


@pytest.mark.parametrize(
    "text",
    ['["b", 1', "{}", "[]", '["b"]', '["b", "x", 1]', '["b", 1, 2, null]', "\0\xff", "3", '["b", 1, 1e999]'],
)
def test_half_lines_are_passed_over(output: Output, text: str) -> None:
    run(output)
    with (output.folder / JOURNAL).open("a") as stream:
        stream.write(text)
    assert run(output)[1] == []
    assert run(output)[1] == []


@pytest.mark.parametrize("text", ["", "\n", '["journal", 0]\n["a", 1, 2, 3.0]\n', "x"])
def test_a_foreign_journal_is_begun_anew(output: Output, text: str) -> None:
    (output.folder / JOURNAL).write_text(text)
    with Journal(output.folder / JOURNAL) as journal:
        assert journal.known("a", [1, 2]) is None
    assert run(output)[1] == ["a", "b", "c"]
