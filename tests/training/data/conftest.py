"""A data set to be packed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def rows_file(write_rows_and_media: Callable[[Path], Path], tmp_path: Path) -> Path:
    """A tiny data set that a test may change."""
    return write_rows_and_media(tmp_path / "set")
