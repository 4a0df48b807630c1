"""What a measurement found: scores, and behind each score the outcome of every test item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Outcome:
    """How each test item fared; the mean of `values` is the score.

    Attributes:
        values: float64 `[N]`, 1 where right and 0 where wrong, or the item's share (average precision, recall).
        clips: int64 `[N]`, the clip of each item: items of one clip are no independent evidence.
    """

    values: npt.NDArray[np.float64]
    clips: npt.NDArray[np.int64]

    @property
    def score(self) -> float:
        """The mean over the items."""
        return float(self.values.mean())


@dataclass(frozen=True)
class Measurement:
    """A model measured on a data set.

    Attributes:
        scores: ready for JSON, as `training.evaluate.measure` names them.
        outcomes: of the scores that are means over test items, by part and name ("sound.probe",
            "sound_to_image.hit@1"): `outcomes["sound.probe"].score == scores["sound"]["probe"]`. Two models measured on
            one data set have the same items in the same order.
    """

    scores: dict[str, Any]
    outcomes: dict[str, Outcome]
