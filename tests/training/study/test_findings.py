"""What a study found and how it is written: tables, JSON and drawings of results whose truth is known."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.outcome import Outcome
from training.study.findings import collect
from training.study.plan import Arm, Axis, Study, against
from training.study.plot import draw
from training.study.request import write
from training.study.runs import Run, StudyError
from training.study.table import Origin, to_markdown

Fill = Callable[..., dict[str, dict[int, Run]]]
SCORES = ("image.probe", "sound_to_image.hit@1")
ARMS = (Arm("plain", {"slots": 5}), Arm("better", {"slots": 6}), Arm("worse", {"slots": 7}), Arm("alike", {"slots": 8}))
STUDY = Study("try", "A try", ARMS, SCORES, against("plain", ARMS, SCORES))
MEANS = {"plain": 0.5, "better": 0.6, "worse": 0.4, "alike": 0.5}
ORIGIN = Origin("bma study try", "demo: 3 pairs", "", "2 cores", [0, 1, 2])
SWEEP_ARMS = tuple(
    Arm(f"{line} {n}", {"slots": n, "tau_m": tau}, line, n) for line, tau in (("a", 0.1), ("b", 0.2)) for n in (10, 100)
)
SWEEP = Study("sweep", "A sweep", SWEEP_ARMS, SCORES[:1], against("a 10", SWEEP_ARMS, SCORES[:1]), Axis("n", log=True))


def test_gains_losses_and_what_is_open_are_told_apart(fill: Fill) -> None:
    found = collect(STUDY, fill(STUDY, MEANS))
    verdicts = {(one.comparison.arm, one.comparison.score): one.verdict for one in found.differences}
    assert verdicts == {
        (arm, score): verdict
        for arm, verdict in (("better", "gain"), ("worse", "loss"), ("alike", "open"))
        for score in SCORES
    }
    assert found.scores["better"]["image.probe"].mean == pytest.approx(0.6, abs=0.05)
    assert found.chance == dict(zip(SCORES, (0.1, 0.2), strict=True))
    assert found.missing == []


def test_scores_and_differences_are_the_outcomes_means(fill: Fill) -> None:
    runs = fill(STUDY, MEANS)
    found = collect(STUDY, runs)
    values = {arm: [runs[arm][s].read().outcomes["image.probe"].values.mean() for s in range(3)] for arm in MEANS}
    score = found.scores["plain"]["image.probe"]
    assert score.mean == pytest.approx(np.mean(values["plain"]))
    assert score.deviation == pytest.approx(np.std(values["plain"], ddof=1))
    difference = found.difference("worse", "image.probe")
    assert difference is not None
    assert difference.interval.mean == pytest.approx(np.mean(values["worse"]) - np.mean(values["plain"]))
    assert (difference.seeds, difference.clips, difference.items) == (3, 400, 400)


def test_of_one_seed_nothing_is_claimed(fill: Fill) -> None:
    found = collect(STUDY, fill(STUDY, MEANS, seeds=1))
    assert {one.verdict for one in found.differences} == {"one seed"}
    assert "± " not in to_markdown(found, ORIGIN, "try.svg")


def test_runs_that_are_missing_are_said_and_the_others_compared(fill: Fill) -> None:
    found = collect(STUDY, fill(STUDY, {name: mean for name, mean in MEANS.items() if name != "worse"}))
    assert found.missing == [("worse", seed) for seed in range(3)]
    assert {one.comparison.arm for one in found.differences} == {"better", "alike"}
    text = to_markdown(found, ORIGIN, "try.svg")
    assert "Runs without a result: worse (seed 0), worse (seed 1), worse (seed 2)." in text
    assert "| worse | – | – |" in text
    ElementTree.fromstring(draw(found))


def test_arms_that_are_the_same_runs_stand_once(fill: Fill) -> None:
    arms = (*ARMS[:2], Arm("again", {"slots": 6}), Arm("plain again", {"slots": 5}))
    study = Study("try", "A try", arms, SCORES, against("plain", arms, SCORES))
    found = collect(study, fill(study, {"plain": 0.5, "better": 0.6}))
    assert found.twins == {"again": "better", "plain again": "plain"}
    assert [one.comparison.arm for one in found.differences] == ["better", "better"]
    text = to_markdown(found, ORIGIN, "try.svg")
    assert "The same runs: again is better; plain again is plain." in text
    assert "| again |" not in text


def test_other_test_items_are_not_compared(fill: Fill) -> None:
    runs = fill(STUDY, MEANS)
    runs["better"][1].save({}, {"image.probe": Outcome(np.ones(4), np.arange(4))})
    with pytest.raises(StudyError, match="scored on different test items"):
        collect(STUDY, runs)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"config": {}}', '{"config": {}, "scores": 3}'])
def test_a_broken_result_is_one_sentence(fill: Fill, content: str) -> None:
    runs = fill(STUDY, MEANS)
    runs["worse"][2].scores_file().write_text(content)
    with pytest.raises(StudyError, match=r"scores.json can't be read .*; delete it to measure the run again"):
        collect(STUDY, runs)


def test_a_result_of_other_keys_is_refused(fill: Fill) -> None:
    runs = fill(STUDY, MEANS)
    file = runs["worse"][2].scores_file()
    content = json.loads(file.read_text())
    content["config"]["tau_m"] = 0.7
    file.write_text(json.dumps(content))
    with pytest.raises(StudyError, match=r"was trained with tau_m=0.7, not 0.1; delete it to train it again"):
        collect(STUDY, runs)


def test_the_table_says_what_made_it(fill: Fill) -> None:
    text = to_markdown(collect(STUDY, fill(STUDY, MEANS)), ORIGIN, "try.svg")
    assert text.startswith(
        "# A try\n\n```sh\nbma study try\n```\n\nData: demo: 3 pairs.\n\nSeeds: 0, 1, 2. Machine: 2 cores."
    )
    assert "| arm | beside | score |" in text
    assert re.search(r"^\| better \| 0\.\d{3} ± 0\.\d{3} \| 0\.\d{3} ± 0\.\d{3} \|$", text, re.MULTILINE)
    assert re.search(r"\| better \| plain \| image probe \| \+0\.\d{3} \| \+0\.\d{3} to \+0\.\d{3} \| gain \|", text)
    assert "| chance | 0.100 | 0.200 |" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1


@pytest.mark.parametrize("study", [STUDY, SWEEP], ids=lambda study: study.name)
def test_all_three_files_are_written(fill: Fill, tmp_path: Path, study: Study) -> None:
    means = {arm.name: 0.3 + 0.1 * place for place, arm in enumerate(study.arms)}
    found = collect(study, fill(study, means))
    files = write(found, ORIGIN, tmp_path / "out" / study.name, "1234")
    assert [file.name for file in files] == [f"{study.name}.json", f"{study.name}.md", f"{study.name}.svg"]
    content = json.loads(files[0].read_text())
    assert content["data"]["fingerprint"] == "1234"
    assert set(content["arms"]) == {arm.name for arm in study.arms}
    one = content["arms"][study.arms[1].name]
    assert one["scores"]["image.probe"]["mean"] == pytest.approx(
        np.mean(list(one["scores"]["image.probe"]["seeds"].values()))
    )
    assert one["config"]["slots"] == study.arms[1].keys["slots"]
    assert len(content["differences"]) == len(study.comparisons)
    assert {"arm", "baseline", "score", "mean", "low", "high", "verdict", "needed"} <= set(content["differences"][0])
    root = ElementTree.fromstring(files[2].read_text())
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {study.title, "image probe"} <= set(words)


def test_a_sweep_has_a_line_a_series_over_a_logarithmic_axis(fill: Fill) -> None:
    svg = draw(collect(SWEEP, fill(SWEEP, {arm.name: 0.5 for arm in SWEEP_ARMS})))
    root = ElementTree.fromstring(svg)
    looks = [element.get("class") for element in root.iter("{http://www.w3.org/2000/svg}path")]
    assert (looks.count("line"), looks.count("band")) == (2, 2)
    dots = {dot[0].text or "": float(dot.get("cx", 0)) for dot in root.iter("{http://www.w3.org/2000/svg}circle")}
    places = [next(x for says, x in dots.items() if says.startswith(name)) for name in ("a 10:", "a 100:")]
    assert places[0] < places[1]


def test_a_series_of_the_same_runs_is_not_drawn_twice(fill: Fill) -> None:
    arms = tuple(Arm(f"{line} {n}", {"slots": n}, line, n) for line in ("a", "b") for n in (10, 100))
    study = Study("sweep", "A sweep", arms, SCORES[:1], against("a 10", arms, SCORES[:1]), Axis("n"))
    svg = draw(collect(study, fill(study, {arm.name: 0.5 for arm in arms})))
    assert svg.count('class="line"') == 1
