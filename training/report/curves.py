"""The curves of a run: which of its scalars are drawn together, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from training.report.chart import Chart, Line
from training.report.metrics import Metrics, evenly, smooth, thin
from training.report.scale import percent, plain

DRAWN = 1000  # points of a line at most
READ = 240  # points that are read out
SMOOTHED = 40  # a window is this share of the run


@dataclass(frozen=True)
class _Curve:
    title: str
    about: str
    names: dict[str, tuple[str, str]]  # a scalar's name in the legend, and its look
    zero: bool = False
    text: Callable[[float], str] = plain


def _both(scalar: str) -> dict[str, tuple[str, str]]:
    return {f"{scalar}_image": ("images", "image"), f"{scalar}_sound": ("sounds", "sound")}


CURVES = (
    _Curve(
        "Loss",
        "What training lowers: the contrastive loss of each kind of item, and their weighted total.",
        {
            "loss": ("total", "total"),
            "loss_pair": ("pairs", "pair"),
            "loss_unpaired_sounds": ("unpaired sounds", "sound"),
            "loss_unpaired_images": ("unpaired images", "image"),
        },
    ),
    _Curve(
        "Effective slots",
        "How many slots a query spreads over: the exponential of the mean addressing entropy.",
        _both("effective_slots"),
    ),
    _Curve(
        "Slots in use",
        "Slots that are the first choice of some pair of the batch (of a rank's part, where several share it).",
        _both("used_slots"),
    ),
    _Curve(
        "Recalled half of h",
        "How long what the memory recalls is, beside what the encoder sees.",
        _both("recalled_norm"),
    ),
    _Curve(
        "Data wait",
        "Share of the time in which a step waited for its data.",
        {"data_wait": ("waiting", "pair")},
        zero=True,
        text=percent,
    ),
    _Curve(
        "Throughput",
        "Training items a second, all kinds together.",
        {"samples_per_second": ("items a second", "total")},
        zero=True,
    ),
    _Curve("Learning rate", "Of Adam, at each step.", {"learning_rate": ("learning rate", "pair")}, zero=True),
    _Curve(
        "Weight of the unpaired",
        "Factor on each loss of unpaired items.",
        {"unpaired_weight": ("factor", "pair")},
        zero=True,
    ),
)


def find_curves(metrics: Metrics) -> tuple[list[Chart], list[Chart]]:
    """The charts of the known scalars that are there, and one for each other scalar."""
    known = {name for curve in CURVES for name in curve.names}
    others = [
        _Curve(name, "A scalar that this report has no words for.", {name: (name, "total")})
        for name in metrics.series
        if name not in known
    ]
    return _charts(metrics, CURVES), _charts(metrics, others)


def find_curve(metrics: Metrics, scalar: str) -> Chart | None:
    """The chart that shows a known scalar; None where the run wrote none of what it draws."""
    charts = _charts(metrics, [curve for curve in CURVES if scalar in curve.names])
    return charts[0] if charts else None


def _charts(metrics: Metrics, curves: tuple[_Curve, ...] | list[_Curve]) -> list[Chart]:
    charts = []
    for curve in curves:
        names = [name for name in curve.names if name in metrics.series and np.isfinite(metrics.series[name]).any()]
        if {"loss", "loss_pair"} <= set(names) and _same(metrics, "loss", "loss_pair"):
            names.remove("loss")
        if names:
            charts.append(_chart(metrics, curve, names))
    return charts


def _chart(metrics: Metrics, curve: _Curve, names: list[str]) -> Chart:
    read = evenly(len(metrics.steps), READ)
    steps = metrics.steps.astype(np.float64)
    window = len(steps) // SMOOTHED
    lines = []
    for name in names:
        values = metrics.series[name]
        places = thin(values, DRAWN)
        lines.append(Line(*curve.names[name], smooth(values, read, window), (steps[places], values[places])))
    return Chart(curve.title, curve.about, "step", steps[read], lines, log=None, zero=curve.zero, text=curve.text)


def _same(metrics: Metrics, one: str, other: str) -> bool:
    return bool(np.array_equal(metrics.series[one], metrics.series[other], equal_nan=True))
