"""Results on disk: whole, of today's format, or said to be damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from training.config import TrainingConfig
from training.evaluate import FORMAT
from training.outcome import Outcome
from training.study.runs import Run, StudyError

SCORES = {"image": {"probe": 0.5, "chance": 0.1}}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with a result."""
    one = Run(tmp_path / "run", TrainingConfig(), "bma")
    values = np.random.default_rng(0).random(40).round(1)
    one.save(SCORES, {name: Outcome(values, np.arange(40)) for name in ("image.probe", "image.knn")})
    return one


def test_what_is_saved_is_read(run: Run) -> None:
    assert run.is_measured()
    assert not run.is_measured("another data set")
    assert run.read().scores == SCORES
    assert set(run.read().outcomes) == {"image.probe", "image.knn"}
    assert json.loads(run.scores_file().read_text())["format"] == FORMAT


def test_a_result_of_another_format_is_measured_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.study.runs.FORMAT", FORMAT + 1)
    assert not run.is_measured()
    run.save(SCORES, {})
    assert run.is_measured()


def test_a_result_that_says_no_format_is_of_the_second(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.loads(run.scores_file().read_text())
    del content["format"]
    run.scores_file().write_text(json.dumps(content))
    for number in (1, 2, 3):
        monkeypatch.setattr("training.study.runs.FORMAT", number)
        assert run.is_measured() == (number == 2)
    assert run.read().scores == SCORES


def test_a_result_without_outcomes_is_measured_again(run: Run) -> None:
    run.outcomes_file().unlink()
    assert not run.is_measured()
    with pytest.raises(StudyError, match=r"outcomes\.npz can't be read .*; delete it to measure the run again"):
        run.read()


def test_truncated_outcomes_are_said_to_be_damaged(run: Run) -> None:
    whole = run.outcomes_file().read_bytes()
    for size in range(0, len(whole), 7):
        run.outcomes_file().write_bytes(whole[:size])
        assert run.is_measured()
        with pytest.raises(StudyError, match=r"outcomes\.npz can't be read"):
            run.read()


def test_a_flipped_bit_is_said_or_does_no_harm(run: Run) -> None:
    whole, before = run.outcomes_file().read_bytes(), run.read().outcomes
    said = 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        run.outcomes_file().write_bytes(damaged)
        try:
            after = run.read().outcomes
        except StudyError as error:
            said += 1
            assert f"{run.outcomes_file()} can't be read" in str(error)  # noqa: PT017
            continue
        for name, outcome in after.items():
            assert np.array_equal(outcome.values, before[name].values), place
    assert said > len(whole) / 3


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"', '{"config": {}, "scores": 3}'])
def test_damaged_scores_are_not_taken_for_absent(run: Run, content: str) -> None:
    run.scores_file().write_text(content)
    assert run.is_measured()
    with pytest.raises(StudyError, match=r"scores\.json can't be read .*; delete it"):
        run.read()


def test_a_result_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match=r"file/run can't be written \(Not a directory\); make room for it"):
        Run(tmp_path / "file" / "run", TrainingConfig(), "bma").save(SCORES, {})
