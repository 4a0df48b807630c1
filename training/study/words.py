"""What results come from, and how long they took, in words."""

from __future__ import annotations

import os
import platform
from collections import Counter
from pathlib import Path

import torch

from training.data.packed import PackedData
from training.model.device import resolve_device


def describe(data: PackedData) -> str:
    """What a data set holds, in words."""
    counts: Counter[str] = Counter()
    for row, (image, sound) in zip(data.rows, data.index.tolist(), strict=True):
        kinds = [kind for kind, place in (("image", image), ("sound", sound)) if place >= 0]
        if row.split == "train" and len(kinds) == 2:
            counts["training pair"] += 1
        elif row.split == "unpaired":
            counts.update(f"unpaired {kind}" for kind in kinds)
    for column, kind in enumerate(("image", "sound")):
        tested = {int(data.index[n, column]) for n, row in enumerate(data.rows) if row.split == "test"} - {-1}
        counts[f"test {kind}"] = len(tested)
    classes = len({row.label for row in data.rows if row.split == "test" and row.label})
    words = [count(number, what) for what, number in counts.items() if number]
    return ", ".join([*words, f"{classes} classes to test"])


def describe_machine(device: str) -> str:
    """What computes here, in words."""
    gpus = []
    if resolve_device(device).type == "cuda":
        gpus = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    words = [count(number, name) for name, number in Counter(gpus).items()]
    words += [f"{count(os.cpu_count() or 1, 'core')} ({platform.machine()})"]
    return ", ".join([*words, f"Python {platform.python_version()}", f"torch {torch.__version__}"])


def duration(seconds: float) -> str:
    """Seconds to read: 12 s, 3 min 5 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def count(number: int, what: str) -> str:
    """1 run, 2 runs."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def name(data: Path) -> str:
    """A data set by its folder's name."""
    folder = data.parent if data.is_file() else data
    folder = folder.resolve()
    return folder.parent.name if folder.name == "packed" else folder.name
