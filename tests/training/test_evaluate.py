"""The shape of a whole evaluation, and what it takes from its parts."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.data.pack import open_data
from training.data.packed import PackedData
from training.data.rows import Row, read_rows, write_rows
from training.evaluate import EvaluationError, clip_right, evaluate, measure, raw_probe
from training.features import Features
from training.model.embedder import Embedder
from training.model.head import ClassHead
from training.model.memory import Modality
from training.probe import Labelled
from training.retrieval import retrieval_scores


@pytest.mark.parametrize("seed", range(4))
def test_a_files_class_has_the_highest_mean_probability(seed: int) -> None:
    rng = np.random.default_rng(seed)
    head = ClassHead(torch.from_numpy(rng.normal(size=(3, 5))).float(), torch.zeros(3), ("a", "b", "c"))
    files = [int(file) for file in rng.integers(0, 9, 40)]  # of 0 to 8 segments each, in no order
    classes = rng.integers(0, 3, 9)
    test = Labelled(torch.from_numpy(rng.normal(size=(40, 5))).float(), torch.from_numpy(classes[files]))
    right = []
    for file in dict.fromkeys(files):
        segments = [place for place, other in enumerate(files) if other == file]
        logits = [head.weight.double().numpy() @ test.features[place].double().numpy() for place in segments]
        probabilities = [np.exp(row) / np.exp(row).sum() for row in logits]
        right.append(np.mean(probabilities, axis=0).argmax() == classes[file])
    assert clip_right(head, test, files).tolist() == right


def test_one_sure_segment_outvotes_two_that_lean_the_other_way() -> None:
    head = ClassHead(torch.eye(2), torch.zeros(2), ("a", "b"))
    test = Labelled(torch.tensor([[4.0, 0.0], [0.0, 0.4], [0.0, 0.4], [0.0, 1.0]]), torch.tensor([0, 0, 0, 1]))
    assert clip_right(head, test, ["x", "x", "x", "y"]).tolist() == [True, True]


@pytest.fixture(scope="module")
def features(tiny_run: Path, tiny_data: PackedData) -> Features:
    return Features(tiny_data, Embedder(tiny_run / "model", "cpu", "fp32"))


def test_the_keys_of_an_evaluation(features: Features) -> None:
    scores = evaluate(features)
    retrieval = (
        {f"hit@{k}" for k in range(1, 6)} | {f"recall@{k}" for k in (1, 5, 10)} | {"map", "median_rank", "chance"}
    )
    assert {key: set(part) for key, part in scores.items()} == {
        "image": {"probe", "knn"},
        "sound": {"probe", "knn"},
        "sound_to_image": retrieval,
        "image_to_sound": retrieval,
        "n": {f"{modality}_{split}" for modality in ("image", "sound") for split in ("train", "val", "test")},
    }
    assert scores["n"] == {
        "image_train": 13,
        "image_val": 3,
        "image_test": 6,
        "sound_train": 13,
        "sound_val": 3,
        "sound_test": 6,
    }
    shares = [value for key in scores if key != "n" for name, value in scores[key].items() if name != "median_rank"]
    assert all(0 <= value <= 1 for value in shares)
    assert 1 <= scores["sound_to_image"]["median_rank"] <= 6
    assert scores["sound_to_image"]["chance"] == pytest.approx(1 / 3)
    json.dumps(scores)


def test_probes_of_an_easily_learned_set_are_good(features: Features) -> None:
    scores = evaluate(features)
    assert scores["image"]["probe"] >= 5 / 6
    assert scores["sound"]["probe"] >= 5 / 6


def test_retrieval_reads_z_of_the_test_split(features: Features) -> None:
    sounds, sound = features.split("test", "sound")
    images, image = features.split("test", "image")
    expected = retrieval_scores(sound.z, image.z, sounds.labels, images.labels)
    found = evaluate(features)["sound_to_image"]
    assert {name: found[name] for name in expected} == expected


def test_every_score_is_the_mean_of_its_outcomes(features: Features) -> None:
    measured = measure(features)
    for part, names in {
        **dict.fromkeys(("image", "sound"), ("probe", "knn")),
        **dict.fromkeys(("sound_to_image", "image_to_sound"), (*(f"hit@{k}" for k in range(1, 6)), "map")),
    }.items():
        modality: Modality = "image" if part.startswith("image") else "sound"
        clips = features.split("test", modality)[0].clips
        for name in names:
            outcome = measured.outcomes[f"{part}.{name}"]
            assert outcome.values.dtype == np.float64
            assert outcome.clips.dtype == np.int64
            assert outcome.values.mean() == outcome.score == measured.scores[part][name]
            assert outcome.clips.tolist() == clips.tolist()


Relabel = Callable[[Callable[[Row], Row | Iterable[Row] | None]], PackedData]


@pytest.fixture
def relabel(tiny_rows: Path, tmp_path: Path) -> Relabel:
    """`relabel(change)`: the tiny set with every row changed, made several, or left out where `change` gives None."""

    def make(change: Callable[[Row], Row | Iterable[Row] | None]) -> PackedData:
        for name in ("images", "sounds"):
            (tmp_path / name).symlink_to(tiny_rows.parent / name)
        changed = (change(row) or () for row in read_rows(tiny_rows))
        rows = [row for part in changed for row in ([part] if isinstance(part, Row) else part)]
        write_rows(tmp_path / "rows.csv", rows)
        return open_data(tmp_path, 32, 8000)

    return make


def test_probes_may_be_fitted_on_another_set(features: Features, relabel: Relabel) -> None:
    def two_classes(row: Row) -> Row | None:
        return None if row.label == "blue" else row

    other = Features(relabel(two_classes), features.embedder)
    scores = evaluate(features, probe=other)
    assert scores["n"]["image_test"] == 4
    assert scores["sound_to_image"] == evaluate(features)["sound_to_image"]


def test_what_can_not_be_measured_is_absent(features: Features, relabel: Relabel) -> None:
    def images_alone(row: Row) -> Row | None:
        return Row(row.split, row.label, row.image) if row.image else None

    scores = evaluate(Features(relabel(images_alone), features.embedder))
    assert set(scores) == {"image", "n"}
    assert scores["n"]["sound_test"] == 0


def test_nothing_to_measure_is_said(features: Features, relabel: Relabel) -> None:
    def no_labels(row: Row) -> Row:
        return Row(row.split, "", row.image, row.sound)

    with pytest.raises(EvaluationError, match="has no labelled test rows to score"):
        evaluate(Features(relabel(no_labels), features.embedder))


@pytest.mark.parametrize("modality", ["image", "sound"])
def test_the_raw_probe_needs_no_val(features: Features, relabel: Relabel, modality: Any) -> None:
    without_val = Features(relabel(lambda row: None if row.split == "val" else row), features.embedder)
    assert raw_probe(without_val, modality) >= 5 / 6  # colours and tones: the raw input says it all
    assert raw_probe(features, modality) >= 5 / 6


def test_classes_that_training_does_not_know_are_left_out(features: Features, relabel: Relabel) -> None:
    def unknown_test_class(row: Row) -> Row | None:
        return None if row.split != "test" and row.label == "blue" else row

    scores = evaluate(Features(relabel(unknown_test_class), features.embedder))
    assert scores["image"]["probe"] == 1.0  # of the four test images of known classes
    assert scores["n"]["image_test"] == 6


def test_stretches_of_a_file_are_scored_together_too(features: Features, relabel: Relabel) -> None:
    def halves(row: Row) -> Iterator[Row]:
        if not (row.sound and row.split == "test"):
            yield row
            return
        yield replace(row, duration=0.2)
        yield replace(row, image="", id=f"{row.id}-2", start=0.2)
        if row.label == "blue":
            yield replace(row, label="of no class that is known", image="", start=0.1, duration=0.15)

    scores = evaluate(Features(relabel(halves), features.embedder))
    assert scores["n"]["sound_test"] == 14
    assert set(scores["image"]) == {"probe", "knn"}
    assert set(scores["sound"]) == {"probe", "knn", "probe_clip"}
    files = scores["sound"]["probe_clip"] * 6
    assert files == pytest.approx(round(files))
    assert files >= 5
