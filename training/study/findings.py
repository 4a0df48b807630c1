"""What a study found: its arms' scores by seed, and the differences that its runs bear out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from training.progress import track
from training.study.bootstrap import Interval, Needed, Paired, bootstrap, needed
from training.study.plan import Arm, Comparison, Study
from training.study.runs import Result, Run, StudyError


@dataclass(frozen=True)
class Score:
    """An arm's score, by seed."""

    by_seed: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(np.mean(list(self.by_seed.values())))

    @property
    def deviation(self) -> float:
        """Standard deviation over seeds; not a number for one."""
        return float(np.std(list(self.by_seed.values()), ddof=1)) if len(self.by_seed) > 1 else math.nan


@dataclass(frozen=True)
class Difference:
    """An arm's score less its baseline's.

    Attributes:
        comparison: which.
        interval: of the difference.
        seeds: that both have.
        clips: that the test items are of.
        items: test items.
        needed: how large a test would settle it; None where it is settled.
        verdict: `gain`, `loss`, `open`, or `one seed`, as of one nothing is claimed.
    """

    comparison: Comparison
    interval: Interval
    seeds: int
    clips: int
    items: int
    needed: Needed | None
    verdict: str


@dataclass(frozen=True)
class Findings:
    """A study's results.

    Attributes:
        study: which.
        runs: by arm and seed.
        scores: by arm and score; a score that none of an arm's runs has is absent.
        differences: those whose arms both have the score for a common seed.
        twins: arms whose runs are those of an arm before them, with its name; their differences are that one's.
        chance: by score, where it is known.
        missing: arm and seed of runs without a result.
    """

    study: Study
    runs: Mapping[str, Mapping[int, Run]]
    scores: Mapping[str, Mapping[str, Score]]
    differences: list[Difference]
    twins: Mapping[str, str]
    chance: Mapping[str, float]
    missing: list[tuple[str, int]]

    @property
    def arms(self) -> list[Arm]:
        """The study's arms without the twins."""
        return [arm for arm in self.study.arms if arm.name not in self.twins]

    @property
    def names(self) -> list[str]:
        """The study's scores that some arm has."""
        return [name for name in self.study.scores if any(name in by_name for by_name in self.scores.values())]

    @property
    def absent(self) -> list[str]:
        """The study's scores that no arm has."""
        return [name for name in self.study.scores if name not in self.names]

    def difference(self, arm: str, score: str) -> Difference | None:
        """The arm's first one in that score."""
        found = (one for one in self.differences if one.comparison.arm == arm and one.comparison.score == score)
        return next(found, None)

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        arms = {
            arm.name: {
                "method": arm.method,
                "keys": dict(arm.keys),
                "same_as": self.twins.get(arm.name),
                "series": arm.series,
                "at": arm.at,
                "config": {
                    key: value
                    for key, value in next(iter(self.runs[arm.name].values())).config.to_dict().items()
                    if key != "seed"
                },
                "runs": {str(seed): run.folder.name for seed, run in self.runs[arm.name].items()},
                "scores": {
                    name: {
                        "seeds": {str(seed): value for seed, value in score.by_seed.items()},
                        "mean": score.mean,
                        "sd": None if math.isnan(score.deviation) else score.deviation,
                    }
                    for name, score in self.scores[arm.name].items()
                },
            }
            for arm in self.study.arms
        }
        differences = [
            {**asdict(one.comparison), **asdict(one.interval)}
            | {key: getattr(one, key) for key in ("verdict", "seeds", "clips", "items")}
            | {"needed": asdict(one.needed) if one.needed else None}
            for one in self.differences
        ]
        missing = [{"arm": arm, "seed": seed} for arm, seed in self.missing]
        return {
            "chance": dict(self.chance),
            "arms": arms,
            "differences": differences,
            "missing": missing,
            "absent": self.absent,
        }


def collect(study: Study, runs: Mapping[str, Mapping[int, Run]], probe: str = "") -> Findings:
    """Read the results that are on disk, those with probes on the data set of a fingerprint where one is given.

    Raises:
        StudyError: one can't be read, or runs were scored on different test items.
    """
    results: dict[str, dict[int, Result]] = {
        arm: {seed: run.read(probe) for seed, run in by_seed.items() if run.is_measured(probe)}
        for arm, by_seed in runs.items()
    }
    scores = {
        arm: {
            name: Score(values)
            for name in study.scores
            if (values := {s: float(r.outcomes[name].values.mean()) for s, r in found.items() if name in r.outcomes})
        }
        for arm, found in results.items()
    }
    twins = _twins(runs)
    asked = dict.fromkeys(
        replace(one, arm=twins.get(one.arm, one.arm), baseline=twins.get(one.baseline, one.baseline))
        for one in study.comparisons
    )
    differences = [
        difference
        for comparison in track(asked, "comparing", len(asked), unit="difference")
        if comparison.arm != comparison.baseline
        and (difference := _compare(comparison, runs, results[comparison.arm], results[comparison.baseline]))
    ]
    chance = {}
    for found in results.values():
        for result in found.values():
            for name in study.scores:
                part, _, what = name.partition(".")
                known = result.scores.get(part, {})
                if name in result.outcomes and (what in known.get("chances", {}) or "chance" in known):
                    chance[name] = float(known["chances"][what] if "chances" in known else known["chance"])
    missing = [(arm, seed) for arm, by_seed in runs.items() for seed in by_seed if seed not in results[arm]]
    return Findings(study, runs, scores, differences, twins, chance, missing)


def _twins(runs: Mapping[str, Mapping[int, Run]]) -> dict[str, str]:
    first: dict[tuple[Path, ...], str] = {}
    for arm, by_seed in runs.items():
        first.setdefault(tuple(run.folder for run in by_seed.values()), arm)
    own = {arm: first[tuple(run.folder for run in by_seed.values())] for arm, by_seed in runs.items()}
    return {arm: twin for arm, twin in own.items() if arm != twin}


def _compare(
    comparison: Comparison,
    runs: Mapping[str, Mapping[int, Run]],
    arm: Mapping[int, Result],
    baseline: Mapping[int, Result],
) -> Difference | None:
    name = comparison.score
    seeds = [s for s in arm if s in baseline and name in arm[s].outcomes and name in baseline[s].outcomes]
    if not seeds:
        return None
    pairs = [(arm[seed].outcomes[name], baseline[seed].outcomes[name]) for seed in seeds]
    clips = pairs[0][0].clips
    for seed, pair in zip(seeds, pairs, strict=True):
        if not all(np.array_equal(one.clips, clips) for one in pair):
            raise StudyError(
                f"{runs[comparison.arm][seed].folder} and {runs[comparison.baseline][seed].folder} were scored on "
                "different test items; delete their scores to measure them again"
            )
    paired = Paired.of(np.stack([one.values - other.values for one, other in pairs]), clips)
    interval = bootstrap(paired)
    verdict = "one seed" if len(seeds) == 1 else interval.verdict
    settles = needed(paired) if verdict in ("open", "one seed") else None
    return Difference(comparison, interval, len(seeds), len(paired.counts), len(clips), settles, verdict)
