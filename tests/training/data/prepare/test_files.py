"""A data set's files are found wherever links lead, and what is unchanged is not read again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from training.data.prepare.files import read_files, walk
from training.data.prepare.notes import NOTES
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
    assert len((output.folder / NOTES).read_text().splitlines()) == 4  # one a file, behind the header


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


def fail(error: OSError) -> None:
    raise error


def found(top: Path) -> list[str]:
    """The files that walking finds."""
    return [(parent / name).relative_to(top).as_posix() for parent, _, names in walk(top, fail) for name in names]


def test_links_are_followed_once_and_own_paths_count(tmp_path: Path) -> None:
    top, far = tmp_path / "top", tmp_path / "far"
    for file in (top / "b" / "x", top / ".hidden" / "y", top / "b" / ".z", far / "deep" / "w", far / ".v"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (top / "a").symlink_to(top / "b")  # by name before what it leads to
    (top / "c").symlink_to(far)
    (top / "d").symlink_to(far / "deep")
    (far / "deep" / "back").symlink_to(top)
    (far / "deep" / "gone").symlink_to(tmp_path / "nowhere")
    (top / "b" / "up").symlink_to(top / "b")
    (top / "file").symlink_to(far / "deep" / "w")
    assert sorted(found(top)) == ["b/x", "c/deep/gone", "c/deep/w", "file"]


def test_a_folder_taken_from_the_list_is_not_entered(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "more").mkdir(parents=True)
    (tmp_path / "c").symlink_to(tmp_path / "b")
    entered = []
    for parent, folders, _ in walk(tmp_path, fail):
        entered.append(parent.name)
        folders[:] = [name for name in folders if name not in ("b", "c")]
    assert entered == [tmp_path.name, "a", "more"]


def test_a_folder_that_can_not_be_read_is_told_of(tmp_path: Path) -> None:
    told: list[OSError] = []
    assert list(walk(tmp_path / "none", told.append)) == []
    assert told[0].filename == str(tmp_path / "none")
