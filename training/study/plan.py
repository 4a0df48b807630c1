"""What a study is: plain data. Arms that are trained, scores that are read, differences that are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Arm:
    """One way to train, repeated over seeds.

    Attributes:
        name: in tables; unique within its study.
        keys: configuration keys on top of the preset and of the command's own.
        series: the line of a sweep that it is on.
        at: its place on the sweep's axis; None where the study is no sweep.
        method: what trains it, one of `training.study.worker.METHODS`.
    """

    name: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    series: str = ""
    at: float | None = None
    method: str = "bma"


@dataclass(frozen=True)
class Comparison:
    """How much better than its baseline an arm scores."""

    arm: str
    baseline: str
    score: str


@dataclass(frozen=True)
class Axis:
    """What a sweep goes over."""

    name: str
    log: bool = False


@dataclass(frozen=True)
class Study:
    """A table or a figure.

    Attributes:
        name: in the command and of its files.
        title: of its table and plot.
        arms: what is trained.
        scores: what is read, names of `training.evaluate.Measurement.outcomes`.
        comparisons: the differences that get an interval.
        axis: of a sweep; None for a table.
        transfer: whether probes are fitted and scored on another data set.
    """

    name: str
    title: str
    arms: Sequence[Arm]
    scores: Sequence[str]
    comparisons: Sequence[Comparison]
    axis: Axis | None = None
    transfer: bool = False

    def arm(self, name: str) -> Arm:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)


def against(baseline: str, arms: Iterable[Arm | str], scores: Iterable[str]) -> list[Comparison]:
    """Each arm but the baseline itself beside the baseline, in every score."""
    names = [arm if isinstance(arm, str) else arm.name for arm in arms]
    scores = list(scores)
    return [Comparison(name, baseline, score) for name in names if name != baseline for score in scores]


def score_name(score: str) -> str:
    """A score as a heading: `sound_to_image.hit@1` is "sound to image, hit@1"."""
    part, _, what = score.partition(".")
    if "_to_" in part:
        return f"{part.replace('_', ' ')}, {'mAP' if what == 'map' else what}"
    return f"{part} {'kNN' if what == 'knn' else what}"
