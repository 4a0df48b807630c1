"""Progress: a bar on a terminal, elsewhere a line a minute."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

T = TypeVar("T")
PAUSE = 60.0  # seconds between lines where there is no terminal


def track(items: Iterable[T], what: str, total: int | None = None, unit: str = "file") -> Iterator[T]:
    """Pass the items on while a bar on stderr counts them, with rate and time left."""
    yield from bar(what, total, unit, items)


def bar(what: str, total: int | None, unit: str, items: Iterable[Any] | None = None, shown: bool = True) -> tqdm:
    """A bar on stderr; where that is no terminal, a line now and then of what takes longer than a minute."""
    kind, how = tqdm, dict[str, Any]()
    if not shown:
        how = {"disable": True}
    elif not sys.stderr.isatty():
        kind = _Unwatched
        how = {"file": _Lines(sys.stderr), "ncols": 0, "delay": PAUSE, "mininterval": PAUSE, "miniters": 1}
    elif os.get_terminal_size(sys.stderr.fileno()).columns:
        how = {"dynamic_ncols": True}
    else:  # a terminal that does not know how wide it is: of 0 the bar would show nothing
        how = {"ncols": 80, "nrows": 24}
    return kind(items, desc=what, total=total, unit=f" {unit}", leave=False, **how)


class _Unwatched(tqdm):
    monitor_interval = 0  # no thread that has it drawn before its time


class _Lines:
    """A bar's states, a line each."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """A line, but of nothing none: what clears a bar."""
        if text := text.strip():
            self._stream.write(f"{text}\n")

    def flush(self) -> None:
        self._stream.flush()
