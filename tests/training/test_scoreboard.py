"""What `bma evaluate` prints: every score beside its chance level, of which data, by class, and as JSON."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cli import main
from training.data.packed import PackedData
from training.data.rows import read_rows, write_rows
from training.scoreboard import describe_scores, scores_json

CHANCES = {"hit@1": 0.4, "hit@2": 0.6, "hit@3": 0.75, "hit@4": 0.8, "hit@5": 0.85, "map": 0.45}
CHANCES |= {"recall@1": 0.2, "recall@5": 0.9, "recall@10": 1.0, "median_rank": 2.0}


def classified(**changes: Any) -> dict[str, Any]:
    return {
        "probe": 0.8,
        "knn": 0.6,
        "chance": 0.5,
        "strength": 0.01,
        "neighbours": 3,
        "chosen_on": "val",
        "left_out": 0,
        "tested": 10,
        "classes": ["cat", "dog"],
        "confusion": [[5, 0], [2, 3]],
        "class_recall": [1.0, 0.6],
        "data": "sets/one",
        **changes,
    }


def retrieved(**changes: Any) -> dict[str, Any]:
    scores = {name: chance / 2 + 0.0001 for name, chance in CHANCES.items()} | {"median_rank": 2.5, "chance": 0.4}
    return {
        **scores,
        "chances": CHANCES,
        "queries": 10,
        "targets": 12,
        "classes": ["cat", "dog"],
        "class_hit@1": [0.25, 0.375],
        "data": "sets/one",
        **changes,
    }


def whole() -> dict[str, Any]:
    return {"image": classified(), "sound": classified(probe=0.7), "sound_to_image": retrieved(), "n": {}} | {
        "image_to_sound": retrieved(median_rank=1.0)
    }


def numbers(text: str, name: str) -> list[str]:
    """The cells of the row of that name."""
    (line,) = (line for line in text.splitlines() if re.match(rf"\s*{re.escape(name)}\s\s", line))
    return line.strip().removeprefix(name).split()


def test_every_score_has_its_chance_beside_it() -> None:
    text = describe_scores(whole())
    assert numbers(text, "linear probe") == ["0.800", "0.500", "0.700", "0.500"]
    assert numbers(text, "kNN") == ["0.600", "0.500", "0.600", "0.500"]
    for name, chance in CHANCES.items():
        if name not in ("map", "median_rank"):
            assert numbers(text, name) == [f"{chance / 2 + 0.0001:.3f}", f"{chance:.3f}"] * 2
    assert numbers(text, "mAP") == ["0.225", "0.450"] * 2
    assert numbers(text, "median rank") == ["2.5", "2", "1", "2"]


def test_what_was_chosen_and_what_chance_means_is_said() -> None:
    scores = whole()
    scores["sound"] = classified(confusion=[[5, 1], [2, 2]], left_out=4, chosen_on=None)
    text = describe_scores(scores)
    assert "image: 10 to test of 2 classes, chance is 1 / 2; regularisation 0.01 and k = 3, chosen on val" in text
    assert (
        "sound: 10 to test (4 more of classes that train does not have) of 2 classes, chance is the share of the most "
        "frequent; regularisation 0.01 and k = 3, the defaults, as there is no val" in text
    )


def test_raw_inputs_and_whole_files_stand_below_the_probe() -> None:
    scores = whole()
    scores["image"]["raw_probe"] = 0.55
    scores["sound"] |= {"probe_clip": 0.9, "probe_clip_chance": 0.52}
    text = describe_scores(scores)
    assert numbers(text, "on raw inputs") == ["0.550", "0.500", "–", "–"]
    assert numbers(text, "over whole files") == ["–", "–", "0.900", "0.520"]


def test_the_data_of_each_table_is_named() -> None:
    scores = whole()
    scores["image"]["data"] = scores["sound"]["data"] = "sets/two"
    text = describe_scores(scores, by_class=True)
    assert "fitted on train and scored on test of sets/two\n" in text
    assert "retrieval in test of sets/one\n" in text
    assert "sounds by class, in test of sets/two; " in text
    assert "sounds by class, in test of sets/one\n" in text


def test_what_is_missing_is_said() -> None:
    scores = whole()
    del scores["sound"], scores["sound_to_image"], scores["image_to_sound"]
    text = describe_scores(scores, by_class=True)
    assert "sounds are not classified: that takes labelled sounds in train, of two classes, and in test" in text
    assert numbers(text, "kNN") == ["0.600", "0.500", "–", "–"]
    assert "retrieval" not in text
    retrieval = describe_scores({"n": {}, "sound_to_image": retrieved()}, by_class=True)
    assert retrieval.startswith("images are not classified")
    assert numbers(retrieval, "hit@1") == ["0.200", "0.400", "–", "–"]
    assert numbers(retrieval, "2 dog") == ["0.375"]


def test_one_class_to_retrieve_says_nothing() -> None:
    scores = whole()
    scores["sound_to_image"]["chance"] = 1.0
    text = describe_scores(scores)
    assert "sound to image: 10 sounds, 12 images to find; there is one class to retrieve, so this says nothing" in text
    assert "image to sound: 10 images, 12 sounds to find\n" in f"{text}\n"


def test_classes_have_recall_hits_and_the_confusion_matrix() -> None:
    text = describe_scores(whole(), by_class=True)
    table = text[text.index("images by class") :].splitlines()
    assert table[1].split() == ["to", "test", "recall", "hit@1", "1", "2"]
    assert table[2].split() == ["1", "cat", "5", "1.000", "0.250", "5", "·"]
    assert table[3].split() == ["2", "dog", "5", "0.600", "0.375", "2", "3"]
    assert "by class" not in describe_scores(whole())


def test_classes_that_train_does_not_know_have_hits_alone() -> None:
    scores = whole()
    scores["sound_to_image"] |= {"classes": ["bee", "dog"]}
    scores["sound"] |= {"class_recall": [None, 0.6], "confusion": [[0, 0], [2, 3]]}
    text = describe_scores(scores, by_class=True)
    table = text[text.index("sounds by class") : text.index("images by class")].splitlines()
    assert table[1].split() == ["to", "test", "recall", "hit@1", "2", "3"]
    assert table[2].split() == ["1", "bee", "0", "–", "0.250", "–", "–"]
    assert table[3].split() == ["2", "cat", "0", "–", "–", "·", "·"]
    assert table[4].split() == ["3", "dog", "5", "0.600", "0.375", "2", "3"]


def test_of_many_classes_the_commonest_mistake_is_shown() -> None:
    names = [f"class {number:02d}" for number in range(40)]
    confusion = [[4 * (row == column) for column in range(40)] for row in range(40)]
    confusion[3][7], confusion[3][8] = 3, 1
    part = classified(classes=names, confusion=confusion, class_recall=[1.0] * 3 + [0.5] + [1.0] * 36)
    text = describe_scores({"n": {}, "image": part}, by_class=True)
    table = text[text.index("images by class") :].splitlines()
    assert table[0] == "images by class, in test of sets/one"
    assert table[1].split(maxsplit=3)[-1] == "mostly mistaken for"
    assert table[2].split() == ["1", "class", "00", "4", "1.000", "–"]
    assert table[5].split() == ["4", "class", "03", "8", "0.500", "0.375", "class", "07"]


texts = st.text(max_size=12)
values = st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3),
)


@given(st.dictionaries(texts, values, max_size=4))
def test_json_reads_back_as_it_was(scores: dict[str, Any]) -> None:
    assert json.loads(scores_json(scores)) == scores


def test_json_has_a_row_of_numbers_to_a_line() -> None:
    assert '    "confusion": [\n      [5, 0],\n      [2, 3]\n    ]' in scores_json({"image": classified()})


@pytest.fixture
def other_set(tiny_rows: Path, tmp_path: Path) -> Path:
    """The tiny set's reds and greens alone, called differently."""
    for name in ("images", "sounds"):
        (tmp_path / name).symlink_to(tiny_rows.parent / name)
    rows = [
        replace(row, label=row.label and f"very {row.label}") for row in read_rows(tiny_rows) if row.label != "blue"
    ]
    write_rows(tmp_path / "rows.csv", rows)
    return tmp_path


