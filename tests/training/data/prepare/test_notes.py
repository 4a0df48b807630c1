"""What was found in a file is known until the file changes, whatever became of the notes."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.data.prepare.notes import NOTES, Notes

STATE = [1, 2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Notes of two files."""
    with Notes(tmp_path / NOTES) as notes:
        notes.note("a", STATE, [])
        notes.note("b", [5, 5], [0.1, 2.0])
        notes.note("b", STATE, [0.1, 3.0])
    return tmp_path / NOTES


def known(file: Path, state: list[int]) -> list[list[float] | None]:
    with Notes(file) as notes:
        return [notes.known(path, state) for path in ("a", "b", "c")]


def test_the_last_note_of_a_file_in_the_same_state_counts(file: Path) -> None:
    assert known(file, STATE) == [[], [0.1, 3.0], None]
    assert known(file, [5, 5]) == [None, None, None]
    assert len(file.read_text().splitlines()) == 3  # one a file, behind the header
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(
    "text",
    ['["b", 1', "{}", "[]", '["b"]', '["b", "x", 1]', '["b", 1, 2, null]', "\0\xff", "3", '["b", 1, 1e999]'],
)
def test_half_lines_are_passed_over(file: Path, text: str) -> None:
    with file.open("a") as stream:
        stream.write(text)
    assert known(file, STATE) == known(file, STATE) == [[], [0.1, 3.0], None]


@pytest.mark.parametrize("text", ["", "\n", '["notes", 0]\n["a", 1, 2, 3.0]\n', "x"])
def test_foreign_notes_are_begun_anew(file: Path, text: str) -> None:
    file.write_text(text)
    assert known(file, STATE) == [None, None, None]
