from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from training.report.chart import HEIGHT, WIDTH, Chart, Line, draw
from training.report.curves import find_curves
from training.report.metrics import Metrics
from training.report.scale import Scale, percent, plain

FINITE = st.floats(-1e12, 1e12)


def chart_of(*y: float, **changes: Any) -> str:
    lines = [Line("pairs", "pair", np.array(y))]
    return draw(Chart("Loss", "About.", "step", np.arange(len(y), dtype=float), lines, **changes))


def points(markup: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json">(.*?)</script>', markup)
    assert found
    return dict(json.loads(found[1]))


@given(st.lists(FINITE, min_size=1, max_size=20))
def test_every_value_lies_inside_the_drawing(y: list[float]) -> None:
    read = points(chart_of(*y))
    assert all(0 <= x <= WIDTH for x in read["x"])
    assert all(0 <= y <= HEIGHT for y in read["lines"][0]["y"])


def test_a_gap_breaks_the_line_and_is_said() -> None:
    markup = chart_of(1, 2, float("nan"), 3, 4)
    path = re.search(r'd="(M[^"]*)" class="line pair"', markup)
    assert path
    assert path[1].count("M") == 2
    read = points(markup)["lines"][0]
    assert read["y"][2] is None
    assert read["text"][2] == "–"


def test_values_far_apart_are_drawn_on_a_logarithmic_axis() -> None:
    down = points(chart_of(1, 10, 100))["lines"][0]["y"]
    assert down[0] - down[1] == pytest.approx(down[1] - down[2], abs=0.2)
    down = points(chart_of(1, 10, 19))["lines"][0]["y"]
    assert down[0] - down[1] == pytest.approx(down[1] - down[2], abs=0.2)


def test_a_chart_has_a_table_of_both_ends() -> None:
    markup = chart_of(*range(5, 105))
    assert '<th scope="row">0</th><td>5</td>' in markup
    assert '<th scope="row">99</th><td>104</td>' in markup
    assert "As a table" in markup


def test_bars_stand_on_zero() -> None:
    markup = chart_of(0.25, 0, 0.75, bars=True, text=percent)
    path = re.search(r'd="([^"]*)" class="bars pair"', markup)
    assert path
    assert path[1].count("z") == 2
    assert "75 %" in markup


@given(FINITE, FINITE)
@example(5e-324, 0.0)
@example(5e-324, 1e-323)
@example(-1e-310, 2e-310)
@example(1e-300, 1e-300)
@example(5e-324, 1.0)
@example(-542121428802.66125, -542121428802.6614)
def test_ticks_are_few_and_on_the_axis(one: float, other: float) -> None:
    scale = Scale.around(np.array([one, other]))
    ticks = scale.ticks()
    assert len(ticks) <= 9
    room = 1e-6 * (scale.high - scale.low)
    assert all(scale.low - room <= tick <= scale.high + room for tick in ticks)


def test_numbers_are_short() -> None:
    assert [plain(x) for x in (1234567, 12.345, 0.00012, float("nan"))] == ["1,234,567", "12.3", "0.00012", "–"]
    assert percent(0.1234) == "12.3 %"


def metrics_of(**series: list[float]) -> Metrics:
    count = len(next(iter(series.values())))
    return Metrics(np.arange(count), {name: np.array(values, float) for name, values in series.items()})


def test_known_scalars_have_their_chart_and_unknown_ones_come_after() -> None:
    known, others = find_curves(
        metrics_of(loss=[3, 2], loss_pair=[2, 1], effective_slots_sound=[9, 8], data_wait=[0, 0.5], grad_norm=[1, 2])
    )
    assert [chart.title for chart in known] == ["Loss", "Effective slots", "Data wait"]
    assert [line.name for line in known[0].lines] == ["total", "pairs"]
    assert [chart.title for chart in others] == ["grad_norm"]


def test_a_total_that_is_all_pairs_is_drawn_once_and_a_scalar_without_numbers_not_at_all() -> None:
    known, others = find_curves(metrics_of(loss=[3, 2], loss_pair=[3, 2], learning_rate=[np.nan, np.nan]))
    assert [[line.name for line in chart.lines] for chart in known] == [["pairs"]]
    assert others == []


def test_a_spike_of_a_long_run_is_drawn() -> None:
    values = np.ones(20_000)
    values[12_345] = 50
    [chart], _ = find_curves(Metrics(np.arange(20_000), {"loss": values}))
    assert chart.lines[0].faint
    steps, drawn = chart.lines[0].faint
    assert len(steps) <= 1000
    assert drawn.max() == 50
    assert len(chart.x) <= 240