Run = Callable[..., str]


@pytest.fixture
def run(tiny_run: Path, tiny_data: PackedData, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run(*options)`: what `bma evaluate` prints of the tiny run, on the tiny set or `data`."""

    def go(*options: str, data: Path = tiny_data.folder) -> str:
        command = ["evaluate", str(tiny_run / "model"), "--data", str(data), "--device", "cpu", "--precision", "fp32"]
        assert main([*command, *options]) == 0
        return capsys.readouterr().out

    return go


def test_the_command_prints_tables_and_classes(run: Run, tiny_data: PackedData) -> None:
    plain = run()
    assert f"fitted on train and scored on test of {tiny_data.folder}\n" in plain
    assert len(numbers(plain, "median rank")) == 4
    assert "on raw inputs" not in plain
    full = run("--classes", "--raw")
    assert "on raw inputs" in full
    assert full.count(" by class, in test of ") == 2
    assert "3 red" in full


def test_transfer_from_command_to_scores(run: Run, other_set: Path, tiny_data: PackedData) -> None:
    """The probes are of the other set, from its train to its test; retrieval is of the first."""
    scores = json.loads(run("--probe", str(other_set), "--json"))
    assert scores["image"]["classes"] == scores["sound"]["classes"] == ["very green", "very red"]
    assert scores["image"]["data"] == scores["sound"]["data"] == str(other_set / "packed")
    assert (scores["image"]["tested"], scores["n"]["image_train"], scores["n"]["image_val"]) == (4, 9, 2)
    assert scores["image"]["probe"] >= 3 / 4  # green and red are easily told apart
    own, others = json.loads(run("--json")), json.loads(run("--json", data=other_set))
    for modality in ("image", "sound"):
        assert scores[modality] == others[modality] != own[modality]
    for way in ("sound_to_image", "image_to_sound"):
        assert scores[way] == own[way]
        assert scores[way]["data"] == str(tiny_data.folder)
    text = run("--probe", str(other_set))
    assert f"fitted on train and scored on test of {other_set / 'packed'}\n" in text
    assert f"retrieval in test of {tiny_data.folder}\n" in text
