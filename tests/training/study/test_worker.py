"""A run is one process's at a time, where the file system can say so."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from training.study import worker
from training.study.runs import StudyError

flock = fcntl.flock


def is_free(path: Path, flags: int) -> bool:
    """Whether nobody has the lock."""
    lock = os.open(path, flags)
    try:
        flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def test_a_run_is_locked_until_its_worker_ends(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with worker._alone(folder):
        assert not is_free(folder, os.O_RDONLY)
    assert is_free(folder, os.O_RDONLY)
    assert list(folder.iterdir()) == []


def test_where_folders_have_no_locks_a_file_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_nfs(lock: int, how: int) -> None:
        if stat.S_ISDIR(os.fstat(lock).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(lock, how)

    monkeypatch.setattr(fcntl, "flock", on_nfs)
    with worker._alone(tmp_path):
        assert is_free(tmp_path, os.O_RDONLY)
        assert not is_free(tmp_path / worker.LOCK, os.O_RDWR)
    assert is_free(tmp_path / worker.LOCK, os.O_RDWR)


def test_a_file_system_without_locks_does_not_fail_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(lock: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    with worker._alone(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StudyError, match=r"file/run can't be written \(Not a directory\)"),
        worker._alone(tmp_path / "file" / "run"),
    ):
        pass
