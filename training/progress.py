"""Progress bars: shown on a terminal, silent elsewhere."""

from __future__ import annotations

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
    return tqdm(items, desc=what, total=total, unit=f" {unit}", disable=disable, dynamic_ncols=True, leave=False)
