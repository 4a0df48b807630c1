"""A study's results as a drawing that stands alone: SVG, without a script or another file."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from training.report.markup import Markup, element
from training.report.scale import Scale, plain
from training.study.findings import Findings, Score
from training.study.plan import Arm, score_name

WIDTH = 900
MARGIN = 16
ROW = 26  # of an arm
HEAD = 46  # above a panel: its title and the names of its columns
FOOT = 34  # below it: the ticks
SWEEP = 220  # height of a sweep's panel
NAMES = 250  # width of the arms' names
GAP = 40
COLOURS = ("#2563c9", "#c2571a", "#2f855a", "#8b3fa8")
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#333}.title{font-weight:650;font-size:15px}.soft{fill:#767676}"
    ".grid{stroke:#e4e4e4}.zero{stroke:#999}.line{fill:none;stroke-width:2}.interval{stroke-width:2.5}"
    ".band{opacity:.16}.seed{opacity:.45}"
)


def draw(findings: Findings) -> str:
    """An SVG document: for a sweep a line a series with a band of one standard deviation over seeds, else arms below
    each other, their seeds and means at the left and differences with intervals at the right."""
    panel = _arms if findings.study.axis is None else _sweep
    drawn, y = [element("text", findings.study.title, x=MARGIN, y=30, class_="title")], 44.0
    for name in findings.names:
        marks, height = panel(findings, name, y)
        drawn += marks
        y += height
    size = f"{y + MARGIN:.0f}"
    return element(
        "svg",
        element("style", Markup(STYLE)),
        element("rect", width=WIDTH, height=size, fill="#fff"),
        *drawn,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {size}",
        width=WIDTH,
        height=size,
        role="img",
        aria_label=findings.study.title,
    )


def _arms(findings: Findings, name: str, top: float) -> tuple[list[Markup], float]:
    arms = [arm for arm in findings.arms if name in findings.scores[arm.name]]
    differences = [findings.difference(arm.name, name) for arm in arms]
    seeds = [value for arm in arms for value in findings.scores[arm.name][name].by_seed.values()]
    ends = [end for one in differences if one for end in (one.interval.low, one.interval.high)]
    left = NAMES + MARGIN
    half = (WIDTH - left - MARGIN - GAP) / 2
    bottom = top + HEAD + ROW * len(arms)
    known = [findings.chance[name]] if name in findings.chance else []
    across = _Across(Scale.around(np.array(seeds + known)), left, half, top + HEAD, bottom)
    beside = _Across(Scale.around(np.array([0.0, *ends])), left + half + GAP, half, top + HEAD, bottom)
    heading = "each seed, and their mean" + (f" (chance {known[0]:.3f})" if known else "")
    marks = [
        element("text", score_name(name), x=MARGIN, y=_at(top + HEAD - 12), class_="title"),
        element("text", heading, x=left, y=_at(top + HEAD - 12), class_="soft"),
        *across.grid(),
    ]
    if ends:
        marks.append(
            element("text", "difference, 95 % interval", x=_at(beside.left), y=_at(top + HEAD - 12), class_="soft")
        )
        marks += beside.grid()
        marks.append(beside.upright(0.0, "zero"))
    marks += [across.upright(value, "zero", stroke_dasharray="3 3") for value in known]
    for row, (arm, difference) in enumerate(zip(arms, differences, strict=True)):
        y = top + HEAD + ROW * (row + 0.5)
        marks.append(element("text", _short(arm.name), x=MARGIN, y=_at(y), dy="0.35em"))
        marks += _seeds(across, findings.scores[arm.name][name], y)
        if difference:
            interval = difference.interval
            colour = {"gain": COLOURS[2], "loss": COLOURS[1]}.get(difference.verdict, "#767676")
            ends_at = [_at(beside.place(end)) for end in (interval.low, interval.high)]
            marks.append(element("path", d=f"M{ends_at[0]} {_at(y)}H{ends_at[1]}", stroke=colour, class_="interval"))
            says = f"{interval.mean:+.3f}, {interval.low:+.3f} to {interval.high:+.3f}: {difference.verdict}"
            marks.append(
                _dot(
                    beside.place(interval.mean),
                    y,
                    4.5,
                    colour,
                    f"{arm.name} beside {difference.comparison.baseline}: {says}",
                )
            )
    return marks, bottom + FOOT - top


def _seeds(across: _Across, score: Score, y: float) -> list[Markup]:
    dots = [
        _dot(across.place(value), y, 3.5, COLOURS[0], f"seed {seed}: {value:.3f}", "seed")
        for seed, value in score.by_seed.items()
    ]
    mean = _at(across.place(score.mean))
    return [*dots, element("path", d=f"M{mean} {_at(y - 8)}V{_at(y + 8)}", stroke=COLOURS[0], class_="interval")]


def _sweep(findings: Findings, name: str, top: float) -> tuple[list[Markup], float]:
    axis = findings.study.axis
    assert axis is not None
    series: dict[str, list[Arm]] = {}
    for arm in findings.study.arms:
        if arm.at is not None and name in findings.scores[arm.name]:
            series.setdefault(arm.series, []).append(arm)
    series = {line: arms for line, arms in series.items() if any(arm.name not in findings.twins for arm in arms)}
    scores = findings.scores
    ends = [
        scores[arm.name][name].mean + sign * _spread(scores[arm.name][name])
        for arms in series.values()
        for arm in arms
        for sign in (-1, 1)
    ]
    places = np.array([arm.at for arms in series.values() for arm in arms], np.float64)
    left, first, last = MARGIN + 50.0, top + HEAD, top + HEAD + SWEEP
    low, high = float(places.min()), float(places.max())
    across = _Across(
        Scale.around(places, log=True) if axis.log else Scale(low, high if high > low else low + 1),
        left,
        WIDTH - left - MARGIN - 10,
        first,
        last,
    )
    up = Scale.around(np.array(ends))

    def down(value: float) -> float:
        return last - float(up.place(np.array(value))) * (last - first)

    marks = [element("text", score_name(name), x=MARGIN, y=_at(top + HEAD - 12), class_="title")]
    for tick in up.ticks():
        level = _at(down(tick))
        marks.append(element("path", d=f"M{_at(left)} {level}H{_at(across.left + across.wide)}", class_="grid"))
        marks.append(
            element("text", plain(tick), x=_at(left - 8), y=level, dy="0.35em", text_anchor="end", class_="soft")
        )
    marks += across.grid(sorted(set(places.tolist())))
    marks.append(
        element("text", axis.name, x=_at(across.left + across.wide), y=_at(last + 36), text_anchor="end", class_="soft")
    )
    key = left
    for (line, arms), colour in zip(series.items(), COLOURS, strict=False):
        x = [across.place(float(arm.at or 0)) for arm in arms]
        of = [scores[arm.name][name] for arm in arms]
        over = [(a, down(score.mean + _spread(score))) for a, score in zip(x, of, strict=True)]
        under = [(a, down(score.mean - _spread(score))) for a, score in zip(x, of, strict=True)]
        marks.append(element("path", d=_through([*over, *under[::-1]]) + "z", fill=colour, class_="band"))
        middle = [(a, down(score.mean)) for a, score in zip(x, of, strict=True)]
        marks.append(element("path", d=_through(middle), stroke=colour, class_="line"))
        for (a, y), arm, score in zip(middle, arms, of, strict=True):
            marks.append(_dot(a, y, 4, colour, f"{arm.name}: {score.mean:.3f}"))
        if len(series) > 1:
            marks.append(_dot(key + 5, last + 32, 4, colour, line))
            marks.append(element("text", line, x=_at(key + 14), y=_at(last + 36)))
            key += 40 + 7.5 * len(line)
    return marks, HEAD + SWEEP + FOOT + 18


def _spread(score: Score) -> float:
    return 0.0 if math.isnan(score.deviation) else score.deviation


class _Across:
    """A horizontal axis on the drawing."""

    def __init__(self, scale: Scale, left: float, wide: float, top: float, bottom: float) -> None:
        self.scale, self.left, self.wide, self.top, self.bottom = scale, left, wide, top, bottom

    def place(self, value: float) -> float:
        return self.left + float(self.scale.place(np.array(value))) * self.wide

    def upright(self, value: float, look: str, **attributes: object) -> Markup:
        x = _at(self.place(value))
        return element("path", d=f"M{x} {_at(self.top)}V{_at(self.bottom)}", class_=look, **attributes)

    def grid(self, ticks: Sequence[float] | None = None) -> list[Markup]:
        marks = []
        for tick in self.scale.ticks(4) if ticks is None else ticks:
            marks.append(self.upright(tick, "grid"))
            x, y = _at(self.place(tick)), _at(self.bottom + 16)
            marks.append(element("text", plain(tick), x=x, y=y, text_anchor="middle", class_="soft"))
        return marks


def _dot(x: float, y: float, radius: float, colour: str, says: str, look: str | None = None) -> Markup:
    return element("circle", element("title", says), cx=_at(x), cy=_at(y), r=radius, fill=colour, class_=look)


def _through(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_at(x)} {_at(y)}" for x, y in points)


def _at(value: float) -> str:
    return f"{value:.1f}"


def _short(name: str) -> str:
    return name if len(name) <= 36 else f"{name[:35]}…"
