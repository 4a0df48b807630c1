"""Partial: the hidden folder in which a packed data set grows; a killed process leaves it to the next one."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from training.model.draft import make_draft

_JOURNAL = "journal.jsonl"


class Partial:
    """The folder, while one process holds it.

    Attributes:
        journal: the open file `journal.jsonl`, for reading and appending; it carries the lock.
        contents: the folder in it of what is to take the target's place; it need not exist.
    """

    def __init__(self, journal: IO[bytes]) -> None:
        self.journal = journal
        self._file = Path(journal.name)
        self.contents = self._file.with_name("contents")

    def clear(self) -> None:
        """Remove the folder and all in it; what can't be removed stays."""
        shutil.rmtree(self.contents, ignore_errors=True)
        with suppress(OSError):  # the journal goes last, and the folder only if nobody has begun another by then
            self._file.unlink()
            self._file.parent.rmdir()


@contextmanager
def hold_partial(target: Path) -> Iterator[Partial]:
    """Hold the folder `.NAME-partial` beside the target, and wait, saying so once, while another process does.

    It stays at the end, unless it was cleared. On a file system without locks nobody could tell a killed process from
    one at work: there the folder is a draft of this process's own, and is gone at the end.

    Raises:
        OSError: the target's folder can't be written.
    """
    file = _file(target)
    waited = False
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            journal = file.open("a+b")
        except FileNotFoundError:
            continue  # who held it has just cleared it
        with journal:
            try:
                fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not waited:
                    sys.stderr.write(f"waiting for another process that packs {target}\n")
                    waited = True
                fcntl.flock(journal, fcntl.LOCK_EX)
            except OSError:
                Partial(journal).clear()
                break
            if _is_at(journal, file):
                yield Partial(journal)
                return
    with make_draft(target) as draft, (draft / _JOURNAL).open("a+b") as journal:
        yield Partial(journal)


def clear_partial(target: Path) -> None:
    """Remove the target's partial folder if no living process holds it; nothing is raised."""
    file = _file(target)
    with suppress(OSError), file.open("r+b") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(journal, file):
            Partial(journal).clear()


def _file(target: Path) -> Path:
    return target.parent / f".{target.name}-partial" / _JOURNAL


def _is_at(journal: IO[bytes], file: Path) -> bool:
    """Whether the locked file is still the one in the folder, and not one that was cleared meanwhile."""
    try:
        return os.path.samestat(os.fstat(journal.fileno()), file.stat())
    except FileNotFoundError:
        return False
