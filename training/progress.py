"""Progress bars: shown on a terminal, silent elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")


def track(items: Iterable[T], what: str, total: int | None = None, unit: str = "file") -> Iterator[T]:
    """Pass the items on while a bar on stderr counts them, with rate and time left."""
    yield from bar(what, total, unit, items)


def bar(what: str, total: int | None, unit: str, items: Iterable[Any] | None = None, shown: bool = True) -> tqdm:
    """A bar on stderr, disabled where stderr is not a terminal."""
    disable = not (shown and sys.stderr.isatty())
    # a terminal that does not know how wide it is gets 80 x 24: of 0 the bar would show nothing
    width = (
        {"dynamic_ncols": True}
        if disable or os.get_terminal_size(sys.stderr.fileno()).columns
        else {"ncols": 80, "nrows": 24}
    )
    return tqdm(items, desc=what, total=total, unit=f" {unit}", disable=disable, leave=False, **width)
