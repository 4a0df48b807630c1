"""What the tests of packing have in common."""

from __future__ import annotations

from pathlib import Path

from training.data.pack import open_data
from training.data.packed import PackedData


def reopen(data: Path) -> PackedData:
    return open_data(data, 32, 8000)


def made(folder: Path) -> int:
    """Another number for each time that a pack was made."""
    return (folder / "pack.json").stat().st_ino
