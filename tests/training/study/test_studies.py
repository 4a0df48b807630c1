"""The studies as data: every arm of every study is a configuration, and what is compared is there."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from service.cli import main
from training.config import PRESETS, TrainingConfig
from training.model.config import ConfigError
from training.study.commands import read_seeds
from training.study.plan import Arm, score_name
from training.study.runs import find_run, make_config, runs_of
from training.study.studies import ALL, LITERAL_MEMORY, LITERAL_UNPAIRED, RANKS, STUDIES
from training.study.worker import METHODS


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", STUDIES)
def test_every_arm_is_a_configuration_and_a_method(name: str, preset: str) -> None:
    for arm in STUDIES[name].arms:
        config = make_config(arm, preset, ["steps=7"], 3)
        assert (config.preset, config.seed, config.steps) == (preset, 3, 7)
        assert arm.method in METHODS


@pytest.mark.parametrize("name", STUDIES)
def test_what_is_compared_is_there(name: str) -> None:
    study = STUDIES[name]
    names = [arm.name for arm in study.arms]
    assert len(set(names)) == len(names)
    assert set(study.scores) <= {*ALL, *RANKS}
    assert study.comparisons
    for comparison in study.comparisons:
        assert {comparison.arm, comparison.baseline} <= set(names)
        assert comparison.arm != comparison.baseline
        assert comparison.score in study.scores
    assert all((arm.at is not None and arm.series) or study.axis is None for arm in study.arms)


def test_the_papers_tables_and_figures_are_there() -> None:
    assert {*(f"table{n}" for n in range(1, 6)), "figure5", "figure6", "memory", "gaps", "unpaired"} <= set(STUDIES)
    assert [arm.at for arm in STUDIES["figure6"].arms] == [10, 50, 100, 500, 1000, 5000]


def test_literal_is_what_the_paper_preset_has() -> None:
    paper = TrainingConfig().to_dict()
    for key, value in {**LITERAL_MEMORY, **LITERAL_UNPAIRED}.items():
        assert paper[key] == value, key
    of_unpaired = {
        "first_view",
        "second_view",
        "separate_windows",
        "separate_statistics",
        "crop_scale",
        "colour_jitter",
    }
    when = {"unpaired_weight", "unpaired_ramp", "unpaired_until"}
    assert set(LITERAL_UNPAIRED) == of_unpaired | when


def test_the_arms_keys_come_last_and_the_seed_is_the_commands() -> None:
    arm = Arm("a", {"slots": 7})
    assert make_config(arm, "small", ["slots=9", "steps=3"], 1).slots == 7
    with pytest.raises(ConfigError, match="--seeds"):
        make_config(arm, "small", ["seed=9"], 1)
    with pytest.raises(ConfigError, match="no preset 'tiny'"):
        make_config(arm, "tiny", [], 1)


def test_studies_share_the_runs_that_are_the_same(tmp_path: Path) -> None:
    one, other = (runs_of(STUDIES[name], tmp_path, "small", [], [0, 1], "data") for name in ("table1", "unpaired"))
    assert one["pairs only"] == other["pairs only"]
    assert one["+ unpaired sounds"] == other["+ unpaired sounds"]
    folders = [run.folder for by_seed in other.values() for run in by_seed.values()]
    assert len(set(folders)) == 8


def test_a_run_is_found_again_by_what_it_is(tmp_path: Path) -> None:
    base = make_config(Arm("base"), "small", [], 0)
    config = make_config(Arm("a", {"unpaired": "sounds"}), "small", [], 2)
    run = find_run(tmp_path, config, "bma", "data", base)
    assert run.folder.parent == tmp_path / "runs"
    assert run.folder.name.startswith("small-unpaired-sounds-seed-2-")
    run.folder.mkdir(parents=True)
    assert find_run(tmp_path, config, "bma", "data", config).folder == run.folder  # whatever it would be called now
    others = [
        find_run(tmp_path, config, "bma", "other data", base),
        find_run(tmp_path, config, "another method", "data", base),
        find_run(tmp_path, make_config(Arm("a", {"unpaired": "sounds"}), "small", [], 3), "bma", "data", base),
    ]
    assert run.folder not in [other.folder for other in others]


@pytest.mark.parametrize(("text", "seeds"), [("5", [0, 1, 2, 3, 4]), ("0,1,7", [0, 1, 7]), ("3,", [3]), ("1", [0])])
def test_seeds_are_a_number_or_a_list(text: str, seeds: list[int]) -> None:
    assert read_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "0", "-1", "a", "1,1", "1,-2", ",", "1.5"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="takes a number"):
        read_seeds(text)


def test_scores_have_names_to_read() -> None:
    assert [score_name(score) for score in ("image.probe", "sound.knn", "sound_to_image.hit@1", "a_to_b.map")] == [
        "image probe",
        "sound kNN",
        "sound to image, hit@1",
        "a to b, mAP",
    ]


def test_the_list_names_each_study(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(STUDIES)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name a study; studies are table1, "),
        (["table9"], "there is no study 'table9'; studies are table1, "),
        (["table1"], "bma study needs --data"),
        (["table1", "--data", "x"], "bma study needs --out"),
        (["table4", "--data", "x", "--out", "y"], "table4 scores on another data set; name it with --probe"),
        (["table1", "--data", "x", "--out", "y", "--jobs", "0"], "--jobs takes a whole number of at least 1, not 0"),
        (["table1", "--data", "x", "--out", "y", "--set", "slot=3"], "there is no key 'slot' to set; did you mean"),
        (["table1", "--data", "/nowhere", "--out", "y"], "/nowhere"),
        (["table1", "--data", "x", "--out", "y", "--device", "gpu"], "there is no device 'gpu'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", *words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bma: ")
    assert told in line
