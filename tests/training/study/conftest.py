"""Results that were not trained for, and the command on the tiny data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from service.cli import main
from training.config import PRESETS, TrainingConfig
from training.outcome import Outcome
from training.study.plan import Study
from training.study.runs import Run, runs_of

Fill = Callable[..., dict[str, dict[int, Run]]]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths are in a folder of the test's own."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """`fill(study, means, seeds=3)`: runs of a study on disk whose items are right with their arm's probability."""

    def make(study: Study, means: dict[str, float], seeds: int = 3, items: int = 400) -> dict[str, dict[int, Run]]:
        runs = runs_of(study, tmp_path, "small", [], range(seeds), "data")
        clips = np.arange(items, dtype=np.int64)
        ease = np.random.default_rng(0).random(items)  # of an item, the same for all runs
        for arm, by_seed in runs.items():
            for seed, run in by_seed.items():
                if arm not in means or run.is_measured():
                    continue
                noise = np.random.default_rng((seed, len(arm))).normal(0, 0.05, items)
                right = (ease + noise < means[arm]).astype(np.float64)
                outcomes = {name: Outcome(right, clips) for name in study.scores}
                chance = {"image": {"chance": 0.1}, "sound_to_image": {"chance": 0.1, "chances": {"hit@1": 0.2}}}
                run.save(chance, outcomes)
        return runs

    return make


@pytest.fixture
def study_tiny(tiny_rows: Path, tiny_config: Callable[..., TrainingConfig]) -> Callable[..., int]:
    """`study_tiny(names, out, data=…, options=(), key=value)`: the command on the tiny data set; its exit status."""

    def run(names: str, out: Path, data: Path = tiny_rows, options: tuple[str, ...] = (), **changes: object) -> int:
        config = tiny_config(**changes)
        small = TrainingConfig(**PRESETS["small"]).to_dict()
        keys = {key: value for key, value in config.to_dict().items() if value != small[key] and key != "preset"}
        sets = [part for key, value in keys.items() for part in ("--set", f"{key}={value}")]
        where = ["--data", str(data), "--out", str(out), "--device", "cpu", "--seeds", "1", "--jobs", "2"]
        return main(["study", *names.split(), *where, *sets, *options])

    return run
