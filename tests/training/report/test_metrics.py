from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.report.metrics import evenly, read_metrics, smooth, thin

NUMBERS = st.floats(allow_nan=True, allow_infinity=False)


def write(file: Path, *lines: str) -> Path:
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_reads_a_step_a_line_and_leaves_gaps_where_a_scalar_is_missing(tmp_path: Path) -> None:
    metrics = read_metrics(write(tmp_path / "m", '{"step": 0, "loss": 4}', "", '{"step": 3, "loss": 2.5, "rate": 7}'))
    assert metrics.steps.tolist() == [0, 3]
    assert metrics.series["loss"].tolist() == [4, 2.5]
    assert math.isnan(metrics.series["rate"][0])
    assert metrics.series["rate"][1] == 7
    assert metrics.unreadable == 0


def test_what_is_no_finite_number_is_a_gap(tmp_path: Path) -> None:
    lines = (f'{{"step": {step}, "loss": {loss}}}' for step, loss in enumerate(("NaN", "Infinity", "1e999", "9" * 400)))
    metrics = read_metrics(write(tmp_path / "m", *lines, '{"step": 9, "loss": 1, "kind": "text", "on": true}'))
    assert metrics.steps.tolist() == [0, 1, 2, 3, 9]
    assert np.isnan(metrics.series["loss"][:4]).all()
    assert set(metrics.series) == {"loss"}


def test_lines_that_make_no_sense_are_counted_and_left_out(tmp_path: Path) -> None:
    lines = ['{"step": 0, "loss": 1}', "[1]", '{"loss": 1}', '{"step": true}', '{"step": -1}', '{"step": 1, "lo']
    metrics = read_metrics(write(tmp_path / "m", *lines))
    assert metrics.steps.tolist() == [0]
    assert metrics.unreadable == 5


def test_bytes_that_are_no_text_are_no_line(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b'{"step": 0, "loss": 1}\n\xff\xfe\x00\n')
    assert read_metrics(tmp_path / "m").steps.tolist() == [0]


def test_of_a_step_that_was_written_twice_the_later_line_counts(tmp_path: Path) -> None:
    steps = [(0, 5), (1, 4), (2, 3), (1, 2)]
    metrics = read_metrics(write(tmp_path / "m", *(json.dumps({"step": step, "loss": loss}) for step, loss in steps)))
    assert metrics.steps.tolist() == [0, 1, 2]
    assert metrics.series["loss"].tolist() == [5, 2, 3]


def test_no_file_is_no_steps(tmp_path: Path) -> None:
    metrics = read_metrics(tmp_path / "m")
    assert len(metrics.steps) == 0
    assert metrics.series == {}


@given(st.lists(NUMBERS, min_size=1, max_size=300), st.integers(4, 50))
def test_thinning_keeps_the_extremes_and_both_ends(numbers: list[float], most: int) -> None:
    values = np.array(numbers)
    places = thin(values, most)
    assert len(places) <= most
    assert (np.diff(places) > 0).all()
    assert {0, len(values) - 1} <= set(places.tolist())
    if not np.isnan(values).all():
        assert np.nanmin(values[places]) == np.nanmin(values)
        assert np.nanmax(values[places]) == np.nanmax(values)


def test_thinning_leaves_what_fits_as_it_is() -> None:
    assert thin(np.arange(10.0), 10).tolist() == list(range(10))
    with pytest.raises(ValueError, match="at least 4"):
        thin(np.arange(10.0), 3)


@given(st.integers(1, 500), st.integers(1, 50))
def test_even_places_rise_within_the_count(count: int, most: int) -> None:
    places = evenly(count, most)
    assert len(places) == min(count, most)
    assert len(set(places.tolist())) == len(places)
    assert places.min() >= 0
    assert places.max() < count


def test_smoothing_is_the_mean_of_the_finite_values_around() -> None:
    values = np.array([1.0, 3.0, np.nan, 5.0, 1e300, 1.0, 1.0, 1.0])
    smoothed = smooth(values, np.array([0, 1, 2, 6]), 3)
    assert smoothed[[0, 1, 3]].tolist() == [2, 2, 1]
    assert math.isnan(smoothed[2])
