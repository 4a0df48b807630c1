"""`bma study` as a user runs it: worker processes, runs that are never repeated, stops, and runs that fail."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from training.evaluate import FORMAT

pytestmark = pytest.mark.long

StudyTiny = Callable[..., int]


def runs(out: Path) -> dict[str, Path]:
    """Run folders by what their names say."""
    return {folder.name.partition("-seed")[0]: folder for folder in (out / "runs").iterdir()}


def steps_of(run: Path) -> list[int]:
    """The steps in a run's log, none where it has not got to one."""
    file = run / "metrics.jsonl"
    return [json.loads(line)["step"] for line in file.read_text().splitlines()] if file.is_file() else []


def test_a_study_is_run_once(study_tiny: StudyTiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert study_tiny("table1 table3", tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 runs, 0 of them done before; 2 at a time"
    assert lines[3].startswith("[3/3] ")
    assert "; all in " in lines[3]
    assert [Path(line.removeprefix("wrote ")).name for line in lines[4:]] == [
        f"{name}.{ending}" for name in ("table1", "table3") for ending in ("json", "md", "svg")
    ]
    assert set(runs(tmp_path)) == {"small", "small-unpaired-sounds", "small-unpaired-images"}
    for folder in runs(tmp_path).values():
        assert (folder / "model" / "model.safetensors").is_file()
        assert not (folder / "checkpoints").exists()
    table = json.loads((tmp_path / "table3.json").read_text())
    for arm in table["arms"].values():
        (folder,) = arm["runs"].values()
        measured = json.loads((tmp_path / "runs" / folder / "scores.json").read_text())["scores"]
        for k in range(1, 6):
            assert arm["scores"][f"sound_to_image.hit@{k}"]["mean"] == measured["sound_to_image"][f"hit@{k}"]
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").rglob("*")}
    assert study_tiny("table1", tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[0] == "2 runs, 2 of them done before; 2 at a time"
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").rglob("*")} == before
    # probes on another data set are measured of the same trained models
    rows = json.loads((tmp_path / "table1.json").read_text())["command"].split("--data ")[1].split()[0]
    assert study_tiny("table2 table4", tmp_path, options=("--probe", rows)) == 0
    assert capsys.readouterr().out.splitlines()[0] == "2 runs, 0 of them done before; 2 at a time"
    assert len(list((tmp_path / "runs").glob("*/scores-on-*.json"))) == 2
    after = {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").rglob("*") if file.suffix == ".safetensors"}
    assert after == {file: stamp for file, stamp in before.items() if file.suffix == ".safetensors"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_study_goes_on(
    study_tiny: StudyTiny, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    keys = {"steps": 300, "checkpoint_every": 20}

    def press() -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end and not any(tmp_path.glob("runs/*/checkpoints/step-*[1-9]0.safetensors")):
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    threading.Thread(target=press, daemon=True).start()
    assert study_tiny("table1", tmp_path, **keys) == 130
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("bma: stopped with 2 of 2 runs left; run the same command to go on: bma study table1 --data")
    done = {name: len(steps_of(folder)) for name, folder in runs(tmp_path).items()}
    assert max(done.values()) >= 20
    assert all(steps < 300 for steps in done.values())
    time.sleep(0.5)
    for name, folder in runs(tmp_path).items():  # nobody is at work any more
        assert len(steps_of(folder)) == done[name]
    assert study_tiny("table1", tmp_path, **keys) == 0
    for folder in runs(tmp_path).values():
        assert steps_of(folder) == list(range(300))


def test_a_run_that_fails_is_named_and_the_others_go_on(
    study_tiny: StudyTiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert study_tiny("table1", out) == 0
    whole = json.loads((out / "table1.json").read_text())["arms"]
    weights = {folder: (folder / "model" / "model.safetensors").stat().st_mtime_ns for folder in runs(out).values()}
    for folder in weights:  # of another format: the kept bundle is measured anew
        content = json.loads((folder / "scores.json").read_text())
        assert content["format"] == FORMAT
        (folder / "scores.json").write_text(json.dumps({**content, "format": FORMAT - 1, "scores": {}}))
    (runs(out)["small-unpaired-sounds"] / "config.json").write_text("{")
    capsys.readouterr()
    assert study_tiny("table1", out) == 1
    failed, told = capsys.readouterr().err.splitlines()
    assert "table1, + unpaired sounds, seed 0 failed: " in failed
    assert "config.json can't be read" in failed
    assert "Traceback" not in failed
    assert told == (
        f"bma: 1 of 2 runs failed, as said above; {out} has what the others say, and the same command tries those again"
    )
    table = json.loads((out / "table1.json").read_text())
    assert table["missing"] == [{"arm": "+ unpaired sounds", "seed": 0}]
    assert table["arms"]["pairs only"] == whole["pairs only"]
    assert {folder: (folder / "model" / "model.safetensors").stat().st_mtime_ns for folder in weights} == weights
