from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from training.data.packed import PackedData
from training.report.page import render
from training.report.report import Report, gather


@pytest.fixture(scope="session")
def report(tiny_run: Path, tiny_data: PackedData) -> Report:
    """Of a finished run, with its own data set."""
    return gather(tiny_run, tiny_data.folder, "cpu", "fp32", examples=4, slots=5)


@pytest.fixture(scope="session")
def page(report: Report) -> str:
    """That report's page."""
    return render(report, "bma report RUN")


@pytest.fixture
def copy_run(tiny_run: Path, tmp_path: Path) -> Callable[..., Path]:
    """`copy_run(model=True, key=value)`: the finished run in a folder to change, with keys of config.json set; None
    removes one."""

    def copy(model: bool = True, **keys: object) -> Path:
        run = tmp_path / "run"
        shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("checkpoints", *([] if model else ["model"])))
        config = {**json.loads((run / "config.json").read_text(encoding="utf-8")), **keys}
        kept = {key: value for key, value in config.items() if value is not None}
        (run / "config.json").write_text(json.dumps(kept), encoding="utf-8")
        return run

    return copy
