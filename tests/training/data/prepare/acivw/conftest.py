"""Recordings of ACIVW, in its true formats."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.training.data.prepare.acivw.made import Make, write_lists


@pytest.fixture
def make(release: ModuleType, tmp_path: Path) -> Make:
    """`make(label, location, numbers)` writes the seconds of a video below `src`, and gives them by number."""

    def write(label: int, location: int, numbers: range | list[int], raw: bool = False, full: bool = False) -> Any:
        seconds = {number: release.Second(label, location, number, full) for number in numbers}
        for second in seconds.values():
            second.write_raw(tmp_path / "src") if raw else second.write(tmp_path / "src")
        return seconds

    return write


@pytest.fixture
def small(release: ModuleType, tmp_path: Path, make: Make) -> dict[str, Any]:
    """A release of three videos, one in each list; its folder is `src`."""
    videos = {"train": make(3, 12, range(1, 5)), "val": make(0, 1, [1, 2]), "test": make(9, 60, [1, 2])}
    write_lists(release, tmp_path / "src" / "lists", videos)
    return videos
