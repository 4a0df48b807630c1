"""A study's results as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from training.study.bootstrap import Needed
from training.study.findings import Difference, Findings, Score
from training.study.plan import score_name


@dataclass(frozen=True)
class Origin:
    """Where results come from.

    Attributes:
        command: that makes them.
        data: the data set's name, and what is in it.
        probe: of the other data set that probes are fitted and scored on; empty without one.
        machine: what computed, and versions.
        seeds: of the runs.
    """

    command: str
    data: str
    probe: str
    machine: str
    seeds: Sequence[int]


def to_markdown(findings: Findings, origin: Origin, plot: str) -> str:
    """Tables of scores and of differences, with the command that makes them.

    Args:
        findings: what to show.
        origin: what made it.
        plot: the drawing's file, beside the table's.
    """
    seeds = ", ".join(map(str, origin.seeds))
    parts = [
        f"# {findings.study.title}",
        f"```sh\n{origin.command}\n```",
        f"Data: {origin.data}.",
        *([f"Probes fitted and scored on: {origin.probe}."] if origin.probe else []),
        f"{'Seed' if len(origin.seeds) == 1 else 'Seeds'}: {seeds}. Machine: {origin.machine}.",
        f"![{findings.study.title}]({plot})",
        "Mean and standard deviation over seeds:",
        _scores(findings),
    ]
    if findings.absent:
        parts.append(f"Could not be measured on this data: {', '.join(map(score_name, findings.absent))}.")
    if findings.differences:
        parts += [
            "Differences with their 95 % interval, from a paired bootstrap over test clips and seeds. A gain or a loss "
            "is where the interval leaves 0 out. The last column says how many test clips, or how many seeds, would "
            "make the interval of the same difference leave 0 out:",
            _differences(findings.differences),
        ]
    if findings.twins:
        parts.append(f"The same runs: {'; '.join(f'{arm} is {twin}' for arm, twin in findings.twins.items())}.")
    if findings.missing:
        missing = ", ".join(f"{arm} (seed {seed})" for arm, seed in findings.missing)
        parts.append(f"Runs without a result: {missing}.")
    return "\n\n".join(parts) + "\n"


def _scores(findings: Findings) -> str:
    names = findings.names
    rows = [[arm.name, *(_score(findings.scores[arm.name].get(name)) for name in names)] for arm in findings.arms]
    if findings.chance:
        rows.append(["chance", *(f"{findings.chance[n]:.3f}" if n in findings.chance else "–" for n in names)])
    return _table(["", *map(score_name, names)], rows)


def _score(score: Score | None) -> str:
    if score is None:
        return "–"
    return f"{score.mean:.3f}" + ("" if math.isnan(score.deviation) else f" ± {score.deviation:.3f}")


def _differences(differences: Sequence[Difference]) -> str:
    rows = []
    for one in differences:
        rows.append(
            [
                one.comparison.arm,
                one.comparison.baseline,
                score_name(one.comparison.score),
                f"{one.interval.mean:+.3f}",
                f"{one.interval.low:+.3f} to {one.interval.high:+.3f}",
                one.verdict,
                f"{one.items} items of {one.clips} clips, {one.seeds} seed{'s' * (one.seeds > 1)}",
                settle(one.needed),
            ]
        )
    return _table(["arm", "beside", "score", "difference", "interval", "says", "measured on", "would settle it"], rows)


def settle(needed: Needed | None) -> str:
    """What would settle a difference, in words."""
    if needed is None:
        return ""
    ways = [f"{number:,} {what}" for number, what in ((needed.clips, "clips"), (needed.seeds, "seeds")) if number]
    return " or ".join(ways) or "neither clips nor seeds alone"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, rows)])
