"""From values to places on an axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from training.report.metrics import Values

LEAST = 1e-290  # what is less is nothing: parts of it could not be told apart, or are 0
SAME = 1e-9  # times a value: what differs by less is the same, up to rounding
LOG_FROM = 30.0  # largest over smallest, from which on an axis of positive values is logarithmic


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`, both above 0 where it is logarithmic."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def around(cls, values: Values, *, log: bool | None = None, zero: bool = False) -> Self:
        """An axis that shows all finite values: with `zero` from there on, logarithmic as told, or where None is told
        and they are positive and far apart."""
        known = values[np.isfinite(values)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        if log is None:
            log = not zero and low > 0 and high / low >= LOG_FROM
        if log and low > 0:
            return cls(low / 1.1, high * 1.1, log=True)
        if zero:
            low, high = min(low, 0.0), max(high, 0.0)
        if not high - low > max(LEAST, SAME * max(abs(low), abs(high))):
            room = abs(high) / 10 if abs(high) > LEAST else 1.0
            return cls(0.0 if zero else low - room, high + room)
        room = (high - low) * 0.06
        return cls(low if zero and low == 0 else low - room, high + room)

    def place(self, values: Values) -> Values:
        """Values as shares of the way from `low` to `high`."""
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return (np.log(values) - low) / (high - low)
        return (values - self.low) / (self.high - self.low)

    def ticks(self, many: int = 5) -> list[float]:
        """Round values on the axis, about so many."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            every = max(1, round((last - first) / many))
            factors = (1,) if last - first > 2 else (1, 2, 5)
            marks = [factor * 10.0**power for power in range(first, last + 1, every) for factor in factors]
            return [mark for mark in marks if self.low <= mark <= self.high]
        rough = (self.high - self.low) / many
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
        return [number * step for number in range(math.ceil(self.low / step), math.floor(self.high / step + 1e-9) + 1)]


def plain(value: float) -> str:
    """A number to read: three digits, thousands apart; a dash for none."""
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 1e15:
        return f"{value:.2g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def percent(value: float) -> str:
    """A share to read: 12.3 %; a dash for none."""
    return f"{plain(value * 100)} %" if math.isfinite(value) else "–"
