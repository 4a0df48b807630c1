"""Pictures of a run, each a file that stands alone: addressing, recall, shares of the slots, exemplars, the map."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.report.chart import HEIGHT, LEFT, RIGHT, WIDTH, Chart, Line, plot
from training.report.curves import find_curve
from training.report.exemplars import show_exemplars
from training.report.frame import Key, Panel, frame
from training.report.markup import element
from training.report.metrics import Values
from training.report.output import save
from training.report.record import ReportError
from training.report.report import Findings, Report
from training.report.scale import percent, plain
from training.report.scatter import show_map
from training.report.sections import chart_ranks, chart_spread
from training.report.usage import measure_alikeness

SLOTS = 6  # with exemplars
BINS = 24
DASHES = "M-6 -1h4v2h-4zM0 -1h4v2h-4z"
NO_MODEL = "the run has no model yet, or its data set is not at hand"
NO_MEMORY = "the model was trained without its memory (use_memory=false)"


@dataclass(frozen=True)
class Picture:
    """A picture's file name and its content; None where it can't be drawn, with the reason."""

    name: str
    content: bytes | None
    reason: str = ""


def make_pictures(report: Report) -> list[Picture]:
    """Every picture of a report, the same bytes for the same report. Those that it has nothing for hold None.

    Raises:
        ReportError: there is nothing for any.
    """
    makers: dict[str, Callable[[Report], bytes | str]] = {
        "addressing.svg": _addressing,
        "recall.svg": _recall,
        "sharing.svg": _sharing,
        "exemplars.jpg": _exemplars,
        "map.svg": _map,
    }
    pictures = []
    for name, make in makers.items():
        made = make(report)
        pictures.append(Picture(name, None, made) if isinstance(made, str) else Picture(name, made))
    if all(picture.content is None for picture in pictures):
        raise ReportError(
            f"{report.record.folder} has nothing to draw yet: {'; '.join(dict.fromkeys(p.reason for p in pictures))}"
        )
    return pictures


def save_pictures(pictures: Sequence[Picture], folder: Path) -> list[str]:
    """Write pictures into a folder, made where it is missing; a sentence on each. Raises `ReportError`."""
    said = []
    for picture in pictures:
        file = folder / picture.name
        if picture.content is None:
            old = f"; the {picture.name} that is there is an older one" if file.exists() else ""
            said.append(f"{file} is left out: {picture.reason}{old}")
        else:
            save(picture.content, file, "name another folder with --pictures")
            said.append(f"{file} ({len(picture.content) / 1000:.0f} kB)")
    return said


def _addressing(report: Report) -> bytes | str:
    """Effective slots and slots in use over training."""
    metrics, n = report.record.metrics, report.record.config.get("slots")
    effective, used = (find_curve(metrics, f"{name}_slots_image") for name in ("effective", "used"))
    if effective is None or used is None:
        return _no_curves(report)
    if isinstance(n, int):
        effective = _limit(effective, f"all {n:,} slots", n)
        batch = min(report.record.config["batch_size"], n)
        used = _limit(used, f"at most {batch:,}", batch)
    return _file([_panel(effective), _panel(used)], _foot(report, False))


def _recall(report: Report) -> bytes | str:
    """How long what is recalled is over training and, of a finished run, how much two recalls differ."""
    length = find_curve(report.record.metrics, "recalled_norm_image")
    if length is None:
        return _no_curves(report)
    length = dataclasses.replace(
        length,
        title="Length of what is recalled",
        about="Norm of the recalled half of h beside the norm of the encoder's half: 1 is equal length.",
        zero=True,
    )
    alike = _alikeness(report.findings) if report.findings and report.findings.usages else None
    panels = [_panel(length), _panel(alike)] if alike else [_panel(length)]
    return _file(panels, _foot(report, alike is not None))


def _sharing(report: Report) -> bytes | str:
    """How the queries spread over the slots, and how the slots share the weight, when training has ended."""
    findings = report.findings
    if findings is None or not findings.usages:
        return _no_memory(findings)
    n = len(findings.usages[0].mean)
    ranks = chart_ranks(findings.usages)
    ranks = dataclasses.replace(ranks, about=f"{ranks.about[:-1]}; even shares would be {percent(1 / n)} each.")
    return _file([_panel(chart_spread(findings.usages)), _panel(ranks)], _foot(report, True))


def _exemplars(report: Report) -> bytes | str:
    """What addresses the most used slots most."""
    findings = report.findings
    if findings is None or not findings.slots:
        return _no_memory(findings)
    return show_exemplars(findings, findings.slots[:SLOTS], _foot(report, True))


def _map(report: Report) -> bytes | str:
    """The plane of z: images and sounds by class."""
    return _file([show_map(report.findings)], _foot(report, True)) if report.findings else NO_MODEL


def _alikeness(findings: Findings) -> Chart | None:
    """A histogram of the cosine between what two items recall."""
    cosines = [(sample.modality, measure_alikeness(sample)) for sample in findings.samples.values()]
    cosines = [(modality, values) for modality, values in cosines if len(values)]
    if not cosines:
        return None
    borders = np.linspace(min(0.0, *(float(values.min()) for _, values in cosines)), 1, BINS + 1)
    lines = [
        Line(f"{modality}s: median {plain(float(np.median(values)))}", modality, _shares(values, borders))
        for modality, values in cosines
    ]
    return Chart(
        "Likeness of what is recalled",
        "Cosine between what two images recall, or two sounds, over all pairs: 1 is the same answer to both.",
        "cosine",
        (borders[:-1] + borders[1:]) / 2,
        lines,
        bars=True,
        text=percent,
    )


def _shares(values: Values, borders: Values) -> Values:
    return np.asarray(np.histogram(values, borders)[0] / len(values), np.float64)


def _limit(chart: Chart, name: str, value: float) -> Chart:
    """The chart from 0 on, with a line at the most that could be."""
    limit = Line(name, "even", np.full(len(chart.x), float(value)))
    return dataclasses.replace(chart, lines=[*chart.lines, limit], zero=True)


def _panel(chart: Chart) -> Panel:
    keys = []
    for line in chart.lines:
        if line.look == "even":
            keys.append(Key(line.name, "key even", mark=DASHES))
        else:
            last = chart.text(float(line.y[-1])) if chart.x_name == "step" else ""
            keys.append(Key(line.name, f"key {line.look}", last))
    name = element("text", chart.x_name, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT + 14, text_anchor="middle")
    drawing = element("g", plot(chart, width=WIDTH, height=HEIGHT), name)
    return Panel(chart.title, chart.about, drawing, WIDTH, HEIGHT + 16, keys)


def _file(panels: Sequence[Panel], foot: str) -> bytes:
    return frame(panels, foot).encode("utf-8")


def _foot(report: Report, asked: bool) -> str:
    """What a picture was made of."""
    record = report.record
    made = f"Run {record.name}: preset {record.preset}, {record.config['steps']:,} steps"
    split = f", split {report.findings.split}" if asked and report.findings else ""
    return f"{made}{split}. Strong lines are means over a fortieth of the run." if not asked else f"{made}{split}."


def _no_curves(report: Report) -> str:
    if report.record.config.get("use_memory") is False:
        return NO_MEMORY
    return "the run's metrics.jsonl says nothing of the memory"


def _no_memory(findings: Findings | None) -> str:
    return NO_MODEL if findings is None else NO_MEMORY
