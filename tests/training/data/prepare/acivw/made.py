"""What the tests of ACIVW have in common."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from training.data.rows import Row, read_rows

RATE = 12_288
Make = Callable[..., Any]


def write_lists(release: ModuleType, folder: Path, videos: dict[str, Any]) -> None:
    records = [[second.record for second in videos.get(split, {}).values()] for split in ("train", "val", "test")]
    release.write_lists(folder, *records)


def rows_of(out: Path) -> dict[str, Row]:
    rows = {row.id: row for row in read_rows(out / "rows.csv")}
    for row in rows.values():
        assert (out / row.image).is_file()
        assert (out / row.sound).is_file()
        assert re.fullmatch(r"[A-Za-z0-9._:-]{1,100}", row.id)
    return rows


def listed(file: Path) -> dict[str, str]:
    with file.open(newline="", encoding="utf-8") as stream:
        return {row["file"]: row[next(name for name in row if name != "file")] for row in csv.DictReader(stream)}
