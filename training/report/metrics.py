"""What a run wrote of its steps, read back and made small enough to draw."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Metrics:
    """The scalars of T steps.

    Attributes:
        steps: int64 `[T]`, rising.
        series: float64 `[T]` by name, in the order in which they first appear; NaN where a step has no finite number.
        unreadable: how many lines made no sense, as the last of a run that was killed.
    """

    steps: Places
    series: dict[str, Values]
    unreadable: int = 0


def read_metrics(file: Path) -> Metrics:
    """Read `metrics.jsonl`; empty where there is none. Where a step stands in it twice, the later line counts.

    Raises:
        OSError: the file is there and can't be read.
    """
    rows: dict[int, dict[str, float]] = {}
    unreadable = 0
    if file.is_file():
        with file.open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                row = _read_line(line)
                if row is None:
                    unreadable += bool(line.strip())
                else:
                    rows[int(row.pop("step"))] = row
    steps = sorted(rows)
    names = dict.fromkeys(name for step in steps for name in rows[step])
    series = {name: np.array([rows[step].get(name, math.nan) for step in steps], np.float64) for name in names}
    return Metrics(np.array(steps, np.int64), series, unreadable)


def _read_line(line: str) -> dict[str, float] | None:
    """A line's numbers, NaN for what is not finite; None where it is no step's."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not _is_step(row.get("step")):
        return None
    return {name: _finite(value) for name, value in row.items() if _is_number(value)}


def _is_step(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(value: float) -> float:
    try:
        return float(value) if math.isfinite(value) else math.nan
    except OverflowError:  # a whole number beyond any float
        return math.nan


def thin(values: Values, most: int) -> Places:
    """Places of at most `most` of `[T]` values, rising: the first, the last, and the smallest and largest of each of
    equal stretches, so that no spike is lost. `most` is at least 4."""
    if most < 4:
        raise ValueError(f"most must be at least 4, not {most}")
    if len(values) <= most:
        return np.arange(len(values))
    kept = {0, len(values) - 1}
    borders = np.linspace(0, len(values), (most - 2) // 2 + 1).astype(int)
    for first, last in pairwise(borders.tolist()):
        piece = values[first:last]
        kept.add(first + int(np.where(np.isnan(piece), np.inf, piece).argmin()))
        kept.add(first + int(np.where(np.isnan(piece), -np.inf, piece).argmax()))
    return np.array(sorted(kept), np.int64)


def evenly(count: int, most: int) -> Places:
    """At most `most` places of `count`, spread evenly from the first to the last."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def smooth(values: Values, places: Places, window: int) -> Values:
    """Means of the finite values in a window of so many centred at each place; NaN where the value itself is."""
    half = window // 2
    result = np.full(len(places), np.nan)
    for number, place in enumerate(places):
        piece = values[max(0, place - half) : place + half + 1]
        if np.isfinite(values[place]):
            with np.errstate(over="ignore"):
                result[number] = piece[np.isfinite(piece)].mean()
    return np.where(np.isfinite(result), result, np.nan)
