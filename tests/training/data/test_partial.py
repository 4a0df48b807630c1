"""The partial folder: held by one at a time, kept until it is cleared, and done without where there are no locks."""

import fcntl
from pathlib import Path

import pytest

from training.data.pack import pack
from training.data.partial import clear_partial, hold_partial


def test_it_lies_beside_its_target_and_stays_until_it_is_cleared(tmp_path: Path) -> None:
    with hold_partial(tmp_path / "deep" / "set") as partial:
        partial.journal.write(b"a line\n")
        partial.contents.mkdir()
    assert [entry.name for entry in (tmp_path / "deep").iterdir()] == [".set-partial"]
    with hold_partial(tmp_path / "deep" / "set") as partial:
        partial.journal.seek(0)
        assert partial.journal.read() == b"a line\n"
        assert partial.contents.is_dir()
        partial.clear()
    assert list((tmp_path / "deep").iterdir()) == []


def test_only_a_folder_that_nobody_holds_is_cleared_for_others(tmp_path: Path) -> None:
    clear_partial(tmp_path / "set")
    with hold_partial(tmp_path / "set"):
        clear_partial(tmp_path / "set")
        assert (tmp_path / ".set-partial").is_dir()
    clear_partial(tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_without_locks_each_process_has_its_own_and_leaves_nothing(
    tiny_rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", flock)
    with hold_partial(tmp_path / "set") as one, hold_partial(tmp_path / "set") as other:
        assert one.contents != other.contents
    assert list(tmp_path.iterdir()) == []
    assert len(pack(tiny_rows, tmp_path / "set", 32, 8000).rows) == 31
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]
