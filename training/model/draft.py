"""Drafts: hidden files and folders beside a target, made whole before they take the target's place."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def make_draft(target: Path) -> Iterator[Path]:
    """A new folder `.NAME-draft-…` beside the target; at the end it is removed with what is still in it.

    It is locked for as long as its process lives, so that `clear_drafts` can tell what a killed process left behind.

    Raises:
        OSError: the target's folder can't be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    while True:
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-draft-", dir=target.parent))
        try:
            lock = os.open(draft, os.O_RDONLY)
        except FileNotFoundError:
            continue  # taken for a leftover in the moment before it was locked
        with suppress(OSError):  # a file system without locks: the draft can't be told from a leftover, and stays
            fcntl.flock(lock, fcntl.LOCK_EX)
        if draft.is_dir():
            break
        os.close(lock)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        os.close(lock)


@contextmanager
def replaced_file(file: Path) -> Iterator[Path]:
    """A draft `.NAME` beside a file, to be written; at the end it takes the file's place, or is removed where that is
    not reached. The folder is made where it is missing.

    Raises:
        OSError: the folder or the file can't be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}")
    try:
        yield draft
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def replace_folder(draft: Path, target: Path) -> None:
    """Put a finished draft in the target's place.

    Whatever is at the target is whole at every moment. A kill between the two renames leaves nothing there: the old
    folder then lies beside it, as `.NAME-draft-…/old`, and `clear_drafts` puts it back.

    Raises:
        OSError: the folder can't be written; the target is as it was.
    """
    with make_draft(target) as aside:
        old = aside / "old"
        try:
            if target.exists():
                target.rename(old)
            draft.rename(target)
        except BaseException:
            if old.exists() and not target.exists():
                old.rename(target)
            raise


def clear_drafts(target: Path) -> None:
    """Remove the target's drafts that no living process holds; an old target among them, whose replacement was killed
    half-way, goes back to its place first. What can't be removed stays; nothing is raised."""
    name = re.compile(re.escape(f".{target.name}-draft-") + "[a-z0-9_]{8}")
    with suppress(OSError):
        for draft in [entry for entry in target.parent.iterdir() if name.fullmatch(entry.name)]:
            _clear(draft, target)


def _clear(draft: Path, target: Path) -> None:
    try:
        lock = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (draft / "old").is_dir() and not target.exists():
            (draft / "old").rename(target)
        shutil.rmtree(draft, ignore_errors=True)
    except OSError:
        pass  # its process is at work, or nobody can tell
    finally:
        os.close(lock)
