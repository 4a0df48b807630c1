"""What `bma study` does about the runs that are there and the places that are not, with no run trained."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from training.config import TrainingConfig
from training.outcome import Outcome
from training.study.pool import Machine
from training.study.runs import Run
from training.study.worker import Job

StudyTiny = Callable[..., int]
Measure = Callable[..., list[Job]]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measure:
    """`measured(score, …)`: workers train nothing and find these scores; the list fills with their jobs."""

    def patch(*scores: str) -> list[Job]:
        done: list[Job] = []

        def run_all(jobs: Sequence[Job], machine: Machine, finished: Callable[..., None], failed: object) -> None:
            for job in jobs:
                run = Run(Path(job.folder), TrainingConfig.from_dict(job.config), job.method)
                run.save({}, {score: Outcome(np.ones(6), np.arange(6)) for score in scores})
                done.append(job)
                finished(job, 1.0)

        monkeypatch.setattr("training.study.request.run_all", run_all)
        return done

    return patch


def test_a_study_without_a_score_is_an_error_and_others_are_written(
    study_tiny: StudyTiny, measured: Measure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured("image.probe", "image.knn")
    assert study_tiny("table2 table1", tmp_path / "out") == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("bma: table2: none of its scores could be measured on ")
    assert told.endswith(": its runs were measured without them")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "runs",
        "table1.json",
        "table1.md",
        "table1.svg",
    ]


def test_a_score_that_no_run_has_is_named(study_tiny: StudyTiny, measured: Measure, tmp_path: Path) -> None:
    measured("image.probe")
    assert study_tiny("table1", tmp_path / "out") == 0
    text = (tmp_path / "out" / "table1.md").read_text()
    assert "\n\nCould not be measured on this data: image kNN.\n\n" in text
    assert "|  | image probe |" in text
    assert json.loads((tmp_path / "out" / "table1.json").read_text())["absent"] == ["image.knn"]
    measured("image.probe", "image.knn")
    assert study_tiny("table1", tmp_path / "other") == 0
    assert "Could not be measured" not in (tmp_path / "other" / "table1.md").read_text()


def test_a_damaged_result_is_said_before_anything_is_trained(
    study_tiny: StudyTiny, measured: Measure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = measured("image.probe", "image.knn")
    assert study_tiny("table1", tmp_path) == 0
    assert len(done) == 2
    damaged = Path(done[1].folder) / "outcomes.npz"
    damaged.write_bytes(damaged.read_bytes()[:100])
    (Path(done[0].folder) / "scores.json").unlink()
    capsys.readouterr()
    assert study_tiny("table1", tmp_path) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"bma: {damaged} can't be read (")
    assert told.endswith("; delete it to measure the run again")
    assert len(done) == 2
    damaged.unlink()
    assert study_tiny("table1", tmp_path) == 0
    assert [job.folder for job in done[2:]] == [job.folder for job in done[:2]]


def test_a_folder_that_cannot_be_made_is_said_before_the_data_is_opened(
    study_tiny: StudyTiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert study_tiny("table1", tmp_path / "file" / "out", data=Path("/nowhere")) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert told == (
        f"bma: {tmp_path / 'file' / 'out'} can't be written (Not a directory); make room for it, or allow it, and run "
        "the same command again; or name another folder with --out"
    )


def test_a_folder_that_may_not_be_written_is_said_before_the_data_is_opened(
    study_tiny: StudyTiny, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "runs")
    assert study_tiny("table1", tmp_path / "out", data=Path("/nowhere")) == 1
    assert f"bma: {tmp_path / 'out' / 'runs'} can't be written (Permission denied); " in capsys.readouterr().err


def test_a_full_disk_is_one_sentence(
    study_tiny: StudyTiny,
    measured: Measure,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured("image.probe", "image.knn")
    write_text = Path.write_text

    def full(file: Path, *text: str, **how: str) -> int:
        if file.suffix == ".md":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        return write_text(file, *text, **how)

    monkeypatch.setattr(Path, "write_text", full)
    assert study_tiny("table1", tmp_path / "out") == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path / 'out' / 'table1.md'} can't be written (No space left on device); make room for it" in told
